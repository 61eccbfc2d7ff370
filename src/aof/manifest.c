/* The list of files, reading it with the checks of manifest.h, and writing it. The text is small, so it is read and
 * written as a whole. */
#include "aof/manifest.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/words.h"
#include "disk/files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* --- The list -------------------------------------------------------------------------------- */

static void add_file(struct manifest *m, struct manifest_file file) {
    if (m->count == m->cap) m->files = alloc_grow(m->files, &m->cap, sizeof *m->files, 8);
    m->files[m->count++] = file;
}

void manifest_free(struct manifest *m) {
    for (size_t i = 0; i < m->count; i++)
        alloc_put_string(m->files[i].name);
    alloc_put(m->files, m->cap * sizeof *m->files);
    *m = (struct manifest){0};
}

void manifest_copy(struct manifest *to, const struct manifest *from) {
    *to = (struct manifest){.base_seq = from->base_seq, .incr_seq = from->incr_seq};
    for (size_t i = 0; i < from->count; i++) {
        struct manifest_file file = from->files[i];
        file.name = alloc_copy_string(file.name);
        add_file(to, file);
    }
}

/* The last file of a type; of the increments this is the one being written. */
static struct manifest_file *last_of(const struct manifest *m, enum manifest_type type) {
    for (size_t i = m->count; i-- > 0;)
        if (m->files[i].type == type) return &m->files[i];
    return NULL;
}

const struct manifest_file *manifest_base(const struct manifest *m) {
    return last_of(m, MANIFEST_BASE);
}

const struct manifest_file *manifest_last_incr(const struct manifest *m) {
    return last_of(m, MANIFEST_INCR);
}

size_t manifest_live(const struct manifest *m) {
    size_t live = 0;
    for (size_t i = 0; i < m->count; i++)
        live += m->files[i].type != MANIFEST_HISTORY;
    return live;
}

/* Make a file history. The newest history stands first, as in the manifests of Redis. */
static void retire(struct manifest *m, size_t at) {
    struct manifest_file file = m->files[at];
    file.type = MANIFEST_HISTORY;
    memmove(m->files + 1, m->files, at * sizeof file);
    m->files[0] = file;
}

/* Add a file with the next number whose name is not taken. */
static const char *add_named(struct manifest *m, const char *prefix, enum manifest_type type, const char *suffix,
                             bool (*taken)(const char *name)) {
    int64_t *seq = type == MANIFEST_BASE ? &m->base_seq : &m->incr_seq;
    struct buf name = {0};
    do {
        name.len = 0;
        buf_printf(&name, "%s.%lld%s", prefix, (long long)++*seq, suffix);
        buf_append(&name, "", 1);
    } while (taken && taken(name.data));
    add_file(m, (struct manifest_file){alloc_copy_string(name.data), *seq, type});
    buf_free(&name);
    return m->files[m->count - 1].name;
}

const char *manifest_new_base(struct manifest *m, const char *prefix, bool rdb, bool (*taken)(const char *name)) {
    struct manifest_file *former = last_of(m, MANIFEST_BASE);
    if (former) retire(m, (size_t)(former - m->files));
    return add_named(m, prefix, MANIFEST_BASE, rdb ? ".base.rdb" : ".base.aof", taken);
}

void manifest_adopt_base(struct manifest *m, const char *name) {
    manifest_free(m);
    m->base_seq = 1;
    add_file(m, (struct manifest_file){alloc_copy_string(name), 1, MANIFEST_BASE});
}

const char *manifest_new_incr(struct manifest *m, const char *prefix, bool (*taken)(const char *name)) {
    return add_named(m, prefix, MANIFEST_INCR, ".incr.aof", taken);
}

void manifest_retire_incrs(struct manifest *m, size_t keep) {
    for (size_t left = m->count; left > 0;) {
        bool is_incr = m->files[left - 1].type == MANIFEST_INCR;
        if (is_incr && keep == 0) {
            retire(m, left - 1); /* the file before it takes its place */
            continue;
        }
        keep -= is_incr;
        left--;
    }
}

void manifest_drop_history(struct manifest *m) {
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->files[i].type == MANIFEST_HISTORY)
            alloc_put_string(m->files[i].name);
        else
            m->files[kept++] = m->files[i];
    }
    m->count = kept;
}

/* --- Reading --------------------------------------------------------------------------------- */

static const char *const wrong_format = "Invalid AOF manifest file format";

/* A name must not lead out of the directory. */
static const char *check_name(struct slice name) {
    if (memchr(name.ptr, '/', name.len) || memchr(name.ptr, '\\', name.len))
        return "File can't be a path, just a filename";
    if (name.len == 0 || slice_is(name, ".") || slice_is(name, "..") || memchr(name.ptr, '\0', name.len))
        return wrong_format;
    return NULL;
}

/* The digits up to the first other byte, as in Redis. 0: there are none or too many. */
static int64_t read_seq(struct slice word) {
    int64_t seq = 0;
    for (size_t i = 0; i < word.len && word.ptr[i] >= '0' && word.ptr[i] <= '9'; i++) {
        if (seq >= INT64_MAX / 10) return 0;
        seq = seq * 10 + (word.ptr[i] - '0');
    }
    return seq;
}

/* Pairs of a key and a value. Unknown keys, which a later version may add, are ignored. */
static const char *read_pairs(const struct words *words, struct manifest_file *file, struct slice *name) {
    if (words->count < 6 || words->count % 2) return wrong_format;
    char type = '\0';
    for (int i = 0; i < words->count; i += 2) {
        struct slice key = words_slice(words->at[i]), value = words_slice(words->at[i + 1]);
        if (slice_is(key, "file")) {
            const char *wrong = check_name(value);
            if (wrong) return wrong;
            *name = value;
        } else if (slice_is(key, "seq")) {
            file->seq = read_seq(value);
        } else if (slice_is(key, "type")) {
            type = value.len ? value.ptr[0] : '\0';
        }
    }
    file->type = (enum manifest_type)type;
    return name->ptr == NULL || file->seq == 0 || type == '\0' ? wrong_format : NULL;
}

static const char *add_read(struct manifest *m, struct manifest_file file, struct slice name) {
    switch (file.type) {
    case MANIFEST_BASE:
        if (manifest_base(m)) return "Found duplicate base file information";
        m->base_seq = file.seq;
        break;
    case MANIFEST_INCR:
        if (file.seq <= m->incr_seq) return "Found a non-monotonic sequence number";
        m->incr_seq = file.seq;
        break;
    case MANIFEST_HISTORY: break;
    default: return "Unknown AOF file type";
    }
    file.name = alloc_copy_text(name.ptr, name.len);
    add_file(m, file);
    return NULL;
}

static struct slice trim_line(struct slice line) {
    const char *blanks = " \t\r\n";
    while (line.len && memchr(blanks, line.ptr[0], 4))
        line = slice_of(line.ptr + 1, line.len - 1);
    while (line.len && memchr(blanks, line.ptr[line.len - 1], 4))
        line.len--;
    return line;
}

static const char *read_line(struct manifest *m, struct slice line) {
    struct words words;
    struct manifest_file file = {0};
    struct slice name = {NULL, 0};
    if (line.len == 0 || !words_split(&words, line)) return wrong_format;
    const char *wrong = read_pairs(&words, &file, &name);
    if (!wrong) wrong = add_read(m, file, name);
    words_free(&words);
    return wrong;
}

static void show_line(struct manifest_error *error, int number, struct slice line) {
    size_t n = line.len < MANIFEST_LINE_MAX ? line.len : MANIFEST_LINE_MAX;
    error->line = number;
    memcpy(error->shown, line.ptr, n);
    error->shown[n] = '\0';
}

bool manifest_parse(struct slice text, struct manifest *m, struct manifest_error *error) {
    const char *p = text.ptr, *end = text.ptr + text.len;
    *m = (struct manifest){0};
    *error = (struct manifest_error){.text = text.len ? NULL : "Found an empty AOF manifest"};
    for (int number = 1; p < end && !error->text; number++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct slice line = trim_line(slice_of(p, (size_t)((lf ? lf : end) - p)));
        bool complete = lf && lf - p < MANIFEST_LINE_MAX, comment = *p == '#';
        p = lf ? lf + 1 : end;
        if (comment) continue;
        if (!complete) {
            error->text = "The AOF manifest file contains too long line";
            break;
        }
        error->text = read_line(m, line);
        if (error->text) show_line(error, number, line);
    }
    if (error->text) manifest_free(m);
    return error->text == NULL;
}

enum manifest_load manifest_load(const char *dir, const char *name, struct manifest *m, struct manifest_error *error) {
    struct buf text = {0};
    *m = (struct manifest){0};
    int fd = files_open(dir, name, O_RDONLY);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? MANIFEST_ABSENT : MANIFEST_UNREADABLE;
    bool ok = files_read_all(fd, &text);
    int reason = errno;
    close(fd);
    if (ok)
        ok = manifest_parse(buf_slice(&text), m, error);
    else {
        *error = (struct manifest_error){.text = "Read AOF manifest failed"};
        errno = reason;
    }
    buf_free(&text);
    return ok ? MANIFEST_LOADED : MANIFEST_WRONG;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* True if the name must be quoted to be read back as one word. */
static bool needs_quotes(const char *name) {
    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr("\\\"'", *p)) return true;
    return false;
}

static void print_file(const struct manifest_file *file, struct buf *out) {
    buf_append_cstr(out, "file ");
    if (needs_quotes(file->name))
        buf_append_quoted(out, slice_cstr(file->name));
    else
        buf_append_cstr(out, file->name);
    buf_printf(out, " seq %lld type %c\n", (long long)file->seq, (char)file->type);
}

static void print_type(const struct manifest *m, enum manifest_type type, struct buf *out) {
    for (size_t i = 0; i < m->count; i++)
        if (m->files[i].type == type) print_file(&m->files[i], out);
}

void manifest_print(const struct manifest *m, struct buf *out) {
    print_type(m, MANIFEST_BASE, out);
    print_type(m, MANIFEST_HISTORY, out);
    print_type(m, MANIFEST_INCR, out);
}

/* "temp-<name>" */
static const char *temp_name(const char *name, struct buf *out) {
    buf_printf(out, "temp-%s%c", name, '\0');
    return out->data;
}

static bool log_failure(const char *what, const char *name) {
    log_warning("Can't %s the AOF manifest file %s: %s", what, name, strerror(errno));
    return false;
}

bool manifest_prepare(const char *dir, const char *name, const struct manifest *m) {
    struct buf text = {0}, temp = {0};
    manifest_print(m, &text);
    int fd = files_open(dir, temp_name(name, &temp), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    bool ok = fd >= 0 && files_write_all(fd, text.data ? text.data : "", text.len) && fdatasync(fd) == 0;
    if (!ok) log_failure(fd < 0 ? "open" : "write", name);
    if (fd >= 0) close(fd);
    buf_free(&text);
    buf_free(&temp);
    return ok;
}

bool manifest_commit(const char *dir, const char *name) {
    struct buf temp = {0};
    bool ok = files_rename(dir, temp_name(name, &temp), dir, name) && files_sync_dir(dir);
    if (!ok) log_failure("replace", name);
    buf_free(&temp);
    return ok;
}

bool manifest_save(const char *dir, const char *name, const struct manifest *m) {
    return manifest_prepare(dir, name, m) && manifest_commit(dir, name);
}
