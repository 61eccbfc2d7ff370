/* The reactor: one epoll set, timers, and a turn. A turn is: wait; hand every ready source its events;
 * run due timers; call the turn hook (the server executes the wave it collected and sends the replies). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { LOOP_READ = 1, LOOP_WRITE = 4, LOOP_HANGUP = 0x2000 }; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP */

struct loop_source {
    int fd;
    uint32_t events; /* what is being waited for */
    void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop_timer {
    int64_t due_us;                         /* monotonic; set by loop_timer_start */
    void (*fire)(struct loop_timer *timer); /* may start the timer again */
    int32_t heap_index;                     /* -1 while it is not running */
};

bool loop_init(int expected_fds); /* false (errno) if the kernel gives no epoll set */
void loop_close(void);
/* False (errno) if the kernel refuses. A source is removed before its fd is closed;
 * whoever owns it may free its memory only at the end of the turn, since events of
 * this turn may still name it (its ready is not called any more). */
bool loop_add(struct loop_source *source, uint32_t events);
bool loop_set_events(struct loop_source *source, uint32_t events);
void loop_remove(struct loop_source *source);

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer));
void loop_timer_start(struct loop_timer *timer, int64_t delay_us); /* also moves a running one; O(log timers) */
void loop_timer_stop(struct loop_timer *timer);

/* `turn` runs once a turn and returns how long the loop may sleep at most, in ms (-1: no limit, 0: not at all). */
void loop_run(int (*turn)(void));
/* One turn that does not wait, for long work outside of loop_run() that must not keep everybody else waiting. */
void loop_poll(int (*turn)(void));
void loop_stop(void); /* after this turn; safe in a signal handler together with loop_wake */
void loop_wake(void); /* ends the wait; safe in a signal handler and from other threads */
uint64_t loop_turns(void);
