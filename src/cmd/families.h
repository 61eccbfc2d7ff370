/* The families of commands: each file of this folder exports its rows, and main hands them to exec_register(). */
#pragma once
#include "server/exec.h"

extern const struct command client_cmd_commands[];
extern const struct command command_commands[];
extern const struct command config_cmd_commands[];
extern const struct command connection_commands[];
extern const struct command debug_commands[];
extern const struct command server_cmd_commands[];
extern const struct command shutdown_commands[];
extern const struct command strings_commands[];
extern const struct command ranges_commands[];
extern const struct command counters_commands[];
extern const struct command lcs_commands[];
extern const struct command keys_commands[];
extern const struct command expiry_commands[];
extern const struct command scan_commands[];
extern const struct command object_commands[];
extern const struct command databases_commands[];
