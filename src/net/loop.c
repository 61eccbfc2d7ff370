/* The reactor. epoll is level-triggered: a source that was not read to its end is simply reported again, which makes
 * bounded reads fair. The timers are a binary heap of pointers to structs of their owners, so that a timer costs no
 * allocation, and one that is not due costs nothing. */
#include "net/loop.h"
#include "base/alloc.h"
#include "base/clock.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOP_EVENTS 1024 /* the most events of one wait */
#define HEARD_EVENTS 256 /* the same for loop_hear() */

static_assert((int)LOOP_READ == EPOLLIN && (int)LOOP_WRITE == EPOLLOUT && (int)LOOP_HANGUP == EPOLLRDHUP,
              "loop events are epoll's");

static struct {
    int epoll_fd;
    int wake_fd;
    struct epoll_event ready[LOOP_EVENTS];
    int ready_count; /* of this turn */
    struct loop_timer **heap;
    int32_t timers, heap_cap;
    uint64_t turns;
} loop = {.epoll_fd = -1, .wake_fd = -1};

static atomic_bool stopping; /* signal handlers set it */
static struct loop_source wake_source;

/* --- Sources --------------------------------------------------------------------------------- */

static void drain_wake(struct loop_source *source, uint32_t events) {
    (void)events;
    uint64_t count;
    if (read(source->fd, &count, sizeof count) < 0) return; /* the count was read already */
}

bool loop_init(int expected_fds) {
    (void)expected_fds;
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll_fd < 0) return false;
    loop.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop.wake_fd < 0) return false;
    wake_source = (struct loop_source){.fd = loop.wake_fd, .ready = drain_wake};
    return loop_add(&wake_source, LOOP_READ);
}

void loop_close(void) {
    if (loop.wake_fd >= 0) close(loop.wake_fd);
    if (loop.epoll_fd >= 0) close(loop.epoll_fd);
    loop.wake_fd = loop.epoll_fd = -1;
    if (loop.heap) alloc_put(loop.heap, (size_t)loop.heap_cap * sizeof *loop.heap);
    loop.heap = NULL;
    loop.timers = loop.heap_cap = 0;
}

bool loop_add(struct loop_source *source, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = source};
    source->events = events;
    return epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

bool loop_set_events(struct loop_source *source, uint32_t events) {
    if (source->events == events) return true;
    struct epoll_event event = {.events = events, .data.ptr = source};
    source->events = events;
    return epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, source->fd, &event) == 0;
}

static void ignore_ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

void loop_remove(struct loop_source *source) {
    epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->ready = ignore_ready; /* an event of this turn may still name it */
}

/* --- Timers ---------------------------------------------------------------------------------- */

static void heap_place(int32_t i, struct loop_timer *timer) {
    loop.heap[i] = timer;
    timer->heap_index = i;
}

static void heap_up(int32_t i, struct loop_timer *timer) {
    for (int32_t parent; i > 0 && loop.heap[parent = (i - 1) / 2]->due_us > timer->due_us; i = parent)
        heap_place(i, loop.heap[parent]);
    heap_place(i, timer);
}

static void heap_down(int32_t i, struct loop_timer *timer) {
    for (int32_t child; (child = 2 * i + 1) < loop.timers; i = child) {
        if (child + 1 < loop.timers && loop.heap[child + 1]->due_us < loop.heap[child]->due_us) child++;
        if (loop.heap[child]->due_us >= timer->due_us) break;
        heap_place(i, loop.heap[child]);
    }
    heap_place(i, timer);
}

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer)) {
    *timer = (struct loop_timer){.fire = fire, .heap_index = -1};
}

void loop_timer_stop(struct loop_timer *timer) {
    int32_t i = timer->heap_index;
    if (i < 0) return;
    assert(loop.heap[i] == timer);
    struct loop_timer *last = loop.heap[--loop.timers];
    timer->heap_index = -1;
    if (last == timer) return;
    if (last->due_us < timer->due_us)
        heap_up(i, last);
    else
        heap_down(i, last);
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_us) {
    loop_timer_stop(timer);
    if (loop.timers == loop.heap_cap) {
        int32_t cap = loop.heap_cap ? loop.heap_cap * 2 : 16;
        loop.heap = alloc_resize(loop.heap, (size_t)loop.heap_cap * sizeof *loop.heap, (size_t)cap * sizeof *loop.heap);
        loop.heap_cap = cap;
    }
    timer->due_us = clock_mono_us() + delay_us;
    heap_up(loop.timers++, timer);
}

static void fire_timers(void) {
    if (loop.timers == 0) return;
    int64_t now_us = clock_mono_us();
    while (loop.timers && loop.heap[0]->due_us <= now_us) {
        struct loop_timer *timer = loop.heap[0];
        loop_timer_stop(timer);
        timer->fire(timer);
    }
}

/* --- The turn -------------------------------------------------------------------------------- */

static int sleep_limit_ms(int wanted_ms) {
    if (loop.timers == 0 || wanted_ms == 0) return wanted_ms;
    int64_t left_us = loop.heap[0]->due_us - clock_mono_us();
    int64_t left_ms = left_us <= 0 ? 0 : (left_us + 999) / 1000;
    if (wanted_ms >= 0 && wanted_ms < left_ms) return wanted_ms;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

static int take_turn(int wait_ms, int (*turn)(void)) {
    loop.ready_count = epoll_wait(loop.epoll_fd, loop.ready, LOOP_EVENTS, wait_ms);
    assert(loop.ready_count >= 0 || errno == EINTR);
    loop.turns++;
    for (int i = 0; i < loop.ready_count; i++) {
        struct loop_source *source = loop.ready[i].data.ptr;
        source->ready(source, loop.ready[i].events);
    }
    fire_timers();
    return turn();
}

void loop_run(int (*turn)(void)) {
    int limit_ms = turn();
    while (!atomic_load_explicit(&stopping, memory_order_relaxed))
        limit_ms = take_turn(sleep_limit_ms(limit_ms), turn);
    atomic_store(&stopping, false);
}

void loop_poll(int (*turn)(void)) {
    take_turn(0, turn);
}

void loop_wait(int wait_ms, int (*turn)(void)) {
    take_turn(sleep_limit_ms(wait_ms), turn);
}

/* The events of the turn may be in use: this takes place inside of one. */
void loop_hear(void (*hear)(struct loop_source *source, uint32_t events)) {
    struct epoll_event ready[HEARD_EVENTS];
    int count = epoll_wait(loop.epoll_fd, ready, HEARD_EVENTS, 0);
    for (int i = 0; i < count; i++)
        hear(ready[i].data.ptr, ready[i].events);
}

bool loop_is_stopping(void) {
    return atomic_load_explicit(&stopping, memory_order_relaxed);
}

void loop_stop(void) {
    atomic_store(&stopping, true);
}

void loop_wake(void) {
    int saved = errno;
    uint64_t one = 1;
    if (write(loop.wake_fd, &one, sizeof one) < 0) errno = saved; /* the counter is full: the loop will wake anyway */
    errno = saved;
}

uint64_t loop_turns(void) {
    return loop.turns;
}
