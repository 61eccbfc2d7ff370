/* See ldb.h. A session runs inside the body of EVAL: its client's replies so far are sent at once, the dialogue uses
 * the socket directly, and the reply of EVAL comes last. In a child that reply is sent here too, and the process ends;
 * in the server it goes the way of all replies. The parent of a child forgets the client: it closes its descriptor, but
 * not the connection, which is the child's.
 *
 * Children of sessions are no children of disk/child.h, since any number of these may live beside a snapshot. They die
 * with the server. */
#include "script/ldb.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "disk/child.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "net/conn.h"
#include "net/loop.h"
#include "script/catch.h"
#include "script/ldb_console.h"
#include "script/ldb_log.h"
#include "script/ldb_show.h"
#include "script/ldb_source.h"
#include "script/ldb_wire.h"
#include "script/run.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <errno.h>
#include <fcntl.h>
#include <lua5.1/lauxlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN_MAX = 32 };

/* --- Clients that want to debug --------------------------------------------------------------- */

enum ldb_mode { LDB_FORKED, LDB_SYNC };

/* Few clients ever have one, so it is no member of struct client. */
struct ldb_wish {
    const struct client *client;
    enum ldb_mode mode;
    struct ldb_wish *next;
};

int ldb_clients;
static struct ldb_wish *wishes;

static struct ldb_wish **find_wish(const struct client *c) {
    struct ldb_wish **at = &wishes;
    while (*at && (*at)->client != c)
        at = &(*at)->next;
    return at;
}

bool ldb_asked(const struct client *c) {
    return *find_wish(c);
}

static void forget_wish(struct client *c) {
    struct ldb_wish **at = find_wish(c), *wish = *at;
    if (!wish) return;
    *at = wish->next;
    alloc_put(wish, sizeof *wish);
    ldb_clients--;
}

static void set_wish(struct client *c, enum ldb_mode mode) {
    forget_wish(c);
    struct ldb_wish *wish = alloc_get(sizeof *wish);
    *wish = (struct ldb_wish){c, mode, wishes};
    wishes = wish;
    ldb_clients++;
}

static size_t replies_start(void) {
    return conn_mark() - conn_range_written();
}

/* Nothing of the client waits to be sent, but what this wave has replied. */
static bool has_older_output(const struct client *c) {
    return conn_unsent(&c->conn) || call_is_nested;
}

void ldb_command(struct request *r) {
    struct client *c = r->client;
    if (conn_range_written() || has_older_output(c)) {
        reply_error(c, "ERR SCRIPT DEBUG must be called outside a pipeline");
    } else if (slice_is(r->argv[2], "no")) {
        forget_wish(c);
        reply_ok(c);
    } else if (slice_is(r->argv[2], "yes") || slice_is(r->argv[2], "sync")) {
        set_wish(c, slice_is(r->argv[2], "yes") ? LDB_FORKED : LDB_SYNC);
        reply_ok(c);
    } else {
        reply_error(c, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    }
}

/* --- The script ------------------------------------------------------------------------------ */

bool ldb_is_on;

static struct {
    int line;         /* that is about to run */
    bool stops_next;  /* redis.breakpoint() was called */
    bool is_alone;    /* the client has hung up: the script runs on without stops */
    int64_t since_us; /* it runs without a stop */
} session;

/* No error handler of the script may catch this. */
static void end_script(lua_State *L, const char *reason) {
    catch_ending = true;
    lua_pushstring(L, reason);
    lua_error(L);
}

static void stop(lua_State *L, const char *reason) {
    ldb_log_calls = session.stops_next = false;
    ldb_say("* Stopped at %d, stop reason = %s", session.line, reason);
    ldb_source_say(session.line, session.line);
    ldb_wire_send();
    enum ldb_console_end end = ldb_console(L, session.line);
    session.since_us = clock_mono_us();
    switch (end) {
    case LDB_STEPS: ldb_log_calls = true; break;
    case LDB_CONTINUES: break;
    case LDB_ABORTS: end_script(L, "script aborted for user request"); break;
    case LDB_BAD: end_script(L, "protocol error"); break;
    case LDB_GONE:
        session.is_alone = true;
        ldb_source_clear_breakpoints();
        break;
    }
}

/* Is it the script that runs, and not code that it has made? Notes its line. */
static bool is_in_script(lua_State *L, lua_Debug *at) {
    lua_getinfo(L, "Sl", at);
    session.line = at->currentline;
    return strstr(at->short_src, "user_script");
}

void ldb_at_line(lua_State *L, lua_Debug *at) {
    if (session.is_alone || !is_in_script(L, at)) return;
    if (session.stops_next)
        stop(L, "redis.breakpoint() called");
    else if (ldb_source_has_breakpoint(session.line))
        stop(L, "break point");
    else if (ldb_log_calls)
        stop(L, "step over");
}

void ldb_at_count(lua_State *L, lua_Debug *at) {
    if (clock_mono_us() - session.since_us < run_threshold_us()) return;
    if (session.is_alone) end_script(L, "timeout during Lua debugging with client closing connection");
    if (is_in_script(L, at)) stop(L, "timeout reached, infinite loop?");
}

int ldb_breakpoint(lua_State *L) {
    if (ldb_is_on) session.stops_next = true;
    lua_pushboolean(L, ldb_is_on);
    return 1;
}

int ldb_debug(lua_State *L) {
    if (!ldb_is_on) return 0;
    struct buf line = {0};
    buf_printf(&line, "<debug> line %d: ", session.line);
    for (int i = 1, n = lua_gettop(L); i <= n; i++) {
        if (i > 1) buf_append_cstr(&line, ", ");
        ldb_show_value(L, i, &line);
    }
    ldb_say_text(buf_slice(&line));
    buf_free(&line);
    return 0;
}

/* --- A session ------------------------------------------------------------------------------- */

/* Send what the client was replied before, and begin. */
static void begin_session(struct request *r) {
    struct buf earlier = {0};
    size_t start = replies_start();
    conn_copy(start, conn_mark(), &earlier);
    conn_truncate(start);
    ldb_wire_open(r->client->conn.source.fd);
    ldb_wire_write(earlier.data, earlier.len);
    buf_free(&earlier);
    ldb_source_open(r->argv[1]);
    session.line = 0;
    session.stops_next = session.is_alone = false;
    session.since_us = clock_mono_us();
    ldb_log_calls = ldb_is_on = true;
}

static void end_session(void) {
    ldb_log_calls = ldb_is_on = false;
    ldb_say("<endsession>");
    ldb_wire_send();
    ldb_source_close();
}

static void run_sync(struct request *r, void (*body)(struct request *r)) {
    log_notice("Debugging a script of client id=%llu: nobody else is served until it ends",
               (unsigned long long)r->client->id);
    begin_session(r);
    body(r);
    end_session();
    ldb_wire_close();
    r->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

/* --- Children -------------------------------------------------------------------------------- */

/* The pipe's other end is the child's: it closes when the child ends, in whatever way. */
struct ldb_child {
    struct loop_source pipe; /* first */
    pid_t pid;
    struct ldb_child *next;
};

static struct ldb_child *children;
static int child_count;

static void forget_child(const struct ldb_child *child) {
    struct ldb_child **at = &children;
    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    child_count--;
}

static void child_ended(struct loop_source *source, uint32_t events) {
    struct ldb_child *child = (struct ldb_child *)source;
    (void)events;
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    log_notice("Debugging session with pid %d has ended", (int)child->pid);
    loop_remove(source);
    close(source->fd);
    forget_child(child);
    alloc_put(child, sizeof *child);
}

static _Noreturn void be_child(struct request *r, void (*body)(struct request *r), pid_t parent, int pipe) {
    struct buf reply = {0};
    child_become(parent, pipe, &r->client->conn.source.fd, 1);
    propagate_stop();
    begin_session(r);
    body(r);
    end_session();
    conn_copy(replies_start(), conn_mark(), &reply);
    ldb_wire_write(reply.data, reply.len);
    _exit(0);
}

static void add_child(struct ldb_child *child) {
    child->next = children;
    children = child;
    child_count++;
}

/* False: errno. */
static bool fork_session(struct request *r, void (*body)(struct request *r)) {
    int ends[2];
    pid_t self = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    struct ldb_child *child = alloc_get(sizeof *child);
    *child = (struct ldb_child){.pipe = {.fd = ends[0], .ready = child_ended}, .pid = -1};
    bool watched = loop_add(&child->pipe, LOOP_READ);
    if (watched) child->pid = fork();
    if (child->pid == 0) be_child(r, body, self, ends[1]);
    int reason = errno;
    close(ends[1]);
    if (child->pid > 0) {
        add_child(child);
        log_notice("Debugging session of client id=%llu has pid %d", (unsigned long long)r->client->id,
                   (int)child->pid);
        return true;
    }
    if (watched) loop_remove(&child->pipe);
    close(ends[0]);
    alloc_put(child, sizeof *child);
    errno = reason;
    return false;
}

static void run_forked(struct request *r, void (*body)(struct request *r)) {
    struct client *c = r->client;
    if (child_count >= CHILDREN_MAX) {
        reply_error(c, "ERR Too many debugging sessions");
    } else if (!fork_session(r, body)) {
        reply_errorf(c, "ERR Can't fork for a debugging session: %s", strerror(errno));
    } else {
        conn_truncate(replies_start());
        c->flags |= CLIENT_CLOSE_AFTER_REPLY;
    }
}

void ldb_run(struct request *r, void (*body)(struct request *r)) {
    if (has_older_output(r->client))
        reply_error(r->client, "ERR EVAL must be debugged outside a pipeline or a transaction");
    else if ((*find_wish(r->client))->mode == LDB_SYNC)
        run_sync(r, body);
    else
        run_forked(r, body);
}

/* --- The module ------------------------------------------------------------------------------ */

static const struct client_part ldb_part = {.forget = forget_wish, .reset = forget_wish};

const struct module ldb_module = {.part = &ldb_part};
