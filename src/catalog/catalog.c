/* Look-up: the first eight bytes of the name, in lower case, and its length are the key of a small open-addressed table
 * that is built at boot. For names of up to eight letters that comparison is exact; longer ones, and those with digits
 * or dashes, are compared in full. Subcommands are few, and found by walking their container's rows. */
#include "catalog/catalog.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include <assert.h>

#define FAMILIES_MAX 64
#define LOOKUP_SIZE 1024 /* slots; a power of two, several times the number of commands */

/* What is kept for a row: subcommands' are next to each other in the order of their rows. */
struct known {
    const struct command *command, *container;
    struct known *subcommands;
    char *full_name; /* "config|get" */
    struct command_stats stats;
};

struct lookup_slot {
    uint64_t prefix; /* the first eight bytes of the name in lower case, zero-padded: see fold() */
    uint32_t len;
    bool letters; /* the prefix tells all */
    struct known *known;
};

static const struct command *families[FAMILIES_MAX];
static size_t family_count;
static struct known *known; /* top-level rows first, in the order of registration */
static size_t known_count, known_total;
static struct lookup_slot lookup[LOOKUP_SIZE];

/* The first bytes of a name with bit 5 set in each, which is lower case for letters.
 * Loads overlap where there are fewer than eight. */
static inline uint64_t fold(const char *name, size_t len) {
    uint64_t prefix = 0;
    if (len >= 8)
        prefix = hash_load64(name);
    else if (len >= 4)
        prefix = hash_load32(name) | hash_load32(name + len - 4) << 8 * (len - 4);
    else if (len > 0)
        prefix = (uint64_t)(unsigned char)name[0] | (uint64_t)(unsigned char)name[len / 2] << 8 * (len / 2) |
                 (uint64_t)(unsigned char)name[len - 1] << 8 * (len - 1);
    return prefix | 0x2020202020202020u;
}

static inline size_t lookup_index(uint64_t prefix, size_t len) {
    return (size_t)((prefix ^ len) * 0x9e3779b97f4a7c15u >> (64 - 10));
}
static_assert(LOOKUP_SIZE == 1 << 10, "lookup_index yields ten bits");

static struct known *find_known(struct slice name) {
    uint64_t prefix = fold(name.ptr, name.len);
    for (size_t i = lookup_index(prefix, name.len);; i = (i + 1) % LOOKUP_SIZE) {
        struct lookup_slot *slot = &lookup[i];
        if (slot->known == NULL) return NULL;
        if (slot->prefix != prefix || slot->len != name.len) continue;
        if (slot->letters || slice_is(name, slot->known->command->name)) return slot->known;
    }
}

static void add_lookup(struct known *k) {
    struct slice name = slice_cstr(k->command->name);
    assert(find_known(name) == NULL && "command names are unique");
    uint64_t prefix = fold(name.ptr, name.len);
    bool letters = name.len <= 8;
    for (size_t i = 0; i < name.len; i++)
        letters = letters && name.ptr[i] >= 'a' && name.ptr[i] <= 'z';
    size_t i = lookup_index(prefix, name.len);
    while (lookup[i].known)
        i = (i + 1) % LOOKUP_SIZE;
    lookup[i] = (struct lookup_slot){prefix, (uint32_t)name.len, letters, k};
}

void catalog_register(const struct command *rows) {
    assert(family_count < FAMILIES_MAX && known == NULL);
    families[family_count++] = rows;
}

/* The text, or the part of it behind a version, is still to be written: utils/command-row leaves such blanks. */
static bool has_blank(const char *text) {
    if (text == NULL) return false;
    size_t len = strlen(text);
    return len == 0 || text[len - 1] == '|' || strstr(text, "|\n") != NULL;
}

static void check_prose(const struct command *row) {
    assert(row->summary && !has_blank(row->summary));
    assert(!row->complexity || !row->complexity[0] || !has_blank(row->complexity));
    assert(!has_blank(row->history) && !has_blank(row->deprecated));
    for (const struct command_keys *keys = row->keys; keys && keys->flags; keys++)
        assert(!has_blank(keys->notes));
}

static void check_row(const struct command *row, bool is_sub) {
    check_prose(row);
    assert(row->arity != 0 && row->since);
    assert(row->body || row->subcommands);
    assert(!(row->flags & CMD_WRITE) || !(row->flags & CMD_READONLY));
    assert(row->first_key || (!row->last_key && !row->key_step));
    assert(!is_sub || row->subcommands == NULL);
    (void)row;
    (void)is_sub;
}

static struct known *add_known(size_t at, const struct command *row, const struct command *container) {
    check_row(row, container != NULL);
    struct buf name = {0};
    if (container) buf_printf(&name, "%s|", container->name);
    buf_append(&name, row->name, strlen(row->name) + 1);
    known[at] = (struct known){.command = row, .container = container, .full_name = name.data};
    return &known[at];
}

static size_t count_rows(const struct command *rows) {
    size_t n = 0;
    while (rows && rows[n].name)
        n++;
    return n;
}

void catalog_ready(void) {
    for (size_t f = 0; f < family_count; f++) {
        known_count += count_rows(families[f]);
        for (const struct command *row = families[f]; row->name; row++)
            known_total += count_rows(row->subcommands);
    }
    known_total += known_count;
    assert(known_count * 2 < LOOKUP_SIZE);
    known = alloc_zero(known_total * sizeof *known);
    size_t top = 0, sub = known_count;
    for (size_t f = 0; f < family_count; f++) {
        for (const struct command *row = families[f]; row->name; row++) {
            struct known *k = add_known(top++, row, NULL);
            if (row->subcommands) k->subcommands = &known[sub];
            for (const struct command *s = row->subcommands; s && s->name; s++)
                add_known(sub++, s, row);
            add_lookup(k);
        }
    }
}

static struct known *find_known_sub(struct known *container, struct slice name) {
    const struct command *rows = container->command->subcommands;
    for (size_t i = 0; rows && rows[i].name; i++)
        if (slice_is(name, rows[i].name)) return &container->subcommands[i];
    return NULL;
}

struct catalog_found catalog_resolve(const struct slice *argv, int argc) {
    struct known *k = find_known(argv[0]);
    if (k && k->subcommands && argc > 1) k = find_known_sub(k, argv[1]);
    return k ? (struct catalog_found){k->command, &k->stats} : (struct catalog_found){NULL, NULL};
}

static struct known *known_of(const struct command *command) {
    for (size_t i = 0; i < known_total; i++)
        if (known[i].command == command) return &known[i];
    return NULL;
}

const struct command *catalog_find(struct slice name) {
    struct known *k = find_known(name);
    return k ? k->command : NULL;
}

const struct command *catalog_find_sub(const struct command *container, struct slice name) {
    struct known *k = find_known_sub(known_of(container), name);
    return k ? k->command : NULL;
}

const struct command *catalog_find_full(struct slice full) {
    const char *bar = memchr(full.ptr, '|', full.len);
    if (bar == NULL) return catalog_find(full);
    const struct command *container = catalog_find(slice_of(full.ptr, (size_t)(bar - full.ptr)));
    return container ? catalog_find_sub(container, slice_of(bar + 1, (size_t)(full.ptr + full.len - bar - 1))) : NULL;
}

size_t catalog_count(void) {
    return known_count;
}

const struct command *catalog_at(size_t i) {
    assert(i < known_count);
    return known[i].command;
}

const struct command *catalog_container(const struct command *subcommand) {
    return known_of(subcommand)->container;
}

const char *catalog_full_name(const struct command *command) {
    return known_of(command)->full_name;
}

int catalog_find_keys(const struct command *command, const struct slice *argv, int argc, int *positions, int max) {
    if (command->find_keys) return command->find_keys(argv, argc, positions, max);
    if (command->first_key == 0) return 0;
    int last = command_last_key(command), step = command_key_step(command), count = 0;
    if (last < 0) last += argc;
    for (int i = command->first_key; i <= last && i < argc; i += step, count++)
        if (count < max) positions[count] = i;
    return count;
}

struct command_stats *catalog_stats(const struct command *command) {
    return &known_of(command)->stats;
}

void catalog_reset_stats(void) {
    for (size_t i = 0; i < known_total; i++)
        command_stats_reset(&known[i].stats);
}
