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
    static const char *names[] = {"!exact",    "!sort",  "!type",  "!near",   "!ignore",
                                  "!listpack", "!errno", "!xinfo", "!pending"};
    for (int i = 0; i < 9; i++) {
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

/* Is the bulk at this place a field of XINFO whose value is not compared? */
static bool is_free_field(const char *p) {
    static const char *free_fields[] = {"$15\r\nradix-tree-keys\r\n",
                                        "$16\r\nradix-tree-nodes\r\n",
                                        "$9\r\nseen-time\r\n",
                                        "$11\r\nactive-time\r\n",
                                        "$4\r\nidle\r\n",
                                        "$8\r\ninactive\r\n",
                                        "$3\r\nlag\r\n",
                                        "$9\r\nconsumers\r\n:",
                                        "$12\r\nentries-read\r\n"};
    for (size_t i = 0; i < sizeof(free_fields) / sizeof(*free_fields); i++)
        if (strncmp(p, free_fields[i], strlen(free_fields[i])) == 0) return true;
    return false;
}

static bool holds(const char *p, size_t len, const char *text) {
    return memmem(p, len, text, strlen(text)) != NULL;
}

/* Is the aggregate a consumer for which nothing is pending? Redis 7.2 makes some that 7.0 does not. */
static bool is_free_consumer(const char *p, size_t len) {
    size_t head = (size_t)((char *)memmem(p, len, "\r\n", 2) - p) + 2;
    if (strncmp(p + head, "$4\r\nname\r\n", 10) != 0 || holds(p, len, "\r\nlag\r\n")) return false;
    return holds(p, len, "$9\r\npel-count\r\n:0\r\n") || holds(p, len, "$7\r\npending\r\n:0\r\n");
}

/* Appends the elements of a reply of XINFO without the free fields, hence without the lengths of aggregates, and with
 * "T" for points in time. */
static void append_xinfo(struct bytes *to, const char *p, size_t len) {
    for (size_t at = 0; at < len;) {
        if (strchr("*~%>", p[at])) {
            size_t behind = reply_end(p, len, at);
            if (is_free_consumer(p + at, behind - at)) {
                at = behind;
                continue;
            }
            bytes_add(to, p + at, 1);
            at += (size_t)((char *)memmem(p + at, len - at, "\r\n", 2) - (p + at)) + 2;
            continue;
        }
        size_t end = reply_end(p, len, at);
        if (is_free_field(p + at))
            end = reply_end(p, len, end);
        else if (p[at] == ':' && end - at > 14)
            bytes_add(to, "T", 1);
        else
            bytes_add(to, p + at, end - at);
        at = end;
    }
}

/* Appends a reply of XPENDING without the integers behind bulks, which are times. */
static void append_pending(struct bytes *to, const char *p, size_t len) {
    bool behind_bulk = false;
    for (size_t at = 0; at < len;) {
        bool is_head = strchr("*~%>", p[at]) != NULL;
        size_t end =
            is_head ? at + (size_t)((char *)memmem(p + at, len - at, "\r\n", 2) - (p + at)) + 2 : reply_end(p, len, at);
        if (!behind_bulk || p[at] != ':') bytes_add(to, p + at, end - at);
        behind_bulk = p[at] == '$';
        at = end;
    }
}

static bool same_appended(void (*append)(struct bytes *, const char *, size_t), const char *a, size_t a_len,
                          const char *b, size_t b_len) {
    struct bytes left = {0}, right = {0};
    append(&left, a, a_len);
    append(&right, b, b_len);
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
    case RULE_SORT: return same_appended(append_sorted, a, a_len, b, b_len);
    case RULE_XINFO: return same_appended(append_xinfo, a, a_len, b, b_len);
    case RULE_PENDING: return same_appended(append_pending, a, a_len, b, b_len);
    case RULE_LISTPACK:
        return is_text(a, a_len, "$8\r\nlistpack\r\n") &&
               (is_text(b, b_len, "$9\r\nhashtable\r\n") || is_text(b, b_len, "$9\r\nquicklist\r\n"));
    default: return false;
    }
}
