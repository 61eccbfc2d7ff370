/* A signal handler reads the names: a name is complete before its flag is set. */
#include "disk/temp_file.h"
#include "base/log.h"
#include "base/rand.h"
#include "disk/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RANDOM_DIGITS 16

static const struct {
    const char *prefix, *suffix;
} forms[TEMP_FILES] = {
    [TEMP_SNAPSHOT] = {"temp-", ".rdb"},
    [TEMP_BGSAVE] = {"temp-", ".rdb"},
    [TEMP_AOF_BASE] = {"temp-rewriteaof-bg-", ".aof"},
};

static struct {
    char name[80];
    volatile sig_atomic_t used;
} files[TEMP_FILES];

const char *temp_file_choose(enum temp_file kind) {
    char digits[RANDOM_DIGITS + 1] = "";
    rand_hex(digits, RANDOM_DIGITS);
    files[kind].used = false;
    snprintf(files[kind].name, sizeof files[kind].name, "%s%d-%s%s", forms[kind].prefix, (int)getpid(), digits,
             forms[kind].suffix);
    files[kind].used = true;
    return files[kind].name;
}

const char *temp_file_name(enum temp_file kind) {
    return files[kind].used ? files[kind].name : "";
}

int temp_file_create(const char *path, unsigned mode) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

void temp_file_drop(enum temp_file kind) {
    if (!files[kind].used) return;
    files[kind].used = false;
    files_remove_later("", files[kind].name);
}

void temp_file_abandon(void) {
    for (int i = 0; i < TEMP_FILES; i++)
        if (files[i].used) unlink(files[i].name);
}

/* --- Left-overs ------------------------------------------------------------------------------ */

/* The process in a name of this form: "<prefix><pid><suffix>", or with "-<random number>" behind it. 0: another
 * name. */
static pid_t writer_of(const char *name, const char *prefix, const char *suffix) {
    size_t len = strlen(name), before = strlen(prefix), after = strlen(suffix);
    char *end;
    if (len <= before + after || strncmp(name, prefix, before) != 0 || strcmp(name + len - after, suffix) != 0)
        return 0;
    if (name[before] < '0' || name[before] > '9') return 0;
    long pid = strtol(name + before, &end, 10);
    if (*end == '-') end += 1 + strspn(end + 1, "0123456789abcdef");
    return end == name + len - after && pid == (pid_t)pid ? (pid_t)pid : 0;
}

/* The server's own process has not begun to write: a file with its number is of an earlier process. */
static bool is_dead(pid_t pid) {
    return pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH);
}

static bool is_left_over(const char *name) {
    static const char *const prefixes[][2] = {
        {"temp-", ".rdb"}, {"temp-rewriteaof-bg-", ".aof"}, {"temp-rewriteaof-", ".aof"}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        pid_t pid = writer_of(name, prefixes[i][0], prefixes[i][1]);
        if (pid > 0) return is_dead(pid);
    }
    return false;
}

void temp_file_sweep(void) {
    DIR *dir = opendir(".");
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!is_left_over(entry->d_name)) continue;
        log_notice("Removing the file %s, which a process that is dead has left", entry->d_name);
        files_remove_later("", entry->d_name);
    }
    closedir(dir);
}
