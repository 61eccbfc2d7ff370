/* Options of Redis 7.2 that have no effect in kura, because the feature is not there yet or kura does it in another
 * way. They have Redis's bounds and defaults, so that a configuration that was written for Redis loads, and CONFIG GET
 * and REWRITE keep the values. A module that implements one of them takes its row. */
#pragma once
