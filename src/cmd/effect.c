/* See effect.h. Invariant: every argument is text that any server reads in the same way: a deadline is absolute, in
 * milliseconds, and a number is the one that was replied. */
#include "cmd/effect.h"
#include "base/num.h"
#include "exec/propagate.h"

static struct slice print_ms(char *to, int64_t value) {
    return slice_of(to, (size_t)num_print_i64(to, value));
}

void effect_delete(struct slice key) {
    if (!propagate_wanted) return;
    propagate_as((struct slice[]){SLICE("DEL"), key}, 2);
}

void effect_expire(struct slice key, int64_t deadline_ms) {
    if (!propagate_wanted) return;
    char ms[NUM_I64_MAX];
    propagate_as((struct slice[]){SLICE("PEXPIREAT"), key, print_ms(ms, deadline_ms)}, 3);
}

void effect_persist(struct slice key) {
    if (!propagate_wanted) return;
    propagate_as((struct slice[]){SLICE("PERSIST"), key}, 2);
}

void effect_set(struct slice key, struct slice value) {
    if (!propagate_wanted) return;
    propagate_as((struct slice[]){SLICE("SET"), key, value}, 3);
}

void effect_set_keeping(struct slice key, struct slice value) {
    if (!propagate_wanted) return;
    propagate_as((struct slice[]){SLICE("SET"), key, value, SLICE("KEEPTTL")}, 4);
}

void effect_set_until(struct slice key, struct slice value, int64_t deadline_ms) {
    if (!propagate_wanted) return;
    char ms[NUM_I64_MAX];
    propagate_as((struct slice[]){SLICE("SET"), key, value, SLICE("PXAT"), print_ms(ms, deadline_ms)}, 5);
}
