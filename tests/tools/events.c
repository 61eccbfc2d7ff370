/* Sends the same commands to two servers, ours and the oracle, and compares the keyspace events that follow.
 *
 *   events OURS ORACLE COUNT SEED GRAMMAR...   COUNT random commands; SEED 0 takes one from the clock
 *
 * All classes of events are on, and a second connection to each server has subscribed to them all. After every command
 * the program sends a PING on it: the messages before the answer are those of the command. They are compared byte by
 * byte, so names, keys, databases and order must be the same. Replies are ignored: compat compares them. At a
 * difference the program prints the command and both streams, empties both servers, and goes on. A test is one command
 * name. The last line is "N passed, N failed". */
#include "lib/bytes.h"
#include "lib/compare.h"
#include "lib/grammar.h"
#include "lib/peer.h"
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OURS, ORACLE };
enum { NAMES = 512, SHOWN_PER_NAME = 2, BEFORE = 12, PATIENCE_MS = 60000 };

static struct peer peers[2], listeners[2];

static struct {
    char name[32];
    long count, different;
} names[NAMES];
static int name_count;

static void add_line(struct peer *p, const char *line) {
    struct command c = {0};
    for (const char *at = line; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        command_add(&c, at, n);
        at += n;
    }
    command_encode(&c, &p->out);
    free(c.text.data);
}

static bool tell_both(const char *line) {
    for (int i = 0; i < 2; i++)
        add_line(&peers[i], line);
    return peer_exchange(peers, 2, 1);
}

/* Gathers in `in` the messages of a listener up to the answer to a PING, which ends them. */
static bool gather(struct peer *p) {
    static const char ping[] = "*2\r\n$4\r\nPING\r\n$3\r\nend\r\n", pong[] = "*2\r\n$4\r\npong\r\n$3\r\nend\r\n";
    size_t n = sizeof pong - 1;
    p->in.len = 0;
    if (write(p->fd, ping, sizeof ping - 1) != sizeof ping - 1) return false;
    while (p->in.len < n || memcmp(p->in.data + p->in.len - n, pong, n) != 0) {
        char part[65536];
        struct pollfd fd = {.fd = p->fd, .events = POLLIN};
        if (poll(&fd, 1, PATIENCE_MS) <= 0) return false;
        ssize_t got = read(p->fd, part, sizeof part);
        if (got <= 0) return false;
        bytes_add(&p->in, part, (size_t)got);
    }
    return true;
}

static bool gather_both(void) {
    for (int i = 0; i < 2; i++) {
        if (gather(&listeners[i])) continue;
        printf("%s has cut off its subscriber\n", peers[i].name);
        return false;
    }
    return true;
}

/* The marker that ends a stream is longer than most streams, and "m" is not among the classes of "A". */
static bool begin(void) {
    return tell_both("FLUSHALL") && tell_both("SELECT 0") && tell_both("CONFIG SET notify-keyspace-events AKEmn") &&
           tell_both("DEBUG SET-ACTIVE-EXPIRE 0") && gather_both();
}

static bool listen_to(int i) {
    listeners[i] = peers[i];
    listeners[i].out = listeners[i].in = (struct bytes){0};
    if (!peer_connect(&listeners[i])) return false;
    add_line(&listeners[i], "PSUBSCRIBE __key*");
    return peer_exchange(&listeners[i], 1, 1);
}

static int name_of(const struct command *c) {
    for (int i = 0; i < name_count; i++) {
        if (command_word_is(c, 0, names[i].name, strlen(names[i].name))) return i;
    }
    if (name_count == NAMES || c->word[0].len >= sizeof(names->name)) return NAMES - 1;
    for (size_t i = 0; i < c->word[0].len; i++)
        names[name_count].name[i] = (char)toupper((unsigned char)command_word(c, 0)[i]);
    return name_count++;
}

static void print_difference(const struct command *last, long at) {
    long from = at < BEFORE ? 0 : at - BEFORE + 1;
    printf("DIFFERENT events, after\n");
    for (long i = from; i <= at; i++) {
        printf("    ");
        command_print(&last[i % BEFORE], stdout);
    }
    for (int i = 0; i < 2; i++) {
        printf("  %-6s ", peers[i].name);
        bytes_print_quoted(stdout, listeners[i].in.data, listeners[i].in.len);
        puts("");
    }
}

static bool says(const struct bytes *b, const char *text) {
    return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

/* Differences that are no fault of kura: which keys RANDOMKEY and SCAN find past their deadlines; in which order SORT
 * looks up the members of a hash table; which of two commands finds a key past a deadline that is just now; and a
 * BITFIELD whose parts all fail, but which has lengthened the string: the oracle reports that to no client and not even
 * to its replicas. And since 7.2 only, whoever reads or claims nothing becomes a consumer. */
static bool is_chance(const struct command *c) {
    if (compare_rule(c).how == RULE_TYPE || command_word_is(c, 0, "SCAN", 4)) return true;
    if (command_word_is(c, 0, "SORT", 4) || command_word_is(c, 0, "SORT_RO", 7)) return true;
    if (command_word_is(c, 0, "EXEC", 4) && says(&listeners[OURS].in, "keymiss")) return true; /* a SORT in it */
    for (int i = 0; i < 2; i++)
        if (says(&listeners[i].in, "xgroup-createconsumer") || says(&listeners[i].in, "xgroup-delconsumer"))
            return true;
    for (int i = 1; i < c->count; i++)
        if (command_word_is(c, 0, "BITFIELD", 8) && command_word_is(c, i, "FAIL", 4)) return true;
    return says(&listeners[OURS].in, "expired") || says(&listeners[ORACLE].in, "expired");
}

/* The same messages, except that the oracle tells of an LTRIM that removed nothing, too. */
static bool same_messages(const struct bytes *ours, const struct bytes *theirs) {
    size_t at = 0;
    for (size_t from = 0, to; from < theirs->len; from = to) {
        to = reply_end(theirs->data, theirs->len, from);
        if (to <= from || to == SIZE_MAX) return false;
        size_t n = to - from;
        if (at + n <= ours->len && memcmp(ours->data + at, theirs->data + from, n) == 0) {
            at += n;
        } else if (!memmem(theirs->data + from, n, "ltrim", 5)) {
            return false;
        }
    }
    return at == ours->len;
}

static bool same(const struct command *c) {
    return same_messages(&listeners[OURS].in, &listeners[ORACLE].in) || is_chance(c);
}

static bool run(const struct grammar *g, long total) {
    static struct command last[BEFORE];
    for (long i = 0; i < total; i++) {
        struct command *c = &last[i % BEFORE];
        grammar_make(g, c);
        int name = name_of(c);
        for (int k = 0; k < 2; k++)
            command_encode(c, &peers[k].out);
        if (!peer_exchange(peers, 2, 1) || !gather_both()) return false;
        names[name].count++;
        if (same(c)) continue;
        if (names[name].different++ < SHOWN_PER_NAME) print_difference(last, i);
        if (!begin()) return false;
    }
    return true;
}

static bool start(char **argv) {
    if (!peer_start(&peers[OURS], "kura", argv[1])) return false;
    if (peer_start(&peers[ORACLE], "oracle", argv[2])) return true;
    peer_stop(&peers[OURS]);
    return false;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    if (argc < 6) {
        fputs("usage: events OURS ORACLE COUNT SEED GRAMMAR...\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t seed = strtoull(argv[4], NULL, 10);
    if (seed == 0) seed = (uint64_t)time(NULL) * 1000 % 1000000007;
    struct grammar *grammar = grammar_new();
    for (int i = 5; i < argc; i++) {
        if (!grammar_read(grammar, argv[i], compare_add_rule)) return 2;
    }
    printf("seed %llu, %s commands\n", (unsigned long long)seed, argv[3]);
    random_seed(seed);
    if (!start(argv)) {
        puts("0 passed, 1 failed");
        return 1;
    }
    bool ok = listen_to(OURS) && listen_to(ORACLE) && begin() && run(grammar, atol(argv[3]));
    for (int i = 0; i < name_count; i++) {
        if (names[i].different) {
            failed++;
            printf("%s: %ld of %ld different\n", names[i].name, names[i].different, names[i].count);
        } else {
            passed++;
        }
    }
    for (int i = 0; i < 2; i++) {
        peer_disconnect(&listeners[i]);
        if (!peer_stop(&peers[i])) failed++;
    }
    printf("%d passed, %d failed\n", passed, failed + !ok);
    return failed > 0 || !ok;
}
