/* The effects of a command: how many changes, hits and misses it counts, which events it publishes in which order, and
 * what is propagated in its place. The expectations are those of redis-server 7.0.15 (rdb_changes_since_last_save of
 * INFO, the keyevent channels, the append-only file). Two differ without another meaning: EXPIRE ... GT is propagated
 * without its condition, and SET ... GET without NX or XX. One differs on purpose: LTRIM that removes nothing publishes
 * nothing. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/log_reader.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/limits.h"
#include "store/changes.h"
#include "store/string.h"
#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module counters_module, databases_module, expiry_module, geo_module, geo_search_module,
    hyperloglog_module, keys_module, lcs_module, list_pop_module, lists_module, object_module, ranges_module,
    scan_module, set_algebra_module, set_walk_module, sets_module, strings_module, tx_module;

#define START_MS 1700000000000
#define WAIT \
    { .command = NULL } /* let 20 ms pass */

static struct client client;
static struct buf events, propagated;

/* <s> and <ms> stand for times in the future, of ten and thirteen digits. */
static const struct row {
    const char *command;
    int64_t changes, hits, misses;
    const char *events; /* event:database:key */
    const char *propagated;
} rows[] = {
    /* clang-format off */
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"SET a 2", 1, 0, 0, "set:0:a", "SET a 2"},
    {"SET a 3 XX", 1, 0, 0, "set:0:a", "SET a 3 XX"},
    {"SET a 3 NX", 0, 0, 0, "", ""},
    {"SET a 4 GET", 1, 1, 0, "set:0:a", "SET a 4"},
    {"SET nope 4 XX GET", 0, 0, 1, "keymiss:0:nope", ""},
    {"SET a 4 EX 1000", 1, 0, 0, "set:0:a expire:0:a", "SET a 4 PXAT <ms>"},
    {"SET a 4 PX 1000000 KEEPTTL", 0, 0, 0, "", ""},
    {"SET a 4 PX 1000000 XX GET", 1, 1, 0, "set:0:a expire:0:a", "SET a 4 PXAT <ms>"},
    {"SET a 4 EXAT <s>", 1, 0, 0, "set:0:a expire:0:a", "SET a 4 PXAT <ms>"},
    {"SET a 4 PXAT <ms>", 1, 0, 0, "set:0:a expire:0:a", "SET a 4 PXAT <ms>"},
    {"SET a 5 KEEPTTL", 1, 0, 0, "set:0:a", "SET a 5 KEEPTTL"},
    {"set a 5 get keepttl", 1, 1, 0, "set:0:a", "SET a 5 KEEPTTL"},
    {"SET a 5 GET", 1, 1, 0, "set:0:a", "SET a 5"},
    {"SET a v get XX", 1, 1, 0, "set:0:a", "SET a v"},
    {"SETNX a 1", 0, 0, 0, "", ""},
    {"SETNX b 1", 1, 0, 0, "new:0:b set:0:b", "SETNX b 1"},
    {"SETEX b 1000 v", 1, 0, 0, "set:0:b expire:0:b", "SET b v PXAT <ms>"},
    {"PSETEX b 1000000 v", 1, 0, 0, "set:0:b expire:0:b", "SET b v PXAT <ms>"},
    {"GETSET b 2", 1, 1, 0, "set:0:b", "SET b 2"},
    {"getset new1 2", 1, 0, 1, "keymiss:0:new1 new:0:new1 set:0:new1", "SET new1 2"},
    {"GETSET new1 2", 1, 1, 0, "set:0:new1", "SET new1 2"},
    {"GET a", 0, 1, 0, "", ""},
    {"GET nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"GETDEL new1", 1, 1, 0, "del:0:new1", "DEL new1"},
    {"GETDEL nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"GETEX a", 0, 1, 0, "", ""},
    {"GETEX nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"GETEX a EX 1000", 1, 1, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"GETEX a PX 1000000", 1, 1, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"GETEX a EXAT <s>", 1, 1, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"GETEX a PXAT <ms>", 1, 1, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"GETEX a PERSIST", 1, 1, 0, "persist:0:a", "PERSIST a"},
    {"GETEX a PERSIST", 0, 1, 0, "", ""},
    {"GETEX a PXAT 1", 1, 1, 0, "del:0:a", "DEL a"},
    {"MGET a b nope", 0, 1, 2, "keymiss:0:a keymiss:0:nope", ""},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"MSET a 1 b 2 a 3 c 4", 4, 0, 0, "set:0:a set:0:b set:0:a new:0:c set:0:c", "MSET a 1 b 2 a 3 c 4"},
    {"MSETNX a 1 z 1", 0, 0, 0, "", ""},
    {"MSETNX y 1 z 1", 2, 0, 0, "new:0:y set:0:y new:0:z set:0:z", "MSETNX y 1 z 1"},
    {"APPEND z x", 1, 0, 0, "append:0:z", "APPEND z x"},
    {"APPEND app x", 1, 0, 0, "new:0:app append:0:app", "APPEND app x"},
    {"APPEND app2 1", 1, 0, 0, "new:0:app2 append:0:app2", "APPEND app2 1"},
    {"STRLEN z", 0, 1, 0, "", ""},
    {"STRLEN nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"GETRANGE nope 0 1", 0, 0, 1, "keymiss:0:nope", ""},
    {"SETRANGE z 1 ab", 1, 0, 0, "setrange:0:z", "SETRANGE z 1 ab"},
    {"SETRANGE sr 3 ab", 1, 0, 0, "new:0:sr setrange:0:sr", "SETRANGE sr 3 ab"},
    {"INCR i", 1, 0, 0, "new:0:i incrby:0:i", "INCR i"},
    {"INCR i", 1, 0, 0, "incrby:0:i", "INCR i"},
    {"DECR i", 1, 0, 0, "incrby:0:i", "DECR i"},
    {"INCRBY i 5", 1, 0, 0, "incrby:0:i", "INCRBY i 5"},
    {"DECRBY i 5", 1, 0, 0, "incrby:0:i", "DECRBY i 5"},
    {"INCRBYFLOAT i 1.5", 1, 0, 0, "incrbyfloat:0:i", "SET i 2.5 KEEPTTL"},
    {"INCRBYFLOAT f 3", 1, 0, 0, "new:0:f incrbyfloat:0:f", "SET f 3 KEEPTTL"},
    {"LCS a b", 0, 2, 0, "", ""},
    {"LCS a nope", 0, 1, 1, "keymiss:0:nope", ""},
    {"RPUSH l a b c", 3, 0, 0, "new:0:l rpush:0:l", "RPUSH l a b c"},
    {"LPUSHX l z", 1, 0, 0, "lpush:0:l", "LPUSHX l z"},
    {"RPUSHX nope z", 0, 0, 0, "", ""},
    {"LLEN l", 0, 1, 0, "", ""},
    {"LLEN nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"LINDEX l 0", 0, 1, 0, "", ""},
    {"LRANGE l 0 -1", 0, 1, 0, "", ""},
    {"LRANGE nope 0 -1", 0, 0, 1, "keymiss:0:nope", ""},
    {"LPOS l b", 0, 1, 0, "", ""},
    {"LPOS nope b", 0, 0, 1, "keymiss:0:nope", ""},
    {"LINSERT l BEFORE b x", 1, 0, 0, "linsert:0:l", "LINSERT l BEFORE b x"},
    {"LINSERT l BEFORE nope x", 0, 0, 0, "", ""},
    {"LSET l 0 y", 1, 0, 0, "lset:0:l", "LSET l 0 y"},
    {"LSET l 100 y", 0, 0, 0, "", ""},
    {"LMOVE l l LEFT RIGHT", 1, 0, 0, "rpush:0:l lpop:0:l", "LMOVE l l LEFT RIGHT"},
    {"LMOVE l m LEFT LEFT", 1, 0, 0, "new:0:m lpush:0:m lpop:0:l", "LMOVE l m LEFT LEFT"},
    {"RPOPLPUSH m m", 1, 0, 0, "lpush:0:m rpop:0:m", "RPOPLPUSH m m"},
    {"RPOPLPUSH m l", 1, 0, 0, "lpush:0:l rpop:0:m del:0:m", "RPOPLPUSH m l"},
    {"RPOPLPUSH nope l", 0, 0, 0, "", ""},
    {"LREM l 0 nope", 0, 0, 0, "", ""},
    {"LREM l 0 b", 1, 0, 0, "lrem:0:l", "LREM l 0 b"},
    {"LTRIM l 0 -1", 0, 0, 0, "", ""},
    {"LTRIM l 1 2", 2, 0, 0, "ltrim:0:l", "LTRIM l 1 2"},
    {"LTRIM l 5 6", 2, 0, 0, "ltrim:0:l del:0:l", "LTRIM l 5 6"},
    {"RPUSH q 1 2 3 4 5 6", 6, 0, 0, "new:0:q rpush:0:q", "RPUSH q 1 2 3 4 5 6"},
    {"LPOP q", 1, 0, 0, "lpop:0:q", "LPOP q"},
    {"RPOP q 2", 2, 0, 0, "rpop:0:q", "RPOP q 2"},
    {"LPOP q 0", 0, 0, 0, "", ""},
    {"LPOP nope", 0, 0, 0, "", ""},
    {"LMPOP 2 nope q RIGHT COUNT 2", 2, 0, 0, "rpop:0:q", "RPOP q 2"},
    {"LMPOP 1 q LEFT COUNT 2", 1, 0, 0, "lpop:0:q del:0:q", "LPOP q 1"},
    {"LMPOP 1 q LEFT", 0, 0, 0, "", ""},
    {"EXPIRE a 1000", 1, 0, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"PEXPIRE a 1000000", 1, 0, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"EXPIREAT a <s>", 1, 0, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"PEXPIREAT a <ms>", 1, 0, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"EXPIRE a 1000 NX", 0, 0, 0, "", ""},
    {"EXPIRE a 2000 GT", 1, 0, 0, "expire:0:a", "PEXPIREAT a <ms>"},
    {"EXPIRE nope 1000", 0, 0, 0, "", ""},
    {"PERSIST a", 1, 0, 0, "persist:0:a", "PERSIST a"},
    {"PERSIST a", 0, 0, 0, "", ""},
    {"PERSIST nope", 0, 0, 0, "", ""},
    {"EXPIRE a -1", 1, 0, 0, "del:0:a", "DEL a"},
    {"EXPIRE b 0", 1, 0, 0, "del:0:b", "DEL b"},
    {"PEXPIREAT c 1", 1, 0, 0, "del:0:c", "DEL c"},
    {"TTL a", 0, 0, 1, "keymiss:0:a", ""},
    {"TTL nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"PEXPIRETIME nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"TYPE nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"EXISTS nope nope z", 0, 1, 2, "keymiss:0:nope keymiss:0:nope", ""},
    {"TOUCH nope z", 0, 1, 1, "keymiss:0:nope", ""},
    {"OBJECT ENCODING nope", 0, 0, 1, "", ""},
    {"OBJECT IDLETIME z", 0, 1, 0, "", ""},
    {"DEL nope z y nope", 2, 0, 0, "del:0:z del:0:y", "DEL nope z y nope"},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"SET b 2", 1, 0, 0, "new:0:b set:0:b", "SET b 2"},
    {"UNLINK a b nope", 2, 0, 0, "del:0:a del:0:b", "UNLINK a b nope"},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"RENAME a b", 1, 0, 0, "new:0:b rename_from:0:a rename_to:0:b", "RENAME a b"},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"RENAME a b", 1, 0, 0, "new:0:b rename_from:0:a rename_to:0:b", "RENAME a b"},
    {"RENAME b b", 0, 0, 0, "", ""},
    {"RENAME nope b", 0, 0, 0, "", ""},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"RENAMENX a b", 0, 0, 0, "", ""},
    {"RENAMENX a c", 1, 0, 0, "new:0:c rename_from:0:a rename_to:0:c", "RENAMENX a c"},
    {"RENAMENX c c", 0, 0, 0, "", ""},
    {"COPY c d", 1, 1, 0, "new:0:d copy_to:0:d", "COPY c d"},
    {"COPY c d", 0, 1, 0, "", ""},
    {"COPY c d REPLACE", 1, 1, 0, "new:0:d copy_to:0:d", "COPY c d REPLACE"},
    {"COPY nope d", 0, 0, 1, "keymiss:0:nope", ""},
    {"COPY c d DB 1", 1, 1, 0, "new:1:d copy_to:1:d", "COPY c d DB 1"},
    {"COPY c d DB 1 REPLACE", 1, 1, 0, "new:1:d copy_to:1:d", "COPY c d DB 1 REPLACE"},
    {"MOVE c 1", 1, 0, 0, "new:1:c move_from:0:c move_to:1:c", "MOVE c 1"},
    {"SET c 2", 1, 0, 0, "new:0:c set:0:c", "SET c 2"},
    {"MOVE c 1", 0, 0, 0, "", ""},
    {"MOVE nope 1", 0, 0, 0, "", ""},
    {"SET t x PX 1000000", 1, 0, 0, "new:0:t set:0:t expire:0:t", "SET t x PXAT <ms>"},
    {"COPY t t2", 1, 1, 0, "new:0:t2 copy_to:0:t2", "COPY t t2"},
    {"RENAME t t3", 1, 0, 0, "new:0:t3 rename_from:0:t rename_to:0:t3", "RENAME t t3"},
    {"MOVE t3 1", 1, 0, 0, "new:1:t3 move_from:0:t3 move_to:1:t3", "MOVE t3 1"},
    {"SWAPDB 0 1", 1, 0, 0, "", "SWAPDB 0 1"},
    {"SWAPDB 0 0", 1, 0, 0, "", "SWAPDB 0 0"},
    {"KEYS *", 0, 0, 0, "", ""},
    {"DBSIZE", 0, 0, 0, "", ""},
    {"RANDOMKEY", 0, 0, 0, "", ""},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"GET x", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 2", 1, 0, 0, "expired:0:x new:0:x set:0:x", "MULTI; DEL x; SET x 2; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 2 NX", 1, 0, 0, "expired:0:x new:0:x set:0:x", "MULTI; DEL x; SET x 2 NX; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 2 GET", 1, 0, 1, "expired:0:x keymiss:0:x new:0:x set:0:x", "MULTI; DEL x; SET x 2; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"DEL x", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"EXISTS x", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"INCR x", 1, 0, 0, "expired:0:x new:0:x incrby:0:x", "MULTI; DEL x; INCR x; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"EXPIRE x 10", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"PERSIST x", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"TTL x", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET y 1", 1, 0, 0, "new:0:y set:0:y", "SET y 1"},
    {"COPY y x", 1, 1, 0, "expired:0:x new:0:x copy_to:0:x", "MULTI; DEL x; COPY y x; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"RENAMENX y x", 1, 0, 0, "expired:0:x new:0:x rename_from:0:y rename_to:0:x", "MULTI; DEL x; RENAMENX y x; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"RENAME x y", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"MOVE x 1", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"COPY x zz", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"APPEND x zz", 1, 0, 0, "expired:0:x new:0:x append:0:x", "MULTI; DEL x; APPEND x zz; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"GETEX x PERSIST", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"GETDEL x", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"MSETNX x 1 w 2", 2, 0, 0, "expired:0:x new:0:x set:0:x new:0:w set:0:w", "MULTI; DEL x; MSETNX x 1 w 2; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"TYPE x", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"OBJECT ENCODING x", 0, 0, 1, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SETRANGE x 1 a", 1, 0, 0, "expired:0:x new:0:x setrange:0:x", "MULTI; DEL x; SETRANGE x 1 a; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"INCRBYFLOAT x 1", 1, 0, 0, "expired:0:x new:0:x incrbyfloat:0:x", "MULTI; DEL x; SET x 1 KEEPTTL; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"LCS x y", 0, 0, 2, "expired:0:x keymiss:0:x keymiss:0:y", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"COPY y x REPLACE", 0, 0, 1, "keymiss:0:y", ""},
    {"SET x 1 PX 5", 1, 0, 0, "expired:0:x new:0:x set:0:x expire:0:x", "MULTI; DEL x; SET x 1 PXAT <ms>; EXEC"},
    WAIT,
    {"RENAME y x", 0, 0, 0, "", ""},
    {"SET x 1 PX 5", 1, 0, 0, "expired:0:x new:0:x set:0:x expire:0:x", "MULTI; DEL x; SET x 1 PXAT <ms>; EXEC"},
    WAIT,
    {"TOUCH x x", 0, 0, 2, "expired:0:x keymiss:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SETNX x 5", 1, 0, 0, "expired:0:x new:0:x set:0:x", "MULTI; DEL x; SETNX x 5; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"GETSET x 5", 1, 0, 1, "expired:0:x keymiss:0:x new:0:x set:0:x", "MULTI; DEL x; SET x 5; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"MGET x x", 0, 0, 2, "expired:0:x keymiss:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 1 XX", 0, 0, 0, "expired:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 1 XX GET", 0, 0, 1, "expired:0:x keymiss:0:x", "DEL x"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"MSET x 1 x 2", 2, 0, 0, "expired:0:x new:0:x set:0:x set:0:x", "MULTI; DEL x; MSET x 1 x 2; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    WAIT,
    {"SET x 1 PX 5", 1, 0, 0, "expired:0:x new:0:x set:0:x expire:0:x", "MULTI; DEL x; SET x 1 PXAT <ms>; EXEC"},
    {"SET y 1 PX 5", 1, 0, 0, "new:0:y set:0:y expire:0:y", "SET y 1 PXAT <ms>"},
    WAIT,
    {"MGET x y", 0, 0, 2, "expired:0:x keymiss:0:x expired:0:y keymiss:0:y", "MULTI; DEL x; DEL y; EXEC"},
    {"SET x 1 PX 5", 1, 0, 0, "new:0:x set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    {"SET y 1 PX 5", 1, 0, 0, "new:0:y set:0:y expire:0:y", "SET y 1 PXAT <ms>"},
    WAIT,
    {"MULTI", 0, 0, 0, "", ""},
    {"GET y", 0, 0, 0, "", ""},
    {"SET x 9", 0, 0, 0, "", ""},
    {"EXEC", 1, 0, 1, "expired:0:y keymiss:0:y expired:0:x new:0:x set:0:x", "MULTI; DEL y; DEL x; SET x 9; EXEC"},
    {"MULTI", 0, 0, 0, "", ""},
    {"SET x 1 PX 1000000", 0, 0, 0, "", ""},
    {"GET x", 0, 0, 0, "", ""},
    {"SETNX x 1", 0, 0, 0, "", ""},
    {"EXEC", 1, 1, 0, "set:0:x expire:0:x", "SET x 1 PXAT <ms>"},
    {"MULTI", 0, 0, 0, "", ""},
    {"GETEX x EX 1000", 0, 0, 0, "", ""},
    {"SPOP nope", 0, 0, 0, "", ""},
    {"DEL x", 0, 0, 0, "", ""},
    {"RPUSH x 1", 0, 0, 0, "", ""},
    {"EXEC", 3, 1, 0, "expire:0:x del:0:x new:0:x rpush:0:x", "MULTI; PEXPIREAT x <ms>; DEL x; RPUSH x 1; EXEC"},
    {"MULTI", 0, 0, 0, "", ""},
    {"INCR x", 0, 0, 0, "", ""},
    {"EXEC", 0, 0, 0, "", ""},
    {"MULTI", 0, 0, 0, "", ""},
    {"EXEC", 0, 0, 0, "", ""},
    {"DEL x", 1, 0, 0, "del:0:x", "DEL x"},
    {"SET only 1", 1, 0, 0, "new:0:only set:0:only", "SET only 1"},
    {"SET only 2 NX GET", 0, 1, 0, "", ""},
    {"SET only2 2 NX GET", 1, 0, 1, "keymiss:0:only2 new:0:only2 set:0:only2", "SET only2 2"},
    {"SET only abc EX abc GET", 0, 0, 0, "", ""},
    {"GETEX only EX 0", 0, 1, 0, "", ""},
    {"GETEX only EX abc", 0, 1, 0, "", ""},
    {"GETEX nope EX 0", 0, 0, 1, "keymiss:0:nope", ""},
    {"INCR only", 1, 0, 0, "incrby:0:only", "INCR only"},
    {"DECRBY only abc", 0, 0, 0, "", ""},
    {"INCRBYFLOAT only abc", 0, 0, 0, "", ""},
    {"APPEND only 5", 1, 0, 0, "append:0:only", "APPEND only 5"},
    {"INCR only", 1, 0, 0, "incrby:0:only", "INCR only"},
    {"EXPIRE only abc", 0, 0, 0, "", ""},
    {"COPY only only", 0, 0, 0, "", ""},
    {"OBJECT FREQ only", 0, 1, 0, "", ""},
    {"OBJECT REFCOUNT only", 0, 1, 0, "", ""},
    {"PTTL only", 0, 1, 0, "", ""},
    {"EXPIRETIME only", 0, 1, 0, "", ""},
    {"UNLINK only only", 1, 0, 0, "del:0:only", "UNLINK only only"},
    {"FLUSHDB", 5, 0, 0, "", "FLUSHDB"},
    {"FLUSHDB", 0, 0, 0, "", "FLUSHDB"},
    {"SET a 1", 1, 0, 0, "new:0:a set:0:a", "SET a 1"},
    {"FLUSHALL", 10, 0, 0, "", "FLUSHALL"},
    {"FLUSHALL", 0, 0, 0, "", "FLUSHALL"},
    {"SADD s 1 2 3", 3, 0, 0, "new:0:s sadd:0:s", "SADD s 1 2 3"},
    {"SADD s 1 2 4", 1, 0, 0, "sadd:0:s", "SADD s 1 2 4"},
    {"SADD s 1", 0, 0, 0, "", ""},
    {"SREM s 9", 0, 0, 0, "", ""},
    {"SREM s 4 9 3", 2, 0, 0, "srem:0:s", "SREM s 4 9 3"},
    {"SMOVE s t 9", 0, 0, 0, "", ""},
    {"SMOVE s t 1", 2, 0, 0, "srem:0:s new:0:t sadd:0:t", "SMOVE s t 1"},
    {"SMOVE s t 2", 2, 0, 0, "srem:0:s del:0:s sadd:0:t", "SMOVE s t 2"},
    {"SMEMBERS s", 0, 0, 1, "keymiss:0:s", ""},
    {"SCARD t", 0, 1, 0, "", ""},
    {"SPOP t 0", 0, 0, 0, "", ""},
    /* Redis counts a hit here, because it lets SUNION reply. */
    {"SPOP t 2", 2, 0, 0, "spop:0:t del:0:t", "DEL t"},
    {"SADD t 1", 1, 0, 0, "new:0:t sadd:0:t", "SADD t 1"},
    {"SPOP t", 1, 0, 0, "spop:0:t del:0:t", "SREM t 1"},
    {"SADD t 1 2", 2, 0, 0, "new:0:t sadd:0:t", "SADD t 1 2"},
    {"SINTER t nope", 0, 1, 1, "keymiss:0:nope", ""},
    {"SUNIONSTORE u t nope", 1, 1, 1, "keymiss:0:nope new:0:u sunionstore:0:u", "SUNIONSTORE u t nope"},
    {"SINTERSTORE u t t", 1, 2, 0, "sinterstore:0:u", "SINTERSTORE u t t"},
    {"SDIFFSTORE u t t", 1, 2, 0, "del:0:u", "SDIFFSTORE u t t"},
    {"SDIFFSTORE u t t", 0, 2, 0, "", ""},
    {"SREM t 1 2", 2, 0, 0, "srem:0:t del:0:t", "SREM t 1 2"},
    {"PFADD h", 1, 0, 0, "new:0:h pfadd:0:h", "PFADD h"},
    {"PFADD h", 0, 0, 0, "", ""},
    {"PFADD h a b", 2, 0, 0, "pfadd:0:h", "PFADD h a b"},
    {"PFADD h a c", 1, 0, 0, "pfadd:0:h", "PFADD h a c"},
    {"PFADD h a b c", 0, 0, 0, "", ""},
    {"PFCOUNT h", 1, 1, 0, "", "PFCOUNT h"},
    {"PFCOUNT h", 0, 1, 0, "", ""},
    {"PFCOUNT nope", 0, 0, 1, "keymiss:0:nope", ""},
    {"PFCOUNT h nope h", 0, 2, 1, "keymiss:0:nope", ""},
    {"PFMERGE h2 h nope", 1, 1, 2, "keymiss:0:h2 keymiss:0:nope new:0:h2 pfadd:0:h2", "PFMERGE h2 h nope"},
    {"PFMERGE h2 h", 1, 2, 0, "pfadd:0:h2", "PFMERGE h2 h"},
    {"PFDEBUG ENCODING h2", 0, 0, 0, "", ""},
    {"PFDEBUG TODENSE h2", 1, 0, 0, "", "PFDEBUG TODENSE h2"},
    {"PFDEBUG TODENSE h2", 0, 0, 0, "", ""},
    {"PFDEBUG GETREG h", 1, 0, 0, "", "PFDEBUG GETREG h"},
    {"PFADD h2 z", 1, 0, 0, "pfadd:0:h2", "PFADD h2 z"},
    {"PFADD h2 z", 0, 0, 0, "", ""},
    {"PFCOUNT h2", 1, 1, 0, "", "PFCOUNT h2"},
    {"GEOADD g 13.361389 38.115556 p 15.087269 37.502669 c", 2, 0, 0, "new:0:g zadd:0:g",
     "zadd g 3479099956230698 p 3479447370796909 c"},
    {"GEOADD g 13.361389 38.115556 p", 0, 0, 0, "", ""},
    {"GEOADD g CH XX 13.5 38 p 1 1 nope", 1, 0, 0, "zadd:0:g", "zadd g CH XX 3479097324432493 p 3377822707026402 nope"},
    {"GEOADD g NX 13.5 38 p", 0, 0, 0, "", ""},
    {"GEOPOS g p", 0, 1, 0, "", ""},
    {"GEOPOS nope p", 0, 0, 1, "keymiss:0:nope", ""},
    {"GEODIST g p c", 0, 1, 0, "", ""},
    {"GEODIST nope p c", 0, 0, 1, "keymiss:0:nope", ""},
    {"GEOHASH nope p", 0, 0, 1, "keymiss:0:nope", ""},
    {"GEOSEARCH g FROMMEMBER p BYRADIUS 500 km", 0, 1, 0, "", ""},
    {"GEOSEARCH nope FROMMEMBER p BYRADIUS 500 km", 0, 0, 1, "keymiss:0:nope", ""},
    {"GEORADIUS g 15 37 500 km", 0, 1, 0, "", ""},
    {"GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 500 km", 2, 1, 0, "new:0:d geosearchstore:0:d",
     "GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 500 km"},
    {"GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 1 m STOREDIST", 1, 1, 0, "geosearchstore:0:d",
     "GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 1 m STOREDIST"},
    {"GEORADIUS g 15 37 500 km STORE d", 2, 1, 0, "georadiusstore:0:d", "GEORADIUS g 15 37 500 km STORE d"},
    {"GEORADIUSBYMEMBER g p 500 km STOREDIST d2", 2, 1, 0, "new:0:d2 georadiusstore:0:d2",
     "GEORADIUSBYMEMBER g p 500 km STOREDIST d2"},
    {"GEOSEARCHSTORE d nope FROMMEMBER p BYRADIUS 500 km", 1, 0, 1, "keymiss:0:nope del:0:d",
     "GEOSEARCHSTORE d nope FROMMEMBER p BYRADIUS 500 km"},
    {"GEOSEARCHSTORE d nope FROMMEMBER p BYRADIUS 500 km", 0, 0, 1, "keymiss:0:nope", ""},
    {"GEORADIUS g 0 0 1 m STORE d2", 1, 1, 0, "del:0:d2", "GEORADIUS g 0 0 1 m STORE d2"},
    /* clang-format on */
};

static void on_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    if (!class) return; /* a change without an event */
    buf_printf(&events, "%s%s:%d:%.*s", events.len ? " " : "", event, db->id, (int)key->name.len, key->name.ptr);
}

static bool is_time(struct slice s, size_t digits) {
    for (size_t i = 0; i < s.len; i++) {
        if (!isdigit((unsigned char)s.ptr[i])) return false;
    }
    return s.len == digits && (s.ptr[0] == '1');
}

static void on_propagated(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    (void)raw;
    assert_int_equal(db_id, 0);
    if (propagated.len) buf_append_cstr(&propagated, "; ");
    for (int i = 0; i < argc; i++) {
        if (i) buf_append_cstr(&propagated, " ");
        buf_append_slice(&propagated, is_time(argv[i], 13) ? SLICE("<ms>") : argv[i]);
    }
}

/* Split a command into words, and put times in place of <s> and <ms>. Returns how many words there are. */
static int split(const char *text, struct buf *words) {
    int argc = 0;
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, " ");
        struct buf *word = &words[argc++];
        struct slice s = slice_of(text, (size_t)(end - text));
        if (slice_is(s, "<s>")) {
            buf_append_i64(word, START_MS / 1000 + 1000);
        } else if (slice_is(s, "<ms>")) {
            buf_append_i64(word, START_MS + 1000000);
        } else {
            buf_append_slice(word, s);
        }
    }
    return argc;
}

static void run(const char *text) {
    int64_t now_ms = clock_cached_ms;
    struct buf words[16] = {0};
    struct slice argv[16];
    struct request r = {.client = &client, .argv = argv, .argc = split(text, words)};
    for (int i = 0; i < r.argc; i++)
        argv[i] = buf_slice(&words[i]);
    request_prepare(&r);
    assert_non_null(r.command);
    call_start_clock();
    exec_run(&r);
    clock_cached_ms = now_ms; /* exec may have refreshed the clock */
    conn_truncate(0);
    for (int i = 0; i < r.argc; i++)
        buf_free(&words[i]);
}

static const char *text_of(struct buf *b) {
    buf_append(b, "", 1);
    return b->data;
}

/* Run a command. Returns the row that describes its effects. */
static struct row observe(const char *command) {
    struct db_metrics before = db_metrics;
    events.len = propagated.len = 0;
    run(command);
    log_reader_run(on_propagated, NULL);
    return (struct row){.command = command,
                        .changes = db_metrics.dirty - before.dirty,
                        .hits = (int64_t)(db_metrics.hits - before.hits),
                        .misses = (int64_t)(db_metrics.misses - before.misses),
                        .events = text_of(&events),
                        .propagated = text_of(&propagated)};
}

static bool row_equal(const struct row *a, const struct row *b) {
    return a->changes == b->changes && a->hits == b->hits && a->misses == b->misses &&
           strcmp(a->events, b->events) == 0 && strcmp(a->propagated, b->propagated) == 0;
}

static void row_print(const char *title, const struct row *row) {
    print_error("%s {\"%s\", %lld, %lld, %lld, \"%s\", \"%s\"}\n", title, row->command, (long long)row->changes,
                (long long)row->hits, (long long)row->misses, row->events, row->propagated);
}

static void effects_are_those_of_redis(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].command) {
            clock_cached_ms += 20;
            continue;
        }
        struct row row = observe(rows[i].command);
        if (row_equal(&row, &rows[i])) continue;
        wrong++;
        row_print("expected", &rows[i]);
        row_print("but was ", &row);
    }
    assert_int_equal(wrong, 0);
}

/* While nobody listens, the same changes are counted. */
static void changes_are_the_same_without_listeners(void **state) {
    (void)state;
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    changes_listen(CHANGES_NOTIFY, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t before = db_metrics.dirty;
        if (!rows[i].command) {
            clock_cached_ms += 20;
        } else {
            run(rows[i].command);
            assert_int_equal(db_metrics.dirty - before, rows[i].changes);
        }
    }
}

static int last_count;
static uint64_t last_hash;

static void keep_arguments(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    (void)db_id;
    (void)raw;
    last_count = argc;
    last_hash = 0;
    for (int i = 0; i < argc; i++)
        last_hash = last_hash * 31 + hash_bytes(argv[i].ptr, argv[i].len);
}

static void ignore(struct loop_source *source, uint32_t events_seen) {
    (void)source;
    (void)events_seen;
}

/* The second value replaces the first, whose blob is dropped, and yet both have to be propagated. They are not copied
 * for that. */
static void arguments_outlive_the_values_they_became(void **state) {
    (void)state;
    enum { SIZE = 20000 };
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    conn_init(&client.conn, fds[0], ignore);
    static char value[2][SIZE];
    memset(value[0], 'a', SIZE);
    memset(value[1], 'b', SIZE);
    struct buf out = {0};
    buf_append_cstr(&out, "*5\r\n$4\r\nMSET\r\n");
    for (int i = 0; i < 2; i++) {
        buf_printf(&out, "$1\r\nk\r\n$%d\r\n", SIZE);
        buf_append(&out, value[i], SIZE);
        buf_append_cstr(&out, "\r\n");
    }
    struct resp_limits limits = {.max_bulk = STRING_MAX_DEFAULT, .authenticated = true};
    for (size_t at = 0, n; at < out.len; at += n) { /* in pieces, so that each value gets a blob of its own */
        n = out.len - at < 5000 ? out.len - at : 5000;
        assert_int_equal(write(fds[1], out.data + at, n), n);
        struct resp_parser *parser;
        const char *end;
        if (conn_read(&client.conn, &parser, &end) != CONN_READ_SOME) continue;
        if (resp_parse(parser, end, &limits) == RESP_REQUEST) {
            struct request r = {.client = &client, .argv = parser->argv, .argc = (int)parser->argc};
            request_prepare(&r);
            client_current = &client;
            exec_run(&r);
            client_current = NULL;
            assert_true(oplog_metrics().referred >= 2 * SIZE); /* the log has them by reference */
            conn_truncate(0);
            assert_int_equal(resp_parse(parser, end, &limits), RESP_MORE);
        }
        conn_stash(&client.conn, parser, end);
    }
    uint64_t hash = 0;
    const struct slice expected[] = {SLICE("MSET"), SLICE("k"), slice_of(value[0], SIZE), SLICE("k"),
                                     slice_of(value[1], SIZE)};
    for (int i = 0; i < 5; i++)
        hash = hash * 31 + hash_bytes(expected[i].ptr, expected[i].len);
    log_reader_run(keep_arguments, NULL);
    assert_int_equal(last_count, 5);
    assert_int_equal(last_hash, hash);
    conn_close(&client.conn);
    close(fds[1]);
    buf_free(&out);
}

static int setup(void **state) {
    (void)state;
    clock_cached_ms = START_MS;
    db_init(16);
    limits_options.max_bulk = STRING_MAX_DEFAULT;
    client = (struct client){.db = db_at(0), .resp = 2, .flags = CLIENT_AUTHENTICATED};
    propagate_want(PROPAGATE_STREAM, true);
    log_reader_begin();
    static const struct db_hooks hooks = {.changed = on_changed};
    changes_listen(CHANGES_NOTIFY, &hooks);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    changes_listen(CHANGES_NOTIFY, NULL);
    db_shutdown();
    buf_free(&events);
    buf_free(&propagated);
    return 0;
}

int main(void) {
    clock_init();
    rand_init();
    hash_init();
    catalog_register(strings_module.commands);
    catalog_register(ranges_module.commands);
    catalog_register(counters_module.commands);
    catalog_register(lcs_module.commands);
    catalog_register(lists_module.commands);
    catalog_register(list_pop_module.commands);
    catalog_register(keys_module.commands);
    catalog_register(expiry_module.commands);
    catalog_register(scan_module.commands);
    catalog_register(object_module.commands);
    catalog_register(databases_module.commands);
    catalog_register(sets_module.commands);
    catalog_register(set_walk_module.commands);
    catalog_register(set_algebra_module.commands);
    catalog_register(hyperloglog_module.commands);
    catalog_register(geo_module.commands);
    catalog_register(geo_search_module.commands);
    catalog_register(tx_module.commands);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(effects_are_those_of_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_outlive_the_values_they_became, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_are_the_same_without_listeners, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
