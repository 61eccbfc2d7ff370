/* The notation of command syntax: each construct, what it makes of it, and what it refuses. */
#include "base/buf.h"
#include "catalog/command_syntax.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void print_part(struct buf *out, const char *mark, struct slice part) {
    if (part.ptr == NULL) return;
    buf_append_cstr(out, mark);
    buf_append_slice(out, part);
}

/* Each argument as "name:type" with what else is known about it, its children in braces. */
static void print_arguments(struct buf *out, const struct command_syntax *tree, int first) {
    for (int i = first; i >= 0; i = tree->arguments[i].sibling) {
        const struct command_argument *a = &tree->arguments[i];
        if (i != first) buf_append_cstr(out, " ");
        buf_append_slice(out, a->name);
        buf_printf(out, ":%s", command_syntax_type_name(a->type));
        if (a->key_spec >= 0) buf_printf(out, " spec=%d", a->key_spec);
        print_part(out, " token=", a->token);
        print_part(out, " display=", a->display);
        print_part(out, " since=", a->since);
        print_part(out, " deprecated=", a->deprecated_since);
        if (a->flags & ARGUMENT_OPTIONAL) buf_append_cstr(out, " optional");
        if (a->flags & ARGUMENT_MULTIPLE) buf_append_cstr(out, " multiple");
        if (a->flags & ARGUMENT_MULTIPLE_TOKEN) buf_append_cstr(out, " multiple_token");
        if (a->children == 0) continue;
        buf_printf(out, " %d{", a->children);
        print_arguments(out, tree, a->child);
        buf_append_cstr(out, "}");
    }
}

static void check(const char *syntax, const char *expected) {
    struct command_syntax tree;
    assert_true(command_syntax_parse(&tree, syntax));
    assert_null(tree.error);
    struct buf out = {0};
    if (tree.children) print_arguments(&out, &tree, 0);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
    command_syntax_free(&tree);
}

static void check_refused(const char *syntax, size_t at) {
    struct command_syntax tree;
    assert_false(command_syntax_parse(&tree, syntax));
    assert_non_null(tree.error);
    if (tree.error_at != at) print_error("%s: %s\n", syntax, tree.error);
    assert_int_equal(tree.error_at, at);
    command_syntax_free(&tree);
}

static void parses_values(void **state) {
    (void)state;
    check(NULL, "");
    check("", "");
    check("message", "message:string");
    check("key:key count:integer", "key:key spec=0 count:integer");
    check("a:double b:pattern c:unix-time", "a:double b:pattern c:unix-time");
    check("key:key newkey:key#1", "key:key spec=0 newkey:key spec=1");
    check("pattern:pattern#1", "pattern:pattern spec=1");
    check("ip:port:string", "ip:port:string");
    check("addr<ip:port>", "addr:string display=ip:port");
    check("n<how many>:integer", "n:integer display=how many");
}

static void parses_flags_and_versions(void **state) {
    (void)state;
    check("key:key...", "key:key spec=0 multiple");
    check("[section...]", "section:string optional multiple");
    check("[user@6.0.0]", "user:string since=6.0.0 optional");
    check("ip!2.8.12", "ip:string deprecated=2.8.12");
    check("ip...@1.0!2.8.12", "ip:string since=1.0 deprecated=2.8.12 multiple");
    check("[GET pattern:pattern]...", "pattern:pattern token=GET optional multiple multiple_token");
}

static void parses_tokens(void **state) {
    (void)state;
    check("[NX]", "NX:pure-token token=NX optional");
    check("EX seconds:integer", "seconds:integer token=EX");
    check("LIB-NAME libname", "libname:string token=LIB-NAME");
    check("no=NO ONE", "no:pure-token token=NO ONE:pure-token token=ONE");
    check("equal==", "equal:pure-token token==");
    check("about=~", "about:pure-token token=~");
    check("none=''", "none:pure-token token=");
    check("NX@1.2 b", "NX:pure-token token=NX since=1.2 b:string");
}

static void parses_groups(void **state) {
    (void)state;
    check("at:(x y)", "at:block 2{x:string y:string}");
    check("parameter:(parameter)...", "parameter:block multiple 1{parameter:string}");
    check("when:(NX | XX)@2.6.12", "when:oneof since=2.6.12 2{NX:pure-token token=NX XX:pure-token token=XX}");
    check("AUTH who:(user password)", "who:block token=AUTH 2{user:string password:string}");
    check("c:([A] | b:(B x))", "c:oneof 2{A:pure-token token=A optional b:block 1{x:string token=B}}");
    check("from:(host-port:(host port:integer) | none=NO)",
          "from:oneof 2{host-port:block 2{host:string port:integer} none:pure-token token=NO}");
}

static void refuses(void **state) {
    (void)state;
    check_refused(" a", 0);
    check_refused("a  b", 2);
    check_refused("a ", 2);
    check_refused("a b |", 4);
    check_refused("a | b", 5);
    check_refused("x:(a b | c)", 9);
    check_refused("x:(a", 4);
    check_refused("x(a)", 1);
    check_refused("x:()", 3);
    check_refused("[a", 2);
    check_refused("a]", 1);
    check_refused("a:number", 8);
    check_refused("a@", 2);
    check_refused("a#x", 2);
    check_refused("a=", 2);
    check_refused("EX a=B", 5);
    check_refused("a<b", 3);
    check_refused("a:((((((((((((((((((((((((((((b))))))))))))))))))))))))))))", 3);
    char deep[200] = "";
    for (int i = 0; i < 40; i++)
        strcat(deep, "a:(");
    check_refused(deep, 51);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_values), cmocka_unit_test(parses_flags_and_versions),
        cmocka_unit_test(parses_tokens), cmocka_unit_test(parses_groups),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
