/* LCS: the longest common subsequence of two strings, by dynamic programming.
 *
 * Cell j of row i is the length of the subsequence of the first i bytes of a and the first j bytes of b. A row depends
 * on the row above only, so two rows are enough for LEN. To tell the bytes or their positions, all rows are kept, and
 * walked back from the last cell. */
#include "base/alloc.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/request.h"
#include "store/string.h"

struct lcs {
    struct slice a, b;
    size_t rows;       /* a.len + 1; for LEN only 2, which take turns */
    uint32_t *lengths; /* the rows, of b.len + 1 cells each */
    size_t bytes;      /* of them */
};

struct lcs_options {
    bool positions, only_length, with_lengths; /* IDX, LEN, WITHMATCHLEN */
    int64_t shortest;                          /* MINMATCHLEN: shorter matches are left out */
};

static bool parse_lcs_options(struct request *r, struct lcs_options *o) {
    struct client *c = r->client;
    *o = (struct lcs_options){0};
    for (int i = 3; i < r->argc; i++) {
        if (slice_is(r->argv[i], "idx")) {
            o->positions = true;
        } else if (slice_is(r->argv[i], "len")) {
            o->only_length = true;
        } else if (slice_is(r->argv[i], "withmatchlen")) {
            o->with_lengths = true;
        } else if (slice_is(r->argv[i], "minmatchlen") && i + 1 < r->argc) {
            if (!args_i64(c, r->argv[++i], &o->shortest)) return false;
        } else {
            return args_syntax_error(c);
        }
    }
    if (!o->positions || !o->only_length) return true;
    return args_refuse(c, "ERR If you want both the length and indexes, please just use IDX.");
}

/* Allocate the rows. False: that is too much memory, and the error was replied. As in Redis, the limit applies to all
 * rows, even where two are enough. */
static bool alloc_rows(struct client *c, struct lcs *l, bool only_length) {
    static const char failed[] = "ERR Insufficient memory, failed allocating transient memory for LCS";
    size_t width = l->b.len + 1, cells, all;
    if (l->a.len >= UINT32_MAX - 1 || l->b.len >= UINT32_MAX - 1) return args_refuse(c, "ERR String too long for LCS");
    if (__builtin_mul_overflow(l->a.len + 1, width, &cells) || __builtin_mul_overflow(cells, sizeof(uint32_t), &all))
        return args_refuse(c, failed);
    if (all > (size_t)limits_options.max_bulk)
        return args_refuse(c, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    l->rows = only_length ? 2 : l->a.len + 1;
    l->bytes = l->rows * width * sizeof(uint32_t);
    l->lengths = alloc_try(l->bytes);
    return l->lengths || args_refuse(c, failed);
}

static uint32_t *row(const struct lcs *l, size_t i) {
    return l->lengths + i % l->rows * (l->b.len + 1);
}

/* Fill the rows. Returns the length of the subsequence. O(a.len * b.len). */
static uint32_t fill_rows(struct lcs *l) {
    memset(row(l, 0), 0, (l->b.len + 1) * sizeof(uint32_t));
    for (size_t i = 1; i <= l->a.len; i++) {
        const uint32_t *above = row(l, i - 1);
        uint32_t *here = row(l, i);
        char byte = l->a.ptr[i - 1];
        here[0] = 0;
        for (size_t j = 1; j <= l->b.len; j++) {
            if (byte == l->b.ptr[j - 1]) {
                here[j] = above[j - 1] + 1;
            } else {
                here[j] = above[j] > here[j - 1] ? above[j] : here[j - 1];
            }
        }
    }
    return row(l, l->a.len)[l->b.len];
}

/* Walk back from cell (i, j) to that of the next common byte, or to an edge. */
static void walk_back(const struct lcs *l, size_t *i, size_t *j) {
    while (*i > 0 && *j > 0 && l->a.ptr[*i - 1] != l->b.ptr[*j - 1]) {
        if (row(l, *i - 1)[*j] > row(l, *i)[*j - 1]) {
            --*i;
        } else {
            --*j;
        }
    }
}

static void reply_subsequence(struct client *c, const struct lcs *l, uint32_t length) {
    if (length == 0) {
        reply_bulk(c, SLICE(""));
        return;
    }
    char *bytes = alloc_get(length);
    size_t i = l->a.len, j = l->b.len;
    for (uint32_t at = length; at > 0; i--, j--) {
        walk_back(l, &i, &j);
        bytes[--at] = l->a.ptr[i - 1];
    }
    reply_bulk(c, slice_of(bytes, length));
    alloc_put(bytes, length);
}

static void reply_range(struct client *c, size_t first, size_t n) {
    reply_array(c, 2);
    reply_int(c, (int64_t)first);
    reply_int(c, (int64_t)(first + n - 1));
}

/* The runs of common bytes, from the last to the first, with their positions in a and in b. */
static void reply_matches(struct client *c, const struct lcs *l, uint32_t length, const struct lcs_options *o) {
    reply_map(c, 2);
    reply_bulk_cstr(c, "matches");
    size_t place = reply_hold(c), matches = 0, i = l->a.len, j = l->b.len;
    while (!reply_is_pointless(c)) {
        walk_back(l, &i, &j);
        if (i == 0 || j == 0) break;
        size_t run = 0;
        while (i > 0 && j > 0 && l->a.ptr[i - 1] == l->b.ptr[j - 1])
            run++, i--, j--;
        if ((int64_t)run < o->shortest) continue;
        reply_array(c, o->with_lengths ? 3 : 2);
        reply_range(c, i, run);
        reply_range(c, j, run);
        if (o->with_lengths) reply_int(c, (int64_t)run);
        matches++;
    }
    reply_array_at(c, place, matches);
    reply_bulk_cstr(c, "len");
    reply_int(c, length);
}

static void lcs(struct request *r) {
    struct client *c = r->client;
    struct key other = key_of(r->argv[2]);
    const struct entry *a = db_read(c->db, &r->key), *b = db_read(c->db, &other);
    a = db_peek(c->db, &r->key); /* the second look-up may have removed an expired key, and moved this entry */
    if ((a && entry_type(a) != ENTRY_STRING) || (b && entry_type(b) != ENTRY_STRING)) {
        reply_error(c, "ERR The specified keys must contain string values");
        return;
    }
    struct lcs_options o;
    if (!parse_lcs_options(r, &o)) return;
    char digits[2][NUM_I64_MAX];
    struct lcs l = {.a = a ? string_bytes(a, digits[0]) : SLICE(""), .b = b ? string_bytes(b, digits[1]) : SLICE("")};
    if (!alloc_rows(c, &l, o.only_length)) return;
    uint32_t length = fill_rows(&l);
    if (o.only_length) {
        reply_int(c, length);
    } else if (o.positions) {
        reply_matches(c, &l, length, &o);
    } else {
        reply_subsequence(c, &l, length);
    }
    alloc_put(l.lengths, l.bytes);
}

static const struct command lcs_commands[] = {
    {"lcs", lcs, -3, .flags = CMD_READONLY, .first_key = 1, .last_key = 2, .group = GROUP_STRING, .since = "7.0.0",
     .summary = "Find the longest common subsequence of two strings.",
     .complexity = "O(n * m) for strings of n and m bytes",
     .syntax = "key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]"},
    {NULL},
};

const struct module lcs_module = {.commands = lcs_commands};
