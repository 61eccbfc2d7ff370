/* Strings as bitmaps: single bits, ranges of bits, whole bitmaps combined, and integers of any width.
 *
 * BITCOUNT and BITPOS look for the key before they look at the range, as Redis 7.2 does: an absent key hides a mistake
 * there. A write that changes neither a bit nor the length is no change: it publishes and propagates nothing. */
#include "base/alloc.h"
#include "base/blob.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "session/limits.h"
#include "store/bitmap.h"
#include "store/string.h"

/* The offset of a bit. Where `width` is not 0, "#n" means n times that many bits. False: the error was replied. */
static bool parse_offset(struct request *r, struct slice arg, unsigned width, uint64_t *offset) {
    bool in_widths = width && arg.len > 0 && arg.ptr[0] == '#';
    int64_t n;
    if (num_parse_i64(in_widths ? slice_of(arg.ptr + 1, arg.len - 1) : arg, &n) &&
        (!in_widths || num_mul_i64(n, width, &n)) && n >= 0 && n / 8 < limits_options.max_bulk) {
        *offset = (uint64_t)n;
        return true;
    }
    return args_refuse(r->client, "ERR bit offset is not an integer or out of range");
}

/* The bytes of the request's key, none if it is absent: *e is NULL then. An integer is printed into digits. False: the
 * key has another type, and the error was replied. */
static bool read_bytes(struct request *r, struct entry **e, struct slice *bytes, char digits[NUM_I64_MAX]) {
    if (!lookup_read(r, ENTRY_STRING, e)) return false;
    *bytes = *e ? string_bytes(*e, digits) : SLICE("");
    return true;
}

/* --- One bit --------------------------------------------------------------------------------- */

static void getbit(struct request *r) {
    uint64_t offset;
    struct entry *e;
    struct slice s;
    char digits[NUM_I64_MAX];
    if (!parse_offset(r, r->argv[2], 0, &offset) || !read_bytes(r, &e, &s, digits)) return;
    reply_int(r->client, offset / 8 < s.len ? (uint8_t)s.ptr[offset / 8] >> (7 - offset % 8) & 1 : 0);
}

static void setbit(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    uint64_t offset;
    if (!parse_offset(r, r->argv[2], 0, &offset)) return;
    struct slice bit = r->argv[3];
    if (bit.len != 1 || (bit.ptr[0] != '0' && bit.ptr[0] != '1')) {
        reply_error(c, "ERR bit is not an integer or out of range");
        return;
    }
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    size_t at = (size_t)(offset / 8);
    bool grows = !e || string_length(e) <= at;
    char *bytes;
    if (!string_make_mutable(c->db, &r->key, e, at + 1, &bytes)) {
        reply_no_memory(c);
        return;
    }
    unsigned shift = 7 - (unsigned)(offset % 8), on = bit.ptr[0] == '1', byte = (uint8_t)bytes[at];
    unsigned was = byte >> shift & 1;
    bytes[at] = (char)(uint8_t)((byte & ~(1u << shift)) | on << shift);
    if (grows || was != on) db_changed(c->db, &r->key, DB_STRING, "setbit");
    reply_int(c, was);
}

/* --- Ranges ---------------------------------------------------------------------------------- */

struct range {
    int64_t first, last; /* inclusive; negative ones count from the end */
    bool in_bits;        /* else they are indexes of bytes */
};

static bool parse_unit(struct request *r, struct slice word, bool *in_bits) {
    *in_bits = slice_is(word, "bit");
    return *in_bits || slice_is(word, "byte") || args_syntax_error(r->client);
}

/* Turn the range into one of bits of a string of this length. False: it is empty. A last index before the beginning
 * means 0. */
static bool clip_to_bits(struct range *range, size_t bytes) {
    int64_t size = (int64_t)bytes * (range->in_bits ? 8 : 1);
    if (range->last < -size) range->last = -size;
    if (!args_clip(&range->first, &range->last, size)) return false;
    if (!range->in_bits) {
        range->first *= 8;
        range->last = range->last * 8 + 7;
    }
    return true;
}

/* Whether both ends count from the end of the string and stand in the wrong order. */
static bool is_reversed(const struct range *range) {
    return range->first < 0 && range->last < 0 && range->first > range->last;
}

/* [start end [BIT | BYTE]] from argument 2 on. The unit of a reversed range is not looked at. */
static bool parse_extent(struct request *r, struct range *range) {
    struct client *c = r->client;
    if (r->argc == 2) return true;
    if (r->argc == 3 || r->argc > 5) return args_syntax_error(c);
    if (!args_i64(c, r->argv[2], &range->first) || !args_i64(c, r->argv[3], &range->last)) return false;
    return r->argc == 4 || is_reversed(range) || parse_unit(r, r->argv[4], &range->in_bits);
}

static void bitcount(struct request *r) {
    struct client *c = r->client;
    struct range range = {0, -1, false};
    struct entry *e;
    struct slice s;
    char digits[NUM_I64_MAX];
    if (!read_bytes(r, &e, &s, digits) || (e && !parse_extent(r, &range))) return;
    if (!e || is_reversed(&range) || !clip_to_bits(&range, s.len)) {
        reply_int(c, 0);
    } else {
        reply_int(c, (int64_t)bitmap_count_bits(s.ptr, (uint64_t)range.first, (uint64_t)range.last));
    }
}

/* [start [end [BIT | BYTE]]] from argument 3 on. False: the error was replied. */
static bool parse_bitpos(struct request *r, struct range *range) {
    struct client *c = r->client;
    if (r->argc > 6) return args_syntax_error(c);
    if (r->argc > 3 && !args_i64(c, r->argv[3], &range->first)) return false;
    if (r->argc > 5 && !parse_unit(r, r->argv[5], &range->in_bits)) return false;
    return r->argc <= 4 || args_i64(c, r->argv[4], &range->last);
}

static void bitpos(struct request *r) {
    struct client *c = r->client;
    struct range range = {0, -1, false};
    int64_t bit;
    if (!args_i64(c, r->argv[2], &bit)) return;
    if (bit != 0 && bit != 1) {
        reply_error(c, "ERR The bit argument must be 1 or 0.");
        return;
    }
    struct entry *e;
    struct slice s;
    char digits[NUM_I64_MAX];
    if (!read_bytes(r, &e, &s, digits) || (e && !parse_bitpos(r, &range))) return;
    if (!e || !clip_to_bits(&range, s.len)) {
        reply_int(c, e || bit ? -1 : 0); /* an absent key counts as zeros without end */
        return;
    }
    uint64_t at = bitmap_find(s.ptr, (uint64_t)range.first, (uint64_t)range.last, bit);
    if (at != BITMAP_NONE) {
        reply_int(c, (int64_t)at);
    } else {
        /* Zeros follow the last byte of a string, but not if the request gives an end. */
        reply_int(c, bit || r->argc > 4 ? -1 : (int64_t)s.len * 8);
    }
}

/* --- Whole bitmaps --------------------------------------------------------------------------- */

static bool parse_operation(struct request *r, enum bitmap_op *op) {
    struct slice word = r->argv[1];
    static const char *const names[] = {
        [BITMAP_AND] = "and", [BITMAP_OR] = "or", [BITMAP_XOR] = "xor", [BITMAP_NOT] = "not"};
    for (int i = BITMAP_AND; i <= BITMAP_NOT; i++) {
        if (!slice_is(word, names[i])) continue;
        *op = (enum bitmap_op)i;
        if (i != BITMAP_NOT || r->argc == 4) return true;
        return args_refuse(r->client, "ERR BITOP NOT must be called with a single source key.");
    }
    return args_syntax_error(r->client);
}

struct sources {
    struct slice *bytes;         /* a slice for each source */
    char (*digits)[NUM_I64_MAX]; /* into which a source that is an integer is printed */
    size_t count, longest;
};

/* False: a key has another type, and the error was replied. */
static bool find_bitmaps(struct request *r, struct sources *s) {
    struct key keys[LOOKUP_AHEAD];
    struct db *db = r->client->db;
    for (int i = 3, n; i < r->argc; i += n) {
        n = lookup_ahead(db, r->argv + i, r->argc - i, 1, keys);
        for (int k = 0; k < n; k++) {
            size_t at = (size_t)(i - 3 + k);
            struct entry *e = db_read(db, &keys[k]);
            if (!lookup_is(r->client, e, ENTRY_STRING)) return false;
            s->bytes[at] = e ? string_bytes(e, s->digits[at]) : SLICE("");
            if (s->bytes[at].len > s->longest) s->longest = s->bytes[at].len;
        }
    }
    return true;
}

/* The blob of the old destination, held once more, if the result may be written over it; else NULL. That is only so if
 * nobody else holds it, it has the right size, and no source lies in it. */
static struct blob *share_reusable(struct entry *old, const struct sources *s) {
    struct blob *b = old && entry_type(old) == ENTRY_STRING ? string_blob(old) : NULL;
    if (!b || b->holders > 1 || b->cap < s->longest || b->cap / 2 > s->longest) return NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (s->bytes[i].ptr == b->data) return NULL;
    }
    return blob_share(b);
}

/* The destination becomes the result, in raw encoding even if it reads as an integer. It may be one of the sources. */
static void store_combined(struct request *r, enum bitmap_op op, const struct sources *s) {
    struct db *db = r->client->db;
    if (s->longest >= BLOB_MIN) {
        struct entry *old = db_write(db, &r->key);
        struct blob *result = share_reusable(old, s);
        if (!result) result = blob_new(s->longest);
        result->len = s->longest;
        bitmap_combine(op, result->data, s->longest, s->bytes, s->count);
        db_set_blob(db, &r->key, old, result, ENTRY_NO_TTL);
    } else if (s->longest > 0) {
        char result[BLOB_MIN];
        bitmap_combine(op, result, s->longest, s->bytes, s->count);
        db_put(db, &r->key, db_write(db, &r->key), ENTRY_STRING, STRING_RAW, result, s->longest, ENTRY_NO_TTL);
    } else {
        struct entry *old = db_write(db, &r->key);
        if (old) keys_delete(db, &r->key, old);
        return;
    }
    db_changed(db, &r->key, DB_STRING, "set");
}

#define SOURCES_NEAR 16 /* sources that need no allocation */

static void bitop(struct request *r) {
    enum bitmap_op op;
    if (!parse_operation(r, &op)) return;
    struct slice near[SOURCES_NEAR];
    char near_digits[SOURCES_NEAR][NUM_I64_MAX];
    struct sources s = {.bytes = near, .digits = near_digits, .count = (size_t)r->argc - 3};
    bool is_far = s.count > SOURCES_NEAR;
    if (is_far) {
        s.bytes = alloc_get(s.count * sizeof *s.bytes);
        s.digits = alloc_get(s.count * sizeof *s.digits);
    }
    if (find_bitmaps(r, &s)) {
        store_combined(r, op, &s);
        reply_int(r->client, (int64_t)s.longest);
    }
    if (is_far) {
        alloc_put(s.bytes, s.count * sizeof *s.bytes);
        alloc_put(s.digits, s.count * sizeof *s.digits);
    }
}

/* --- Integers in a bitmap: BITFIELD is a list of steps --------------------------------------- */

struct step {
    struct bitmap_field field;
    int64_t value; /* to set or to add */
    enum { STEP_GET, STEP_SET, STEP_INCREMENT } verb;
    enum bitmap_overflow overflow;
};

/* "i8", "u63": a letter and a width. False: the error was replied. */
static bool parse_field_type(struct request *r, struct slice word, struct bitmap_field *field) {
    int64_t bits;
    bool is_signed = word.len > 0 && word.ptr[0] == 'i';
    if (word.len > 1 && (is_signed || word.ptr[0] == 'u') &&
        num_parse_i64(slice_of(word.ptr + 1, word.len - 1), &bits) && bits >= 1 && bits <= (is_signed ? 64 : 63)) {
        field->bits = (uint8_t)bits;
        field->is_signed = is_signed;
        return true;
    }
    return args_refuse(r->client, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                                  "supported but i64 is.");
}

static bool parse_overflow(struct request *r, struct slice word, enum bitmap_overflow *overflow) {
    if (slice_is(word, "wrap")) {
        *overflow = BITMAP_WRAP;
    } else if (slice_is(word, "sat")) {
        *overflow = BITMAP_SATURATE;
    } else if (slice_is(word, "fail")) {
        *overflow = BITMAP_FAIL;
    } else {
        return args_refuse(r->client, "ERR Invalid OVERFLOW type specified");
    }
    return true;
}

/* How many arguments the verb at i takes behind it; 0: there is no such verb, or arguments are missing. */
static int step_arguments(const struct slice *argv, int argc, int i) {
    int needed = slice_is(argv[i], "get")                                  ? 2
                 : slice_is(argv[i], "set") || slice_is(argv[i], "incrby") ? 3
                 : slice_is(argv[i], "overflow")                           ? 1
                                                                           : 0;
    return needed < argc - i ? needed : 0;
}

static bool parse_step(struct request *r, int i, struct step *step) {
    const struct slice *argv = r->argv + i;
    step->verb = slice_is(argv[0], "get") ? STEP_GET : slice_is(argv[0], "set") ? STEP_SET : STEP_INCREMENT;
    if (!parse_field_type(r, argv[1], &step->field)) return false;
    if (!parse_offset(r, argv[2], step->field.bits, &step->field.offset)) return false;
    return step->verb == STEP_GET || args_i64(r->client, argv[3], &step->value);
}

/* Read all steps, in order. Returns how many there are; -1: the error was replied. *size is how many bytes the string
 * needs for the steps that write; 0: none does. */
static int parse_steps(struct request *r, struct step *steps, size_t *size) {
    enum bitmap_overflow overflow = BITMAP_WRAP;
    int count = 0;
    *size = 0;
    for (int i = 2, taken; i < r->argc; i += 1 + taken) {
        taken = step_arguments(r->argv, r->argc, i);
        if (taken == 0) {
            reply_syntax_error(r->client);
            return -1;
        }
        if (taken == 1) {
            if (!parse_overflow(r, r->argv[i + 1], &overflow)) return -1;
            continue;
        }
        struct step *step = &steps[count++];
        step->overflow = overflow;
        if (!parse_step(r, i, step)) return -1;
        uint64_t end = (step->field.offset + step->field.bits + 7) / 8;
        if (step->verb != STEP_GET && end > *size) *size = (size_t)end;
    }
    return count;
}

static void run_gets(struct request *r, const struct step *steps, int count) {
    struct entry *e;
    struct slice s;
    char digits[NUM_I64_MAX];
    if (!read_bytes(r, &e, &s, digits)) return;
    reply_array(r->client, (size_t)count);
    for (int i = 0; i < count; i++)
        reply_int(r->client, bitmap_field_get(s, steps[i].field));
}

/* Do the step, and reply its outcome. Returns whether it changed a bit. */
static bool run_step(struct client *c, const struct step *step, char *bytes, size_t len) {
    int64_t old = bitmap_field_get(slice_of(bytes, len), step->field), new = old;
    bool adds = step->verb == STEP_INCREMENT;
    if (step->verb != STEP_GET &&
        !bitmap_field_add(step->field, adds ? old : step->value, adds ? step->value : 0, step->overflow, &new)) {
        reply_null(c);
        return false;
    }
    reply_int(c, adds ? new : old);
    if (new == old) return false;
    bitmap_field_put(bytes, step->field, new);
    return true;
}

static void run_steps(struct request *r, const struct step *steps, int count, size_t size) {
    struct client *c = r->client;
    struct entry *e;
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    size_t len = e ? string_length(e) : 0;
    bool changed = len < size; /* to grow is a change, even by zeros */
    if (changed) len = size;
    char *bytes;
    if (!string_make_mutable(c->db, &r->key, e, len, &bytes)) {
        reply_no_memory(c);
        return;
    }
    reply_array(c, (size_t)count);
    for (int i = 0; i < count; i++)
        changed |= run_step(c, &steps[i], bytes, len);
    if (changed) db_changed(c->db, &r->key, DB_STRING, "setbit");
}

#define STEPS_NEAR 16 /* steps that need no allocation */

static void run_bitfield(struct request *r, bool may_write) {
    struct step near[STEPS_NEAR], *steps = near;
    size_t room = (size_t)r->argc / 3, size; /* a step takes three arguments or more */
    if (room > STEPS_NEAR) steps = alloc_get(room * sizeof *steps);
    int count = parse_steps(r, steps, &size);
    if (count >= 0) {
        if (size == 0) {
            run_gets(r, steps, count);
        } else if (may_write) {
            run_steps(r, steps, count, size);
        } else {
            reply_error(r->client, "ERR BITFIELD_RO only supports the GET subcommand");
        }
    }
    if (steps != near) alloc_put(steps, room * sizeof *steps);
}

static void bitfield(struct request *r) {
    run_bitfield(r, true);
}

static void bitfield_ro(struct request *r) {
    run_bitfield(r, false);
}

/* Only SET and INCRBY write the key. Words that are no step are passed over. */
static const char *bitfield_key_flags(const struct slice *argv, int argc) {
    for (int i = 2, taken; i < argc; i += 1 + taken) {
        taken = step_arguments(argv, argc, i);
        if (taken == 0 || taken == 3) return "RW access update";
    }
    return "RO access";
}

static const struct command_keys bitfield_keys[] = {
    {.flags = "RW access update variable_flags",
     .notes = "`GET` reads, `SET` and `INCRBY` write",
     .begin = 1,
     .step = 1,
     .keynum_at = -1,
     .vary = bitfield_key_flags},
    {.flags = NULL},
};

static const struct command_keys bitop_keys[] = {
    {.flags = "OW update", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 3, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command bitmaps_commands[] = {
    {"bitcount", bitcount, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_BITMAP, .since = "2.6.0",
     .summary = "Count the bits that are 1 in a string or in a range of it.", .complexity = "O(n) for n bytes",
     .syntax = "key:key [range:(start:integer end:integer [unit:(BYTE | BIT)@7.0.0])]",
     .history = "7.0.0|New: `BYTE`, `BIT`."},
    {"bitfield", bitfield, -2, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_BITMAP,
     .since = "3.2.0", .summary = "Read and change integers of any width at any bit of a string.",
     .complexity = "O(n) for n operations",
     .syntax = "key:key [operation:(GET get-block:(encoding offset:integer) | write:([OVERFLOW overflow-block:(WRAP | "
               "SAT | FAIL)] write-operation:(SET set-block:(encoding offset:integer value:integer) | INCRBY "
               "incrby-block:(encoding offset:integer increment:integer))))...]",
     .keys = bitfield_keys},
    {"bitfield_ro", bitfield_ro, -2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_BITMAP,
     .since = "6.0.0", .summary = "Read integers of any width at any bit of a string.",
     .complexity = "O(n) for n operations", .syntax = "key:key [GET get-block:(encoding offset:integer)]..."},
    {"bitop", bitop, -4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 2, .last_key = -1, .group = GROUP_BITMAP,
     .since = "2.6.0", .summary = "Combine strings bit by bit and store the result.",
     .complexity = "O(n) for n bytes of all strings",
     .syntax = "operation:(AND | OR | XOR | NOT) destkey:key key:key#1...", .keys = bitop_keys},
    {"bitpos", bitpos, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_BITMAP, .since = "2.8.7",
     .summary = "Find the first bit of a string that is 0, or that is 1.", .complexity = "O(n) for n bytes looked at",
     .syntax = "key:key bit:integer [range:(start:integer [end-unit-block:(end:integer [unit:(BYTE | BIT)@7.0.0])])]",
     .history = "7.0.0|New: `BYTE`, `BIT`."},
    {"getbit", getbit, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_BITMAP, .since = "2.2.0",
     .summary = "Read one bit of a string.", .syntax = "key:key offset:integer"},
    {"setbit", setbit, 4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_BITMAP, .since = "2.2.0",
     .summary = "Change one bit of a string, and reply what it was.",
     .complexity = "O(1), O(n) if the string grows by n bytes", .syntax = "key:key offset:integer value:integer",
     .key_flags = "RW access update"},
    {NULL},
};

const struct module bitmaps_module = {.commands = bitmaps_commands};
