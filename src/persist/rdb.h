/* Snapshots: the keyspace, or one value of it, in Redis's RDB format.
 *
 * Written is version 10, which Redis 7.0 and all later ones read. Read are versions 1 to 11, and 12 as far as it has
 * nothing that kura has not: all encodings that Redis has ever given to strings, lists, sets, hashes and sorted sets.
 * Whatever the bytes are, reading ends with a value or a message, never uses memory that the input's size
 * does not justify, and never keeps what a client could not have made (duplicate members, NaN scores).
 *
 * Nothing here knows of commands or clients: settings are the rows below, progress is a callback. The
 * functions work on the databases of store/db.h, without events and without counting changes. */
#pragma once
#include "base/slice.h"
#include "persist/reader.h"
#include "persist/writer.h"
#include "store/db.h"
#include <stdint.h>

struct rdb_options {
    bool compression;      /* rdbcompression */
    bool checksum;         /* rdbchecksum */
    bool incremental_sync; /* rdb-save-incremental-fsync */
    int key_save_delay_us; /* rdb-key-save-delay, for tests: sleep so long a key; negative: so many keys a us */
    int key_load_delay_us; /* key-load-delay, likewise, also of commands in a log */
    bool skip_checksum;    /* DEBUG SET-SKIP-CHECKSUM-VALIDATION: no row */
};
extern struct rdb_options rdb_options;
void rdb_load_delay(uint64_t keys); /* what key-load-delay asks for, after so many keys */

/* --- A snapshot of everything ------------------------------------------------------------------ */

enum rdb_write_flag {
    RDB_AOF_BASE = 1 << 0, /* the base of an append-only file: says so in the aof-base field */
    RDB_NO_SYNC = 1 << 1,  /* to a socket or a pipe: no fsync, neither meanwhile nor at the end */
};

struct rdb_write {
    int fd;
    unsigned flags;
    /* Of the replication stream, to be continued after a restart; repl_id NULL: nothing of it. */
    const char *repl_id;
    int64_t repl_offset;
    int repl_db;
    /* Called about every 1024 keys; may be NULL. */
    void (*progress)(void *ctx, uint64_t keys, uint64_t bytes);
    void *ctx;
    /* Results. */
    uint64_t keys, bytes;
    int error; /* errno */
};
/* From where the descriptor stands; synced to disk when it returns true. The keyspace must not change
 * meanwhile: call it in a forked child, or with nobody else running. */
bool rdb_write(struct rdb_write *job);
/* The same to a file of this name, by way of a temporary one beside it: path is replaced when all of it is on disk, or
 * stays as it was. job->fd is not used. */
bool rdb_write_file(struct rdb_write *job, const char *path);

enum rdb_read_flag {
    RDB_KEEP_EXPIRED = 1 << 0, /* what is past its deadline is loaded too: replicas, and bases of append-only files */
    RDB_ALLOW_TWICE = 1 << 1,  /* a key that is there is overwritten (DEBUG RELOAD MERGE), not an error */
};

enum rdb_result {
    RDB_OK,
    RDB_CUT,         /* the input ended, or could not be read on (job->error is errno) */
    RDB_FOREIGN,     /* not an RDB file at all */
    RDB_VERSION,     /* of a later version */
    RDB_CORRUPT,     /* something in it cannot be */
    RDB_CHECKSUM,    /* all of it can be, but is not what was written */
    RDB_UNSUPPORTED, /* sound, but kura has no such type: streams, modules, functions */
};

struct rdb_read {
    int fd;
    uint64_t offset; /* of the descriptor's position in its file, for messages and progress */
    unsigned flags;
    reader_progress_fn progress; /* after every block of up to 1 MB; may be NULL */
    void *ctx;
    /* Results. */
    uint64_t keys, expired, empty; /* loaded; left out, as their time had come, or as they had no elements */
    uint64_t end;                  /* offset behind the last byte of the snapshot, where another format may go on */
    uint64_t failed_at;            /* offset, if the result is not RDB_OK */
    int version;
    int error;         /* errno */
    bool aof_base;     /* the aof-base field says so */
    char message[200]; /* for people */
    /* Of the replication stream. */
    char repl_id[41]; /* "" if there is none */
    int64_t repl_offset;
    int repl_db;
    uint64_t used_memory; /* the writer's, by its used-mem field */
    int64_t created_s;    /* ctime */
};
/* Adds to the databases what the snapshot has. After a failure they hold what came before it. */
enum rdb_result rdb_read(struct rdb_read *job);

/* --- One value: DUMP and RESTORE ------------------------------------------------------------------- */

/* Appends the payload of a value: type, value, version, checksum. */
void rdb_dump(struct writer *w, const struct entry *e);
/* The version and checksum of a payload are what they should be: look no further if this is false. */
bool rdb_payload_ok(struct slice payload);

/* A value that has no key yet: an entry's type, encoding and inline bytes. */
struct rdb_value {
    enum entry_type type;
    unsigned encoding;
    bool empty;           /* a collection without elements, which no key can have: there is nothing else here */
    size_t len;           /* inline bytes */
    const uint8_t *bytes; /* valid until the reader or its scratch is used again */
    uint8_t own[8];       /* where bytes points for a number or a pointer */
};
/* The value of a payload that is ok; what comes behind the value is not looked at, as with Redis. Its bytes lie in memory that the next call uses again. */
enum rdb_result rdb_restore(struct slice payload, struct rdb_value *value);
void rdb_value_drop(struct rdb_value *value); /* one that is not going to have a key */
/* The entry that it becomes, which now owns it; the caller inserts it. */
struct entry *rdb_value_entry(const struct rdb_value *value, struct slice key, int64_t deadline_ms);
