/* fuzz SERVER SECONDS [SEED] [GRAMMAR...]: throws random and mutated RESP at a server that was built with sanitizers.
 *
 * Each round is one connection. It gets a few hundred commands of the grammars as RESP, with bytes flipped, dropped and
 * added, and with lengths and counts exchanged for awkward ones; between them inline lines and noise; all in pieces of
 * any size. The answer must be RESP as far as it goes; the server must live and answer the next connection. A round has
 * a seed of its own, which it prints when it fails; `fuzz SERVER 0 SEED GRAMMAR...` repeats just that round. All rounds
 * together count as one test in the last line, "N passed, N failed". */
#include "lib/bytes.h"
#include "lib/compare.h"
#include "lib/grammar.h"
#include "lib/peer.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *awkward[] = {"0",
                                "-1",
                                "1",
                                "-2",
                                "2147483647",
                                "2147483648",
                                "4294967295",
                                "4294967296",
                                "-2147483648",
                                "1048576",
                                "536870912",
                                "536870913",
                                "16384",
                                "16385",
                                "9223372036854775807",
                                "9223372036854775808",
                                "-9223372036854775808",
                                "18446744073709551616",
                                "",
                                " 1",
                                "1 ",
                                "+1",
                                "01",
                                "abc",
                                "1\0"};
static const char *noise[] = {"\r\n",
                              "\n",
                              "\r",
                              "*",
                              "$",
                              "*0\r\n",
                              "*-1\r\n",
                              "$-1\r\n",
                              "*1\r\n",
                              "$4\r\n",
                              "\"",
                              "'",
                              "\\x",
                              "PING\r\n",
                              "GET k1\r\n",
                              "SET \"a b\" 'c'\r\n",
                              "*3\r\n$3\r\nSET\r\n",
                              "HELLO 3\r\n",
                              "HELLO 2\r\n",
                              "RESET\r\n",
                              "CLIENT REPLY SKIP\r\n",
                              "%1\r\n",
                              "_\r\n",
                              ">2\r\n",
                              "+OK\r\n",
                              ":1\r\n"};
#define PICK(array) ((array)[random_below(sizeof(array) / sizeof(*(array)))])

static void insert(struct bytes *b, size_t at, const char *p, size_t n) {
    struct bytes tail = {0};
    bytes_add(&tail, b->data + at, b->len - at);
    b->len = at;
    bytes_add(b, p, n);
    bytes_add(b, tail.data, tail.len);
    free(tail.data);
}

/* Exchanges the number behind a '*' or '$' for an awkward one. */
static void spoil_length(struct bytes *b) {
    size_t at = (size_t)random_below(b->len), end;
    while (at < b->len && b->data[at] != '*' && b->data[at] != '$')
        at++;
    if (at >= b->len) return;
    for (end = ++at; end < b->len && b->data[end] != '\r';)
        end++;
    const char *number = PICK(awkward);
    memmove(b->data + at, b->data + end, b->len - end);
    b->len -= end - at;
    insert(b, at, number, strlen(number));
}

static void mutate(struct bytes *b) {
    size_t at = (size_t)random_below(b->len), n = (size_t)random_below(20);
    char c = (char)random_below(256);
    const char *word;
    switch (random_below(7)) {
    case 0: b->data[at] = c; break;
    case 1: b->data[at] ^= (char)(1 << random_below(8)); break;
    case 2: insert(b, at, &c, 1); break;
    case 3: /* drop some */
        if (at + n > b->len) n = b->len - at;
        memmove(b->data + at, b->data + at + n, b->len - at - n);
        b->len -= n;
        break;
    case 4: spoil_length(b); break;
    case 5:
        word = PICK(noise);
        insert(b, at, word, strlen(word));
        break;
    case 6: b->len = at; break;
    }
}

static void make_round(const struct grammar *g, struct bytes *out) {
    static struct command c;
    struct bytes one = {0};
    bool gentle = random_below(4) == 0; /* a mistake ends a connection: in most rounds it comes late */
    for (int i = 0, count = 1 + (int)random_below(200); i < count; i++) {
        one.len = 0;
        if (g && random_below(20)) {
            grammar_make(g, &c);
            command_encode(&c, &one);
        } else {
            const char *word = PICK(noise);
            bytes_add(&one, word, strlen(word));
        }
        if (random_below(gentle ? 400 : 60) == 0) {
            for (uint64_t times = 1 + random_below(4); times && one.len; times--)
                mutate(&one);
        }
        bytes_add(out, one.data, one.len);
    }
    if (random_below(10) == 0) {
        for (int i = 0; i < 300; i++)
            bytes_add(out, &(char){(char)random_below(256)}, 1);
    }
    free(one.data);
}

/* Sends in pieces and reads the answers. Closes the writing side when all is sent, or when nothing has moved for a
 * second (a command may block, and the server does not read on meanwhile), so that the server comes to an end. False if
 * it does not within ten seconds. */
static bool talk(struct peer *p, const struct bytes *sent) {
    size_t done = 0;
    bool half_closed = false;
    char part[65536];
    for (int idle = 0; idle < 100;) {
        struct pollfd fd = {p->fd, (short)(POLLIN | (done < sent->len ? POLLOUT : 0)), 0};
        if (poll(&fd, 1, 100) == 0) idle++;
        if (fd.revents & POLLOUT) {
            size_t n = 1 + (size_t)random_below(random_below(4) ? 4000 : 20);
            ssize_t written = write(p->fd, sent->data + done, n < sent->len - done ? n : sent->len - done);
            if (written > 0)
                done += (size_t)written;
            else if (errno != EAGAIN)
                return true;
        }
        if (fd.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t got = read(p->fd, part, sizeof(part));
            if (got == 0 || (got < 0 && errno != EAGAIN)) return true;
            if (got > 0) bytes_add(&p->in, part, (size_t)got);
        }
        if ((done == sent->len || idle >= 10) && !half_closed) {
            half_closed = true;
            done = sent->len;
            shutdown(p->fd, SHUT_WR);
        }
    }
    return false;
}

/* One connection. True if all was right. */
static bool run_round(struct peer *p, const struct grammar *g, uint64_t seed) {
    struct bytes sent = {0};
    bool ok = false;
    random_seed(seed);
    make_round(g, &sent);
    if (!peer_connect(p)) {
        puts("no connection");
    } else if (!talk(p, &sent)) {
        puts("the server neither answers nor closes");
    } else {
        size_t at = 0, end = 0;
        while (at < p->in.len && (end = reply_end(p->in.data, p->in.len, at)) != 0 && end != SIZE_MAX)
            at = end;
        ok = end != SIZE_MAX;
        if (!ok) puts("the server's answer is not RESP");
    }
    peer_disconnect(p);
    free(sent.data);
    return ok && peer_alive(p);
}

int main(int argc, char **argv) {
    int rounds = 0, failed = 0;
    struct peer peer;
    if (argc < 3) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int seconds = atoi(argv[2]);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    if (seed == 0) seed = (uint64_t)time(NULL) * 1000;
    struct grammar *g = grammar_new();
    for (int i = 4; i < argc; i++) {
        if (!grammar_read(g, argv[i], compare_add_rule)) return 2;
    }
    if (grammar_empty(g)) g = NULL;
    if (!peer_start(&peer, "kura", argv[1])) return 1;
    peer_disconnect(&peer);
    printf("seed %llu, %d s\n", (unsigned long long)seed, seconds);
    for (time_t end = time(NULL) + seconds; failed == 0; seed++) {
        if (run_round(&peer, g, seed)) {
            rounds++;
        } else {
            failed++;
            printf("in the round of seed %llu\n", (unsigned long long)seed);
        }
        if (time(NULL) >= end) break;
    }
    if (!peer_stop(&peer)) failed++;
    printf("%d rounds without a finding\n", rounds);
    printf("%d passed, %d failed\n", !failed, !!failed);
    return failed > 0;
}
