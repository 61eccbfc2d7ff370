/* The reactor: one epoll set, timers, and turns. A turn waits, passes every ready source its events, runs the timers
 * that are due, and calls the turn hook, in which the server executes the wave it has collected and sends the replies.
 *
 * All functions are for the main thread, except loop_stop() and loop_wake(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { LOOP_READ = 1, LOOP_WRITE = 4, LOOP_HANGUP = 0x2000 }; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP */

struct loop_source {
    int fd;
    uint32_t events; /* the events that it waits for */
    void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop_timer {
    int64_t due_us;                         /* monotonic; set by loop_timer_start() */
    void (*fire)(struct loop_timer *timer); /* may start the timer again */
    int32_t heap_index;                     /* -1 while it is not running */
};

bool loop_init(int expected_fds); /* false (errno) if the kernel gives no epoll set */
void loop_close(void);
/* False (errno) if the kernel refuses. A source is removed before its fd is closed. Its owner may free its memory only
 * at the end of the turn, since events of this turn may still name it (its ready() is not called any more). O(1). */
bool loop_add(struct loop_source *source, uint32_t events);
bool loop_set_events(struct loop_source *source, uint32_t events);
void loop_remove(struct loop_source *source);

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer));
void loop_timer_start(struct loop_timer *timer, int64_t delay_us); /* restarts a running one; O(log timers) */
void loop_timer_stop(struct loop_timer *timer);                    /* O(log timers) */

/* Take turns until loop_stop(). `turn` runs once per turn and returns how long the loop may sleep at most, in ms (-1:
 * no limit, 0: not at all). */
void loop_run(int (*turn)(void));
/* One turn that does not wait: for long work outside of loop_run() during which other clients must be served. */
void loop_poll(int (*turn)(void));
void loop_wait(int wait_ms, int (*turn)(void)); /* the same, but it waits for an event, at most so long */
/* Inside of a turn: look at the sources without waiting, and give the events of each to `hear`, which passes on to its
 * ready() what cannot wait. What is not passed on is found again by the next turn. No timer fires. */
void loop_hear(void (*hear)(struct loop_source *source, uint32_t events));
bool loop_is_stopping(void); /* loop_stop() was called: long work is to end */
void loop_stop(void);        /* loop_run() returns after this turn; async-signal-safe, together with loop_wake() */
void loop_wake(void);        /* ends the wait; async-signal-safe, and any thread may call */
uint64_t loop_turns(void);   /* taken so far */
