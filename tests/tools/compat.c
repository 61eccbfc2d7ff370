/* Sends the same commands to two servers, ours and the oracle, and compares the bytes of the replies.
 *
 *   compat OURS ORACLE script FILE GRAMMAR...            a *.cmds file, in RESP2 and in RESP3
 *   compat OURS ORACLE clients FILE GRAMMAR...           a *.clients file: several connections, see lib/clients.h
 *   compat OURS ORACLE random 2|3 COUNT SEED GRAMMAR...  COUNT random commands; SEED 0 takes one from the clock
 *
 * A script has one command a line, quoted as redis-cli does; '#' begins a comment. Lines before a command tell how its
 * replies are compared: by a rule of compare.h, or by `!expect "+OK\r\n"`, which gives the reply of ours where Redis
 * 7.2 differs from the oracle, or by `!expect3` for the same in RESP3 only. The grammars give the rules for all
 * commands.
 *
 * Random commands go to both servers in pipelines of BATCH. At the first difference in a batch the program prints the
 * command, both replies and the former commands on that key; it empties both servers, and goes on. A test is one
 * command name. The last line is "N passed, N failed". */
#include "lib/bytes.h"
#include "lib/clients.h"
#include "lib/compare.h"
#include "lib/grammar.h"
#include "lib/peer.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OURS, ORACLE };
enum { BATCH = 64, HISTORY = 4096, NAMES = 512, SHOWN_PER_NAME = 2 };

static struct peer peers[2];

static void send_both(const struct command *c) {
    command_encode(c, &peers[OURS].out);
    command_encode(c, &peers[ORACLE].out);
}

/* Sends a line of plain words to both and drops the replies. */
static bool tell_both(const char *line) {
    struct command c = {0};
    for (const char *at = line; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        command_add(&c, at, n);
        at += n;
    }
    send_both(&c);
    free(c.text.data);
    return peer_exchange(peers, 2, 1);
}

static bool begin(int protocol) {
    return tell_both("RESET") && tell_both("FLUSHALL") && tell_both("SELECT 0") &&
           tell_both(protocol == 3 ? "HELLO 3" : "HELLO 2");
}

struct reply {
    const char *p;
    size_t len;
};

/* The next of the replies that peer_exchange() has gathered. */
static struct reply next_reply(struct peer *p) {
    size_t end = reply_end(p->in.data, p->in.len, p->at);
    struct reply r = {p->in.data + p->at, end - p->at};
    p->at = end;
    return r;
}

static void print_difference(const struct command *c, struct reply ours, struct reply theirs) {
    printf("DIFFERENT ");
    command_print(c, stdout);
    printf("  kura   ");
    bytes_print_quoted(stdout, ours.p, ours.len);
    printf("\n  oracle ");
    bytes_print_quoted(stdout, theirs.p, theirs.len);
    printf("\n");
}

/* --- Random ---------------------------------------------------------------------------------- */

static struct {
    char name[32];
    long count, different;
} names[NAMES];
static int name_count;

static int name_of(const struct command *c) {
    for (int i = 0; i < name_count; i++) {
        if (command_word_is(c, 0, names[i].name, strlen(names[i].name))) return i;
    }
    if (name_count == NAMES || c->word[0].len >= sizeof(names->name)) return NAMES - 1;
    for (size_t i = 0; i < c->word[0].len; i++) {
        names[name_count].name[i] = (char)toupper((unsigned char)command_word(c, 0)[i]);
    }
    return name_count++;
}

static struct command history[HISTORY];
static long sent;

/* Commands that touch every key. */
static bool is_global(const struct command *c) {
    static const char *global[] = {"FLUSHALL", "FLUSHDB", "SELECT", "SWAPDB"};
    for (size_t i = 0; i < sizeof(global) / sizeof(*global); i++) {
        if (command_word_is(c, 0, global[i], strlen(global[i]))) return true;
    }
    return false;
}

/* Does `old` touch a word of c that looks like a key? */
static bool concerns(const struct command *old, const struct command *c) {
    for (int i = 1; i < c->count && i < 4; i++) {
        for (int k = 1; k < old->count; k++) {
            if (c->word[i].len > 0 && command_word_is(old, k, command_word(c, i), c->word[i].len)) return true;
        }
    }
    return false;
}

static void print_history(long at) {
    long shown[20], from = at - HISTORY + BATCH;
    int count = 0, global = 0;
    for (long i = at - 1; i >= 0 && i >= from && count < 20; i--) {
        const struct command *old = &history[i % HISTORY];
        if (is_global(old) ? global++ < 6 : concerns(old, &history[at % HISTORY])) shown[count++] = i;
    }
    printf("  before it:\n");
    while (count-- > 0) {
        printf("    %ld ", shown[count]);
        command_print(&history[shown[count] % HISTORY], stdout);
    }
}

/* The commands in the queue between MULTI and EXEC. */
static struct {
    struct rule rules[HISTORY];
    int count;
} queued;

static bool is_text(struct reply r, const char *text) {
    return r.len == strlen(text) && memcmp(r.p, text, r.len) == 0;
}

/* Compares each reply within that of EXEC as the reply of its own command. */
static bool same_transaction(struct reply ours, struct reply theirs) {
    if (ours.p[0] != '*' || theirs.p[0] != '*' || atoi(ours.p + 1) != queued.count ||
        atoi(theirs.p + 1) != queued.count)
        return compare_replies((struct rule){RULE_EXACT, 0}, ours.p, ours.len, theirs.p, theirs.len);
    size_t a = (size_t)(strchr(ours.p, '\n') + 1 - ours.p), b = (size_t)(strchr(theirs.p, '\n') + 1 - theirs.p);
    for (int i = 0; i < queued.count; i++) {
        size_t a_end = reply_end(ours.p, ours.len, a), b_end = reply_end(theirs.p, theirs.len, b);
        if (!compare_replies(queued.rules[i], ours.p + a, a_end - a, theirs.p + b, b_end - b)) return false;
        a = a_end;
        b = b_end;
    }
    return true;
}

static bool same_replies(const struct command *c, struct reply ours, struct reply theirs) {
    if (command_word_is(c, 0, "EXEC", 4)) {
        bool same = same_transaction(ours, theirs);
        queued.count = 0;
        return same;
    }
    bool is_queued = is_text(ours, "+QUEUED\r\n");
    if (is_queued && is_text(theirs, "+QUEUED\r\n") && queued.count < HISTORY)
        queued.rules[queued.count++] = compare_rule(c);
    else if (command_word_is(c, 0, "MULTI", 5) || command_word_is(c, 0, "DISCARD", 7))
        queued.count = is_text(ours, "+OK\r\n") ? 0 : queued.count;
    if (is_queued != is_text(theirs, "+QUEUED\r\n")) return false;
    return compare_replies(compare_rule(c), ours.p, ours.len, theirs.p, theirs.len);
}

/* Compares the replies of one batch, whose first belongs to history[first]. True if all are the same. */
static bool check_batch(long first, int count) {
    for (long i = first; i < first + count; i++) {
        const struct command *c = &history[i % HISTORY];
        struct reply ours = next_reply(&peers[OURS]), theirs = next_reply(&peers[ORACLE]);
        int name = name_of(c);
        names[name].count++;
        if (same_replies(c, ours, theirs)) continue;
        if (names[name].different++ < SHOWN_PER_NAME) {
            printf("command %ld: ", i);
            print_difference(c, ours, theirs);
            print_history(i);
        }
        return false;
    }
    return true;
}

static bool run_batches(const struct grammar *g, int protocol, long total) {
    while (sent < total) {
        long first = sent;
        int count = (int)(total - sent < BATCH ? total - sent : BATCH);
        for (int i = 0; i < count; i++, sent++) {
            struct command *c = &history[sent % HISTORY];
            grammar_make(g, c);
            send_both(c);
        }
        if (!peer_exchange(peers, 2, count)) {
            printf("the last commands sent, from %ld on:\n", first);
            for (long i = first; i < sent; i++) {
                printf("    ");
                command_print(&history[i % HISTORY], stdout);
            }
            return false;
        }
        if (check_batch(first, count)) continue;
        queued.count = 0;
        if (!begin(protocol)) return false;
    }
    return true;
}

static bool run_random(int protocol, long total, uint64_t seed, const struct grammar *g, int *passed, int *failed) {
    if (seed == 0) seed = (uint64_t)time(NULL) * 1000 % 1000000007;
    printf("seed %llu, RESP%d, %ld commands\n", (unsigned long long)seed, protocol, total);
    random_seed(seed);
    bool ok = begin(protocol) && run_batches(g, protocol, total);
    for (int i = 0; i < name_count; i++) {
        if (names[i].different) {
            (*failed)++;
            printf("%s: %ld of %ld different\n", names[i].name, names[i].different, names[i].count);
        } else {
            (*passed)++;
        }
    }
    if (!ok) (*failed)++;
    return ok;
}

/* --- Scripts --------------------------------------------------------------------------------- */

struct expectation {
    struct rule rule;
    bool has_rule, has_reply, has_reply3;
    struct bytes reply, reply3;
};

static void expect_clear(struct expectation *e) {
    e->has_rule = e->has_reply = e->has_reply3 = false;
    e->reply.len = e->reply3.len = 0;
}

static bool expect_parse(struct expectation *e, const char *line) {
    if (compare_parse(&line, &e->rule)) return e->has_rule = true;
    bool third = strncmp(line, "!expect3 ", 9) == 0;
    if (!third && strncmp(line, "!expect ", 8) != 0) return false;
    line += third ? 9 : 8;
    *(third ? &e->has_reply3 : &e->has_reply) = true;
    return bytes_unquote(third ? &e->reply3 : &e->reply, &line);
}

/* Sends one command; true if the reply is right. Clears *alive if a server is gone. */
static bool check_command(const struct command *c, const struct expectation *e, int protocol, bool *alive) {
    send_both(c);
    *alive = peer_exchange(peers, 2, 1);
    if (!*alive) return false;
    struct reply ours = next_reply(&peers[OURS]), theirs = next_reply(&peers[ORACLE]);
    if (protocol == 3 && e->has_reply3)
        theirs = (struct reply){e->reply3.data, e->reply3.len};
    else if (e->has_reply)
        theirs = (struct reply){e->reply.data, e->reply.len};
    struct rule rule = e->has_rule ? e->rule : compare_rule(c);
    if (compare_replies(rule, ours.p, ours.len, theirs.p, theirs.len)) return true;
    print_difference(c, ours, theirs);
    return false;
}

static bool run_script(const char *path, int protocol, int *passed, int *failed) {
    static char line[1 << 20];
    struct command c = {0};
    struct expectation expected = {0};
    FILE *f = fopen(path, "r");
    bool alive = f && begin(protocol);
    for (int number = 1; alive && fgets(line, sizeof(line), f); number++) {
        const char *at = line + strspn(line, " \t\r\n");
        if (*at == '\0' || *at == '#') continue;
        bool ok = *at == '!' ? expect_parse(&expected, at) : command_parse(&c, at);
        if (!ok) {
            printf("%s:%d: not understood: %s", path, number, line);
            alive = false;
        } else if (*at != '!') {
            ok = check_command(&c, &expected, protocol, &alive);
            if (!ok) printf("  at %s:%d, RESP%d\n", path, number, protocol);
            (*(ok ? passed : failed))++;
            expect_clear(&expected);
        }
    }
    if (f) fclose(f);
    if (!alive) (*failed)++;
    return alive;
}

/* --- Main ------------------------------------------------------------------------------------ */

static int usage(void) {
    fputs("usage: compat OURS ORACLE script|clients FILE GRAMMAR... | compat OURS ORACLE random 2|3 COUNT SEED "
          "GRAMMAR...\n",
          stderr);
    return 2;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    bool script = argc >= 5 && strcmp(argv[3], "script") == 0;
    bool clients = argc >= 5 && strcmp(argv[3], "clients") == 0;
    bool random = argc >= 8 && strcmp(argv[3], "random") == 0;
    if (!script && !clients && !random) return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);

    struct grammar *grammar = grammar_new();
    for (int i = random ? 7 : 5; i < argc; i++) {
        if (!grammar_read(grammar, argv[i], compare_add_rule)) return 2;
    }
    if (random && grammar_empty(grammar)) return usage();
    bool started = peer_start(&peers[OURS], "kura", argv[1]);
    if (started && !peer_start(&peers[ORACLE], "oracle", argv[2])) {
        peer_stop(&peers[OURS]);
        started = false;
    }
    if (!started) {
        puts("0 passed, 1 failed");
        return 1;
    }
    if (script) {
        if (run_script(argv[4], 2, &passed, &failed)) run_script(argv[4], 3, &passed, &failed);
    } else if (clients) {
        for (int protocol = 2; protocol <= 3; protocol++) {
            if (!begin(protocol) || !clients_run(peers, argv[4], protocol, &passed, &failed)) break;
        }
    } else {
        run_random(atoi(argv[4]), atol(argv[5]), strtoull(argv[6], NULL, 10), grammar, &passed, &failed);
    }
    for (int i = 0; i < 2; i++) {
        if (!peer_stop(&peers[i])) failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
