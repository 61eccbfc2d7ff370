/* The manifest of a multi-part append-only file: the files that are the dataset, in order.
 *
 *     file appendonly.aof.2.base.rdb seq 2 type b     the base: the dataset at some time
 *     file appendonly.aof.1.incr.aof seq 1 type h     history: replaced by the base, to be removed
 *     file appendonly.aof.2.incr.aof seq 2 type i     an increment: what was written since
 *
 * The format and the error texts are those of Redis 7. A manifest is valid if and only if
 *     (1) it is not empty, and each line, except comments, ends with LF within MANIFEST_LINE_MAX bytes,
 *     (2) each line is a comment (it begins with '#') or at least three pairs of a key and a value, written as words of
 *         the configuration file; the keys file, seq and type occur among them, and unknown keys are ignored,
 *     (3) the value of file is a name without a path: no '/', '\' or NUL, not "." or "..", not empty,
 *     (4) the value of seq begins with digits, whose number is positive,
 *     (5) the value of type begins with b, h or i,
 *     (6) at most one file is a base, and
 *     (7) the seq of increments rises from line to line.
 * The dataset is the base, if there is one, followed by the increments. The manifest is replaced as a whole, by a
 * rename: if the process dies, the old one or the new one is there. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_LINE_MAX 1024 /* bytes of a line with its end */

enum manifest_type { MANIFEST_BASE = 'b', MANIFEST_INCR = 'i', MANIFEST_HISTORY = 'h' };

struct manifest_file {
    char *name; /* without a path; owned by the manifest */
    int64_t seq;
    enum manifest_type type;
};

/* {0} is an empty one. */
struct manifest {
    struct manifest_file *files; /* in the order of their lines; new files come last, new history first */
    size_t count, cap;
    int64_t base_seq, incr_seq; /* the highest numbers so far */
};

struct manifest_error {
    const char *text;                  /* static */
    int line;                          /* the line that is wrong, from 1; 0: the file as a whole */
    char shown[MANIFEST_LINE_MAX + 1]; /* that line */
};

/* False: the text is not a valid manifest; *error is filled in, *m is empty. */
bool manifest_parse(struct slice text, struct manifest *m, struct manifest_error *error);
void manifest_print(const struct manifest *m, struct buf *out);
void manifest_free(struct manifest *m);
/* A deep copy: both must be freed. */
void manifest_copy(struct manifest *to, const struct manifest *from);

const struct manifest_file *manifest_base(const struct manifest *m);      /* NULL: none */
const struct manifest_file *manifest_last_incr(const struct manifest *m); /* NULL: none */
size_t manifest_live(const struct manifest *m);                           /* base and increments */

/* Make the present base history, and add a new one: "<prefix>.<seq>.base.rdb" or ".aof". Returns its name, which the
 * manifest owns. taken(name): this number must not be used; NULL: none is taken. */
const char *manifest_new_base(struct manifest *m, const char *prefix, bool rdb, bool (*taken)(const char *name));
/* Make this file, the append-only file of an old version, the base number 1 and the only file. */
void manifest_adopt_base(struct manifest *m, const char *name);
/* Add an increment, "<prefix>.<seq>.incr.aof", in the same way. */
const char *manifest_new_incr(struct manifest *m, const char *prefix, bool (*taken)(const char *name));
/* Make all increments except the last `keep` history. */
void manifest_retire_incrs(struct manifest *m, size_t keep);
void manifest_drop_history(struct manifest *m); /* forget these files */

enum manifest_load {
    MANIFEST_LOADED,
    MANIFEST_ABSENT,
    MANIFEST_UNREADABLE, /* cannot be opened: errno */
    MANIFEST_WRONG,      /* not valid, or a read failed: *error */
};
enum manifest_load manifest_load(const char *dir, const char *name, struct manifest *m, struct manifest_error *error);
/* The two halves of manifest_save(): put the new one on disk beside the old one; let it replace the old one. */
bool manifest_prepare(const char *dir, const char *name, const struct manifest *m);
bool manifest_commit(const char *dir, const char *name);
/* Replace dir/name; the new one is on disk afterwards. False: failed (logged). The old one is still there then, unless
 * only the sync of the directory failed. */
bool manifest_save(const char *dir, const char *name, const struct manifest *m);
