/* Reading the configuration at start-up: a file, then standard input, then the command line; later lines override
 * earlier ones. The first error is printed to standard error in Redis's words, with the line, and the process exits
 * with 1: a server that guesses what its configuration means is worse than none. */
#pragma once
#include <stdbool.h>

/* file: a path, or NULL. from_stdin: read standard input too. words: the command line from its first option on. */
void config_load(const char *file, bool from_stdin, int count, char *const *words);
