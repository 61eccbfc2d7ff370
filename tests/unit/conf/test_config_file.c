/* Reading the configuration: what a line may be, which source overrules which, and what ends the process. */
#include "base/buf.h"
#include "conf/config.h"
#include "conf/config_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int number, mode;
static char *text;
static char saved[64]; /* the words of t-save, lines added up */

static bool set_save(const char *const *words, int count, const char **error) {
    *error = "bad save";
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "bad") == 0) return false;
        if (words[i][0]) strcat(saved, words[i]);
        if (words[i][0] == '\0') saved[0] = '\0';
    }
    return true;
}

static void get_save(struct buf *out) {
    buf_append_cstr(out, saved);
}

static const struct option_name modes[] = {{"a", 1}, {"b", 2}, {NULL, 0}};
static const struct option rows[] = {
    {.name = "t-int", .alias = "t-old", .type = OPTION_INT, .address = &number, .initial = "0", .max = 99},
    {.name = "t-text", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &text, .initial = ""},
    {.name = "t-mode", .type = OPTION_FLAGS, .address = &mode, .initial = "a", .names = modes},
    {.name = "save", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "", .set = set_save, .get = get_save},
    {NULL},
};

static char folder[] = "/tmp/kura-conf-XXXXXX";

/* Write a file of this text into the test's folder; returns its path, valid until the next call but one. */
static const char *file_of(const char *name, const char *content) {
    static char paths[2][128];
    static int turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    return path;
}

static void load(const char *content) {
    config_load(file_of("a.conf", content), false, 0, NULL);
}

static void lines_hold_words_quotes_comments_and_blanks(void **state) {
    (void)state;
    load("# a comment\n\n  \t T-INT \t 7  \r\nt-text \"a \\x62\\\"\"\n   # another\n");
    assert_int_equal(number, 7);
    assert_string_equal(text, "a b\"");
    load("t-text 'it\\'s'\nt-old 8");
    assert_string_equal(text, "it's");
    assert_int_equal(number, 8);
    load("");
    assert_int_equal(number, 8);
}

static void later_lines_overrule_and_lines_of_several_words_add_up(void **state) {
    (void)state;
    saved[0] = '\0';
    load("t-int 1\nsave 1 2\nt-int 2\nsave 3\nt-mode a b\n");
    assert_int_equal(number, 2);
    assert_string_equal(saved, "123");
    assert_int_equal(mode, 3);
    load("save \"\"\nsave \"4 5\"\n"); /* words in quotes are several all the same */
    assert_string_equal(saved, "45");
}

static void the_command_line_comes_last(void **state) {
    (void)state;
    char *words[] = {"--t-int", "2", "--t-text", "--two words", "--t-mode b", "--save"};
    saved[0] = '\0';
    config_load(file_of("a.conf", "t-int 1\nsave 9"), false, 6, words);
    assert_int_equal(number, 2);
    assert_string_equal(text, "--two words");
    assert_int_equal(mode, 2);
    assert_string_equal(saved, ""); /* --save alone is save "" */
}

static void standard_input_comes_behind_the_file(void **state) {
    (void)state;
    assert_non_null(freopen(file_of("stdin", "t-int 5\n"), "r", stdin));
    config_load(file_of("a.conf", "t-int 1\nt-text file\n"), true, 0, NULL);
    assert_int_equal(number, 5);
    assert_string_equal(text, "file");
}

static void files_include_files(void **state) {
    (void)state;
    char content[256];
    file_of("1.inc", "t-int 41\n");
    file_of("2.inc", "t-int 42\nt-text two\n");
    snprintf(content, sizeof content, "t-text one\ninclude %s/*.inc\ninclude %s/none*\n", folder, folder);
    load(content);
    assert_int_equal(number, 42);
    assert_string_equal(text, "two");
}

static void directives_without_a_row_are_known(void **state) {
    (void)state;
    load("user default on nopass ~* &* +@all\nlist-max-ziplist-entries 5\nlua-replicate-commands yes\n");
}

static void the_path_is_remembered_as_an_absolute_one(void **state) {
    (void)state;
    char before[256];
    assert_non_null(getcwd(before, sizeof before));
    file_of("rel.conf", "");
    assert_int_equal(chdir(folder), 0);
    config_load("rel.conf", false, 0, NULL);
    char expected[128];
    snprintf(expected, sizeof expected, "%s/rel.conf", folder);
    assert_string_equal(config_path(), expected);
    assert_int_equal(chdir(before), 0);
}

/* Loading this text ends the process with 1, and says this on standard error. */
static void ends_with(const char *content, const char *told) {
    static char output[4096];
    int ends[2], status;
    const char *path = file_of("bad.conf", content);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        dup2(ends[1], STDOUT_FILENO); /* the log */
        config_load(path, false, 0, NULL);
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while ((n = read(ends[0], output + len, sizeof output - 1 - len)) > 0)
        len += (size_t)n;
    output[len] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    if (!strstr(output, told)) fail_msg("told: %s", output);
}

static void a_bad_line_ends_the_process_and_is_named(void **state) {
    (void)state;
    char loop[256];
    ends_with("foo bar\n", "at line 1\n>>> 'foo bar'\nBad directive or wrong number of arguments\n");
    ends_with("\n# x\nt-int\n", "at line 3\n>>> 't-int'\nwrong number of arguments\n");
    ends_with("t-int 1 2\n", "wrong number of arguments\n");
    ends_with("t-int 100\n", "argument must be between 0 and 99 inclusive\n");
    ends_with("t-text \"x\n", "Unbalanced quotes in configuration line\n");
    ends_with("t-text \"a\\x00b\"\n", "argument holds a NUL byte\n");
    ends_with("save 1 bad\n", "bad save\n");
    ends_with("user\n", "Bad directive or wrong number of arguments\n");
    ends_with("rename-command a\n", "Bad directive or wrong number of arguments\n");
    ends_with("\"user\\x00\" x\n", "Bad directive or wrong number of arguments\n");
    ends_with("sentinel x\n", "sentinel directive while not in sentinel mode\n");
    ends_with("include /nonexistent\n", "can't open config file '/nonexistent': No such file or directory");
    snprintf(loop, sizeof loop, "include %s/bad.conf\n", folder);
    ends_with(loop, "too many levels of include\n");
}

static int set_up(void **state) {
    (void)state;
    config_register(rows);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"a.conf", "stdin", "1.inc", "2.inc", "rel.conf", "bad.conf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_hold_words_quotes_comments_and_blanks),
        cmocka_unit_test(later_lines_overrule_and_lines_of_several_words_add_up),
        cmocka_unit_test(the_command_line_comes_last),
        cmocka_unit_test(standard_input_comes_behind_the_file),
        cmocka_unit_test(files_include_files),
        cmocka_unit_test(directives_without_a_row_are_known),
        cmocka_unit_test(the_path_is_remembered_as_an_absolute_one),
        cmocka_unit_test(a_bad_line_ends_the_process_and_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
