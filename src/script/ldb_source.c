#include "script/ldb_source.h"
#include "base/alloc.h"
#include "script/ldb_wire.h"
#include <stddef.h>
#include <string.h>

static struct {
    struct slice *lines;
    size_t count, cap;
    int breakpoints[LDB_BREAKPOINTS_MAX];
    int breakpoint_count;
} source;

static void add_line(const char *from, const char *to) {
    if (source.count == source.cap) source.lines = alloc_grow(source.lines, &source.cap, sizeof *source.lines, 64);
    source.lines[source.count++] = slice_of(from, (size_t)(to - from));
}

/* Line ends behind the last line begin no further one. */
void ldb_source_open(struct slice script) {
    const char *p = script.ptr, *end = p + script.len, *stop;
    while (end > p && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    source.breakpoint_count = 0;
    if (p == end) return;
    while ((stop = memchr(p, '\n', (size_t)(end - p)))) {
        add_line(p, stop);
        p = stop + 1;
    }
    add_line(p, end);
}

void ldb_source_close(void) {
    alloc_put(source.lines, source.cap * sizeof *source.lines);
    source.lines = NULL;
    source.count = source.cap = 0;
}

static bool exists(int line) {
    return line > 0 && (size_t)line <= source.count;
}

void ldb_source_say(int line, int current) {
    static const struct slice beyond = {"<out of range source code line>", 31};
    struct slice text = exists(line) ? source.lines[line - 1] : beyond;
    bool has_breakpoint = ldb_source_has_breakpoint(line);
    const char *mark = line == current ? (has_breakpoint ? "->#" : "-> ") : (has_breakpoint ? "  #" : "   ");
    ldb_say("%s%-3d %.*s", mark, line, (int)text.len, text.ptr);
}

void ldb_source_list(int around, int context, int current) {
    for (size_t i = 1; i <= source.count; i++) {
        long long distance = (long long)i - around;
        if (distance >= -(long long)context && distance <= context) ldb_source_say((int)i, current);
    }
}

static int find_breakpoint(int line) {
    int i = 0;
    while (i < source.breakpoint_count && source.breakpoints[i] != line)
        i++;
    return i;
}

bool ldb_source_has_breakpoint(int line) {
    return find_breakpoint(line) < source.breakpoint_count;
}

bool ldb_source_add_breakpoint(int line) {
    if (!exists(line) || ldb_source_has_breakpoint(line)) return false;
    source.breakpoints[source.breakpoint_count++] = line;
    return true;
}

bool ldb_source_remove_breakpoint(int line) {
    int i = find_breakpoint(line);
    if (i == source.breakpoint_count) return false;
    source.breakpoint_count--;
    memmove(&source.breakpoints[i], &source.breakpoints[i + 1],
            (size_t)(source.breakpoint_count - i) * sizeof source.breakpoints[0]);
    return true;
}

void ldb_source_clear_breakpoints(void) {
    source.breakpoint_count = 0;
}

int ldb_source_breakpoints(const int **lines) {
    *lines = source.breakpoints;
    return source.breakpoint_count;
}
