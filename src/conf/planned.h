/* Directives of Redis 7.2 whose modules are still to come, or that ask for what kura does
 * another way: read, kept and shown exactly as Redis does, with its bounds and defaults, so
 * that a configuration made for Redis loads. When a module comes it takes its rows along. */
#pragma once
#include "base/option.h"

extern const struct option planned_rows[];
