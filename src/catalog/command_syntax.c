/* A recursive descent over the notation: one function for each rule of the grammar in command_syntax.h. Rows are our
 * own text, so an error is a programmer's mistake: the parser gives its place and stops at the first one. */
#include "catalog/command_syntax.h"
#include "base/alloc.h"
#include <string.h>

#define DEPTH_MAX 16

struct parser {
    struct command_syntax *tree;
    const char *start, *at;
    int depth;
};

static const char *const type_names[] = {
    [ARGUMENT_STRING] = "string",         [ARGUMENT_INTEGER] = "integer",
    [ARGUMENT_DOUBLE] = "double",         [ARGUMENT_KEY] = "key",
    [ARGUMENT_PATTERN] = "pattern",       [ARGUMENT_UNIX_TIME] = "unix-time",
    [ARGUMENT_PURE_TOKEN] = "pure-token", [ARGUMENT_ONEOF] = "oneof",
    [ARGUMENT_BLOCK] = "block",
};

const char *command_syntax_type_name(enum command_argument_type type) {
    return type_names[type];
}

static bool fail(struct parser *p, const char *error) {
    p->tree->error = error;
    p->tree->error_at = (size_t)(p->at - p->start);
    return false;
}

static bool accept(struct parser *p, const char *text) {
    size_t len = strlen(text);
    if (strncmp(p->at, text, len) != 0) return false;
    p->at += len;
    return true;
}

/* The longest run of bytes that are not among `ends`; "..." ends it too. */
static struct slice take_until(struct parser *p, const char *ends) {
    const char *from = p->at;
    while (*p->at && !strchr(ends, *p->at) && strncmp(p->at, "...", 3) != 0)
        p->at++;
    return slice_of(from, (size_t)(p->at - from));
}

static struct slice take_among(struct parser *p, const char *bytes) {
    struct slice taken = slice_of(p->at, strspn(p->at, bytes));
    p->at += taken.len;
    return taken;
}

#define TOKEN_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool parse_type(struct parser *p, struct slice name, struct command_argument *a) {
    for (enum command_argument_type type = ARGUMENT_STRING; type <= ARGUMENT_UNIX_TIME; type++) {
        if (!slice_eq(name, slice_cstr(type_names[type]))) continue;
        a->type = type;
        a->key_spec = type == ARGUMENT_KEY ? 0 : -1;
        return true;
    }
    return fail(p, "unknown type");
}

/* The token behind "name=": '', or one byte of any kind (such as ~) and then bytes of tokens. */
static bool parse_named_token(struct parser *p, struct command_argument *a) {
    a->type = ARGUMENT_PURE_TOKEN;
    if (accept(p, "''")) {
        a->token = slice_of(p->at, 0);
        return true;
    }
    const char *from = p->at;
    if (*from == '\0' || *from == ' ') return fail(p, "no token behind =");
    p->at++;
    a->token = slice_of(from, 1 + take_among(p, TOKEN_BYTES).len);
    return true;
}

/* Split "name:type" at the last colon. */
static bool split_type(struct parser *p, struct command_argument *a) {
    size_t colon = a->name.len;
    while (colon > 0 && a->name.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0) return true;
    struct slice type = slice_of(a->name.ptr + colon, a->name.len - colon);
    a->name.len = colon - 1;
    return parse_type(p, type, a);
}

static bool parse_display(struct parser *p, struct command_argument *a) {
    a->display = take_until(p, ">");
    if (!accept(p, ">")) return fail(p, "no > behind <");
    return !accept(p, ":") || parse_type(p, take_until(p, " ()[]@!#|"), a);
}

static bool parse_list(struct parser *p, struct command_argument *parent);

static bool parse_group(struct parser *p, struct command_argument *a) {
    if (a->name.len == 0 || a->name.ptr[a->name.len - 1] != ':') return fail(p, "no colon between name and (");
    a->name.len--;
    a->type = ARGUMENT_BLOCK;
    p->at++;
    if (p->depth == DEPTH_MAX) return fail(p, "nested too deeply");
    p->depth++;
    if (!parse_list(p, a)) return false;
    p->depth--;
    return accept(p, ")") || fail(p, "no ) where a group should end");
}

static bool parse_value(struct parser *p, struct command_argument *a) {
    a->name = take_until(p, " ()[]<>@!#|=");
    if (a->name.len == 0) return fail(p, "no name");
    if (*p->at == '(') return parse_group(p, a);
    if (accept(p, "=")) return a->token.ptr ? fail(p, "a token before a token") : parse_named_token(p, a);
    if (accept(p, "<") ? !parse_display(p, a) : !split_type(p, a)) return false;
    if (!accept(p, "#")) return true;
    if (*p->at < '0' || *p->at > '9') return fail(p, "no number behind #");
    a->key_spec = *p->at++ - '0';
    return true;
}

/* A token introduces the value behind it, or is an argument by itself. */
static bool parse_token_and_value(struct parser *p, struct command_argument *a) {
    if (!is_upper(*p->at)) return parse_value(p, a);
    a->token = take_among(p, TOKEN_BYTES);
    if (p->at[0] == ' ' && p->at[1] != '|') {
        p->at++;
        return parse_value(p, a);
    }
    a->type = ARGUMENT_PURE_TOKEN;
    a->name = a->token;
    return true;
}

static bool parse_version(struct parser *p, const char *mark, struct slice *version) {
    if (!accept(p, mark)) return true;
    *version = take_among(p, "0123456789.");
    return version->len > 0 || fail(p, "no version behind the mark");
}

static bool parse_argument(struct parser *p, struct command_argument *a) {
    *a = (struct command_argument){.type = ARGUMENT_STRING, .key_spec = -1, .child = -1, .sibling = -1};
    bool optional = accept(p, "[");
    if (!parse_token_and_value(p, a)) return false;
    if (accept(p, "...")) a->flags |= ARGUMENT_MULTIPLE;
    if (!parse_version(p, "@", &a->since)) return false;
    if (!parse_version(p, "!", &a->deprecated_since)) return false;
    if (!optional) return true;
    if (!accept(p, "]")) return fail(p, "no ] where an optional argument should end");
    a->flags |= ARGUMENT_OPTIONAL;
    if (accept(p, "...")) a->flags |= ARGUMENT_MULTIPLE | ARGUMENT_MULTIPLE_TOKEN;
    return true;
}

static int add_argument(struct command_syntax *tree) {
    if (tree->count == tree->capacity) {
        int capacity = tree->capacity ? tree->capacity * 2 : 16;
        size_t each = sizeof(struct command_argument);
        tree->arguments = alloc_resize(tree->arguments, (size_t)tree->capacity * each, (size_t)capacity * each);
        tree->capacity = capacity;
    }
    return tree->count++;
}

/* Arguments with blanks between them, or choices with bars, which make the parent a oneof. `parent` is the caller's
 * copy, since the array may move while children are parsed. A node gets its index before its children get theirs. */
static bool parse_list(struct parser *p, struct command_argument *parent) {
    struct command_syntax *tree = p->tree;
    int last = -1;
    for (;;) {
        int index = add_argument(tree);
        struct command_argument argument;
        if (!parse_argument(p, &argument)) return false;
        tree->arguments[index] = argument;
        if (last < 0)
            parent->child = index;
        else
            tree->arguments[last].sibling = index;
        last = index;
        parent->children++;
        enum command_argument_type type = accept(p, " | ") ? ARGUMENT_ONEOF
                                          : accept(p, " ") ? ARGUMENT_BLOCK
                                                           : ARGUMENT_STRING;
        if (type == ARGUMENT_STRING) return true;
        if (parent->children == 1)
            parent->type = type;
        else if (parent->type != type)
            return fail(p, "blanks and bars in one group");
    }
}

bool command_syntax_parse(struct command_syntax *tree, const char *syntax) {
    *tree = (struct command_syntax){0};
    if (!syntax || !*syntax) return true;
    struct parser p = {.tree = tree, .start = syntax, .at = syntax};
    struct command_argument root = {.type = ARGUMENT_BLOCK};
    if (!parse_list(&p, &root)) return false;
    if (*p.at) return fail(&p, "unexpected character");
    if (root.type != ARGUMENT_BLOCK) return fail(&p, "choices outside of a group");
    tree->children = root.children;
    return true;
}

void command_syntax_free(struct command_syntax *tree) {
    alloc_put(tree->arguments, (size_t)tree->capacity * sizeof(struct command_argument));
    *tree = (struct command_syntax){0};
}
