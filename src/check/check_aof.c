/* Uses the reader of the server, without applying the commands. --fix keeps the bytes that it cuts off in a file beside
 * the checked one, which redis-check-aof does not do. */
#include "check/check_aof.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/rand.h"
#include "check/check_bar.h"
#include "persist/aof_load.h"
#include "persist/aof_read.h"
#include "persist/files.h"
#include "persist/manifest.h"
#include "persist/rdb.h"
#include "store/db.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATABASES 16384 /* more than any server has, so that no snapshot names a database that does not exist */

static struct {
    bool fix;
    int64_t until_s; /* cut at the first later stamp; 0: do not */
    char dir[PATH_MAX];
    /* The file that is being checked. */
    const char *name;
    bool is_last;
    uint64_t stamp_at; /* offset of the last stamp read */
    int64_t size;
} check;

enum verdict { VALID, EMPTY, CUT, CUT_TO_TIME };

/* --- the reader's hooks ---------------------------------------------------------------------- */

static void drop_keys(void) {
    for (int i = 0; i < db_count(); i++)
        if (db_size(db_at(i))) db_empty(db_at(i), false);
}

/* After each block of the snapshot: its keys are checked and can be dropped. */
static void next_block(void *ctx, uint64_t bytes) {
    check_bar(ctx, bytes);
    drop_keys();
}

static bool check_base(void *ctx, int fd, uint64_t *end) {
    (void)ctx;
    struct rdb_read job = {.fd = fd, .flags = RDB_KEEP_EXPIRED, .progress = next_block, .ctx = &check.size};
    if (lseek(fd, 0, SEEK_SET) != 0) return false;
    enum rdb_result result = rdb_read(&job);
    check_bar_wipe();
    drop_keys();
    if (result != RDB_OK) {
        printf("[offset %llu] %s\n", (unsigned long long)job.failed_at, job.message);
        return false;
    }
    printf("[offset %llu] \\o/ RDB looks OK! \\o/\n[info] %llu keys read\n", (unsigned long long)job.end,
           (unsigned long long)job.keys);
    printf("RDB preamble is OK, proceeding with AOF tail...\n");
    *end = job.end;
    return true;
}

static bool look_at_stamp(void *ctx, int64_t seconds, uint64_t offset) {
    (void)ctx;
    check.stamp_at = offset;
    return check.until_s == 0 || seconds <= check.until_s;
}

/* --- one file -------------------------------------------------------------------------------- */

static _Noreturn void give_up(void) {
    exit(1);
}

static enum verdict cut_to_time(void) {
    if (check.stamp_at == 0) {
        printf("AOF %s has nothing before timestamp %lld, aborting...\n", check.name, (long long)check.until_s);
        give_up();
    }
    if (!check.is_last) {
        printf("Failed to truncate AOF %s to timestamp %lld to offset %llu because it is not the last file.\n",
               check.name, (long long)check.until_s, (unsigned long long)check.stamp_at);
        printf("If you insist, please delete all files after this file according to the manifest file and delete the "
               "corresponding records in manifest file manually. Then re-run kura-check-aof.\n");
        give_up();
    }
    int fd = files_open(check.dir, check.name, O_RDWR);
    if (fd < 0 || ftruncate(fd, (off_t)check.stamp_at) < 0) {
        printf("Failed to truncate AOF %s to timestamp %lld\n", check.name, (long long)check.until_s);
        give_up();
    }
    close(fd);
    return CUT_TO_TIME;
}

static enum verdict offer_cut(const struct aof_finding *found) {
    char aside[600], answer[2];
    unsigned long long size = found->size, good = found->good, bad = size - good;
    if (!check.fix) {
        printf("AOF %s is not valid. Use the --fix option to try fixing it.\n", check.name);
        give_up();
    }
    if (!check.is_last) {
        printf("Failed to truncate AOF %s because it is not the last file\n", check.name);
        give_up();
    }
    printf("This will shrink the AOF %s from %llu bytes, with %llu bytes, to %llu bytes\n", check.name, size, bad,
           good);
    printf("Continue? [y/N]: ");
    if (fgets(answer, sizeof answer, stdin) == NULL || tolower((unsigned char)answer[0]) != 'y') {
        printf("Aborting...\n");
        give_up();
    }
    if (!aof_load_cut(check.dir, check.name, good, aside)) {
        printf("Failed to truncate AOF %s: %s\n", check.name, strerror(errno));
        give_up();
    }
    printf("The %llu bytes that were removed are kept in %s\n", bad, aside);
    return CUT;
}

static enum verdict check_one_file(const char *name, bool is_last) {
    static const struct aof_reader_hooks hooks = {
        .read_base = check_base, .progress = check_bar, .stamp = look_at_stamp, .ctx = &check.size};
    struct aof_finding found;
    check.name = name;
    check.is_last = is_last;
    check.size = files_size(check.dir, name);
    check.stamp_at = 0;
    enum aof_read_result result = aof_read(check.dir, name, &hooks, &found);
    switch (result) {
    case AOF_READ_EMPTY: return EMPTY;
    case AOF_READ_ABSENT:
    case AOF_READ_FAILED: printf("Cannot open file %s: %s, aborting...\n", name, strerror(found.error)); give_up();
    case AOF_READ_BASE: printf("RDB preamble of AOF file is not sane, aborting.\n"); give_up();
    case AOF_READ_STOPPED: return cut_to_time();
    default: break;
    }
    if (found.reason[0]) printf("0x%16llx: %s\n", (unsigned long long)found.good, found.reason);
    if (found.in_multi) printf("Reached EOF before reading EXEC for MULTI\n");
    if (check.until_s && found.good == found.size) {
        printf("Truncate nothing in AOF %s to timestamp %lld\n", name, (long long)check.until_s);
        return VALID;
    }
    printf("AOF analyzed: filename=%s, size=%llu, ok_up_to=%llu, ok_up_to_line=%llu, diff=%llu\n", name,
           (unsigned long long)found.size, (unsigned long long)found.good, (unsigned long long)found.lines + 1,
           (unsigned long long)(found.size - found.good));
    printf("[info] %llu commands, %llu writes with a checksum\n", (unsigned long long)found.commands,
           (unsigned long long)found.frames);
    return found.good < found.size ? offer_cut(&found) : VALID;
}

static void tell_verdict(const char *what, const char *name, enum verdict verdict) {
    switch (verdict) {
    case VALID: printf("%s%s is valid\n", what, name); break;
    case EMPTY: printf("%s%s is empty\n", what, name); break;
    case CUT: printf("Successfully truncated AOF %s\n", name); break;
    case CUT_TO_TIME:
        printf("Successfully truncated AOF %s to timestamp %lld\n", name, (long long)check.until_s);
        break;
    }
}

/* --- kinds of files -------------------------------------------------------------------------- */

static bool begins_with(const char *name, const char *text) {
    char start[16] = "";
    int fd = files_open(check.dir, name, O_RDONLY);
    if (fd < 0) {
        printf("Cannot open file %s: %s\n", name, strerror(errno));
        give_up();
    }
    ssize_t n = read(fd, start, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) && memcmp(start, text, (size_t)n) == 0;
}

static void check_type(const struct manifest *m, enum manifest_type type, size_t *left) {
    for (size_t i = 0; i < m->count; i++) {
        if (m->files[i].type != type) continue;
        const char *name = m->files[i].name;
        if (type == MANIFEST_BASE)
            printf("Start to check BASE AOF (%s format).\n", begins_with(name, "REDIS") ? "RDB" : "RESP");
        tell_verdict(type == MANIFEST_BASE ? "BASE AOF " : "INCR AOF ", name, check_one_file(name, --*left == 0));
    }
}

static void check_manifest(const char *name) {
    struct manifest m;
    struct manifest_error error;
    printf("Start checking Multi Part AOF\n");
    if (manifest_load(check.dir, name, &m, &error) != MANIFEST_LOADED) {
        printf("\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
        if (error.line) printf("Reading the manifest file, at line %d\n>>> '%s'\n", error.line, error.shown);
        printf("%s\n", error.text);
        give_up();
    }
    size_t left = manifest_live(&m);
    check_type(&m, MANIFEST_BASE, &left);
    if (manifest_last_incr(&m)) printf("Start to check INCR files.\n");
    check_type(&m, MANIFEST_INCR, &left);
    manifest_free(&m);
    printf("All AOF files and manifest are valid\n");
}

static void check_single(const char *name) {
    printf("Start checking Old-Style AOF\n");
    tell_verdict("AOF ", name, check_one_file(name, true));
}

/* --- arguments ------------------------------------------------------------------------------- */

static int print_usage(const char *program) {
    printf("Usage: %s [--fix|--truncate-to-timestamp $timestamp] <AOF/manifest>\n", program);
    return 1;
}

static bool read_arguments(int argc, char **argv) {
    if (argc == 2) return true;
    if (argc == 3 && strcmp(argv[1], "--fix") == 0) {
        check.fix = true;
        return true;
    }
    if (argc != 4 || strcmp(argv[1], "--truncate-to-timestamp") != 0) return false;
    if (num_parse_i64(slice_cstr(argv[2]), &check.until_s) && check.until_s > 0) return true;
    printf("Invalid timestamp, aborting...\n");
    give_up();
}

/* Returns the name, and sets check.dir: the files that a manifest names are beside it. */
static const char *split_path(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return path;
    snprintf(check.dir, sizeof check.dir, "%.*s", (int)(slash - path), slash == path ? "/" : path);
    return slash + 1;
}

int check_aof_main(int argc, char **argv) {
    if (!read_arguments(argc, argv)) return print_usage(argv[0]);
    clock_init();
    rand_init();
    hash_init();
    clock_update();
    db_init(DATABASES);
    const char *name = split_path(argv[argc - 1]);
    if (begins_with(name, "file ") || (strstr(name, ".manifest") && !begins_with(name, "*")))
        check_manifest(name);
    else
        check_single(name);
    return 0;
}
