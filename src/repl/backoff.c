/* See backoff.h. A few replicas are remembered, in a ring: one that comes under ever new names only pushes out others,
 * which costs a fork too many. */
#include "repl/backoff.h"
#include "base/clock.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REMEMBERED 32
#define LONGEST_S 60
#define NAME_MAX_BYTES 320

static struct failing {
    char name[NAME_MAX_BYTES]; /* "": free */
    int wait_s;
    int64_t until_ms;
} ring[REMEMBERED];
static unsigned next; /* the one that is overwritten next */

static struct failing *find(const char *name) {
    for (int i = 0; i < REMEMBERED; i++)
        if (ring[i].name[0] && strcmp(ring[i].name, name) == 0) return &ring[i];
    return NULL;
}

static struct failing *find_or_add(const char *name) {
    struct failing *f = find(name);
    if (f) return f;
    f = &ring[next++ % REMEMBERED];
    *f = (struct failing){.wait_s = 0};
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

int backoff_fail(const char *name) {
    struct failing *f = find_or_add(name);
    f->wait_s = f->wait_s ? f->wait_s * 2 : 1;
    if (f->wait_s > LONGEST_S) f->wait_s = LONGEST_S;
    f->until_ms = clock_steady_ms() + (int64_t)f->wait_s * 1000;
    return f->wait_s;
}

int64_t backoff_until_ms(const char *name) {
    const struct failing *f = find(name);
    return f ? f->until_ms : 0;
}

void backoff_succeed(const char *name) {
    struct failing *f = find(name);
    if (f) f->name[0] = '\0';
}
