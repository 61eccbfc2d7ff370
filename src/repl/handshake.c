/* See handshake.h. Steps are sent until one waits; the replies come in the same order. */
#include "repl/handshake.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "net/loop.h"
#include "net/resp.h"
#include "repl/lines.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LINES_A_TURN 16 /* read at once: nobody can hold the loop by sending lines */

enum verdict { VERDICT_NEXT, VERDICT_SAME /* another line answers it */, VERDICT_END };

struct step {
    bool (*send)(struct buf *out); /* append the request. False: this step is left out */
    enum verdict (*hear)(struct slice reply);
    bool waits; /* the next step is sent when this one is answered */
};

static struct {
    struct loop_source source; /* first; its descriptor is -1 without a handshake */
    struct handshake_question q;
    struct handshake_answer a;
    void (*ended)(const struct handshake_answer *answer);
    struct lines lines;
    const struct step *steps;
    unsigned sent, heard; /* steps whose request was sent; whose reply was heard */
    unsigned left_out;    /* bit i: step i */
    int64_t heard_ms;
    char why[LINES_MAX + 64];
} talk = {.source.fd = -1};

int64_t handshake_heard_ms(void) {
    return talk.heard_ms;
}

void handshake_cancel(void) {
    if (talk.source.fd < 0) return;
    loop_remove(&talk.source);
    talk.source.fd = -1;
}

static void end_talk(enum handshake_outcome outcome) {
    struct handshake_answer answer = talk.a;
    answer.outcome = outcome;
    answer.reply = talk.why;
    handshake_cancel();
    talk.ended(&answer);
}

static void __attribute__((format(printf, 1, 2))) fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(talk.why, sizeof talk.why, format, args);
    va_end(args);
    log_warning("%s", talk.why);
    end_talk(HANDSHAKE_FAILED);
}

static void note_reply(struct slice reply) {
    snprintf(talk.why, sizeof talk.why, "%.*s", (int)reply.len, reply.ptr);
}

/* --- Requests -------------------------------------------------------------------------------- */

static void put(struct buf *out, const struct slice *words, int n) {
    resp_put_header(out, '*', n);
    for (int i = 0; i < n; i++)
        resp_put_word(out, words[i]);
}

static bool starts_with(struct slice s, const char *text) {
    size_t n = strlen(text);
    return s.len >= n && memcmp(s.ptr, text, n) == 0;
}

static bool send_ping(struct buf *out) {
    put(out, &(struct slice){"PING", 4}, 1);
    return true;
}

/* A primary that wants a password answers so; AUTH follows. */
static enum verdict hear_ping(struct slice reply) {
    if (starts_with(reply, "+") || starts_with(reply, "-NOAUTH") || starts_with(reply, "-NOPERM") ||
        starts_with(reply, "-ERR operation not permitted")) {
        log_notice("Master replied to PING, replication can continue...");
        return VERDICT_NEXT;
    }
    fail("Error reply to PING from master: '%.*s'", (int)reply.len, reply.ptr);
    return VERDICT_END;
}

static bool send_auth(struct buf *out) {
    struct slice words[3] = {SLICE("AUTH")};
    int n = 1;
    if (talk.q.password.len == 0) return false;
    if (talk.q.user[0]) words[n++] = slice_cstr(talk.q.user);
    words[n++] = talk.q.password;
    put(out, words, n);
    return true;
}

static enum verdict hear_auth(struct slice reply) {
    if (!starts_with(reply, "-")) return VERDICT_NEXT;
    fail("Unable to AUTH to MASTER: %.*s", (int)reply.len, reply.ptr);
    return VERDICT_END;
}

static bool send_port(struct buf *out) {
    char digits[NUM_I64_MAX];
    struct slice words[] = {SLICE("REPLCONF"), SLICE("listening-port"),
                            slice_of(digits, (size_t)num_print_i64(digits, talk.q.port))};
    put(out, words, 3);
    return true;
}

static bool send_ip(struct buf *out) {
    struct slice words[] = {SLICE("REPLCONF"), SLICE("ip-address"), slice_cstr(talk.q.ip)};
    if (!talk.q.ip[0]) return false;
    put(out, words, 3);
    return true;
}

static bool send_capabilities(struct buf *out) {
    static const struct slice words[] = {
        SLICE("REPLCONF"),        SLICE("capa"), SLICE("eof"), SLICE("capa"), SLICE("psync2"), SLICE("capa"),
        SLICE("rdb-channel-repl")};
    put(out, words, talk.q.takes_channel ? 7 : 5);
    return true;
}

/* An old primary does not know the word: it does without. */
static enum verdict hear_replconf(struct slice reply) {
    if (starts_with(reply, "-"))
        log_notice("(Non critical) Master does not understand REPLCONF: %.*s", (int)reply.len, reply.ptr);
    return VERDICT_NEXT;
}

static bool send_channel(struct buf *out) {
    char digits[NUM_I64_MAX];
    struct slice port = slice_of(digits, (size_t)num_print_i64(digits, talk.q.port));
    struct slice words[] = {SLICE("REPLCONF"),
                            SLICE("capa"),
                            SLICE("eof"),
                            SLICE("rdb-only"),
                            SLICE("1"),
                            SLICE("rdb-channel"),
                            SLICE("1"),
                            SLICE("main-ch-client-id"),
                            slice_cstr(talk.q.main_client),
                            SLICE("listening-port"),
                            port};
    put(out, words, sizeof words / sizeof *words);
    return true;
}

static enum verdict hear_channel(struct slice reply) {
    if (starts_with(reply, "+")) return VERDICT_NEXT;
    fail("The primary refuses the second connection: %.*s", (int)reply.len, reply.ptr);
    return VERDICT_END;
}

/* --- PSYNC ----------------------------------------------------------------------------------- */

static bool send_psync(struct buf *out) {
    char digits[NUM_I64_MAX];
    struct slice words[4] = {SLICE("PSYNC"), SLICE("?"), SLICE("-1"), SLICE("FAILOVER")};
    bool is_first = !talk.q.main_client[0];
    if (talk.q.id[0]) {
        words[1] = slice_cstr(talk.q.id);
        words[2] = slice_of(digits, (size_t)num_print_i64(digits, talk.q.offset + 1));
        log_notice("Trying a partial resynchronization (request %s:%lld).", talk.q.id, (long long)(talk.q.offset + 1));
    } else if (is_first) {
        log_notice("Partial resynchronization not possible (no cached master)");
    }
    put(out, words, talk.q.bids ? 4 : 3);
    return true;
}

/* The next word of the reply. Empty: there is none. */
static struct slice next_word(struct slice *rest) {
    while (rest->len && rest->ptr[0] == ' ')
        *rest = slice_of(rest->ptr + 1, rest->len - 1);
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != ' ')
        n++;
    struct slice word = slice_of(rest->ptr, n);
    *rest = slice_of(rest->ptr + n, rest->len - n);
    return word;
}

static bool take_id(struct slice word) {
    if (word.len != HANDSHAKE_ID_LEN) return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] <= ' ' || word.ptr[i] > '~') return false;
    memcpy(talk.a.id, word.ptr, word.len);
    talk.a.id[word.len] = '\0';
    return true;
}

static enum verdict hear_full(struct slice rest) {
    struct slice id = next_word(&rest), offset = next_word(&rest);
    if (!take_id(id) || !num_parse_i64(offset, &talk.a.offset) || talk.a.offset < 0) {
        fail("Master replied with wrong +FULLRESYNC syntax.");
        return VERDICT_END;
    }
    log_notice("Full resync from master: %s:%lld", talk.a.id, (long long)talk.a.offset);
    end_talk(HANDSHAKE_FULL);
    return VERDICT_END;
}

static enum verdict hear_continue(struct slice rest) {
    struct slice id = next_word(&rest);
    if (!talk.q.id[0] || (id.len && !take_id(id))) {
        fail("Master replied with wrong +CONTINUE syntax, or nothing was asked.");
        return VERDICT_END;
    }
    log_notice("Successful partial resynchronization with master.");
    end_talk(HANDSHAKE_CONTINUES);
    return VERDICT_END;
}

static enum verdict hear_channel_wanted(struct slice rest) {
    struct slice client = next_word(&rest);
    if (!talk.q.takes_channel || client.len == 0 || client.len >= sizeof talk.a.main_client) {
        fail("Master replied with wrong +RDBCHANNELSYNC syntax, or nobody asked for it.");
        return VERDICT_END;
    }
    memcpy(talk.a.main_client, client.ptr, client.len);
    talk.a.main_client[client.len] = '\0';
    log_notice("PSYNC is not possible, initialize RDB channel.");
    end_talk(HANDSHAKE_CHANNEL);
    return VERDICT_END;
}

static bool send_all(struct slice bytes);

/* A primary that is older than PSYNC, or in trouble: SYNC, which has no answer but the snapshot. */
static enum verdict fall_back(struct slice reply) {
    if (starts_with(reply, "-ERR"))
        log_notice("Master does not support PSYNC or is in error state (reply: %.*s)", (int)reply.len, reply.ptr);
    else
        log_warning("Unexpected reply to PSYNC from master: %.*s", (int)reply.len, reply.ptr);
    if (talk.q.bids || talk.q.main_client[0]) {
        end_talk(HANDSHAKE_FAILED);
        return VERDICT_END;
    }
    log_notice("Retrying with SYNC...");
    if (!send_all(SLICE("SYNC\r\n"))) return VERDICT_END;
    end_talk(HANDSHAKE_OLD);
    return VERDICT_END;
}

static enum verdict hear_psync(struct slice reply) {
    if (reply.len == 0) return VERDICT_SAME; /* the primary is alive, and not ready yet */
    struct slice rest = reply, word = next_word(&rest);
    bool is_first = !talk.q.main_client[0];
    if (slice_eq(word, SLICE("+FULLRESYNC"))) return hear_full(rest);
    if (is_first && slice_eq(word, SLICE("+CONTINUE"))) return hear_continue(rest);
    if (is_first && slice_eq(word, SLICE("+RDBCHANNELSYNC"))) return hear_channel_wanted(rest);
    if (!starts_with(reply, "-NOMASTERLINK") && !starts_with(reply, "-LOADING")) return fall_back(reply);
    log_notice("MASTER is currently unable to PSYNC but should be in the future: %.*s", (int)reply.len, reply.ptr);
    end_talk(HANDSHAKE_LATER);
    return VERDICT_END;
}

/* --- The tables ------------------------------------------------------------------------------ */

static const struct step first_steps[] = {
    {send_ping, hear_ping, .waits = true},
    {send_auth, hear_auth, .waits = false},
    {send_port, hear_replconf, .waits = false},
    {send_ip, hear_replconf, .waits = false},
    {send_capabilities, hear_replconf, .waits = true},
    {send_psync, hear_psync, .waits = true},
};

static const struct step second_steps[] = {
    {send_auth, hear_auth, .waits = false},
    {send_channel, hear_channel, .waits = true},
    {send_psync, hear_psync, .waits = true},
};

/* --- The talk -------------------------------------------------------------------------------- */

/* False: the talk has failed. */
static bool send_all(struct slice bytes) {
    ssize_t n = send(talk.source.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (n == (ssize_t)bytes.len) return true;
    fail("Sending command to master in replication handshake: %s", n < 0 ? strerror(errno) : "its buffer is full");
    return false;
}

/* Send the steps up to one that waits. False: the talk has failed. */
static bool send_steps(void) {
    struct buf out = {0};
    bool waits = false;
    while (!waits) {
        const struct step *step = &talk.steps[talk.sent];
        if (!step->send(&out)) talk.left_out |= 1u << talk.sent;
        waits = step->waits;
        talk.sent++;
    }
    bool ok = send_all(buf_slice(&out));
    buf_free(&out);
    return ok;
}

/* False: the talk is over. */
static bool hear_line(struct slice line) {
    while (talk.left_out & 1u << talk.heard)
        talk.heard++;
    note_reply(line);
    enum verdict verdict = talk.steps[talk.heard].hear(line);
    if (verdict == VERDICT_END) return false;
    if (verdict == VERDICT_NEXT) talk.heard++;
    return talk.heard < talk.sent || send_steps();
}

static void handshake_ready(struct loop_source *source, uint32_t events) {
    struct slice line;
    (void)events;
    for (int i = 0; i < LINES_A_TURN; i++) {
        switch (lines_read(&talk.lines, source->fd, &line)) {
        case LINES_MORE: return;
        case LINES_CLOSED:
            fail("Error reading from master: %s", errno ? strerror(errno) : "the connection was closed");
            return;
        case LINES_TOO_LONG: fail("The primary sends a line without an end."); return;
        case LINES_LINE: break;
        }
        talk.heard_ms = clock_steady_ms();
        if (!hear_line(line)) return;
    }
}

void handshake_begin(const struct handshake_question *question, void (*ended)(const struct handshake_answer *answer)) {
    handshake_cancel();
    talk.q = *question;
    talk.a = (struct handshake_answer){.offset = -1};
    talk.ended = ended;
    talk.lines.len = 0;
    talk.steps = question->main_client[0] ? second_steps : first_steps;
    talk.sent = talk.heard = talk.left_out = 0;
    talk.heard_ms = clock_steady_ms();
    talk.source = (struct loop_source){.fd = question->fd, .ready = handshake_ready};
    if (!loop_add(&talk.source, LOOP_READ)) {
        talk.source.fd = -1;
        snprintf(talk.why, sizeof talk.why, "%s", strerror(errno));
        end_talk(HANDSHAKE_FAILED);
        return;
    }
    send_steps();
}
