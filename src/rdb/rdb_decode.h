/* Reading the elements of the format. For the files of this folder and check_rdb.c.
 *
 * Every function returns false if it fails; in->result and in->message then tell the first failure. */
#pragma once
#include "ds/listpack.h"
#include "rdb/rdb.h"

/* Memory that is used again for each value. */
struct rdb_scratch {
    uint8_t *bytes;
    size_t room;
};

struct rdb_in {
    struct reader *reader;
    struct rdb_scratch key, name, text, lzf, pack; /* the functions below tell which they use */
    enum rdb_result result;
    char message[160];
};

/* Note a failure, unless one was noted before. A macro, so that the compiler sees that the value is false. */
#define rdb_refuse(in, ...) (rdb_note(in, __VA_ARGS__), false)
void rdb_note(struct rdb_in *in, enum rdb_result result, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define rdb_in_cut(in) (rdb_note_end(in), false) /* the input has ended too early, or reading failed */
void rdb_note_end(struct rdb_in *in);
void rdb_in_free(struct rdb_in *in);
void rdb_in_trim(struct rdb_in *in); /* free scratch memory that a huge value has needed */
/* Make room for n bytes and keep the first `keep`. NULL: out of memory. */
uint8_t *rdb_room(struct rdb_scratch *s, size_t n, size_t keep);

bool rdb_get_bytes(struct rdb_in *in, void *to, size_t n);
bool rdb_get_length(struct rdb_in *in, uint64_t *n);
/* The number of elements that follow, of at least bytes_each bytes each. Fails if the input cannot hold them. */
bool rdb_get_count(struct rdb_in *in, uint64_t *n, size_t bytes_each);

/* The beginning of a string. */
struct rdb_string_head {
    enum { RDB_PLAIN, RDB_NUMBER, RDB_COMPRESSED } kind;
    int64_t number;
    size_t len, compressed; /* bytes of the string; bytes of its compressed form */
};
bool rdb_get_head(struct rdb_in *in, struct rdb_string_head *head);
/* Read the string into head->len bytes at `to`. Not for a number. Uses in->lzf. */
bool rdb_get_body(struct rdb_in *in, const struct rdb_string_head *head, void *to);
/* A string of any kind. It lies in the scratch or in the reader's block, and is valid until either is used again. */
bool rdb_get_string(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s);
/* The same, always in the scratch. */
bool rdb_get_kept(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s);
/* The same as a block that may be changed. */
bool rdb_get_block(struct rdb_in *in, struct rdb_scratch *scratch, uint8_t **block, size_t *n);

/* --- Values (rdb_value.c, rdb_collect.c, rdb_zset.c, rdb_stream.c) --------------------------- */

/* A value of this type. The caller owns it. Uses all scratches except in->key. */
bool rdb_get_value(struct rdb_in *in, unsigned type, struct rdb_value *v);
/* After that has failed: log it, if the structure of the value was to blame. */
void rdb_log_broken(const struct rdb_in *in, unsigned type);
bool rdb_get_set(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_hash(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_zset(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_stream(struct rdb_in *in, unsigned type, struct rdb_value *v);

void rdb_value_inline(struct rdb_value *v, enum entry_type type, unsigned encoding, const uint8_t *bytes, size_t n);
/* Make a pack of a listpack, in in->name. */
void rdb_value_pack(struct rdb_in *in, struct rdb_value *v, enum entry_type type, unsigned encoding,
                    const uint8_t *listpack);
void rdb_value_pointer(struct rdb_value *v, enum entry_type type, unsigned encoding, const void *pointer);
bool rdb_value_empty(struct rdb_value *v); /* always true */

/* A listpack in a string, in in->text: checked, and with each entry in its smallest form. */
bool rdb_get_listpack(struct rdb_in *in, uint8_t **lp);
/* True if two of the entries 0, stride, 2 * stride ... are equal. O(n). */
bool rdb_has_twins(const uint8_t *lp, unsigned stride);

/* Build a listpack in in->pack. Appending fails if it would exceed the limit of a listpack. */
void rdb_pack_begin(struct rdb_in *in);
bool rdb_pack_append(struct rdb_in *in, const struct listpack_item *item);

/* The source of a library, which is loaded into the set (rdb_functions.c). Uses in->text. */
struct function_set;
bool rdb_get_library(struct rdb_in *in, struct function_set *set, bool replace);

/* --- Values that kura has no type for (rdb_skip.c): their form is checked, nothing is kept --- */

bool rdb_skip_string(struct rdb_in *in);
bool rdb_can_skip(unsigned type);
bool rdb_skip_value(struct rdb_in *in);
/* Data of a module that belongs to no key. `name` gets the module's name: nine characters and a terminator. */
#define RDB_MODULE_NAME 10
bool rdb_skip_module_aux(struct rdb_in *in, char name[RDB_MODULE_NAME]);
void rdb_module_name(uint64_t id, char name[RDB_MODULE_NAME]);

/* --- Formats of old versions (rdb_old.c): they become listpacks in in->pack ------------------ */

bool rdb_ziplist_to_pack(struct rdb_in *in, const uint8_t *ziplist, size_t n);
bool rdb_zipmap_to_pack(struct rdb_in *in, const uint8_t *zipmap, size_t n);
