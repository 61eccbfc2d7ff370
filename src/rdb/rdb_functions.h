/* Libraries of functions in snapshots, and in the payloads of FUNCTION DUMP:
 *
 *     snapshot:  ... 245 | source of a library, a string ...      before the databases
 *     payload:   (245 | source)... | version, 2 bytes | CRC-64 of all bytes before it, 8 bytes
 *
 * The libraries lie above this folder: script/functions registers how they are read and written. Where nothing is
 * registered (in kura-check-rdb), nothing is written, and reading them is RDB_UNSUPPORTED. */
#pragma once
#include "base/buf.h"
#include "disk/writer.h"
#include <stdbool.h>

struct function_set;

struct rdb_functions {
    void (*each)(void (*put)(void *ctx, struct slice source), void *ctx); /* of all live libraries */
    /* A set beside the live one. It ends by one of the two: it becomes the live one, whose libraries go; or it goes. */
    struct function_set *(*begin)(void);
    void (*use)(struct function_set *set, bool in_background);
    void (*drop)(struct function_set *set, bool in_background);
    /* Load a library into a set, or (NULL) among the live ones. replace: one of the same name makes room. False: *error
     * has the reason. */
    bool (*add)(struct function_set *set, struct slice source, bool replace, struct buf *error);
    void (*empty)(bool in_background); /* no library is left */
};
extern const struct rdb_functions *rdb_functions; /* NULL: none are known */

/* For those who replace all data: the same without the need to ask for NULL. */
struct function_set *rdb_functions_begin(void);
void rdb_functions_use(struct function_set *set, bool in_background);
void rdb_functions_drop(struct function_set *set, bool in_background);
void rdb_functions_empty(bool in_background);

/* The payload of FUNCTION DUMP: all live libraries. */
void rdb_dump_functions(struct writer *w);
/* Call `add` for the source of each library in a payload. False: it is damaged, or `add` has said so; the reason is in
 * *error, in the words of Redis and without its code. */
bool rdb_restore_functions(struct slice payload, bool (*add)(void *ctx, struct slice source, struct buf *error),
                           void *ctx, struct buf *error);
