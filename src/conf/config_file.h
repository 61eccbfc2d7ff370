/* Reading the configuration at start-up: a file, standard input, the command line, in
 * this order, a later word overruling an earlier one. Whatever is wrong is told on
 * standard error in Redis's words with the line and its text, and the process exits
 * with 1: a server that guesses what its configuration means is worse than none. */
#pragma once

/* file: a path, or NULL. from_stdin: standard input holds more lines. words: the
 * command line from its first option on. */
void config_load(const char *file, int from_stdin, int count, char *const *words);
