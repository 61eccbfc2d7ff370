/* Uses the reader of the server, without applying the commands. --fix keeps the bytes that it cuts off in a file beside
 * the checked one, which redis-check-aof does not do. */
#include "check/check_aof.h"
#include "aof/aof_read.h"
#include "aof/aof_repair.h"
#include "aof/manifest.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/rand.h"
#include "check/check_bar.h"
#include "disk/files.h"
#include "disk/lock.h"
#include "rdb/rdb.h"
#include "rdb/rdb_functions.h"
#include "store/db.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATABASES 16384 /* more than any server has, so that no snapshot names a database that does not exist */

static struct {
    bool fix, keep_following;
    int64_t until_s; /* cut at the first later stamp; 0: do not */
    char dir[PATH_MAX];
    bool has_manifest; /* else messages show paths: no manifest told where the file is */
    /* The file that is being checked. */
    const char *name, *shown; /* shown: in messages about what is in it; those about failures show the path */
    char path[2 * PATH_MAX];
    bool is_last;
    uint64_t stamp_at;      /* offset of the last stamp read */
    struct aof_place place; /* the last one read */
    bool lost;              /* it has lost commands, so no place of it is right */
    int64_t size;
} check;

enum verdict { VALID, EMPTY, CUT, CUT_OUT, CUT_TO_TIME };

/* --- The reader's hooks ---------------------------------------------------------------------- */

static void drop_keys(void) {
    for (int i = 0; i < db_count(); i++)
        if (db_size(db_at(i))) db_empty(db_at(i), false);
}

/* After each block of the snapshot: its keys are checked and can be dropped. */
static void next_block(void *ctx, uint64_t bytes) {
    check_bar(ctx, bytes);
    drop_keys();
}

/* The code of a library is not run here: any will do. */
static bool pass_library(struct function_set *set, struct slice source, bool replace, struct buf *error) {
    (void)set, (void)source, (void)replace, (void)error;
    return true;
}
static const struct rdb_functions libraries = {.add = pass_library};

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

static void look_at_place(void *ctx, const struct aof_place *place) {
    (void)ctx;
    if (place)
        check.place = *place;
    else
        check.lost = true;
}

/* --- One file -------------------------------------------------------------------------------- */

static _Noreturn void give_up(void) {
    exit(1);
}

static enum verdict cut_to_time(void) {
    if (check.stamp_at == 0) {
        printf("AOF %s has nothing before timestamp %lld, aborting...\n", check.shown, (long long)check.until_s);
        give_up();
    }
    if (!check.is_last) {
        printf("Failed to truncate AOF %s to timestamp %lld to offset %llu because it is not the last file.\n",
               check.shown, (long long)check.until_s, (unsigned long long)check.stamp_at);
        printf("If you insist, please delete all files after this file according to the manifest file and delete the "
               "corresponding records in manifest file manually. Then re-run kura-check-aof.\n");
        give_up();
    }
    int fd = files_open(check.dir, check.name, O_RDWR);
    if (fd < 0 || ftruncate(fd, (off_t)check.stamp_at) < 0) {
        printf("Failed to truncate AOF %s to timestamp %lld: %s\n", check.path, (long long)check.until_s,
               strerror(errno));
        give_up();
    }
    close(fd);
    return CUT_TO_TIME;
}

static void tell_follows(const struct aof_finding *found) {
    if (found->behind.frames == 0) return;
    printf("The bytes from %llu to %llu are bad. %llu writes with a sound checksum follow them.\n",
           (unsigned long long)found->good, (unsigned long long)found->behind.from,
           (unsigned long long)found->behind.frames);
}

/* Reads a line, so that what is left of it does not answer a later question. */
static void ask_to_continue(void) {
    printf("Continue? [y/N]: ");
    fflush(stdout);
    int first = getchar();
    for (int c = first; c != '\n' && c != EOF;)
        c = getchar();
    if (first == 'y' || first == 'Y') return;
    printf("Aborting...\n");
    give_up();
}

static _Noreturn void fail_to_fix(void) {
    printf("Failed to truncate AOF %s: %s\n", check.path, strerror(errno));
    give_up();
}

static enum verdict offer_cut(const struct aof_finding *found) {
    char aside[AOF_REPAIR_NAME];
    unsigned long long size = found->size, good = found->good, bad = size - good;
    if (!check.is_last) {
        printf("Failed to truncate AOF %s because it is not the last file\n", check.shown);
        give_up();
    }
    printf("This will shrink the AOF %s from %llu bytes, with %llu bytes, to %llu bytes\n", check.shown, size, bad,
           good);
    ask_to_continue();
    if (!aof_repair_cut(check.dir, check.name, good, aside)) fail_to_fix();
    printf("The %llu bytes that were removed are kept in %s\n", bad, aside);
    return CUT;
}

/* Only the bad bytes go; the writes behind them stay, even in a file that is not the last. */
static enum verdict offer_cut_out(const struct aof_finding *found) {
    char aside[AOF_REPAIR_NAME];
    unsigned long long good = found->good, from = found->behind.from;
    int db;
    printf("This will take the %llu bytes from %llu to %llu out of the AOF %s\n", from - good, good, from, check.shown);
    ask_to_continue();
    if (!aof_repair_cut_out(check.dir, check.name, good, from, aside, &db)) fail_to_fix();
    printf("The %llu bytes that were removed are kept in %s\n", from - good, aside);
    if (db >= 0) printf("They selected database %d: a command that selects it has taken their place\n", db);
    return CUT_OUT;
}

static enum verdict offer_fix(const struct aof_finding *found) {
    tell_follows(found);
    if (!check.fix) {
        printf("AOF %s is not valid. Use the --fix option to try fixing it.\n", check.shown);
        if (found->behind.frames) printf("--fix --keep-following keeps the writes that follow the bad bytes.\n");
        give_up();
    }
    return check.keep_following && found->behind.frames ? offer_cut_out(found) : offer_cut(found);
}

static void tell_analysis(const struct aof_finding *found) {
    printf("AOF analyzed: filename=%s, size=%llu, ok_up_to=%llu, ok_up_to_line=%llu, diff=%llu\n", check.shown,
           (unsigned long long)found->size, (unsigned long long)found->good, (unsigned long long)found->lines + 1,
           (unsigned long long)(found->size - found->good));
    printf("[info] %llu commands, %llu writes with a checksum\n", (unsigned long long)found->commands,
           (unsigned long long)found->frames);
    if (check.lost)
        printf("[info] the log has lost commands: replication cannot continue behind it\n");
    else if (check.place.id[0])
        printf("[info] replication continues at offset %lld of %s\n", (long long)check.place.offset, check.place.id);
}

static enum verdict judge(enum aof_read_result result, const struct aof_finding *found) {
    switch (result) {
    case AOF_READ_EMPTY: return EMPTY;
    case AOF_READ_ABSENT:
    case AOF_READ_FAILED:
        printf("Cannot %s file %s: %s, aborting...\n", found->opened ? "read" : "open", check.path,
               strerror(found->error));
        give_up();
    case AOF_READ_BASE: printf("RDB preamble of AOF file is not sane, aborting.\n"); give_up();
    case AOF_READ_STOPPED: return cut_to_time();
    default: break;
    }
    if (found->reason[0]) printf("0x%16llx: %s\n", (unsigned long long)found->good, found->reason);
    if (found->in_multi) printf("Reached EOF before reading EXEC for MULTI\n");
    if (check.until_s && found->good == found->size) {
        printf("Truncate nothing in AOF %s to timestamp %lld\n", check.shown, (long long)check.until_s);
        return VALID;
    }
    tell_analysis(found);
    return found->good < found->size ? offer_fix(found) : VALID;
}

/* Where bytes were taken out, there may be more to take out behind them. */
static enum verdict check_one_file(const char *name, bool is_last) {
    static const struct aof_reader_hooks hooks = {.read_base = check_base,
                                                  .progress = check_bar,
                                                  .stamp = look_at_stamp,
                                                  .place = look_at_place,
                                                  .ctx = &check.size};
    struct aof_finding found;
    enum verdict verdict, worst = VALID;
    snprintf(check.path, sizeof check.path, "%s%s%s", check.dir, check.dir[0] ? "/" : "", name);
    check.name = name;
    check.shown = check.has_manifest ? name : check.path;
    check.is_last = is_last;
    do {
        check.size = files_size(check.dir, name);
        check.stamp_at = 0;
        check.place.id[0] = '\0';
        check.lost = false;
        verdict = judge(aof_read(check.dir, name, &hooks, &found), &found);
        if (verdict == CUT_OUT) worst = verdict;
    } while (verdict == CUT_OUT);
    return verdict == VALID ? worst : verdict;
}

static void tell_verdict(const char *what, const char *name, enum verdict verdict) {
    switch (verdict) {
    case VALID: printf("%s%s is valid\n", what, name); break;
    case EMPTY: printf("%s%s is empty\n", what, name); break;
    case CUT: printf("Successfully truncated AOF %s\n", name); break;
    case CUT_OUT: printf("Successfully removed the bad bytes of AOF %s\n", name); break;
    case CUT_TO_TIME:
        printf("Successfully truncated AOF %s to timestamp %lld\n", name, (long long)check.until_s);
        break;
    }
}

/* --- Kinds of files -------------------------------------------------------------------------- */

static int open_file(const char *name) {
    int fd = files_open(check.dir, name, O_RDONLY);
    snprintf(check.path, sizeof check.path, "%s%s%s", check.dir, check.dir[0] ? "/" : "", name);
    if (fd >= 0) return fd;
    printf("Cannot open file %s: %s\n", check.path, strerror(errno));
    give_up();
}

static bool begins_with(const char *name, const char *text) {
    char start[16] = "";
    int fd = open_file(name);
    ssize_t n = read(fd, start, strlen(text));
    if (n < 0) {
        printf("Cannot read file %s: %s\n", check.path, strerror(errno));
        give_up();
    }
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
    struct manifest_error error = {0};
    printf("Start checking Multi Part AOF\n");
    check.has_manifest = true;
    enum manifest_load loaded = manifest_load(check.dir, name, &m, &error);
    if (loaded == MANIFEST_ABSENT || loaded == MANIFEST_UNREADABLE) {
        printf("Cannot open file %s: %s\n", check.path, strerror(errno));
        give_up();
    }
    if (loaded == MANIFEST_WRONG) {
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
    enum verdict verdict = check_one_file(name, true);
    tell_verdict("AOF ", check.shown, verdict);
}

/* --- Arguments ------------------------------------------------------------------------------- */

static int print_usage(const char *program) {
    printf("Usage: %s [--fix [--keep-following]|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n"
           "--fix asks before it cuts a file at the first bad byte. With --keep-following it takes out the bad bytes\n"
           "only, where writes with a sound checksum follow them. What is removed is kept in a file of its own.\n",
           program);
    return 1;
}

static bool read_arguments(int argc, char **argv) {
    if (argc == 2) return true;
    if (argc == 3 && strcmp(argv[1], "--fix") == 0) {
        check.fix = true;
        return true;
    }
    if (argc == 4 && strcmp(argv[1], "--fix") == 0 && strcmp(argv[2], "--keep-following") == 0) {
        check.fix = check.keep_following = true;
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

/* A server that runs on these files would not see the repair, and would write into it. */
static void lock_folder(void) {
    static struct lock lock = {.fd = -1};
    pid_t holder;
    if (!check.fix && !check.until_s) return;
    int fd = files_open("", check.dir[0] ? check.dir : ".", O_RDONLY | O_DIRECTORY);
    if (lock_take(&lock, fd, &holder) != LOCK_BUSY) return;
    printf("The folder %s is in use by the process %ld: stop it first\n", check.dir[0] ? check.dir : ".", (long)holder);
    give_up();
}

int check_aof_main(int argc, char **argv) {
    if (!read_arguments(argc, argv)) return print_usage(argv[0]);
    clock_init();
    rand_init();
    hash_init();
    clock_update();
    db_init(DATABASES);
    rdb_functions = &libraries;
    const char *name = split_path(argv[argc - 1]);
    lock_folder();
    if (begins_with(name, "file ") || (strstr(name, ".manifest") && !begins_with(name, "*")))
        check_manifest(name);
    else
        check_single(name);
    return 0;
}
