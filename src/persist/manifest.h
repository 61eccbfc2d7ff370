/* The manifest of a multi-part append-only file: which files, in which order, are the dataset.
 *
 *     file appendonly.aof.2.base.rdb seq 2 type b     the dataset at some time; at most one
 *     file appendonly.aof.1.incr.aof seq 1 type h     history: replaced by the base, to be removed
 *     file appendonly.aof.2.incr.aof seq 2 type i     what was written since, in rising order
 *
 * The format, the rules for names and the error texts are those of Redis 7. The manifest is replaced as a
 * whole, by a rename: whoever dies at any moment leaves the old one or the new one. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_LINE_MAX 1024 /* bytes of a line with its end */

enum manifest_type { MANIFEST_BASE = 'b', MANIFEST_INCR = 'i', MANIFEST_HISTORY = 'h' };

struct manifest_file {
    char *name; /* owned; no path */
    int64_t seq;
    enum manifest_type type;
};

/* {0} is a valid empty one. */
struct manifest {
    struct manifest_file *files; /* base, if any, then history and increments, each in order of their lines */
    size_t count, cap;
    int64_t base_seq, incr_seq; /* the highest given so far */
};

struct manifest_error {
    const char *text; /* static */
    int line;         /* 0: of the file as a whole */
    char shown[MANIFEST_LINE_MAX + 1];
};

/* False (*error filled in, *m empty) for a text that is not a manifest. */
bool manifest_parse(struct slice text, struct manifest *m, struct manifest_error *error);
void manifest_print(const struct manifest *m, struct buf *out);
void manifest_free(struct manifest *m);
void manifest_copy(struct manifest *to, const struct manifest *from);

const struct manifest_file *manifest_base(const struct manifest *m);      /* NULL: none */
const struct manifest_file *manifest_last_incr(const struct manifest *m); /* NULL: none */
size_t manifest_live(const struct manifest *m);                           /* base and increments */

/* Make the base, if any, history, and add a new one: "<prefix>.<seq>.base.rdb" or ".aof". Returns its name. */
const char *manifest_new_base(struct manifest *m, const char *prefix, bool rdb);
/* Take this file as it is for base number 1: the append-only file of an old version. */
void manifest_adopt_base(struct manifest *m, const char *name);
const char *manifest_new_incr(struct manifest *m, const char *prefix); /* "<prefix>.<seq>.incr.aof" */
/* All increments but the last `keep` are history from now on. */
void manifest_retire_incrs(struct manifest *m, size_t keep);
void manifest_drop_history(struct manifest *m);

enum manifest_load { MANIFEST_LOADED, MANIFEST_ABSENT, MANIFEST_UNREADABLE /* errno */, MANIFEST_WRONG /* *error */ };
enum manifest_load manifest_load(const char *dir, const char *name, struct manifest *m, struct manifest_error *error);
/* Replace dir/name durably. False has been logged; the former one is still there then. */
bool manifest_save(const char *dir, const char *name, const struct manifest *m);
