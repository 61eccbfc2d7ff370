#include "compare.h"
#include "peer.h"
#include <stdlib.h>
#include <string.h>

static struct {
    struct rule rule;
    char name[64];
} rules[256];
static int rule_count;

bool compare_parse(const char **at, struct rule *rule) {
    static const char *names[] = {"", "!sort", "!type", "!near", "!ignore", "!listpack", "!errno"};
    for (int i = 1; i < 7; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(*at, names[i], n) != 0 || !strchr(" \t\r\n", (*at)[n])) continue;
        *at += n;
        rule->how = i;
        rule->near = i == RULE_NEAR ? strtoll(*at, (char **)at, 10) : 0;
        return true;
    }
    return false;
}

bool compare_add_rule(const char *line) {
    struct rule rule;
    if (!compare_parse(&line, &rule)) return false;
    for (;;) {
        line += strspn(line, " \t\r\n");
        size_t n = strcspn(line, " \t\r\n");
        if (n == 0) return true;
        if (n >= sizeof(rules->name) || rule_count == 256) return false;
        memcpy(rules[rule_count].name, line, n);
        rules[rule_count++].rule = rule;
        line += n;
    }
}

struct rule compare_rule(const struct command *c) {
    for (int i = 0; i < rule_count; i++) {
        const char *name = rules[i].name, *sub = strchr(name, '|');
        size_t n = sub ? (size_t)(sub - name) : strlen(name);
        if (command_word_is(c, 0, name, n) && (!sub || command_word_is(c, 1, sub + 1, strlen(sub + 1)))) {
            return rules[i].rule;
        }
    }
    return (struct rule){RULE_EXACT, 0};
}

struct part {
    const char *p;
    size_t len;
};

static int by_bytes(const void *left, const void *right) {
    const struct part *a = left, *b = right;
    int order = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Appends the reply with the members of its aggregates sorted, at every depth. */
static void append_sorted(struct bytes *to, const char *p, size_t len) {
    if (!strchr("*~%>", p[0])) {
        bytes_add(to, p, len);
        return;
    }
    size_t head = (size_t)((char *)memmem(p, len, "\r\n", 2) - p) + 2, at = head;
    long count = strtol(p + 1, NULL, 10), step = p[0] == '%' ? 2 : 1;
    bytes_add(to, p, head);
    if (count <= 0) return;
    struct bytes *members = calloc((size_t)count, sizeof(*members));
    struct part *parts = calloc((size_t)count, sizeof(*parts));
    for (long i = 0; i < count; i++) {
        for (long k = 0; k < step; k++) {
            size_t end = reply_end(p, len, at);
            append_sorted(&members[i], p + at, end - at);
            at = end;
        }
        parts[i] = (struct part){members[i].data, members[i].len};
    }
    qsort(parts, (size_t)count, sizeof(*parts), by_bytes);
    for (long i = 0; i < count; i++)
        bytes_add(to, parts[i].p, parts[i].len);
    for (long i = 0; i < count; i++)
        free(members[i].data);
    free(members);
    free(parts);
}

static bool same_sorted(const char *a, size_t a_len, const char *b, size_t b_len) {
    struct bytes left = {0}, right = {0};
    append_sorted(&left, a, a_len);
    append_sorted(&right, b, b_len);
    bool same = left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
    free(left.data);
    free(right.data);
    return same;
}

static bool is_text(const char *reply, size_t len, const char *text) {
    return len == strlen(text) && memcmp(reply, text, len) == 0;
}

bool compare_replies(struct rule rule, const char *a, size_t a_len, const char *b, size_t b_len) {
    if (rule.how == RULE_IGNORE) return true;
    if (a_len == b_len && memcmp(a, b, a_len) == 0) return true;
    if (rule.how == RULE_ERRNO) return is_text(b, b_len, "-ERR One or more scores can't be converted into double\r\n");
    if (a[0] != b[0] || a[0] == '-') return false;
    switch (rule.how) {
    case RULE_TYPE: return (a[1] == '-') == (b[1] == '-');
    case RULE_NEAR: /* but -1 and -2 have meanings of their own */
        return a[0] == ':' && a[1] != '-' && b[1] != '-' && llabs(atoll(a + 1) - atoll(b + 1)) <= rule.near;
    case RULE_SORT: return same_sorted(a, a_len, b, b_len);
    case RULE_LISTPACK:
        return is_text(a, a_len, "$8\r\nlistpack\r\n") &&
               (is_text(b, b_len, "$9\r\nhashtable\r\n") || is_text(b, b_len, "$9\r\nquicklist\r\n"));
    default: return false;
    }
}
