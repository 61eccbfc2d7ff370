/* See command_info.h. Every name stands once, in a table of its kind; their order there is that of COMMAND INFO. */
#include "catalog/command_info.h"
#include "base/alloc.h"
#include "base/num.h"
#include <assert.h>
#include <strings.h>

struct bit_name {
    unsigned bit;
    const char *name;
};

/* The flags that COMMAND INFO shows; the others concern only this server. */
static const struct bit_name flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {0, NULL},
};

static const struct bit_name acl_names[] = {
    {ACL_KEYSPACE, "@keyspace"},
    {ACL_READ, "@read"},
    {ACL_WRITE, "@write"},
    {ACL_SET, "@set"},
    {ACL_SORTEDSET, "@sortedset"},
    {ACL_LIST, "@list"},
    {ACL_HASH, "@hash"},
    {ACL_STRING, "@string"},
    {ACL_BITMAP, "@bitmap"},
    {ACL_HYPERLOGLOG, "@hyperloglog"},
    {ACL_GEO, "@geo"},
    {ACL_STREAM, "@stream"},
    {ACL_PUBSUB, "@pubsub"},
    {ACL_ADMIN, "@admin"},
    {ACL_FAST, "@fast"},
    {ACL_SLOW, "@slow"},
    {ACL_BLOCKING, "@blocking"},
    {ACL_DANGEROUS, "@dangerous"},
    {ACL_CONNECTION, "@connection"},
    {ACL_TRANSACTION, "@transaction"},
    {ACL_SCRIPTING, "@scripting"},
    {0, NULL},
};

static const char *const group_names[] = {
    [GROUP_GENERIC] = "generic",
    [GROUP_STRING] = "string",
    [GROUP_LIST] = "list",
    [GROUP_SET] = "set",
    [GROUP_SORTED_SET] = "sorted-set",
    [GROUP_HASH] = "hash",
    [GROUP_PUBSUB] = "pubsub",
    [GROUP_TRANSACTIONS] = "transactions",
    [GROUP_CONNECTION] = "connection",
    [GROUP_SERVER] = "server",
    [GROUP_SCRIPTING] = "scripting",
    [GROUP_HYPERLOGLOG] = "hyperloglog",
    [GROUP_CLUSTER] = "cluster",
    [GROUP_SENTINEL] = "sentinel",
    [GROUP_GEO] = "geo",
    [GROUP_STREAM] = "stream",
    [GROUP_BITMAP] = "bitmap",
};

/* --- Names ----------------------------------------------------------------------------------- */

static size_t names_of(unsigned bits, const struct bit_name *table, const char *names[COMMAND_INFO_NAMES]) {
    size_t count = 0;
    for (; table->name; table++) {
        if (bits & table->bit) names[count++] = table->name;
    }
    assert(count <= COMMAND_INFO_NAMES);
    return count;
}

size_t command_info_flags(const struct command *command, const char *names[COMMAND_INFO_NAMES]) {
    return names_of(command->flags, flag_names, names);
}

size_t command_info_acl(const struct command *command, const char *names[COMMAND_INFO_NAMES]) {
    return names_of(command_info_acl_mask(command), acl_names, names);
}

/* The category that the commands of a group have, or 0. */
static const unsigned group_acl[] = {
    [GROUP_GENERIC] = ACL_KEYSPACE,
    [GROUP_STRING] = ACL_STRING,
    [GROUP_LIST] = ACL_LIST,
    [GROUP_SET] = ACL_SET,
    [GROUP_SORTED_SET] = ACL_SORTEDSET,
    [GROUP_HASH] = ACL_HASH,
    [GROUP_TRANSACTIONS] = ACL_TRANSACTION,
    [GROUP_CONNECTION] = ACL_CONNECTION,
    [GROUP_SCRIPTING] = ACL_SCRIPTING,
    [GROUP_HYPERLOGLOG] = ACL_HYPERLOGLOG,
    [GROUP_GEO] = ACL_GEO,
    [GROUP_STREAM] = ACL_STREAM,
    [GROUP_BITMAP] = ACL_BITMAP,
};

unsigned command_info_acl_mask(const struct command *command) {
    unsigned flags = command->flags, acl = command->acl;
    if (acl == 0 && command->body) acl = group_acl[command->group];
    acl |= flags & CMD_FAST ? ACL_FAST : ACL_SLOW;
    if (flags & CMD_WRITE) acl |= ACL_WRITE;
    if (flags & CMD_READONLY && !(acl & ACL_SCRIPTING)) acl |= ACL_READ;
    if (flags & CMD_ADMIN) acl |= ACL_ADMIN | ACL_DANGEROUS;
    if (flags & CMD_PUBSUB) acl |= ACL_PUBSUB;
    if (flags & CMD_BLOCKING) acl |= ACL_BLOCKING;
    return acl;
}

unsigned command_info_acl_category(struct slice name) {
    for (const struct bit_name *row = acl_names; row->name; row++) {
        if (slice_is(name, row->name + 1)) return row->bit;
    }
    return 0;
}

const char *command_info_group(enum command_group group) {
    return group_names[group];
}

/* --- Keys ------------------------------------------------------------------------------------ */

const struct command_keys *command_info_keys(const struct command *command, struct command_keys derived[2]) {
    if (command->keys) return command->keys;
    derived[0] = derived[1] = (struct command_keys){.flags = NULL};
    if (command->first_key == 0) return derived;
    const char *flags = command->flags & CMD_WRITE ? "RW update" : "RO access";
    int last = command_last_key(command);
    derived[0] = (struct command_keys){
        .flags = command->key_flags ? command->key_flags : flags,
        .begin = command->first_key,
        .last = last < 0 ? last : last - command->first_key,
        .step = command_key_step(command),
        .keynum_at = -1,
    };
    return derived;
}

static bool has_word(const char *words, const char *word) {
    return strstr(words, word) != NULL;
}

/* The spec tells where to send the request in a cluster, but what is there is no key: a shard channel. */
static bool is_not_key(const struct command_keys *spec) {
    return has_word(spec->flags, "not_key");
}

bool command_info_has_keys(const struct command *command) {
    struct command_keys derived[2];
    const struct command_keys *spec = command_info_keys(command, derived);
    while (spec->flags && is_not_key(spec))
        spec++;
    return spec->flags || command->find_keys;
}

/* The index at which a spec begins in these arguments; 0: its keyword is not there, or is the last argument. */
static int first_position(const struct command_keys *spec, const struct slice *argv, int argc) {
    if (!spec->keyword) return spec->begin;
    int step = spec->from > 0 ? 1 : -1;
    int i = spec->from > 0 ? spec->from : argc + spec->from;
    for (; i >= 1 && i < argc; i += step) {
        size_t len = strlen(spec->keyword);
        if (argv[i].len == len && strncasecmp(argv[i].ptr, spec->keyword, len) == 0) return i + 1 < argc ? i + 1 : 0;
    }
    return 0;
}

/* On entry *first is the beginning of the spec; on return *first and *last are the indexes of its keys. False: the
 * argument that should be the number of keys is missing or wrong. */
static bool spec_range(const struct command_keys *spec, const struct slice *argv, int argc, int *first, int *last) {
    if (spec->keynum_at < 0) {
        *last = spec->last >= 0 ? *first + spec->last : argc + spec->last;
        if (spec->last < 0 && spec->limit > 1) *last = *first + (argc - *first) / spec->limit + spec->last;
        return true;
    }
    int64_t count;
    if (*first + spec->keynum_at >= argc || !num_parse_i64(argv[*first + spec->keynum_at], &count)) return false;
    if (count < 0 || count > argc) return false;
    *first += spec->keynum_first;
    *last = *first + ((int)count - 1) * spec->step;
    return true;
}

/* The keys found so far: more than max are counted, but not written. */
struct found_keys {
    struct command_info_key *keys;
    int count, max;
};

static void add_key(struct found_keys *found, int position, const char *flags) {
    if (found->count < found->max) found->keys[found->count] = (struct command_info_key){position, flags};
    found->count++;
}

/* A range that ends before it begins, or beyond the arguments, is a mistake; but a number of 0 keys is fine if
 * `may_be_empty`. */
static bool find_by_spec(const struct command_keys *spec, bool may_be_empty, const struct slice *argv, int argc,
                         struct found_keys *found) {
    int last, first = first_position(spec, argv, argc);
    if (first == 0) return true;
    if (!spec_range(spec, argv, argc, &first, &last)) return false;
    may_be_empty = may_be_empty && spec->keynum_at >= 0;
    if (last >= argc || (last < first && !may_be_empty)) return false;
    const char *flags = spec->vary ? spec->vary(argv, argc) : spec->flags;
    for (int i = first; i <= last; i += spec->step)
        add_key(found, i, flags);
    return true;
}

/* The command's own code finds the keys. A key has the flags of the spec that begins at the same index, or else those
 * of the last spec (as the key of SORT's STORE has). */
static int find_by_command(const struct command *command, const struct slice *argv, int argc,
                           struct found_keys *found) {
    size_t bytes = (size_t)(found->max > 0 ? found->max : 1) * sizeof(int);
    int *positions = alloc_get(bytes);
    int count = command->find_keys(argv, argc, positions, found->max);
    struct command_keys derived[2];
    const struct command_keys *specs = command_info_keys(command, derived);
    for (int i = 0; i < count && i < found->max; i++) {
        const struct command_keys *spec = specs;
        while (spec->flags && spec[1].flags && first_position(spec, argv, argc) != positions[i])
            spec++;
        add_key(found, positions[i], spec->flags ? spec->flags : "");
    }
    alloc_put(positions, bytes);
    return count;
}

int command_info_find(const struct command *command, const struct slice *argv, int argc, struct command_info_key *keys,
                      int max) {
    struct found_keys found = {keys, 0, max};
    if (command->find_keys) return find_by_command(command, argv, argc, &found);
    bool may_be_empty = command->flags & CMD_NO_MANDATORY_KEYS;
    struct command_keys derived[2];
    for (const struct command_keys *spec = command_info_keys(command, derived); spec->flags; spec++) {
        if (is_not_key(spec)) continue;
        if (!find_by_spec(spec, may_be_empty, argv, argc, &found) && !has_word(spec->flags, "incomplete")) return -1;
    }
    return found.count;
}
