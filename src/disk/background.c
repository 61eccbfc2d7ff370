/* The worker queues what it has done and writes to an eventfd, which wakes the loop. */
#include "disk/background.h"
#include "base/worker.h"
#include "net/loop.h"
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct background_job *first, **last = &first; /* those that have run; guarded by the mutex */
static struct loop_source wakeup = {.fd = -1};

static struct background_job *take_all(void) {
    pthread_mutex_lock(&mutex);
    struct background_job *jobs = first;
    first = NULL;
    last = &first;
    pthread_mutex_unlock(&mutex);
    return jobs;
}

static void hear(struct loop_source *source, uint32_t events) {
    uint64_t count;
    (void)events;
    if (read(source->fd, &count, sizeof count) < 0) return; /* nothing new */
    for (struct background_job *job = take_all(), *next; job; job = next) {
        next = job->next; /* done() may run the job again */
        job->done(job);
    }
}

static void run_and_tell(void *arg) {
    struct background_job *job = arg;
    uint64_t one = 1;
    job->run(job);
    job->next = NULL;
    pthread_mutex_lock(&mutex);
    *last = job;
    last = &job->next;
    pthread_mutex_unlock(&mutex);
    if (write(wakeup.fd, &one, sizeof one) < 0) abort(); /* cannot happen: the counter never fills up */
}

static void begin_to_hear(void) {
    wakeup = (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = hear};
    if (wakeup.fd < 0 || !loop_add(&wakeup, LOOP_READ)) abort(); /* out of descriptors, of which some are reserved */
}

void background_run(struct background_job *job) {
    if (wakeup.fd < 0) begin_to_hear();
    worker_submit(run_and_tell, job);
}
