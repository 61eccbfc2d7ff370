/* The RDB format, as of Redis 7.2.
 *
 *     "REDIS" | version, 4 digits | (opcode ... | type, key, value)... | 255 | CRC-64 of all bytes before it
 *
 * A snapshot is valid if and only if
 *     (1) it begins with "REDIS" and a version from 1 to RDB_VERSION_READ,
 *     (2) each opcode (enum rdb_opcode) and each type (enum rdb_type) is known, and what follows has the form given
 *         there,
 *     (3) the numbers of databases are below their count, and no key occurs twice in a database,
 *     (4) no element of a set, hash or sorted set occurs twice in it, and no score is NaN, and
 *     (5) from version 5 on, the 8 bytes at the end are the CRC-64 of all bytes before them, or 0: not computed.
 *
 * A length:  00llllll                    6 bits
 *            01llllll llllllll           14 bits, the high ones first
 *            10000000 + 4 bytes          32 bits, big endian
 *            10000001 + 8 bytes          64 bits, big endian
 *            11eeeeee                    only before a string: how it is encoded (RDB_STRING_*)
 *
 * A string:  a length and the bytes; or the decimal digits of an integer, given in 1, 2 or 4 bytes, little endian; or
 * LZF: two lengths (compressed, expanded) and the compressed bytes. Deadlines and scores are 8 bytes, little endian.
 *
 * The payload of DUMP: type, value | version, 2 bytes | CRC-64 of all bytes before it, 8 bytes. */
#pragma once

#define RDB_MAGIC "REDIS"
#define RDB_VERSION_WRITTEN 10 /* Redis 7.0 */
#define RDB_VERSION_READ 12    /* Redis 7.4 */
#define RDB_HEAD 9             /* bytes of magic and version */
#define RDB_FOOTER 10          /* bytes of a payload's version and checksum */

enum rdb_type {
    RDB_TYPE_STRING = 0,
    RDB_TYPE_LIST = 1,        /* count, elements */
    RDB_TYPE_SET = 2,         /* count, members */
    RDB_TYPE_ZSET = 3,        /* count, (member, score as text with a length byte) */
    RDB_TYPE_HASH = 4,        /* count, (name, value) */
    RDB_TYPE_ZSET_2 = 5,      /* count, (member, score as 8 bytes) */
    RDB_TYPE_MODULE_OLD = 6,  /* never released */
    RDB_TYPE_MODULE = 7,      /* the module's id, then parts (rdb_skip.c) */
    RDB_TYPE_HASH_ZIPMAP = 9, /* 9 to 13, 16, 17 and 20: one string with the whole value */
    RDB_TYPE_LIST_ZIPLIST = 10,
    RDB_TYPE_SET_INTSET = 11,
    RDB_TYPE_ZSET_ZIPLIST = 12,
    RDB_TYPE_HASH_ZIPLIST = 13,
    RDB_TYPE_LIST_QUICKLIST = 14, /* count, ziplists */
    RDB_TYPE_STREAM_1 = 15,       /* 15, 19 and 21: rdb_stream.c */
    RDB_TYPE_HASH_LISTPACK = 16,
    RDB_TYPE_ZSET_LISTPACK = 17,
    RDB_TYPE_LIST_QUICKLIST_2 = 18, /* count, (RDB_NODE_*, element or listpack) */
    RDB_TYPE_STREAM_2 = 19,
    RDB_TYPE_SET_LISTPACK = 20, /* from version 11 */
    RDB_TYPE_STREAM_3 = 21,
};

enum rdb_opcode {
    RDB_OP_SLOT = 244,         /* three lengths: hints for a cluster's slot (7.4) */
    RDB_OP_FUNCTION = 245,     /* a library's code */
    RDB_OP_FUNCTION_OLD = 246, /* never released */
    RDB_OP_MODULE_AUX = 247,   /* data of a module that belongs to no key */
    RDB_OP_IDLE = 248,         /* seconds (a length) since the next key's last use */
    RDB_OP_FREQUENCY = 249,    /* its LFU counter, a byte */
    RDB_OP_AUX = 250,          /* two strings, a name and a value; unknown names are skipped */
    RDB_OP_RESIZE = 251,       /* two lengths: the keys of this database, and those with a deadline */
    RDB_OP_DEADLINE_MS = 252,  /* of the next key */
    RDB_OP_DEADLINE_S = 253,   /* 4 bytes */
    RDB_OP_SELECT = 254,       /* a length: the database of the keys that follow */
    RDB_OP_END = 255,
};

enum rdb_string { RDB_STRING_INT8, RDB_STRING_INT16, RDB_STRING_INT32, RDB_STRING_LZF };
enum rdb_node { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 };

#define RDB_LENGTH_32 0x80
#define RDB_LENGTH_64 0x81
#define RDB_LENGTH_ENCODED 0xc0
#define RDB_LENGTH_MAX 9 /* bytes of a length */

/* The length byte of a score in RDB_TYPE_ZSET, if it is not a length. */
#define RDB_SCORE_NAN 253
#define RDB_SCORE_INF 254
#define RDB_SCORE_MINUS_INF 255
