/* One thread and a queue under a mutex. Its jobs take milliseconds, so the queue need not be clever; but a fork and the
 * end of the process must be simple to reason about. The thread takes no signals: those are for the main thread.
 *
 * Invariant: `pending` counts the jobs in the queue and the one that runs; the mutex is not held while a job runs. */
#include "base/worker.h"
#include "base/alloc.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

struct job {
    void (*run)(void *);
    void *arg;
    size_t bytes; /* that it is expected to free, itself included */
    struct job *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER; /* a job was queued, or `stopping` was set */
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER; /* pending fell to 0 */
static struct job *first, **last = &first;             /* guarded by the mutex */
static size_t pending;                                 /* guarded by the mutex */
static bool stopping;                                  /* guarded by the mutex */

static int64_t expected; /* to be freed by all jobs so far: only the main thread knows it */
static int64_t surplus;  /* that jobs have freed beyond that: atomic, written by the thread */

static bool running; /* changes only while there is no thread */
static pthread_t thread;

/* The child has no worker, and the queued jobs are the parent's to run. */
static void worker_after_fork_child(void) {
    running = stopping = false;
    first = NULL;
    last = &first;
    pending = 0;
    pthread_cond_init(&wake, NULL); /* the old one may count a waiter of the parent */
    pthread_cond_init(&idle, NULL);
    pthread_mutex_unlock(&mutex);
}

static void worker_before_fork(void) {
    pthread_mutex_lock(&mutex);
}

static void worker_after_fork_parent(void) {
    pthread_mutex_unlock(&mutex);
}

static void run_job(struct job *job) {
    int64_t before = alloc_balance(), bytes = (int64_t)job->bytes;
    job->run(job->arg);
    alloc_put(job, sizeof *job);
    __atomic_fetch_add(&surplus, before - alloc_balance() - bytes, __ATOMIC_RELAXED);
}

static void *worker_main(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, "kura-worker");
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!first && !stopping)
            pthread_cond_wait(&wake, &mutex);
        struct job *job = first;
        if (!job) break;
        first = job->next;
        if (!first) last = &first;
        pthread_mutex_unlock(&mutex);
        run_job(job);
        pthread_mutex_lock(&mutex);
        if (--pending == 0) pthread_cond_broadcast(&idle);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

void worker_start(void) {
    static bool fork_handled;
    if (running) return;
    if (!fork_handled)
        fork_handled = pthread_atfork(worker_before_fork, worker_after_fork_parent, worker_after_fork_child) == 0;
    stopping = false;
    running = true;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    int failed = pthread_create(&thread, NULL, worker_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) running = false; /* jobs run in the caller: slower, never wrong */
}

void worker_stop(void) {
    if (!running) return;
    pthread_mutex_lock(&mutex);
    stopping = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    running = false;
}

void worker_submit(void (*run)(void *), void *arg) {
    worker_submit_free(run, arg, 0);
}

void worker_submit_free(void (*run)(void *), void *arg, size_t bytes) {
    if (!running) {
        run(arg);
        return;
    }
    struct job *job = alloc_get(sizeof *job);
    *job = (struct job){.run = run, .arg = arg, .bytes = bytes + alloc_class(sizeof *job)};
    expected += (int64_t)job->bytes;
    pthread_mutex_lock(&mutex);
    *last = job;
    last = &job->next;
    pending++;
    pthread_mutex_unlock(&mutex);
    pthread_cond_signal(&wake);
}

int64_t worker_freed(void) {
    return expected + __atomic_load_n(&surplus, __ATOMIC_RELAXED);
}

size_t worker_pending(void) {
    pthread_mutex_lock(&mutex);
    size_t n = pending;
    pthread_mutex_unlock(&mutex);
    return n;
}

void worker_drain(void) {
    pthread_mutex_lock(&mutex);
    while (pending)
        pthread_cond_wait(&idle, &mutex);
    pthread_mutex_unlock(&mutex);
}
