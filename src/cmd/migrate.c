/* MIGRATE: keys are dumped, sent to another server (the target) as RESTOREs, and removed here as its answers come in.
 *
 * All requests are written before the first answer is read. As in Redis, no other client is served meanwhile: a key
 * must not change between its dump and its removal. A key is removed only after its own RESTORE has succeeded, so that
 * it is on one server at least, whatever happens to the connection. The removed keys are propagated as a DEL. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "exec/propagate.h"
#include "net/links.h"
#include "net/resp.h"
#include "rdb/rdb.h"
#include "session/client.h"
#include "session/request.h"
#include <errno.h>

#define DEFAULT_TIMEOUT_MS 1000

struct migration {
    struct request *request;
    bool copy, replace;
    struct slice user, password; /* ptr NULL: not given */
    int64_t db, timeout_ms;      /* db: index at the target */
    const struct slice *names;   /* the keys of the request: arguments */
    int n_names;
    struct key *keys; /* those that exist; room for n_names */
    int n_keys;
    struct slice *gone; /* "DEL", and the names of the keys that were removed */
    int n_gone;
    char error[512]; /* the target's first one, or "" */
};

enum outcome {
    DONE,        /* every request was answered, by an error perhaps */
    RETRY,       /* the connection failed before the first key was answered */
    NOT_WRITTEN, /* the connection failed, or the time was over, before all requests were written */
    NOT_READ,    /* the same, before all answers were read */
};

/* --- Arguments: each parser replies the error if it fails ------------------------------------ */

static bool parse_keys(struct migration *m, int i) {
    struct request *r = m->request;
    if (r->argv[3].len > 0)
        return args_refuse(r->client,
                           "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
    m->names = r->argv + i + 1;
    m->n_names = r->argc - i - 1;
    return true;
}

/* AUTH or AUTH2 at argument i. Returns how many arguments it takes; 0: some are missing. */
static int parse_credentials(struct migration *m, int i) {
    struct request *r = m->request;
    bool with_user = slice_is(r->argv[i], "auth2");
    int n = with_user ? 2 : 1;
    if (i + n >= r->argc) return 0;
    for (int k = 1; k <= n; k++)
        request_redact(r, i + k);
    m->user = with_user ? r->argv[i + 1] : slice_of(NULL, 0);
    m->password = r->argv[i + n];
    return n;
}

static bool parse_migrate_options(struct migration *m) {
    struct request *r = m->request;
    for (int i = 6; i < r->argc; i++) {
        struct slice word = r->argv[i];
        int more = 0;
        if (slice_is(word, "copy")) {
            m->copy = true;
        } else if (slice_is(word, "replace")) {
            m->replace = true;
        } else if (slice_is(word, "keys")) {
            return parse_keys(m, i);
        } else if ((slice_is(word, "auth") || slice_is(word, "auth2")) && (more = parse_credentials(m, i))) {
            i += more;
        } else {
            return args_syntax_error(r->client);
        }
    }
    return true;
}

static bool parse_arguments(struct migration *m) {
    struct request *r = m->request;
    m->names = r->argv + 3;
    m->n_names = 1;
    if (!parse_migrate_options(m)) return false;
    if (!args_i64(r->client, r->argv[5], &m->timeout_ms) || !args_i64(r->client, r->argv[4], &m->db)) return false;
    if (m->timeout_ms <= 0) m->timeout_ms = DEFAULT_TIMEOUT_MS;
    return true;
}

static void find_existing(struct migration *m) {
    for (int i = 0; i < m->n_names; i++) {
        struct key key = key_of(m->names[i]);
        if (db_read(m->request->client->db, &key)) m->keys[m->n_keys++] = key;
    }
}

/* --- Requests to the target ------------------------------------------------------------------ */

/* AUTH and SELECT, as far as the connection needs them. */
static void put_introduction(struct buf *out, const struct migration *m, const struct peer_link *link) {
    if (m->password.ptr) {
        buf_append_cstr(out, m->user.ptr ? "*3\r\n$4\r\nAUTH\r\n" : "*2\r\n$4\r\nAUTH\r\n");
        if (m->user.ptr) resp_put_word(out, m->user);
        resp_put_word(out, m->password);
    }
    if (link->db == m->db) return;
    buf_append_cstr(out, "*2\r\n$6\r\nSELECT\r\n");
    resp_put_int(out, m->db);
}

static void put_restore(struct buf *out, const struct migration *m, const struct key *key) {
    const struct entry *e = db_look(m->request->client->db, key);
    if (!e) return; /* cannot be: nothing has run since the key was found, and the clock has stood still */
    int64_t ttl_ms = 0;
    if (entry_has_ttl(e)) {
        ttl_ms = entry_deadline_ms(e) - clock_now_ms();
        if (ttl_ms < 1) ttl_ms = 1;
    }
    struct writer w;
    writer_to_memory(&w, true);
    rdb_dump(&w, e);
    buf_append_cstr(out, m->replace ? "*5\r\n$7\r\nRESTORE\r\n" : "*4\r\n$7\r\nRESTORE\r\n");
    resp_put_word(out, key->name);
    resp_put_int(out, ttl_ms);
    resp_put_word(out, writer_slice(&w));
    if (m->replace) resp_put_word(out, SLICE("REPLACE"));
    writer_free(&w);
}

/* --- Answers of the target ------------------------------------------------------------------- */

/* False: the connection failed. The text of the first error is kept. */
static bool read_answer(struct migration *m, struct peer_link *link, bool *ok) {
    struct slice line;
    if (!peer_read_line(&link->peer, &line, m->timeout_ms)) return false;
    *ok = line.len == 0 || line.ptr[0] != '-';
    if (!*ok && !m->error[0]) {
        size_t n = line.len - 1 < sizeof m->error - 1 ? line.len - 1 : sizeof m->error - 1;
        memcpy(m->error, line.ptr + 1, n);
        m->error[n] = '\0';
    }
    return true;
}

static void remove_sent_key(struct migration *m, const struct key *key) {
    struct db *db = m->request->client->db;
    struct entry *e = db_write(db, key);
    if (!e) return; /* the request names the key twice */
    keys_delete(db, key, e);
    m->gone[m->n_gone++] = key->name;
}

/* As in Redis, all keys stay if AUTH or SELECT fails, although the target may have taken them. */
static enum outcome read_answers(struct migration *m, struct peer_link *link) {
    int introductions = (m->password.ptr != NULL) + (link->db != m->db);
    bool introduced = true, ok;
    for (int i = 0; i < introductions; i++) {
        if (!read_answer(m, link, &ok)) return RETRY;
        introduced &= ok;
    }
    for (int i = 0; i < m->n_keys; i++) {
        if (!read_answer(m, link, &ok)) return i == 0 && !m->error[0] ? RETRY : NOT_READ;
        if (ok && introduced && !m->copy) remove_sent_key(m, &m->keys[i]);
    }
    link->db = m->error[0] ? -1 : (int)m->db;
    return DONE;
}

/* --- The command ----------------------------------------------------------------------------- */

static enum outcome talk_to_target(struct migration *m, struct peer_link *link) {
    struct buf out = {0};
    put_introduction(&out, m, link);
    for (int i = 0; i < m->n_keys; i++)
        put_restore(&out, m, &m->keys[i]);
    bool written = peer_write(&link->peer, buf_slice(&out), m->timeout_ms);
    int error = errno;
    buf_free(&out);
    errno = error;
    return written ? read_answers(m, link) : NOT_WRITTEN;
}

/* A kept connection may have been closed by the target meanwhile, so there is a second attempt, with a new one. */
static void migrate_keys(struct migration *m) {
    struct request *r = m->request;
    int64_t port = 0;
    num_parse_i64(r->argv[2], &port);
    enum outcome outcome = NOT_READ;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct peer_link *link = links_get(r->argv[1], (int)(port & UINT16_MAX), m->timeout_ms);
        if (!link) {
            reply_error(r->client, errno == ECONNREFUSED ? "IOERR error or timeout writing to target instance"
                                                         : "IOERR error or timeout connecting to the client");
            return;
        }
        outcome = talk_to_target(m, link);
        if (outcome == DONE) break;
        int error = errno;
        links_drop(link);
        if (outcome == NOT_READ || error == ETIMEDOUT) break;
    }
    if (m->error[0]) {
        reply_errorf(r->client, "ERR Target instance replied with error: %s", m->error);
    } else if (outcome == DONE) {
        reply_ok(r->client);
    } else {
        reply_errorf(r->client, "IOERR error or timeout %s to target instance",
                     outcome == NOT_WRITTEN ? "writing" : "reading");
    }
}

static void migrate(struct request *r) {
    struct migration m = {.request = r};
    if (!parse_arguments(&m)) return;
    size_t room = (size_t)m.n_names + 1;
    m.keys = alloc_get(room * sizeof *m.keys);
    m.gone = alloc_get(room * sizeof *m.gone);
    m.gone[m.n_gone++] = SLICE("DEL");
    find_existing(&m);
    if (m.n_keys == 0) {
        reply_status(r->client, "NOKEY");
    } else {
        migrate_keys(&m);
    }
    if (m.n_gone > 1) propagate_as(m.gone, m.n_gone);
    alloc_put(m.keys, room * sizeof *m.keys);
    alloc_put(m.gone, room * sizeof *m.gone);
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* The key behind host and port, or the keys behind KEYS. A password may be the word "keys". KEYS beside a key is a
 * mistake; as the last word it is looked over. */
static int find_migrate_keys(const struct slice *argv, int argc, int *positions, int max) {
    int first = 3, count = 1;
    for (int i = 6; i < argc - 1; i++) {
        if (slice_is(argv[i], "auth")) {
            i++;
        } else if (slice_is(argv[i], "auth2")) {
            i += 2;
        } else if (slice_is(argv[i], "keys")) {
            if (argv[3].len > 0) return -1;
            first = i + 1;
            count = argc - first;
            break;
        }
    }
    for (int i = 0; i < count && i < max; i++)
        positions[i] = first + i;
    return count;
}

static const struct command_keys migrate_key_specs[] = {
    {.flags = "RW access delete", .begin = 3, .step = 1, .keynum_at = -1},
    {.flags = "RW access delete incomplete", .keyword = "KEYS", .from = -2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command migrate_commands[] = {
    {"migrate", migrate, -6, .flags = CMD_WRITE | CMD_MOVABLE_KEYS | CMD_OUTWARD, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .first_key = 3, .since = "2.6.0", .summary = "Move keys to another server.",
     .complexity = "O(n) for n bytes of the values: on both servers, and between them",
     .syntax = "host port:integer key-selector:(key:key | empty-string='') destination-db:integer timeout:integer "
               "[COPY@3.0.0] [REPLACE@3.0.0] [authentication:(AUTH auth<password>@4.0.7 | AUTH2 auth2:(username "
               "password)@6.0.0)] [KEYS keys<key>:key#1...@3.0.6]",
     .tips = "nondeterministic_output",
     .history = "3.0.0|New: `COPY`, `REPLACE`.\n"
                "3.0.6|New: `KEYS`.\n"
                "4.0.7|New: `AUTH`.\n"
                "6.0.0|New: `AUTH2`.",
     .keys = migrate_key_specs, .find_keys = find_migrate_keys},
    {NULL},
};

const struct module migrate_module = {.commands = migrate_commands};
