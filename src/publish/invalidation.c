/* See invalidation.h. "All keys" is a null. Unlike Redis, which writes the null of the tracking client's protocol, the
 * message has that of the receiver's protocol. */
#include "publish/invalidation.h"
#include "net/conn.h"
#include "net/resp_out.h"
#include "session/client.h"
#include "session/push.h"

#define CHANNEL "__redis__:invalidate"

void invalidation_begin(struct invalidation *i) {
    conn_open(&i->range, CONN_NO_LIMIT);
    i->push.end = i->message.end = 0;
}

static void write_keys(const struct invalidation *i, const char *null) {
    if (i->list.ptr) {
        conn_write(i->list.ptr, i->list.len);
    } else if (i->key.ptr) {
        conn_write("*1\r\n", 4);
        resp_out_bulk(i->key);
    } else {
        conn_write(null, strlen(null));
    }
}

static void send_push(struct invalidation *i, struct client *to) {
    static const char head[] = ">2\r\n$10\r\ninvalidate\r\n";
    if (i->push.end == 0) {
        i->push.start = conn_mark();
        conn_write(head, sizeof head - 1);
        write_keys(i, "_\r\n");
        i->push.end = conn_mark();
    }
    push_copy(to, i->push.start, i->push.end);
}

static void send_message(struct invalidation *i, struct client *to) {
    static const char head[] = "*3\r\n$7\r\nmessage\r\n$20\r\n" CHANNEL "\r\n";
    if (i->message.end == 0) {
        i->message.start = conn_mark();
        conn_write(head, sizeof head - 1);
        write_keys(i, "$-1\r\n");
        i->message.end = conn_mark();
    }
    push_copy(to, i->message.start, i->message.end);
}

void invalidation_send(struct invalidation *i, struct client *to, bool redirected) {
    if (client_message_resp(to) > 2) {
        send_push(i, to);
    } else if (redirected && to->subscriber) {
        send_message(i, to);
    }
}

void invalidation_end(struct invalidation *i) {
    conn_take_back(&i->range);
}

void invalidation_lost(struct client *to, uint64_t redirection) {
    static const char head[] = ">2\r\n$21\r\ntracking-redir-broken\r\n";
    if (client_message_resp(to) < 3) return;
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write(head, sizeof head - 1);
    resp_out_header(':', (int64_t)redirection);
    push_copy(to, range.start, conn_mark());
    conn_take_back(&range);
}
