/* The child closes all descriptors except the pipe's, the standard ones and those that its job names. A socket that it
 * held would keep a port in use, or a connection open, after the parent has ended. The child is killed when the parent
 * ends, since nobody else can use what it writes. */
#include "disk/child.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_KEYS 1024 /* between two readings of the clock */
#define REPORT_US 1000000
#define COW_SHARE 100 /* measuring the copied memory may take one part in this many of the child's time */
#define NICENESS 10   /* requests of the parent come first */

struct report {
    size_t keys_done, cow_bytes;
};

struct child_metrics child_metrics;
void (*child_inside)(enum child_kind kind);
void (*child_changed)(bool lives);

/* The reading end of a pipe, and the process that has the other end. */
struct forked {
    struct loop_source pipe; /* first */
    pid_t pid;
    struct forked *next; /* of those that were killed and are not dead yet */
};

static struct {
    struct child_job job;  /* its kind is CHILD_NONE without a child */
    struct forked *forked; /* NULL without a child */
    struct forked *killed;
    enum child_kind reserved;
} parent;

static struct {
    int fd; /* the pipe's writing end; -1: this process is no child */
    size_t keys_done, keys_looked;
    int64_t told_us, cow_next_us;
    size_t cow_bytes;
} child = {.fd = -1};

/* --- In the child ---------------------------------------------------------------------------- */

/* Private dirty pages: pages of the parent that were copied since the fork, and the child's own. */
static size_t copied_bytes(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    unsigned long long kb = 0;
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %llu kB", &kb) == 1) break;
    fclose(file);
    return (size_t)kb * 1024;
}

static void measure_copied(bool now) {
    int64_t began_us = clock_mono_us();
    if (!now && began_us < child.cow_next_us) return;
    child.cow_bytes = copied_bytes();
    int64_t ended_us = clock_mono_us();
    child.cow_next_us = ended_us + (ended_us - began_us) * COW_SHARE;
}

static void tell_parent(bool last) {
    measure_copied(last);
    struct report report = {child.keys_done, child.cow_bytes};
    /* If the pipe is full the parent is busy. The next report repeats all figures. */
    if (write(child.fd, &report, sizeof report) < 0) return;
}

void child_report(size_t keys_done) {
    if (child.fd < 0) return;
    child.keys_done = keys_done;
    if (keys_done - child.keys_looked < REPORT_KEYS) return;
    child.keys_looked = keys_done;
    int64_t now_us = clock_mono_us();
    if (now_us - child.told_us < REPORT_US) return;
    child.told_us = now_us;
    tell_parent(false);
}

/* The first descriptor from `from` on that is kept; UINT_MAX: none. */
static unsigned next_kept(int fd, const int *keep, int count, unsigned from) {
    unsigned next = (unsigned)fd >= from ? (unsigned)fd : UINT_MAX;
    for (int i = 0; i < count; i++) {
        unsigned kept = (unsigned)keep[i];
        if (kept >= from && kept < next) next = kept;
    }
    return next;
}

static void close_others(int fd, const int *keep, int count) {
    for (unsigned from = STDERR_FILENO + 1;;) {
        unsigned next = next_kept(fd, keep, count, from);
        if (next > from) close_range(from, next - 1, 0);
        if (next == UINT_MAX) return;
        from = next + 1;
    }
}

void child_become(pid_t parent_pid, int fd, const int *keep, int keep_count) {
    static const int defaults[] = {SIGUSR1, SIGTERM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        signal(defaults[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole process group; the parent decides */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent_pid) _exit(1);
    close_others(fd, keep, keep_count);
    log_set_role('C');
}

static _Noreturn void be_child(const struct child_job *job, int fd, pid_t parent_pid) {
    child_become(parent_pid, fd, job->keep, job->keep_count);
    child.fd = fd;
    if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICENESS) < 0) errno = 0; /* optional */
    if (child_inside) child_inside(job->kind);
    child.told_us = clock_mono_us();
    int status = job->run(job->ctx);
    tell_parent(true);
    if (child.cow_bytes)
        log_notice("Fork CoW for %s: current %zu MB, peak %zu MB, average %zu MB",
                   job->kind == CHILD_AOF ? "AOF rewrite" : "RDB", child.cow_bytes >> 20, child.cow_bytes >> 20,
                   child.cow_bytes >> 20);
    _exit(status);
}

/* --- In the parent --------------------------------------------------------------------------- */

static void take_reports(void) {
    struct report report;
    while (read(parent.forked->pipe.fd, &report, sizeof report) == sizeof report) {
        child_metrics.keys_done = report.keys_done;
        child_metrics.cow_bytes = report.cow_bytes;
        child_metrics.cow_us = clock_mono_us();
        if (report.cow_bytes > child_metrics.cow_peak) child_metrics.cow_peak = report.cow_bytes;
    }
}

static void free_forked(struct forked *forked) {
    loop_remove(&forked->pipe);
    close(forked->pipe.fd);
    alloc_put(forked, sizeof *forked);
}

/* The pipe has closed, so the process is a zombie, or about to be one. */
static int reap_child(struct forked *forked) {
    int status = 0;
    while (waitpid(forked->pid, &status, 0) < 0 && errno == EINTR) {
    }
    free_forked(forked);
    return status;
}

/* There is no child any more. */
static void end_job(const struct child_end *end) {
    struct child_job job = parent.job;
    child_metrics.last_cow_bytes[job.kind] = child_metrics.cow_bytes;
    child_metrics.keys_done = child_metrics.keys_total = child_metrics.cow_bytes = child_metrics.cow_peak = 0;
    parent.job.kind = CHILD_NONE;
    parent.forked = NULL;
    job.done(job.ctx, end);
    if (child_changed && parent.job.kind == CHILD_NONE) child_changed(false); /* done() may fork again */
}

static bool has_hung_up(struct loop_source *pipe, uint32_t events) {
    struct report report;
    return (events & ~(uint32_t)LOOP_READ) || read(pipe->fd, &report, sizeof report) == 0;
}

static void pipe_ready(struct loop_source *source, uint32_t events) {
    struct child_end end = {.pid = parent.forked->pid};
    take_reports();
    if (!has_hung_up(source, events)) return;
    int status = reap_child(parent.forked);
    end.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end_job(&end);
}

/* A killed child may be dead at last. */
static void killed_ready(struct loop_source *source, uint32_t events) {
    struct forked *forked = (struct forked *)source, **at = &parent.killed;
    if (!has_hung_up(source, events)) return;
    while (*at != forked)
        at = &(*at)->next;
    *at = forked->next;
    reap_child(forked);
}

static struct forked *make_forked(int *writing_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return NULL;
    struct forked *forked = alloc_get(sizeof *forked);
    forked->pipe = (struct loop_source){.fd = ends[0], .ready = pipe_ready};
    forked->pid = -1;
    *writing_end = ends[1];
    if (loop_add(&forked->pipe, LOOP_READ)) return forked;
    close(ends[0]);
    close(ends[1]);
    alloc_put(forked, sizeof *forked);
    return NULL;
}

static bool may_start(enum child_kind kind) {
    return parent.job.kind == CHILD_NONE && (parent.reserved == CHILD_NONE || parent.reserved == kind);
}

bool child_start(const struct child_job *job) {
    int writing_end;
    if (!may_start(job->kind)) {
        errno = EEXIST;
        return false;
    }
    struct forked *forked = make_forked(&writing_end);
    if (!forked) return false;
    pid_t self = getpid();
    int64_t began_us = clock_mono_us();
    forked->pid = fork();
    if (forked->pid == 0) be_child(job, writing_end, self);
    int reason = errno;
    close(writing_end);
    if (forked->pid < 0) {
        free_forked(forked);
        errno = reason;
        return false;
    }
    child_metrics.fork_us = clock_mono_us() - began_us;
    child_metrics.forks++;
    child_metrics.keys_total = job->keys;
    parent.job = *job;
    parent.forked = forked;
    if (child_changed) child_changed(true);
    return true;
}

enum child_kind child_running(void) {
    return parent.job.kind != CHILD_NONE ? parent.job.kind : parent.reserved;
}

void child_reserve(enum child_kind kind) {
    parent.reserved = kind;
}

pid_t child_pid(void) {
    return parent.forked ? parent.forked->pid : -1;
}

void child_kill(void) {
    if (parent.job.kind == CHILD_NONE) return;
    struct child_end end = {.pid = parent.forked->pid, .status = 1, .signal = SIGUSR1};
    take_reports();
    kill(end.pid, SIGKILL);
    parent.forked->pipe.ready = killed_ready;
    parent.forked->next = parent.killed;
    parent.killed = parent.forked;
    end_job(&end);
}
