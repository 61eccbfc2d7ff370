/* The elements of the format, as they are read. For persist/rdb_*.c.
 *
 * Every function returns false when something is wrong; in->result and in->message then say what was wrong first. */
#pragma once
#include "ds/pack.h"
#include "persist/rdb.h"
#include "persist/rdb_format.h"

/* Memory that is used again and again. */
struct rdb_scratch {
    uint8_t *bytes;
    size_t room;
};

struct rdb_in {
    struct reader *reader;
    struct rdb_scratch key, name, text, lzf, pack; /* each is named by the functions that use it */
    enum rdb_result result;
    char message[160];
};

/* Note what is wrong, unless something was before. A macro, so that the compiler sees the value: false. */
#define rdb_refuse(in, ...) (rdb_note(in, __VA_ARGS__), false)
void rdb_note(struct rdb_in *in, enum rdb_result result, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define rdb_in_cut(in) (rdb_note_end(in), false) /* the input has ended too early */
void rdb_note_end(struct rdb_in *in);
void rdb_in_free(struct rdb_in *in);
void rdb_in_trim(struct rdb_in *in); /* give back what a huge value needed */
/* Room for n bytes, of which the first `keep` stay what they are. NULL: there is no such memory. */
uint8_t *rdb_room(struct rdb_scratch *s, size_t n, size_t keep);

bool rdb_get_bytes(struct rdb_in *in, void *to, size_t n);
bool rdb_get_length(struct rdb_in *in, uint64_t *n);
/* The number of things to follow, each of at least so many bytes: no more than the input can hold. */
bool rdb_get_count(struct rdb_in *in, uint64_t *n, size_t bytes_each);

/* A string's beginning, and what it announces. */
struct rdb_string_head {
    enum { RDB_PLAIN, RDB_NUMBER, RDB_COMPRESSED } kind;
    int64_t number;
    size_t len, compressed; /* bytes of the string, and of what stands for it */
};
bool rdb_get_head(struct rdb_in *in, struct rdb_string_head *head);
/* The string to a place of head->len bytes; not for a number. */
bool rdb_get_body(struct rdb_in *in, const struct rdb_string_head *head, void *to);
/* A string, of any kind, which lies in the scratch or in the reader's block: until either is used again. */
bool rdb_get_string(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s);
/* The same, in the scratch. */
bool rdb_get_kept(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s);
/* The same as a block of its own, which may be changed. */
bool rdb_get_block(struct rdb_in *in, struct rdb_scratch *scratch, uint8_t **block, size_t *n);

/* --- Values (rdb_value.c, rdb_collect.c, rdb_zset.c) -------------------------------------------- */

bool rdb_get_value(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_set(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_hash(struct rdb_in *in, unsigned type, struct rdb_value *v);
bool rdb_get_zset(struct rdb_in *in, unsigned type, struct rdb_value *v);

void rdb_value_inline(struct rdb_value *v, enum entry_type type, unsigned encoding, const uint8_t *bytes, size_t n);
/* A pack, made of a listpack in in->name. */
void rdb_value_pack(struct rdb_in *in, struct rdb_value *v, enum entry_type type, unsigned encoding,
                    const uint8_t *listpack);
void rdb_value_pointer(struct rdb_value *v, enum entry_type type, unsigned encoding, const void *pointer);
bool rdb_value_empty(struct rdb_value *v); /* true */

/* A listpack in a string: checked, and tidied where an entry is not in its smallest form. */
bool rdb_get_listpack(struct rdb_in *in, uint8_t **lp);
/* Of entries 0, stride, 2 * stride ...: is any there twice? O(n). */
bool rdb_has_twins(const uint8_t *lp, unsigned stride);

/* A listpack in in->pack that grows by what is appended; false: it would exceed what a listpack may be. */
void rdb_pack_begin(struct rdb_in *in);
bool rdb_pack_append(struct rdb_in *in, const struct listpack_item *item);

/* --- What kura has no use for (rdb_skip.c): passed over in its form, with nothing kept ------------- */

bool rdb_skip_string(struct rdb_in *in);
bool rdb_can_skip(unsigned type); /* is it one of these? */
bool rdb_skip_value(struct rdb_in *in, unsigned type);
/* What a module keeps beside the keys. Its name goes to `name`: nine characters and a terminator. */
#define RDB_MODULE_NAME 10
bool rdb_skip_module_aux(struct rdb_in *in, char name[RDB_MODULE_NAME]);
void rdb_module_name(uint64_t id, char name[RDB_MODULE_NAME]);

/* --- Formats of the past (rdb_old.c): all become listpacks in in->pack ---------------------------- */

bool rdb_ziplist_to_pack(struct rdb_in *in, const uint8_t *ziplist, size_t n);
bool rdb_zipmap_to_pack(struct rdb_in *in, const uint8_t *zipmap, size_t n);
