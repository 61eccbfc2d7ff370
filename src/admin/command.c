/* COMMAND: what programs and redis-cli's hints ask about the commands of this server.
 *
 * Every answer comes from the rows: names and positions as they stand there, the arguments of COMMAND DOCS from the
 * syntax of a row (catalog/command_syntax.h), key specs and categories from its flags too (catalog/command_info.h). */
#include "base/alloc.h"
#include "base/glob.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "catalog/command_info.h"
#include "catalog/command_row.h"
#include "catalog/command_syntax.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <assert.h>

static void reply_field(struct client *c, const char *name, const char *value) {
    reply_bulk_cstr(c, name);
    reply_bulk_cstr(c, value);
}

static void reply_slice_field(struct client *c, const char *name, struct slice value) {
    reply_bulk_cstr(c, name);
    reply_bulk(c, value);
}

static void reply_int_field(struct client *c, const char *name, int value) {
    reply_bulk_cstr(c, name);
    reply_int(c, value);
}

/* Take the text before the next `end` off *text, and that byte too. *text is empty after the last part. */
static struct slice next_part(struct slice *text, char end) {
    const char *at = memchr(text->ptr, end, text->len);
    if (at == NULL) {
        struct slice part = *text;
        *text = slice_of(text->ptr + text->len, 0);
        return part;
    }
    struct slice part = slice_of(text->ptr, (size_t)(at - text->ptr));
    *text = slice_of(at + 1, text->len - part.len - 1);
    return part;
}

static size_t count_parts(struct slice text, char end) {
    size_t count = 0;
    for (struct slice rest = text; rest.len; count++)
        next_part(&rest, end);
    return count;
}

/* --- COMMAND and COMMAND INFO ---------------------------------------------------------------- */

static void reply_names(struct client *c, const char *const *names, size_t count) {
    reply_set(c, count);
    for (size_t i = 0; i < count; i++)
        reply_status(c, names[i]);
}

static void reply_words(struct client *c, struct slice words) {
    reply_set(c, count_parts(words, ' '));
    for (struct slice rest = words; rest.len;)
        reply_status_slice(c, next_part(&rest, ' '));
}

static void reply_tips(struct client *c, const char *tips) {
    reply_set(c, count_parts(slice_cstr(tips), ','));
    for (struct slice rest = slice_cstr(tips); rest.len;)
        reply_bulk(c, next_part(&rest, ','));
}

static void reply_begin_search(struct client *c, const struct command_keys *spec) {
    reply_map(c, 2);
    if (spec->keyword) {
        reply_field(c, "type", "keyword");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 2);
        reply_field(c, "keyword", spec->keyword);
        reply_int_field(c, "startfrom", spec->from);
    } else if (spec->begin) {
        reply_field(c, "type", "index");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 1);
        reply_int_field(c, "index", spec->begin);
    } else {
        reply_field(c, "type", "unknown");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 0);
    }
}

static void reply_find_keys(struct client *c, const struct command_keys *spec) {
    reply_map(c, 2);
    if (spec->step == 0) {
        reply_field(c, "type", "unknown");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 0);
    } else if (spec->keynum_at >= 0) {
        reply_field(c, "type", "keynum");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 3);
        reply_int_field(c, "keynumidx", spec->keynum_at);
        reply_int_field(c, "firstkey", spec->keynum_first);
        reply_int_field(c, "keystep", spec->step);
    } else {
        reply_field(c, "type", "range");
        reply_bulk_cstr(c, "spec");
        reply_map(c, 3);
        reply_int_field(c, "lastkey", spec->last);
        reply_int_field(c, "keystep", spec->step);
        reply_int_field(c, "limit", spec->limit);
    }
}

static void reply_key_specs(struct client *c, const struct command *command) {
    struct command_keys derived[2];
    const struct command_keys *specs = command_info_keys(command, derived);
    size_t count = 0;
    while (specs[count].flags)
        count++;
    reply_set(c, count);
    for (size_t i = 0; i < count; i++) {
        reply_map(c, specs[i].notes ? 4 : 3);
        if (specs[i].notes) reply_field(c, "notes", specs[i].notes);
        reply_bulk_cstr(c, "flags");
        reply_words(c, slice_cstr(specs[i].flags));
        reply_bulk_cstr(c, "begin_search");
        reply_begin_search(c, &specs[i]);
        reply_bulk_cstr(c, "find_keys");
        reply_find_keys(c, &specs[i]);
    }
}

static void reply_info(struct client *c, const struct command *command) {
    const char *names[COMMAND_INFO_NAMES];
    reply_array(c, 10);
    reply_bulk_cstr(c, catalog_full_name(command));
    reply_int(c, command->arity);
    reply_names(c, names, command_info_flags(command, names));
    reply_int(c, command->first_key);
    reply_int(c, command_last_key(command));
    reply_int(c, command_key_step(command));
    reply_names(c, names, command_info_acl(command, names));
    reply_tips(c, command->tips);
    reply_key_specs(c, command);
    size_t count = command_count_rows(command->subcommands);
    if (count)
        reply_array(c, count);
    else
        reply_set(c, 0); /* Redis replies another type when there are none */
    for (size_t i = 0; i < count; i++)
        reply_info(c, &command->subcommands[i]);
}

static void reply_all_info(struct client *c) {
    size_t count = catalog_count();
    reply_array(c, count);
    for (size_t i = 0; i < count; i++)
        reply_info(c, catalog_at(i));
}

static void command(struct request *r) {
    reply_all_info(r->client);
}

static void command_info(struct request *r) {
    if (r->argc == 2) {
        reply_all_info(r->client);
        return;
    }
    reply_array(r->client, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc && !reply_is_pointless(r->client); i++) {
        const struct command *found = catalog_find_full(r->argv[i]);
        if (found)
            reply_info(r->client, found);
        else
            reply_null(r->client);
    }
}

static void command_count(struct request *r) {
    reply_int(r->client, (int64_t)catalog_count());
}

/* --- COMMAND DOCS ---------------------------------------------------------------------------- */

static void reply_arguments(struct client *c, const struct command_syntax *tree, int first, int count);

static void reply_argument_name(struct client *c, const struct command_argument *a) {
    char lower[64];
    struct slice name = a->name;
    if (name.ptr == a->token.ptr && name.len <= sizeof lower) {
        for (size_t i = 0; i < name.len; i++) {
            char byte = name.ptr[i];
            lower[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
        }
        name.ptr = lower;
    }
    reply_bulk(c, name);
}

static void reply_argument_flags(struct client *c, unsigned flags) {
    const char *names[3];
    size_t count = 0;
    if (flags & ARGUMENT_OPTIONAL) names[count++] = "optional";
    if (flags & ARGUMENT_MULTIPLE) names[count++] = "multiple";
    if (flags & ARGUMENT_MULTIPLE_TOKEN) names[count++] = "multiple_token";
    reply_bulk_cstr(c, "flags");
    reply_names(c, names, count);
}

static void reply_argument(struct client *c, const struct command_syntax *tree, const struct command_argument *a) {
    bool is_group = a->type == ARGUMENT_BLOCK || a->type == ARGUMENT_ONEOF;
    reply_map(c, 2u + !is_group + (a->key_spec >= 0) + (a->token.ptr != NULL) + (a->since.ptr != NULL) +
                     (a->deprecated_since.ptr != NULL) + (a->flags != 0) + is_group);
    reply_bulk_cstr(c, "name");
    reply_argument_name(c, a);
    reply_field(c, "type", command_syntax_type_name(a->type));
    if (!is_group) {
        reply_bulk_cstr(c, "display_text");
        if (a->display.ptr)
            reply_bulk(c, a->display);
        else
            reply_argument_name(c, a);
    }
    if (a->key_spec >= 0) reply_int_field(c, "key_spec_index", a->key_spec);
    if (a->token.ptr) reply_slice_field(c, "token", a->token);
    if (a->since.ptr) reply_slice_field(c, "since", a->since);
    if (a->deprecated_since.ptr) reply_slice_field(c, "deprecated_since", a->deprecated_since);
    if (a->flags) reply_argument_flags(c, a->flags);
    if (is_group) {
        reply_bulk_cstr(c, "arguments");
        reply_arguments(c, tree, a->child, a->children);
    }
}

static void reply_arguments(struct client *c, const struct command_syntax *tree, int first, int count) {
    reply_array(c, (size_t)count);
    for (int i = first; i >= 0; i = tree->arguments[i].sibling)
        reply_argument(c, tree, &tree->arguments[i]);
}

static void reply_syntax(struct client *c, const char *syntax) {
    struct command_syntax tree;
    bool valid = command_syntax_parse(&tree, syntax);
    assert(valid);
    reply_bulk_cstr(c, "arguments");
    if (valid)
        reply_arguments(c, &tree, 0, tree.children);
    else
        reply_array(c, 0);
    command_syntax_free(&tree);
}

static void reply_history(struct client *c, const char *history) {
    reply_bulk_cstr(c, "history");
    reply_set(c, count_parts(slice_cstr(history), '\n'));
    for (struct slice rest = slice_cstr(history); rest.len;) {
        struct slice change = next_part(&rest, '\n');
        reply_array(c, 2);
        reply_bulk(c, next_part(&change, '|'));
        reply_bulk(c, change);
    }
}

/* "since|replacement" */
static void reply_deprecated(struct client *c, const char *deprecated) {
    struct slice replacement = slice_cstr(deprecated);
    reply_slice_field(c, "deprecated_since", next_part(&replacement, '|'));
    reply_slice_field(c, "replaced_by", replacement);
}

static void reply_docs(struct client *c, const struct command *command) {
    size_t subcommands = command_count_rows(command->subcommands);
    bool syscmd = command->flags & CMD_SYSCMD, deprecated = command->deprecated != NULL;
    const char *complexity = command_complexity(command);
    reply_bulk_cstr(c, catalog_full_name(command));
    reply_map(c, 3u + (complexity != NULL) + (syscmd || deprecated) + 2u * deprecated + (command->history != NULL) +
                     (command->syntax != NULL) + (subcommands > 0));
    reply_field(c, "summary", command->summary);
    reply_field(c, "since", command->since);
    reply_field(c, "group", command_info_group(command->group));
    if (complexity) reply_field(c, "complexity", complexity);
    if (syscmd || deprecated) {
        reply_bulk_cstr(c, "doc_flags");
        reply_words(c, slice_cstr(syscmd && deprecated ? "deprecated syscmd" : syscmd ? "syscmd" : "deprecated"));
    }
    if (deprecated) reply_deprecated(c, command->deprecated);
    if (command->history) reply_history(c, command->history);
    if (command->syntax) reply_syntax(c, command->syntax);
    if (subcommands == 0) return;
    reply_bulk_cstr(c, "subcommands");
    reply_map(c, subcommands);
    for (size_t i = 0; i < subcommands; i++)
        reply_docs(c, &command->subcommands[i]);
}

static void command_docs(struct request *r) {
    struct client *c = r->client;
    if (r->argc == 2) {
        size_t all = catalog_count();
        reply_map(c, all);
        for (size_t i = 0; i < all; i++)
            reply_docs(c, catalog_at(i));
        return;
    }
    size_t place = reply_hold(c), count = 0;
    for (int i = 2; i < r->argc && !reply_is_pointless(c); i++) {
        const struct command *found = catalog_find_full(r->argv[i]);
        if (found == NULL) continue;
        reply_docs(c, found);
        count++;
    }
    reply_map_at(c, place, count);
}

/* --- COMMAND LIST ---------------------------------------------------------------------------- */

enum filter_kind { FILTER_NONE, FILTER_MODULE, FILTER_ACL, FILTER_PATTERN };

struct filter {
    enum filter_kind kind;
    unsigned acl;
    struct slice pattern;
};

static bool filter_passes(const struct filter *filter, const struct command *command) {
    switch (filter->kind) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false; /* there are no modules */
    case FILTER_ACL: return command_info_acl_mask(command) & filter->acl;
    case FILTER_PATTERN: return glob_match_nocase(filter->pattern, slice_cstr(catalog_full_name(command)));
    }
    return false;
}

static size_t reply_if_passes(struct client *c, const struct filter *filter, const struct command *command) {
    if (!filter_passes(filter, command)) return 0;
    reply_bulk_cstr(c, catalog_full_name(command));
    return 1;
}

static bool parse_filter(struct request *r, struct filter *filter) {
    *filter = (struct filter){.kind = FILTER_NONE};
    if (r->argc == 2) return true;
    if (r->argc != 5 || !slice_is(r->argv[2], "filterby")) return false;
    struct slice kind = r->argv[3];
    filter->pattern = r->argv[4];
    if (slice_is(kind, "module")) filter->kind = FILTER_MODULE;
    if (slice_is(kind, "pattern")) filter->kind = FILTER_PATTERN;
    if (slice_is(kind, "aclcat")) {
        filter->kind = FILTER_ACL;
        filter->acl = command_info_acl_category(r->argv[4]);
    }
    return filter->kind != FILTER_NONE;
}

static void command_list(struct request *r) {
    struct client *c = r->client;
    struct filter filter;
    if (!parse_filter(r, &filter)) {
        reply_syntax_error(c);
        return;
    }
    size_t place = reply_hold(c), listed = 0;
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct command *row = catalog_at(i);
        listed += reply_if_passes(c, &filter, row);
        size_t subcommands = command_count_rows(row->subcommands);
        for (size_t s = 0; s < subcommands; s++)
            listed += reply_if_passes(c, &filter, &row->subcommands[s]);
    }
    reply_array_at(c, place, listed);
}

/* --- COMMAND GETKEYS ------------------------------------------------------------------------- */

/* Find the keys of the request that stands in the arguments: an array of *count keys, which the caller frees by
 * alloc_put() with *bytes. NULL: replied. */
static struct command_info_key *find_keys(struct request *r, int *count, size_t *bytes) {
    const struct slice *argv = r->argv + 2;
    int argc = r->argc - 2;
    const struct command *row = catalog_find(argv[0]);
    if (row && row->subcommands && argc > 1) row = catalog_find_sub(row, argv[1]);
    const char *error = NULL;
    if (row == NULL)
        error = "ERR Invalid command specified";
    else if (!command_info_has_keys(row))
        error = "ERR The command has no key arguments";
    else if (!command_takes(row, argc))
        error = "ERR Invalid number of arguments specified for command";
    if (error) {
        reply_error(r->client, error);
        return NULL;
    }
    *bytes = (size_t)argc * sizeof(struct command_info_key);
    struct command_info_key *keys = alloc_get(*bytes);
    *count = command_info_find(row, argv, argc, keys, argc);
    if (*count > argc) *count = argc;
    if (*count > 0) return keys;
    alloc_put(keys, *bytes);
    if (row->flags & CMD_NO_MANDATORY_KEYS)
        reply_array(r->client, 0);
    else
        reply_error(r->client, "ERR Invalid arguments specified for command");
    return NULL;
}

/* What is done to a key: the flags of its spec without "incomplete", which is about the spec. */
static void reply_key_flags(struct client *c, const char *flags) {
    const char *end = strstr(flags, " incomplete");
    reply_words(c, slice_of(flags, end ? (size_t)(end - flags) : strlen(flags)));
}

static void reply_found_keys(struct request *r, bool with_flags) {
    int count;
    size_t bytes;
    struct command_info_key *keys = find_keys(r, &count, &bytes);
    if (keys == NULL) return;
    reply_array(r->client, (size_t)count);
    for (int i = 0; i < count; i++) {
        if (with_flags) reply_array(r->client, 2);
        reply_bulk(r->client, r->argv[2 + keys[i].position]);
        if (with_flags) reply_key_flags(r->client, keys[i].flags);
    }
    alloc_put(keys, bytes);
}

static void command_getkeys(struct request *r) {
    reply_found_keys(r, false);
}

static void command_getkeysandflags(struct request *r) {
    reply_found_keys(r, true);
}

static void command_help(struct request *r) {
    static const char *const lines[] = {
        "(no subcommand)",
        "    Describe all commands for programs.",
        "COUNT",
        "    Count the commands of this server.",
        "LIST",
        "    List their names, subcommands included.",
        "INFO [<command-name> ...]",
        "    Describe these commands, or all, for programs: arity, flags, keys.",
        "DOCS [<command-name> ...]",
        "    Describe these commands, or all, for people: purpose, arguments, history.",
        "GETKEYS <full-command>",
        "    Find the keys in a request.",
        "GETKEYSANDFLAGS <full-command>",
        "    Find them, and what the request does to each.",
        NULL,
    };
    reply_help(r->client, "COMMAND", lines);
}

static const struct command command_subcommands[] = {
    {"count", command_count, 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "2.8.13", .summary = "Count the commands of this server."},
    {"docs", command_docs, -2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "7.0.0", .summary = "Describe commands for people: purpose, arguments, history.",
     .complexity = "O(n) for n commands", .syntax = "[command-name...]", .tips = "nondeterministic_output_order"},
    {"getkeys", command_getkeys, -3, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "2.8.13", .summary = "Find the keys in a request.", .complexity = "O(n) for n arguments",
     .syntax = "command [arg...]"},
    {"getkeysandflags", command_getkeysandflags, -3, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,
     .group = GROUP_SERVER, .since = "7.0.0", .summary = "Find the keys in a request, and what it does to them.",
     .complexity = "O(n) for n arguments", .syntax = "command [arg...]"},
    {"help", command_help, 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "5.0.0", .summary = "Describe the subcommands."},
    {"info", command_info, -2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "2.8.13", .summary = "Describe commands for programs: arity, flags, keys.",
     .complexity = "O(n) for n commands", .syntax = "[command-name...]", .tips = "nondeterministic_output_order",
     .history = "7.0.0|Without a name it describes all commands."},
    {"list", command_list, -2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "7.0.0", .summary = "List the names of all commands, or of those that a filter lets pass.",
     .complexity = "O(n) for n commands",
     .syntax = "[FILTERBY filterby:(MODULE module-name | ACLCAT category | PATTERN pattern:pattern)]",
     .tips = "nondeterministic_output_order"},
    {NULL},
};

static const struct command command_commands[] = {
    {"command", command, -1, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION, .group = GROUP_SERVER,
     .since = "2.8.13", .summary = "Describe all commands for programs.", .complexity = "O(n) for n commands",
     .tips = "nondeterministic_output_order", .subcommands = command_subcommands},
    {NULL},
};

const struct module command_module = {.commands = command_commands};
