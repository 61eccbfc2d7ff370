/* Writes to a server while a test does something else to it.
 *
 *   load PORT COUNT PER_SECOND SEED GRAMMAR...   COUNT random commands of the grammars
 *   load PORT COUNT PER_SECOND marks PREFIX      COUNT times SET <PREFIX><n> <n>, n from 0
 *
 * The commands go in pipelines to 127.0.0.1. COUNT 0 means: until standard input ends. PER_SECOND 0 means: as fast as
 * the server answers. The program also ends when the server closes the connection. The last line tells how many
 * commands were answered; of marks only those count that were answered by OK, one after another from the first on. */
#include "lib/bytes.h"
#include "lib/grammar.h"
#include "lib/peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32 };

static struct peer peer = {.name = "the server", .fd = -1};
static struct grammar *grammar; /* NULL: marks */
static const char *prefix;
static long made, answered;
static bool refused; /* a mark was not answered by OK */

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static bool connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(peer.fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static void make_mark(struct command *c) {
    char key[256], value[32];
    command_clear(c);
    command_add(c, "SET", 3);
    command_add(c, key, (size_t)snprintf(key, sizeof(key), "%s%ld", prefix, made));
    command_add(c, value, (size_t)snprintf(value, sizeof(value), "%ld", made));
}

static bool has_word(const struct command *c, const char *word) {
    for (int i = 1; i < c->count; i++)
        if (command_word_is(c, i, word, strlen(word))) return true;
    return false;
}

/* CONFIG changes this server and not its replicas, and so does, on redis-server, a BITFIELD whose parts all fail: it
 * lengthens the string and tells nobody. */
static bool is_unfit(const struct command *c) {
    return command_word_is(c, 0, "CONFIG", 6) || (command_word_is(c, 0, "BITFIELD", 8) && has_word(c, "FAIL"));
}

static void make_command(struct command *c) {
    if (!grammar) {
        make_mark(c);
        return;
    }
    do {
        grammar_make(grammar, c);
    } while (is_unfit(c));
}

/* Counts the complete replies that have come. */
static bool count_replies(void) {
    size_t end;
    while ((end = reply_end(peer.in.data, peer.in.len, peer.at)) != 0) {
        if (end == SIZE_MAX) return false;
        bool ok = end - peer.at == 5 && memcmp(peer.in.data + peer.at, "+OK\r\n", 5) == 0;
        if (!grammar && !ok) refused = true;
        if (!refused) answered++;
        peer.at = end;
    }
    bytes_drop(&peer.in, peer.at);
    peer.at = 0;
    return true;
}

/* Reads what has come, for up to wait_ms. False at the end of the connection; what came before it counts. */
static bool read_replies(int wait_ms) {
    char part[65536];
    struct pollfd readable = {.fd = peer.fd, .events = POLLIN};
    if (poll(&readable, 1, wait_ms) <= 0) return true;
    ssize_t n = read(peer.fd, part, sizeof(part));
    if (n <= 0) return false;
    bytes_add(&peer.in, part, (size_t)n);
    return count_replies();
}

static bool send_batch(long count) {
    static struct command c;
    for (long i = 0; i < count; i++, made++) {
        make_command(&c);
        command_encode(&c, &peer.out);
    }
    while (peer.out.len > 0) {
        ssize_t n = send(peer.fd, peer.out.data, peer.out.len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes_drop(&peer.out, (size_t)n);
    }
    return true;
}

static bool told_to_stop(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* The answers that came before the connection ended. */
static void read_rest(void) {
    while (read_replies(100)) {
        struct pollfd readable = {.fd = peer.fd, .events = POLLIN};
        if (poll(&readable, 1, 0) <= 0) return;
    }
}

static void run(long total, long per_second) {
    int64_t began = now_us();
    while (total ? made < total : !told_to_stop()) {
        long count = total && total - made < BATCH ? total - made : BATCH;
        int64_t due = per_second ? began + made * 1000000 / per_second : 0;
        for (int64_t left_us; (left_us = due - now_us()) > 0;)
            if (!read_replies((int)(left_us / 1000))) return;
        if (!send_batch(count)) {
            read_rest();
            return;
        }
        while (answered < made && !refused)
            if (!read_replies(60000)) return;
        if (refused) return;
    }
}

static bool skip_rule(const char *line) {
    return line != NULL;
}

static bool read_grammars(char **paths, int count) {
    grammar = grammar_new();
    for (int i = 0; i < count; i++)
        if (!grammar_read(grammar, paths[i], skip_rule)) return false;
    return true;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fputs("usage: load PORT COUNT PER_SECOND SEED GRAMMAR...\n       load PORT COUNT PER_SECOND marks PREFIX\n",
              stderr);
        return 2;
    }
    if (strcmp(argv[4], "marks") == 0)
        prefix = argv[5];
    else if (!read_grammars(argv + 5, argc - 5))
        return 2;
    random_seed(strtoull(argv[4], NULL, 10));
    if (!connect_to(atoi(argv[1]))) {
        printf("no connection: %s\n0\n", strerror(errno));
        return 1;
    }
    run(atol(argv[2]), atol(argv[3]));
    printf("%ld\n", answered);
    return 0;
}
