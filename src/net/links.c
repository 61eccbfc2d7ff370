/* A plain list: migrations go to one server or to a few. While it is not empty, a timer looks for links that have been
 * idle for too long. */
#include "net/links.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "net/loop.h"
#include <string.h>

#define IDLE_MAX_MS 10000
#define LOOK_US 1000000 /* between two looks for idle links */

static struct peer_link *first;
static size_t count;
static struct loop_timer timer;

static size_t link_bytes(const struct peer_link *link) {
    return sizeof *link + link->name_len;
}

void links_drop(struct peer_link *link) {
    struct peer_link **at = &first;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    count--;
    peer_close(&link->peer);
    alloc_put(link, link_bytes(link));
}

static void drop_idle_links(struct loop_timer *self) {
    int64_t now_ms = clock_mono_us() / 1000;
    for (struct peer_link *link = first, *next; link; link = next) {
        next = link->next;
        if (now_ms - link->used_ms > IDLE_MAX_MS) links_drop(link);
    }
    if (first) loop_timer_start(self, LOOK_US);
}

static void drop_oldest_link(void) {
    struct peer_link *oldest = first;
    for (struct peer_link *link = first; link; link = link->next)
        if (link->used_ms <= oldest->used_ms) oldest = link; /* of two in one ms, the one added first */
    links_drop(oldest);
}

/* The name holds the host as a C string until the connection is made, then ":port" follows. */
static struct peer_link *link_new(struct slice host, int port, int64_t timeout_ms) {
    char digits[NUM_I64_MAX];
    size_t n = (size_t)num_print_i64(digits, port);
    struct peer_link *link = alloc_get(sizeof *link + host.len + 1 + n);
    link->name_len = host.len + 1 + n;
    link->db = -1;
    if (host.len) memcpy(link->name, host.ptr, host.len);
    link->name[host.len] = '\0';
    if (!peer_open(&link->peer, link->name, port, timeout_ms)) {
        alloc_put(link, link_bytes(link));
        return NULL;
    }
    link->name[host.len] = ':';
    memcpy(link->name + host.len + 1, digits, n);
    return link;
}

static bool leads_to(const struct peer_link *link, struct slice host, int port) {
    int64_t its_port;
    struct slice name = slice_of(link->name, link->name_len);
    if (name.len < host.len + 2 || memcmp(name.ptr, host.ptr, host.len) != 0 || name.ptr[host.len] != ':') return false;
    return num_parse_i64(slice_of(name.ptr + host.len + 1, name.len - host.len - 1), &its_port) && its_port == port;
}

static void link_add(struct peer_link *link) {
    if (count == LINKS_MAX) drop_oldest_link();
    if (!timer.fire) loop_timer_init(&timer, drop_idle_links);
    if (!first) loop_timer_start(&timer, LOOK_US);
    link->next = first;
    first = link;
    count++;
}

struct peer_link *links_get(struct slice host, int port, int64_t timeout_ms) {
    struct peer_link *link = first;
    while (link && !leads_to(link, host, port))
        link = link->next;
    if (!link) {
        link = link_new(host, port, timeout_ms);
        if (!link) return NULL;
        link_add(link);
    }
    link->used_ms = clock_mono_us() / 1000;
    return link;
}

size_t links_count(void) {
    return count;
}
