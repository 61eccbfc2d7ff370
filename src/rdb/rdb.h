/* Snapshots: the keyspace, or one value of it, in the RDB format of Redis, which rdb_format.h describes.
 *
 * kura writes version 10, which Redis 7.0 and all later versions read. It reads versions 1 to 11, and of version 12 all
 * that it has types for: every encoding that Redis has ever used for strings, lists, sets, hashes, sorted sets
 * and streams.
 * Whatever the bytes are, reading ends with a value or a message. It never uses more memory than the size of the input
 * justifies, and never keeps a value that no client could have made (duplicate members, NaN scores).
 *
 * The functions work on the databases of store/db.h. They report no events and count no changes. */
#pragma once
#include "base/slice.h"
#include "disk/reader.h"
#include "disk/writer.h"
#include "oplog/oplog.h"
#include "store/db.h"
#include <stdint.h>

struct rdb_options {
    bool compression;      /* rdbcompression */
    bool checksum;         /* rdbchecksum */
    bool incremental_sync; /* rdb-save-incremental-fsync */
    int key_save_delay_us; /* rdb-key-save-delay, for tests: time to sleep for each key; negative: keys for each us */
    int key_load_delay_us; /* key-load-delay: the same for loaded keys and commands */
    bool skip_checksum;    /* DEBUG SET-SKIP-CHECKSUM-VALIDATION; no option has it */
};
extern struct rdb_options rdb_options;
void rdb_load_delay(uint64_t keys); /* sleep as key-load-delay says, after this many keys */

/* --- A snapshot of everything ---------------------------------------------------------------- */

enum rdb_write_flag {
    RDB_AOF_BASE = 1 << 0,     /* the base of an append-only file: sets the aof-base field */
    RDB_NO_SYNC = 1 << 1,      /* no fsync: the descriptor is a socket or a pipe */
    RDB_NO_KEYS = 1 << 2,      /* the databases are left out */
    RDB_NO_FUNCTIONS = 1 << 3, /* the libraries of functions are left out */
};

struct rdb_write {
    int fd;
    writer_sink_fn sink; /* gets the bytes instead of fd, and implies RDB_NO_SYNC; NULL: none */
    void *sink_ctx;
    unsigned flags;
    /* The position in the replication stream, to resume after a restart. repl_id NULL: none. */
    const char *repl_id;
    int64_t repl_offset;
    int repl_db;
    /* Called for about each 1024 keys. May be NULL. */
    void (*progress)(void *ctx, uint64_t keys, uint64_t bytes);
    void *ctx;
    /* Results. */
    uint64_t keys, bytes;
    int error; /* errno */
};
/* Before the next one: the data are those of the history that the log continues, at the log's end (oplog/oplog.h). This
 * fills in repl_id, repl_offset and repl_db, if there is such a history, and no unit is half done. */
void rdb_write_place(struct rdb_write *job);
/* Write all databases at the position of the descriptor, and sync them, or pass them on. False: job->error. The
 * keyspace must not change meanwhile: call this in a forked child, or from a command. */
bool rdb_write(struct rdb_write *job);
/* The same into a file. A new file `temporary` in the same folder (disk/temp_file.h) gets the name `path` when all
 * of it is on disk; after an error `path` is unchanged and `temporary` is gone. job->fd is not used. */
bool rdb_write_file(struct rdb_write *job, const char *temporary, const char *path);

enum rdb_read_flag {
    RDB_KEEP_EXPIRED = 1 << 0, /* load keys past their deadline, too: for replicas and bases of append-only files */
    RDB_ALLOW_TWICE = 1 << 1,  /* a key or a library that exists is replaced; else it is an error: DEBUG RELOAD MERGE */
};

enum rdb_result {
    RDB_OK,
    RDB_CUT,         /* the input ended too early, or reading failed or was stopped (job->error is errno) */
    RDB_FOREIGN,     /* not an RDB file */
    RDB_VERSION,     /* a version that kura cannot read */
    RDB_CORRUPT,     /* some part is not valid */
    RDB_CHECKSUM,    /* every part is valid, but the checksum differs */
    RDB_UNSUPPORTED, /* data of a module, or functions of a version before 7.0, which kura cannot load */
};

struct rdb_read {
    int fd;
    uint64_t offset;         /* the descriptor's position in its file, for messages and progress */
    reader_source_fn source; /* is read instead of fd (disk/reader.h); NULL: none */
    void *source_ctx;
    uint64_t size;                  /* of the source's bytes; 0: unknown */
    struct db *into;                /* a spare set of databases (db_spare_new()); NULL: the live ones */
    struct function_set *functions; /* to which libraries are added (rdb/rdb_functions.h); NULL: the live ones */
    unsigned flags;
    reader_progress_fn progress; /* after every block of up to 1 MB; may be NULL */
    void *ctx;
    void (*left_out)(void *ctx, int db_id, struct slice key); /* a key past its deadline; may be NULL */
    /* Set while progress() or the source runs: reading ends with RDB_CUT, and `error` is ECANCELED. */
    bool stop;
    struct buf *rest; /* gets what was read of a source behind the snapshot, if that is sound; NULL: not wanted */
    /* Results. */
    uint64_t keys, expired, empty; /* keys loaded; left out as past their deadline; left out as without elements */
    uint64_t end;                  /* offset behind the snapshot, where the commands of a log may follow */
    uint64_t failed_at;            /* offset of the failure, if the result is not RDB_OK */
    int version;
    int error;         /* errno */
    bool aof_base;     /* the aof-base field is set */
    char message[200]; /* what has failed, for people */
    /* The position in the replication stream. */
    char repl_id[41]; /* "": none */
    int64_t repl_offset;
    int repl_db;
    struct oplog_former former; /* of that history */
    uint64_t used_memory;       /* bytes that the writer used: the used-mem field */
    int64_t created_s;          /* Unix time: the ctime field */
};
/* Add the keys of a snapshot to the databases, and its libraries to the others. After a failure these hold all that
 * came before it. */
enum rdb_result rdb_read(struct rdb_read *job);

/* --- One value: DUMP and RESTORE ------------------------------------------------------------- */

/* Append the payload of a value: type, value, version, checksum. */
void rdb_dump(struct writer *w, const struct entry *e);
/* True if version and checksum of a payload are valid, as rdb_restore() requires. */
bool rdb_payload_ok(struct slice payload);

/* A value without a key: the type, the encoding and the inline bytes of an entry. */
struct rdb_value {
    enum entry_type type;
    unsigned encoding;
    bool empty;           /* a collection without elements, which no key can have; the other fields are not set */
    size_t len;           /* inline bytes */
    const uint8_t *bytes; /* valid until the reader is used again; NULL: they are in `own` */
    uint8_t own[8];       /* a number, or the pointer of a value out of line */
};
/* Decode a payload that rdb_payload_ok() accepts. Bytes behind the value are ignored, as in Redis. The result is valid
 * until the next call. An empty collection is RDB_CORRUPT. */
enum rdb_result rdb_restore(struct slice payload, struct rdb_value *value);
void rdb_value_drop(struct rdb_value *value); /* free a value that gets no key */
/* Make an entry, which takes over the value. The caller owns the entry. */
struct entry *rdb_value_entry(const struct rdb_value *value, struct slice key, int64_t deadline_ms);
