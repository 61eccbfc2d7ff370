/* The search reads only what it must: the places that look like an annotation, and the payloads that these announce. */
#include "aof/aof_frame.h"
#include "base/alloc.h"
#include "base/crc64.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 65536
#define MARK "#K:"
#define MARK_LEN (sizeof MARK - 1)
#define NUMBER_MAX 24 /* bytes of a line "$<number>\r\n" */

struct searched {
    int fd;
    uint64_t size;
    /* A part of the file, where next_mark() looks. */
    uint64_t start;
    size_t len;
    char block[BLOCK];
};

/* --- The annotation -------------------------------------------------------------------------- */

void aof_frame_print(char *line, const char *payload, size_t len) {
    char text[AOF_FRAME_LINE + 1];
    int n = snprintf(text, sizeof text, MARK "%016llx %010llx\r\n", (unsigned long long)crc64(0, payload, len),
                     (unsigned long long)len);
    assert(n == AOF_FRAME_LINE);
    (void)n;
    memcpy(line, text, AOF_FRAME_LINE);
}

static bool parse_hex(const char *p, int digits, uint64_t *out) {
    uint64_t n = 0;
    for (int i = 0; i < digits; i++) {
        char c = p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = n;
    return true;
}

bool aof_frame_parse(const char *line, uint64_t *crc, uint64_t *len) {
    return memcmp(line, MARK, MARK_LEN) == 0 && line[19] == ' ' && line[30] == '\r' && line[31] == '\n' &&
           parse_hex(line + 3, 16, crc) && parse_hex(line + 20, 10, len) && *len > 0;
}

/* --- Reading --------------------------------------------------------------------------------- */

/* Returns the number of bytes read: fewer than n at the end of the file and after an error. */
static size_t read_at(const struct searched *s, uint64_t offset, char *to, size_t n) {
    size_t done = 0;
    while (done < n && offset + done < s->size) {
        ssize_t got = pread(s->fd, to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    return done;
}

/* Have at least n bytes from this offset on in the block, if there are as many. Returns the number of those that are
 * there. */
static size_t look_at(struct searched *s, uint64_t offset, size_t n, const char **bytes) {
    if (offset < s->start || offset + n > s->start + s->len) {
        s->start = offset;
        s->len = read_at(s, offset, s->block, BLOCK);
    }
    *bytes = s->block + (offset - s->start);
    return s->len - (size_t)(offset - s->start);
}

/* The annotation at this offset. *end: where its frame ends, which may be beyond the file. */
static bool read_annotation(struct searched *s, uint64_t at, uint64_t *crc, uint64_t *end) {
    const char *line;
    uint64_t len;
    if (look_at(s, at, AOF_FRAME_LINE, &line) < AOF_FRAME_LINE || !aof_frame_parse(line, crc, &len)) return false;
    *end = at + AOF_FRAME_LINE + len;
    return true;
}

/* The end of the sound frame at this offset; 0: there is none. */
static uint64_t end_of_sound(struct searched *s, uint64_t at) {
    char block[BLOCK];
    uint64_t told, end, crc = 0;
    if (!read_annotation(s, at, &told, &end) || end > s->size) return 0;
    for (uint64_t offset = at + AOF_FRAME_LINE; offset < end;) {
        size_t wanted = end - offset < BLOCK ? (size_t)(end - offset) : BLOCK, got = read_at(s, offset, block, wanted);
        if (got < wanted) return 0;
        crc = crc64(crc, block, got);
        offset += got;
    }
    return crc == told ? end : 0;
}

/* The next place from `at` on that begins like an annotation, or the end of the file. */
static uint64_t next_mark(struct searched *s, uint64_t at) {
    const char *bytes;
    for (;;) {
        size_t n = look_at(s, at, MARK_LEN, &bytes);
        if (n < MARK_LEN) return s->size;
        const char *found = memmem(bytes, n, MARK, MARK_LEN);
        if (found) return at + (uint64_t)(found - bytes);
        at += n - (MARK_LEN - 1);
    }
}

/* --- The commands of a damaged frame --------------------------------------------------------- */

enum walk { WALK_ON, WALK_CUT, WALK_BAD }; /* go on; the range ends within the command; it is no command */

/* A line of this mark and a number. */
static enum walk walk_number(struct searched *s, uint64_t *at, uint64_t end, char mark, uint64_t *n) {
    const char *line;
    size_t room = end - *at < NUMBER_MAX ? (size_t)(end - *at) : NUMBER_MAX, have = look_at(s, *at, room, &line);
    if (have > room) have = room;
    const char *lf = memchr(line, '\n', have);
    if (have == 0) return WALK_CUT;
    if (line[0] != mark) return WALK_BAD;
    if (!lf) return have < NUMBER_MAX ? WALK_CUT : WALK_BAD;
    *n = 0;
    for (const char *p = line + 1; p < lf - 1; p++) {
        if (*p < '0' || *p > '9' || *n > UINT32_MAX * UINT64_C(1000)) return WALK_BAD;
        *n = *n * 10 + (uint64_t)(*p - '0');
    }
    *at += (uint64_t)(lf + 1 - line);
    return lf - line >= 2 && lf[-1] == '\r' ? WALK_ON : WALK_BAD;
}

static enum walk walk_word(struct searched *s, uint64_t *at, uint64_t end) {
    const char *crlf;
    uint64_t len;
    enum walk walk = walk_number(s, at, end, '$', &len);
    if (walk != WALK_ON) return walk;
    if (end - *at < len + 2) return WALK_CUT;
    *at += len + 2;
    if (look_at(s, *at - 2, 2, &crlf) < 2) return WALK_CUT;
    return crlf[0] == '\r' && crlf[1] == '\n' ? WALK_ON : WALK_BAD;
}

/* *at moves behind the command, or stays. */
static enum walk walk_command(struct searched *s, uint64_t *at, uint64_t end) {
    uint64_t words, next = *at;
    enum walk walk = walk_number(s, &next, end, '*', &words);
    while (walk == WALK_ON && words-- > 0)
        walk = walk_word(s, &next, end);
    if (walk == WALK_ON) *at = next;
    return walk;
}

/* Where to begin to search. Complete commands of the damaged frame are passed over with all that they contain. If they
 * go on to the end of the file, and the last one is cut, then the file was torn within this frame. */
static uint64_t begin_of_search(struct searched *s, uint64_t bad) {
    uint64_t crc, end, at = bad + AOF_FRAME_LINE;
    if (!read_annotation(s, bad, &crc, &end)) return bad + 1;
    bool torn = end > s->size;
    if (torn) end = s->size;
    enum walk walk = WALK_ON;
    while (walk == WALK_ON && at < end)
        walk = walk_command(s, &at, end);
    return torn && walk == WALK_CUT ? s->size : at;
}

struct aof_behind aof_frame_search(int fd, uint64_t bad, uint64_t size) {
    struct searched *s = alloc_get(sizeof *s);
    struct aof_behind behind = {0};
    s->fd = fd;
    s->size = size;
    s->start = s->len = 0;
    uint64_t at = begin_of_search(s, bad);
    while ((at = next_mark(s, at)) < size) {
        uint64_t end = end_of_sound(s, at);
        if (end && behind.frames++ == 0) behind.from = at;
        at = end ? end : at + 1;
    }
    alloc_put(s, sizeof *s);
    return behind;
}
