/* The command table. Three arrays are built at boot and never change: `entries` has one entry for each row, `lookup`
 * finds it by name and `by_row` by the address of the row. Both indexes are open-addressed and at most half full.
 *
 * The key of `lookup` is a name's first eight bytes in lower case, and its length. For names of up to eight letters
 * this comparison is exact. Longer names, and those with digits or dashes, are compared in full. A container has few
 * subcommands: they are found by walking its rows. */
#include "catalog/catalog.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include <assert.h>

#define FAMILIES_MAX 64
#define LOOKUP_SIZE 1024 /* slots; a power of two, several times the number of commands */

/* What is kept for a row. Those of a container's subcommands lie next to each other, in the order of their rows. */
struct catalog_entry {
    const struct command *command, *container; /* container: NULL for a top-level row */
    struct catalog_entry *subcommands;
    char *full_name; /* "config|get" */
    struct command_metrics metrics;
};

struct lookup_slot {
    uint64_t prefix; /* the first eight bytes of the name in lower case, zero-padded: see fold() */
    uint32_t len;
    bool letters; /* the prefix is the whole name, and all letters: no other name folds to it */
    struct catalog_entry *entry;
};

static const struct command *families[FAMILIES_MAX];
static size_t family_count;
static struct catalog_entry *entries; /* the top-level rows in the order of registration, then the subcommands */
static size_t top_count, entry_count; /* top-level rows; all rows */
static struct lookup_slot lookup[LOOKUP_SIZE];
static struct catalog_entry *by_row[LOOKUP_SIZE];

static inline size_t slot_of(uint64_t key) {
    return (size_t)(key * 0x9e3779b97f4a7c15u >> (64 - 10));
}
static_assert(LOOKUP_SIZE == 1 << 10, "slot_of yields ten bits");

/* --- By name --------------------------------------------------------------------------------- */

/* The first bytes of a name with bit 5 set in each, which is lower case for letters. Loads overlap where there are
 * fewer than eight bytes. */
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

static struct catalog_entry *find_entry(struct slice name) {
    uint64_t prefix = fold(name.ptr, name.len);
    for (size_t i = slot_of(prefix ^ name.len);; i = (i + 1) % LOOKUP_SIZE) {
        struct lookup_slot *slot = &lookup[i];
        if (slot->entry == NULL) return NULL;
        if (slot->prefix != prefix || slot->len != name.len) continue;
        if (slot->letters || slice_is(name, slot->entry->command->name)) return slot->entry;
    }
}

static void add_lookup(struct catalog_entry *e) {
    struct slice name = slice_cstr(e->command->name);
    assert(find_entry(name) == NULL && "command names are unique");
    uint64_t prefix = fold(name.ptr, name.len);
    bool letters = name.len <= 8;
    for (size_t i = 0; i < name.len; i++)
        letters = letters && name.ptr[i] >= 'a' && name.ptr[i] <= 'z';
    size_t i = slot_of(prefix ^ name.len);
    while (lookup[i].entry)
        i = (i + 1) % LOOKUP_SIZE;
    lookup[i] = (struct lookup_slot){prefix, (uint32_t)name.len, letters, e};
}

static struct catalog_entry *find_sub(struct catalog_entry *container, struct slice name) {
    const struct command *rows = container->command->subcommands;
    for (size_t i = 0; rows && rows[i].name; i++)
        if (slice_is(name, rows[i].name)) return &container->subcommands[i];
    return NULL;
}

/* --- By row ---------------------------------------------------------------------------------- */

static void add_by_row(struct catalog_entry *e) {
    size_t i = slot_of((uintptr_t)e->command);
    while (by_row[i])
        i = (i + 1) % LOOKUP_SIZE;
    by_row[i] = e;
}

static struct catalog_entry *entry_of(const struct command *row) {
    for (size_t i = slot_of((uintptr_t)row);; i = (i + 1) % LOOKUP_SIZE) {
        assert(by_row[i] && "the row was registered");
        if (by_row[i]->command == row) return by_row[i];
    }
}

/* --- Boot ------------------------------------------------------------------------------------ */

void catalog_register(const struct command *rows) {
    assert(family_count < FAMILIES_MAX && entries == NULL);
    families[family_count++] = rows;
}

/* True if the text, or a part of it behind a version, is still to be written: utils/command-row leaves such blanks. */
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

static struct catalog_entry *add_entry(size_t at, const struct command *row, const struct command *container) {
    check_row(row, container != NULL);
    struct buf name = {0};
    if (container) buf_printf(&name, "%s|", container->name);
    buf_append(&name, row->name, strlen(row->name) + 1);
    entries[at] = (struct catalog_entry){.command = row, .container = container, .full_name = name.data};
    add_by_row(&entries[at]);
    return &entries[at];
}

void catalog_ready(void) {
    for (size_t f = 0; f < family_count; f++) {
        top_count += command_count_rows(families[f]);
        for (const struct command *row = families[f]; row->name; row++)
            entry_count += command_count_rows(row->subcommands);
    }
    entry_count += top_count;
    assert(entry_count * 2 < LOOKUP_SIZE);
    entries = alloc_zero(entry_count * sizeof *entries);
    size_t top = 0, sub = top_count;
    for (size_t f = 0; f < family_count; f++) {
        for (const struct command *row = families[f]; row->name; row++) {
            struct catalog_entry *e = add_entry(top++, row, NULL);
            if (row->subcommands) e->subcommands = &entries[sub];
            for (const struct command *s = row->subcommands; s && s->name; s++)
                add_entry(sub++, s, row);
            add_lookup(e);
        }
    }
}

/* --- Look-ups -------------------------------------------------------------------------------- */

struct catalog_found catalog_resolve(const struct slice *argv, int argc) {
    struct catalog_entry *e = find_entry(argv[0]);
    if (e && e->subcommands && argc > 1) e = find_sub(e, argv[1]);
    return e ? (struct catalog_found){e->command, &e->metrics} : (struct catalog_found){NULL, NULL};
}

const struct command *catalog_find(struct slice name) {
    struct catalog_entry *e = find_entry(name);
    return e ? e->command : NULL;
}

const struct command *catalog_find_sub(const struct command *container, struct slice name) {
    struct catalog_entry *e = find_sub(entry_of(container), name);
    return e ? e->command : NULL;
}

const struct command *catalog_find_full(struct slice full) {
    const char *bar = memchr(full.ptr, '|', full.len);
    if (bar == NULL) return catalog_find(full);
    const struct command *container = catalog_find(slice_of(full.ptr, (size_t)(bar - full.ptr)));
    return container ? catalog_find_sub(container, slice_of(bar + 1, (size_t)(full.ptr + full.len - bar - 1))) : NULL;
}

size_t catalog_count(void) {
    return top_count;
}

const struct command *catalog_at(size_t i) {
    assert(i < top_count);
    return entries[i].command;
}

const struct command *catalog_container(const struct command *subcommand) {
    return entry_of(subcommand)->container;
}

const char *catalog_full_name(const struct command *command) {
    return entry_of(command)->full_name;
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

struct command_metrics *catalog_metrics(const struct command *command) {
    return &entry_of(command)->metrics;
}

uint64_t catalog_ticks(void) {
    uint64_t ticks = 0;
    for (size_t i = 0; i < entry_count; i++)
        ticks += entries[i].metrics.ticks;
    return ticks;
}

void catalog_reset_metrics(void) {
    for (size_t i = 0; i < entry_count; i++)
        command_metrics_reset(&entries[i].metrics);
}
