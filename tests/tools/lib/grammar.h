/* Random commands from a file of templates. One line of a *.grammar file is one of
 *
 *   # comment
 *   $name = alternative | alternative ...     what $name stands for in templates (defined before use)
 *   !mode COMMAND ...                          how replies are compared, see compare.h
 *   TEMPLATE   or   WEIGHT: TEMPLATE           a command; the weight is 1 unless given
 *   =: TEMPLATE   or   WEIGHT=: TEMPLATE       a command that is never spoilt (see the end)
 *
 * A template is words, quoted as redis-cli does where needed, and among them
 *
 *   $name               one of the alternatives of that name
 *   ( a b | c )         one of the alternatives        [ a b | c ]   one of them, or nothing
 *   ( ... )+            one to five times              ( ... )*      none to five times
 *   %int:LO:HI          a number                       %bytes:MAX    up to MAX bytes of any value
 *   < ... >             one word: those within, with blanks between (a program, for instance)
 *   %text:LO:HI         LO to HI letters               %time_s:LO:HI %time_ms:LO:HI   Unix time now plus LO to HI
 *
 * One command in forty is spoilt on purpose: a word is dropped, doubled, replaced by one of $any, or added. */
#pragma once
#include "bytes.h"

struct grammar;

struct grammar *grammar_new(void);
/* False, with file and line printed, on a mistake. Lines that begin with '!' go to `rule`. */
bool grammar_read(struct grammar *g, const char *path, bool (*rule)(const char *line));
bool grammar_empty(const struct grammar *g);
void grammar_make(const struct grammar *g, struct command *out); /* the next random command */
