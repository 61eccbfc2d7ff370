/* The families of commands: each file of this folder exports its rows, and main hands them to catalog_register(). */
#pragma once
#include "catalog/command_row.h"

extern const struct command clients_commands[];
extern const struct command command_commands[];
extern const struct command configuration_commands[];
extern const struct command connection_commands[];
extern const struct command debug_commands[];
extern const struct command server_commands[];
extern const struct command shutdown_commands[];
extern const struct command strings_commands[];
extern const struct command pubsub_cmd_commands[];
extern const struct command ranges_commands[];
extern const struct command bitmaps_commands[];
extern const struct command counters_commands[];
extern const struct command lcs_commands[];
extern const struct command lists_commands[];
extern const struct command list_block_commands[];
extern const struct command list_pop_commands[];
extern const struct command keys_commands[];
extern const struct command expiry_commands[];
extern const struct command scan_commands[];
extern const struct command object_commands[];
extern const struct command databases_commands[];
extern const struct command hashes_commands[];
extern const struct command hash_walk_commands[];
extern const struct command sets_commands[];
extern const struct command set_walk_commands[];
extern const struct command set_algebra_commands[];
extern const struct command memory_usage_commands[];
extern const struct command zsets_commands[];
extern const struct command zset_walk_commands[];
extern const struct command zset_range_commands[];
extern const struct command zset_algebra_commands[];
extern const struct command transactions_commands[];
extern const struct command zset_block_commands[];
extern const struct command sort_commands[];
extern const struct command hyperloglog_commands[];
extern const struct command geo_commands[];
extern const struct command geo_search_commands[];
extern const struct command dump_commands[];
extern const struct command persistence_commands[];
extern const struct command migrate_commands[];
