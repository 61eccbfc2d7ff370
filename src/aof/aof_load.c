/* A file with a bad end is cut back to its good part if and only if
 *     (1) it is the last one, since later files were written for a dataset that includes all of it,
 *     (2) no sound frame follows the damage, since a torn write has nothing behind it, and
 *     (3) aof-load-truncated allows it.
 * The bytes that are cut off are kept in a file of their own, for the administrator. */
#include "aof/aof_load.h"
#include "aof/aof_repair.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/files.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct aof_options aof_options;

static struct { uint64_t commands, frames; } last_file;

static struct {
    char name[512]; /* "": nothing is owed */
    uint64_t good, size;
} owed;

bool aof_load_manifest(const char *name, struct manifest *m) {
    struct manifest_error error;
    switch (manifest_load(aof_options.dirname, name, m, &error)) {
    case MANIFEST_LOADED: return true;
    case MANIFEST_ABSENT: log_debug("The AOF manifest file %s doesn't exist", name); return true;
    case MANIFEST_UNREADABLE:
        log_warning("Fatal error: can't open the AOF manifest file %s/%s for reading: %s", aof_options.dirname, name,
                    strerror(errno));
        return false;
    case MANIFEST_WRONG: break;
    }
    log_warning("\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
    if (error.line) {
        log_warning("Reading the manifest file, at line %d\n", error.line);
        log_warning(">>> '%s'\n", error.shown);
    }
    log_warning("%s\n", error.text);
    return false;
}

/* --- Bad ends -------------------------------------------------------------------------------- */

static bool refuse_file(const char *name, bool torn) {
    log_warning("%s the append only file %s. You can: 1) Make a backup of your AOF file, then use ./kura-check-aof "
                "--fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option "
                "to yes and restart the server.",
                torn ? "Unexpected end of file reading" : "Wrong contents found reading", name);
    return false;
}

/* Writes that were acknowledged stand behind the damage: only the administrator may choose what is lost. */
static bool refuse_rot(const char *name, const struct aof_finding *found) {
    unsigned long long from = found->good, to = found->behind.from, frames = found->behind.frames;
    log_warning("The AOF file %s is corrupt: %s. The bytes from %llu to %llu are bad, and %llu writes with a sound "
                "checksum follow them. So this is no torn end, and nothing is cut off, whatever aof-load-truncated "
                "says. Make a backup of the AOF folder. Then either ./kura-check-aof --fix --keep-following "
                "<filename.manifest> takes out the bad bytes only, or ./kura-check-aof --fix <filename.manifest> cuts "
                "off all that follows, too. Both ask before they change anything.",
                name, found->reason, from, to, frames);
    return false;
}

/* Cut off the bad end of a file if that is allowed. False: not allowed or failed (logged). */
static bool recover_file(const char *name, bool torn, const struct aof_finding *found, bool is_last) {
    unsigned long long good = found->good, bad = found->size - found->good;
    if (found->behind.frames) return refuse_rot(name, found);
    log_warning("Bad end of the AOF file %s: %s. The first %llu bytes are good, %llu bytes follow.", name,
                found->reason, good, bad);
    if (found->in_multi) log_warning("Revert incomplete MULTI/EXEC transaction in AOF file %s", name);
    if (!aof_options.load_truncated) return refuse_file(name, torn);
    if (!is_last) {
        log_warning("Fatal error: the truncated file is not the last file");
        return false;
    }
    if (torn) log_warning("!!! Warning: short read while loading the AOF file %s!!!", name);
    log_warning("!!! Truncating the AOF %s at offset %llu !!!", name, good);
    snprintf(owed.name, sizeof owed.name, "%s", name);
    owed.good = found->good;
    owed.size = found->size;
    if (!aof_load_cut_owed(false)) log_warning("No write is accepted before that has succeeded. Reads are served.");
    log_warning("AOF %s loaded anyway because aof-load-truncated is enabled", name);
    return true;
}

bool aof_load_cut_owed(bool quiet) {
    char aside[AOF_REPAIR_NAME];
    if (!owed.name[0]) return true;
    if (!aof_repair_cut(aof_options.dirname, owed.name, owed.good, aside)) {
        if (!quiet) log_warning("Error truncating the AOF file %s: %s", owed.name, strerror(errno));
        return false;
    }
    log_warning("The %llu bytes that were removed are kept in %s/%s", (unsigned long long)(owed.size - owed.good),
                aof_options.dirname, aside);
    owed.name[0] = '\0';
    return true;
}

static bool judge_file(const char *name, enum aof_read_result result, const struct aof_finding *found, bool is_last) {
    switch (result) {
    case AOF_READ_OK:
    case AOF_READ_EMPTY:
    case AOF_READ_STOPPED: return true;
    case AOF_READ_TORN:
    case AOF_READ_ROTTEN: return recover_file(name, result == AOF_READ_TORN, found, is_last);
    case AOF_READ_ABSENT: log_warning("The append log file %s doesn't exist: %s", name, strerror(found->error)); break;
    case AOF_READ_FAILED:
        log_warning("Unrecoverable error reading the append only file %s: %s", name, strerror(found->error));
        break;
    case AOF_READ_FOREIGN:
        log_warning("Bad file format reading the append only file %s: %s. Make a backup of your AOF file, then use "
                    "./kura-check-aof --fix <filename.manifest>",
                    name, found->reason);
        break;
    case AOF_READ_UNKNOWN:
        log_warning("Unknown command '%s' reading the append only file %s", found->command, name);
        break;
    case AOF_READ_BASE:
        log_warning(strcmp(name, aof_options.filename) == 0
                        ? "Error reading the RDB preamble of the AOF file %s, AOF loading aborted"
                        : "Error reading the RDB base file %s, AOF loading aborted",
                    name);
        break;
    }
    return false;
}

/* --- Files ----------------------------------------------------------------------------------- */

static bool load_file(const struct manifest_file *file, bool is_last, const struct aof_load_hooks *hooks) {
    int64_t began_us = clock_mono_us();
    struct aof_finding found;
    if (hooks->begun) hooks->begun(hooks->reader.ctx, file->name);
    enum aof_read_result result = aof_read(aof_options.dirname, file->name, &hooks->reader, &found);
    if (!judge_file(file->name, result, &found, is_last)) return false;
    last_file.commands = found.commands;
    last_file.frames = found.frames;
    log_notice("DB loaded from %s file %s: %.3f seconds", file->type == MANIFEST_BASE ? "base" : "incr", file->name,
               (double)(clock_mono_us() - began_us) / 1e6);
    return true;
}

static bool load_type(const struct manifest *m, enum manifest_type type, size_t *left,
                      const struct aof_load_hooks *hooks) {
    for (size_t i = 0; i < m->count; i++) {
        if (m->files[i].type != type) continue;
        if (!load_file(&m->files[i], --*left == 0, hooks)) return false;
    }
    return true;
}

/* Bytes of all live files. -1: a file is missing (logged). */
static int64_t total_size(const struct manifest *m) {
    int64_t total = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->files[i].type == MANIFEST_HISTORY) continue;
        int64_t size = files_size(aof_options.dirname, m->files[i].name);
        if (size < 0) {
            log_warning("Unable to obtain the AOF file %s length. stat: %s", m->files[i].name, strerror(errno));
            return -1;
        }
        total += size;
    }
    return total;
}

enum aof_load aof_load_files(const struct manifest *m, const struct aof_load_hooks *hooks) {
    size_t left = manifest_live(m);
    owed.name[0] = '\0';
    last_file.commands = last_file.frames = 0;
    int64_t total = total_size(m);
    if (total < 0) return AOF_LOAD_FAILED;
    if (total == 0) return AOF_LOAD_NOTHING;
    if (hooks->sized) hooks->sized(hooks->reader.ctx, (uint64_t)total);
    if (!load_type(m, MANIFEST_BASE, &left, hooks) || !load_type(m, MANIFEST_INCR, &left, hooks))
        return AOF_LOAD_FAILED;
    return AOF_LOAD_OK;
}

bool aof_load_fits(bool framed) {
    return last_file.commands == 0 || framed == (last_file.frames > 0);
}
