/* Values are decoded as in the server, and dropped one by one, so memory is bounded by the largest value. Values that
 * kura has no type for are skipped (rdb_skip.c). Duplicate keys are not detected: that would need memory for all
 * keys. */
#include "check/check_rdb.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/version.h"
#include "check/check_bar.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SHOWN 128 /* bytes of a key or an aux field that are printed at most */
#define NO_TYPE (-1)

#define HOUR_MS (3600 * 1000LL)
#define DAY_MS (24 * HOUR_MS)

/* The types of values: their names in redis-check-rdb, and the kind of value that users know. */
enum kind { STRING, LIST, SET, ZSET, HASH, STREAM, MODULE, KINDS };
static const char *const kind_names[KINDS] = {"string", "list", "set", "zset", "hash", "stream", "module"};
static const struct {
    const char *name;
    enum kind kind;
} types[] = {
    [RDB_TYPE_STRING] = {"string", STRING},
    [RDB_TYPE_LIST] = {"list-linked", LIST},
    [RDB_TYPE_SET] = {"set-hashtable", SET},
    [RDB_TYPE_ZSET] = {"zset-v1", ZSET},
    [RDB_TYPE_HASH] = {"hash-hashtable", HASH},
    [RDB_TYPE_ZSET_2] = {"zset-v2", ZSET},
    [RDB_TYPE_MODULE_OLD] = {"module-pre-release", MODULE},
    [RDB_TYPE_MODULE] = {"module-value", MODULE},
    [RDB_TYPE_HASH_ZIPMAP] = {"hash-zipmap", HASH},
    [RDB_TYPE_LIST_ZIPLIST] = {"list-ziplist", LIST},
    [RDB_TYPE_SET_INTSET] = {"set-intset", SET},
    [RDB_TYPE_ZSET_ZIPLIST] = {"zset-ziplist", ZSET},
    [RDB_TYPE_HASH_ZIPLIST] = {"hash-ziplist", HASH},
    [RDB_TYPE_LIST_QUICKLIST] = {"quicklist", LIST},
    [RDB_TYPE_STREAM_1] = {"stream", STREAM},
    [RDB_TYPE_HASH_LISTPACK] = {"hash-listpack", HASH},
    [RDB_TYPE_ZSET_LISTPACK] = {"zset-listpack", ZSET},
    [RDB_TYPE_LIST_QUICKLIST_2] = {"quicklist-v2", LIST},
    [RDB_TYPE_STREAM_2] = {"stream-v2", STREAM},
    [RDB_TYPE_SET_LISTPACK] = {"set-listpack", SET},
    [RDB_TYPE_STREAM_3] = {"stream-v3", STREAM},
};
#define TYPES (sizeof types / sizeof *types)

static struct {
    struct reader reader;
    struct rdb_in in;
    int64_t size, now_ms;
    int version;
    /* For the report of an error. */
    const char *doing; /* the present step */
    int type;          /* of the last key, or NO_TYPE */
    struct slice key;  /* of the value being read; ptr is NULL between values */
    int64_t deadline_ms;
    /* Counts. */
    uint64_t keys, expires, expired, empty, functions, module_aux;
    uint64_t within_hour, within_day;
    struct {
        uint64_t keys, bytes, largest;
    } kinds[KINDS];
    uint64_t of_type[TYPES];
} check;

static bool is_known_type(unsigned type) {
    return type < TYPES && types[type].name != NULL;
}

__attribute__((format(printf, 1, 2))) static void print_line(const char *format, ...) {
    va_list args;
    check_bar_wipe();
    printf("[offset %llu] ", (unsigned long long)reader_offset(&check.reader));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Print between single quotes, with control characters escaped. */
static void print_name(struct slice name) {
    struct buf text = {0};
    buf_append_quoted(&text, slice_of(name.ptr, name.len < NAME_SHOWN ? name.len : NAME_SHOWN));
    printf("'%.*s'%s", (int)text.len - 2, text.data + 1, name.len > NAME_SHOWN ? "..." : "");
    buf_free(&text);
}

/* --- Keys ------------------------------------------------------------------------------------ */

static void count_key(unsigned type, uint64_t bytes) {
    check.keys++;
    check.of_type[type]++;
    enum kind kind = types[type].kind;
    check.kinds[kind].keys++;
    check.kinds[kind].bytes += bytes;
    if (bytes > check.kinds[kind].largest) check.kinds[kind].largest = bytes;
    if (check.deadline_ms == ENTRY_NO_TTL) return;
    int64_t left_ms = check.deadline_ms - check.now_ms;
    check.expires++;
    if (left_ms < 0) {
        check.expired++;
    } else if (left_ms < HOUR_MS) {
        check.within_hour++;
    } else if (left_ms < DAY_MS) {
        check.within_day++;
    }
}

static bool check_value(unsigned type) {
    struct rdb_value v;
    if (rdb_can_skip(type)) return rdb_skip_value(&check.in);
    if (!rdb_get_value(&check.in, type, &v)) return false;
    if (v.empty) check.empty++;
    rdb_value_drop(&v);
    return true;
}

static bool check_key(unsigned type) {
    if (!is_known_type(type)) return rdb_refuse(&check.in, RDB_CORRUPT, "Invalid object type: %u", type);
    uint64_t from = reader_offset(&check.reader);
    check.type = (int)type;
    check.doing = "read-key";
    if (!rdb_get_kept(&check.in, &check.in.key, &check.key)) {
        check.key = slice_of(NULL, 0);
        return false;
    }
    check.doing = "read-object-value";
    if (!check_value(type)) return false;
    count_key(type, reader_offset(&check.reader) - from);
    rdb_in_trim(&check.in);
    check.key = slice_of(NULL, 0);
    check.type = NO_TYPE;
    check.deadline_ms = ENTRY_NO_TTL;
    return true;
}

/* --- Opcodes --------------------------------------------------------------------------------- */

static bool check_aux(void) {
    struct slice name, value;
    check.doing = "read-aux";
    if (!rdb_get_kept(&check.in, &check.in.name, &name) || !rdb_get_string(&check.in, &check.in.text, &value)) {
        return false;
    }
    check_bar_wipe();
    printf("[offset %llu] AUX FIELD ", (unsigned long long)reader_offset(&check.reader));
    fwrite(name.ptr, 1, name.len < NAME_SHOWN ? name.len : NAME_SHOWN, stdout);
    printf(" = ");
    print_name(value);
    putchar('\n');
    return true;
}

static bool check_lengths(unsigned count) {
    uint64_t n;
    check.doing = "read-len";
    while (count-- > 0)
        if (!rdb_get_length(&check.in, &n)) return false;
    return true;
}

static bool check_select(void) {
    uint64_t id;
    check.doing = "read-len";
    if (!rdb_get_length(&check.in, &id)) return false;
    print_line("Selecting DB ID %llu", (unsigned long long)id);
    return true;
}

static bool check_deadline(unsigned opcode) {
    int32_t seconds;
    check.doing = "read-expire";
    if (opcode == RDB_OP_DEADLINE_MS) {
        if (!rdb_get_bytes(&check.in, &check.deadline_ms, sizeof check.deadline_ms)) return false;
    } else {
        if (!rdb_get_bytes(&check.in, &seconds, sizeof seconds)) return false;
        check.deadline_ms = (int64_t)seconds * 1000;
    }
    if (check.deadline_ms < 0) check.deadline_ms = 0;
    return true;
}

static bool check_module_aux(void) {
    char name[RDB_MODULE_NAME];
    check.doing = "read-module-aux";
    if (!rdb_skip_module_aux(&check.in, name)) return false;
    print_line("MODULE AUX for: %s", name);
    check.module_aux++;
    return true;
}

static bool check_function(void) {
    check.doing = "read-function";
    if (!rdb_skip_string(&check.in)) return false;
    check.functions++;
    return true;
}

static bool check_opcode(unsigned opcode) {
    uint8_t frequency;
    switch (opcode) {
    case RDB_OP_SELECT: return check_select();
    case RDB_OP_RESIZE: return check_lengths(2);
    case RDB_OP_SLOT: return check_lengths(3);
    case RDB_OP_IDLE: return check_lengths(1);
    case RDB_OP_FREQUENCY: return rdb_get_bytes(&check.in, &frequency, 1);
    case RDB_OP_AUX: return check_aux();
    case RDB_OP_DEADLINE_S:
    case RDB_OP_DEADLINE_MS: return check_deadline(opcode);
    case RDB_OP_MODULE_AUX: return check_module_aux();
    case RDB_OP_FUNCTION: return check_function();
    case RDB_OP_FUNCTION_OLD:
        return rdb_refuse(&check.in, RDB_UNSUPPORTED, "Pre-release function format not supported");
    default: return check_key(opcode);
    }
}

/* --- The frame ------------------------------------------------------------------------------- */

static bool check_head(void) {
    char head[RDB_HEAD + 1] = "";
    int64_t version;
    if (!rdb_get_bytes(&check.in, head, RDB_HEAD)) return false;
    if (memcmp(head, RDB_MAGIC, strlen(RDB_MAGIC)) != 0) {
        return rdb_refuse(&check.in, RDB_FOREIGN, "Wrong signature trying to load DB from file");
    }
    const char *digits = head + strlen(RDB_MAGIC);
    if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) != RDB_HEAD - strlen(RDB_MAGIC)) {
        return rdb_refuse(&check.in, RDB_FOREIGN, "The version is not a number");
    }
    version = (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + digits[3] - '0';
    check.version = (int)version;
    if (version >= 1 && version <= RDB_VERSION_READ) return true;
    return rdb_refuse(&check.in, RDB_VERSION, "Can't handle RDB format version %d", check.version);
}

static bool check_sum(void) {
    uint64_t told, crc = reader_crc(&check.reader);
    if (check.version < 5) return true;
    check.doing = "check-sum";
    if (!rdb_get_bytes(&check.in, &told, sizeof told)) return false;
    if (told == 0) {
        print_line("RDB file was saved with checksum disabled: no check performed.");
        return true;
    }
    if (told != crc) return rdb_refuse(&check.in, RDB_CHECKSUM, "RDB CRC error");
    print_line("Checksum OK");
    return true;
}

static bool check_all(void) {
    uint8_t opcode;
    if (!check_head()) return false;
    for (;;) {
        check.doing = "read-type";
        if (!rdb_get_bytes(&check.in, &opcode, 1)) return false;
        if (opcode == RDB_OP_END) return check_sum();
        if (!check_opcode(opcode)) return false;
    }
}

/* --- The report ------------------------------------------------------------------------------ */

static void tell_summary(void) {
    printf("[info] %llu keys read\n", (unsigned long long)check.keys);
    printf("[info] %llu expires\n", (unsigned long long)check.expires);
    printf("[info] %llu already expired\n", (unsigned long long)check.expired);
    if (check.expires > check.expired) {
        printf("[info] %llu expire within an hour, %llu more within a day, %llu later\n",
               (unsigned long long)check.within_hour, (unsigned long long)check.within_day,
               (unsigned long long)(check.expires - check.expired - check.within_hour - check.within_day));
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (check.kinds[kind].keys == 0) continue;
        printf("[info] %s: %llu keys, %llu bytes, the largest has %llu (", kind_names[kind],
               (unsigned long long)check.kinds[kind].keys, (unsigned long long)check.kinds[kind].bytes,
               (unsigned long long)check.kinds[kind].largest);
        const char *between = "";
        for (unsigned type = 0; type < TYPES; type++) {
            if (check.of_type[type] == 0 || types[type].kind != kind) continue;
            printf("%s%s: %llu", between, types[type].name, (unsigned long long)check.of_type[type]);
            between = ", ";
        }
        printf(")\n");
    }
    if (check.empty) printf("[info] %llu keys without elements\n", (unsigned long long)check.empty);
    if (check.functions) printf("[info] %llu libraries of functions\n", (unsigned long long)check.functions);
    if (check.module_aux) printf("[info] %llu parts of modules\n", (unsigned long long)check.module_aux);
    if (check.kinds[MODULE].keys + check.module_aux) printf("[info] kura cannot load data of modules, Redis can\n");
}

static void tell_error(void) {
    check_bar_wipe();
    printf("--- RDB ERROR DETECTED ---\n");
    const char *what = check.in.message;
    if (check.in.result == RDB_CUT && check.reader.error == 0 && reader_left(&check.reader) == 0) {
        what = "Unexpected EOF reading RDB file";
    }
    print_line("%s", what);
    printf("[additional info] While doing: %s\n", check.doing);
    if (check.key.ptr) {
        printf("[additional info] Reading key ");
        print_name(check.key);
        putchar('\n');
    }
    if (check.type != NO_TYPE) {
        printf("[additional info] Reading type %d (%s)\n", check.type, types[check.type].name);
    }
}

static int check_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        fprintf(stderr, "Cannot open file: %s: %s\n", path, fd < 0 ? strerror(errno) : "not a file");
        if (fd >= 0) close(fd);
        return 1;
    }
    memset(&check, 0, sizeof check);
    check.size = S_ISREG(st.st_mode) ? st.st_size : 0;
    check.in.reader = &check.reader;
    check.doing = "start";
    check.type = NO_TYPE;
    check.deadline_ms = ENTRY_NO_TTL;
    check.now_ms = clock_wall_us() / 1000;
    reader_from_fd(&check.reader, fd, 0, true);
    check.reader.progress = check_bar;
    check.reader.progress_ctx = &check.size;
    print_line("Checking RDB file %s", path);
    bool ok = check_all();
    if (ok) {
        print_line("\\o/ RDB looks OK! \\o/");
    } else {
        tell_error();
    }
    tell_summary();
    reader_free(&check.reader);
    rdb_in_free(&check.in);
    close(fd);
    return ok ? 0 : 1;
}

int check_rdb_main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "Usage: %s <rdb-file-name>\n", argv[0]);
        return 1;
    }
    if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("kura-check-rdb %s\n", VERSION_REDIS);
        return 0;
    }
    clock_init();
    rand_init();
    hash_init();
    clock_update();
    return check_file(argv[1]);
}
