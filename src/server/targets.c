/* A short list: who moves keys has one target or a few. A timer closes what nobody has used for some seconds. */
#include "server/targets.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "net/loop.h"
#include <string.h>

#define TARGETS_MAX 64
#define KEEP_MS 10000
#define LOOK_US 1000000 /* between two looks at who has been idle for too long */

static struct target *first;
static size_t count;
static struct loop_timer timer;

static size_t bytes_of(const struct target *t) {
    return sizeof *t + t->name_len;
}

void targets_drop(struct target *t) {
    struct target **at = &first;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    count--;
    peer_close(&t->peer);
    alloc_put(t, bytes_of(t));
}

static void drop_idle(struct loop_timer *self) {
    int64_t now_ms = clock_mono_us() / 1000;
    for (struct target *t = first, *next; t; t = next) {
        next = t->next;
        if (now_ms - t->used_ms > KEEP_MS) targets_drop(t);
    }
    if (first) loop_timer_start(self, LOOK_US);
}

static void drop_oldest(void) {
    struct target *oldest = first;
    for (struct target *t = first; t; t = t->next)
        if (t->used_ms < oldest->used_ms) oldest = t;
    targets_drop(oldest);
}

/* The name's bytes; a host in one piece, as getaddrinfo() wants it, stands before the colon for a moment. */
static struct target *connect_new(struct slice host, int port, int64_t timeout_ms) {
    char digits[NUM_I64_MAX];
    size_t n = (size_t)num_print_i64(digits, port);
    struct target *t = alloc_get(sizeof *t + host.len + 1 + n);
    t->name_len = host.len + 1 + n;
    t->db = -1;
    if (host.len) memcpy(t->name, host.ptr, host.len);
    t->name[host.len] = '\0';
    if (!peer_open(&t->peer, t->name, port, timeout_ms)) {
        alloc_put(t, bytes_of(t));
        return NULL;
    }
    t->name[host.len] = ':';
    memcpy(t->name + host.len + 1, digits, n);
    return t;
}

static bool is_for(const struct target *t, struct slice host, int port) {
    int64_t its_port;
    if (t->name_len < host.len + 2 || memcmp(t->name, host.ptr, host.len) != 0 || t->name[host.len] != ':')
        return false;
    return num_parse_i64(slice_of(t->name + host.len + 1, t->name_len - host.len - 1), &its_port) && its_port == port;
}

struct target *targets_get(struct slice host, int port, int64_t timeout_ms) {
    struct target *t = first;
    while (t && !is_for(t, host, port))
        t = t->next;
    if (!t) {
        t = connect_new(host, port, timeout_ms);
        if (!t) return NULL;
        if (count == TARGETS_MAX) drop_oldest();
        if (!timer.fire) loop_timer_init(&timer, drop_idle);
        if (!first) loop_timer_start(&timer, LOOK_US);
        t->next = first;
        first = t;
        count++;
    }
    t->used_ms = clock_mono_us() / 1000;
    return t;
}

size_t targets_count(void) {
    return count;
}
