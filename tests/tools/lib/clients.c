#include "clients.h"
#include "compare.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CLIENTS = 64, NAME = 32, SYNC_ROUNDS = 3, AWAIT_ROUNDS = 10000 };

/* One connection: the same to both servers. */
struct link {
    char name[NAME];
    struct peer to[2];
    char id[2][24];
    bool closed[2]; /* by the server, or by !close */
    struct bytes expected;
    bool has_expected;
};

struct run {
    struct peer *servers;
    const char *path;
    int number, protocol; /* of the line */
    struct link links[CLIENTS];
    int count;
    struct rule rule;
    bool has_rule;
};

/* --- Connections ----------------------------------------------------------------------------- */

static void add_words(struct peer *p, int count, const char *const *words) {
    struct command c = {0};
    for (int i = 0; i < count; i++)
        command_add(&c, words[i], strlen(words[i]));
    command_encode(&c, &p->out);
    free(c.text.data);
}

static bool open_link(struct run *run, struct link *l) {
    for (int i = 0; i < 2; i++) {
        l->to[i] = run->servers[i];
        l->to[i].in = l->to[i].out = (struct bytes){0};
        if (!peer_connect(&l->to[i])) return false;
        add_words(&l->to[i], 2, (const char *const[]){"HELLO", run->protocol == 3 ? "3" : "2"});
        add_words(&l->to[i], 2, (const char *const[]){"CLIENT", "ID"});
    }
    if (!peer_exchange(l->to, 2, 2)) return false;
    for (int i = 0; i < 2; i++) {
        struct bytes *in = &l->to[i].in;
        size_t at = reply_end(in->data, in->len, 0) + 1;
        snprintf(l->id[i], sizeof l->id[i], "%.*s", (int)(in->len - at - 2), in->data + at);
        in->len = 0;
    }
    return true;
}

static struct link *find_link(struct run *run, const char *name, size_t len) {
    for (int i = 0; i < run->count; i++) {
        if (strlen(run->links[i].name) == len && memcmp(run->links[i].name, name, len) == 0) return &run->links[i];
    }
    if (run->count == CLIENTS || len == 0 || len >= NAME) return NULL;
    struct link *l = &run->links[run->count++];
    memset(l, 0, sizeof *l);
    memcpy(l->name, name, len);
    return open_link(run, l) ? l : NULL;
}

static void close_links(struct run *run) {
    for (int i = 0; i < run->count; i++) {
        struct link *l = &run->links[i];
        for (int k = 0; k < 2; k++) {
            peer_disconnect(&l->to[k]);
            free(l->to[k].in.data);
            free(l->to[k].out.data);
        }
        free(l->expected.data);
    }
    run->count = 0;
}

/* Waits for several replies on another connection: by then the event loop has done all earlier work. */
static bool synchronise(struct run *run) {
    for (int round = 0; round < SYNC_ROUNDS; round++) {
        for (int i = 0; i < 2; i++)
            add_words(&run->servers[i], 1, (const char *const[]){"PING"});
        if (!peer_exchange(run->servers, 2, 1)) return false;
    }
    for (int i = 0; i < run->count; i++) {
        struct link *l = &run->links[i];
        for (int k = 0; k < 2; k++) {
            if (!l->closed[k] && !peer_collect(&l->to[k])) l->closed[k] = true;
        }
    }
    return true;
}

/* --- Comparing ------------------------------------------------------------------------------- */

static void print_stream(const char *name, const char *p, size_t len, bool closed) {
    printf("  %-6s ", name);
    bytes_print_quoted(stdout, p, len);
    printf("%s\n", closed ? " and was closed" : "");
}

static bool same_stream(struct rule rule, const char *a, size_t a_len, const char *b, size_t b_len) {
    for (size_t i = 0, k = 0;;) {
        if (i == a_len || k == b_len) return i == a_len && k == b_len;
        size_t i_end = reply_end(a, a_len, i), k_end = reply_end(b, b_len, k);
        bool whole = i_end && k_end && i_end != SIZE_MAX && k_end != SIZE_MAX;
        if (!whole) return a_len - i == b_len - k && memcmp(a + i, b + k, a_len - i) == 0;
        if (!compare_replies(rule, a + i, i_end - i, b + k, k_end - k)) return false;
        i = i_end;
        k = k_end;
    }
}

static bool check_link(struct run *run, struct link *l, struct rule rule) {
    struct bytes *ours = &l->to[0].in, *theirs = l->has_expected ? &l->expected : &l->to[1].in;
    bool same = l->closed[0] == l->closed[1] && same_stream(rule, ours->data, ours->len, theirs->data, theirs->len);
    if (!same) {
        printf("DIFFERENT at %s:%d, RESP%d: connection %s got\n", run->path, run->number, run->protocol, l->name);
        print_stream("kura", ours->data, ours->len, l->closed[0]);
        print_stream("oracle", theirs->data, theirs->len, l->closed[1]);
    }
    l->to[0].in.len = l->to[1].in.len = l->expected.len = 0;
    l->has_expected = false;
    return same;
}

static bool check_all(struct run *run, const struct link *sender, struct rule rule) {
    bool same = true;
    for (int i = 0; i < run->count; i++) {
        struct link *l = &run->links[i];
        struct rule exact = {RULE_EXACT, 0};
        if (!check_link(run, l, run->has_rule ? run->rule : l == sender ? rule : exact)) same = false;
    }
    run->has_rule = false;
    return same;
}

/* --- Lines ----------------------------------------------------------------------------------- */

enum outcome { DONE, SAME, DIFFERENT, GONE, NOT_UNDERSTOOD };

static enum outcome compare_now(struct run *run, const struct link *sender, struct rule rule) {
    if (!synchronise(run)) return GONE;
    return check_all(run, sender, rule) ? SAME : DIFFERENT;
}

static void encode_for(struct run *run, const struct command *c, struct link *l, int server) {
    struct command own = {0};
    for (int i = 0; i < c->count; i++) {
        const char *word = command_word(c, i);
        size_t len = c->word[i].len;
        struct link *other = len > 1 && word[0] == '$' ? find_link(run, word + 1, len - 1) : NULL;
        if (other) {
            command_add(&own, other->id[server], strlen(other->id[server]));
        } else {
            command_add(&own, word, len);
        }
    }
    command_encode(&own, &l->to[server].out);
    free(own.text.data);
}

static enum outcome run_command(struct run *run, const char *line) {
    static struct command c;
    size_t len = strcspn(line, " \t\r\n");
    bool kept = len > 0 && line[len - 1] == '+';
    struct link *l = find_link(run, line, kept ? len - 1 : len);
    if (!l || !command_parse(&c, line + len)) return NOT_UNDERSTOOD;
    for (int i = 0; i < 2; i++) {
        encode_for(run, &c, l, i);
        if (!kept && !l->closed[i] && !peer_send(&l->to[i])) l->closed[i] = true;
    }
    return kept ? DONE : compare_now(run, l, compare_rule(&c));
}

static bool got_something(const struct link *l) {
    return (l->to[0].in.len || l->closed[0]) && (l->to[1].in.len || l->closed[1]);
}

static enum outcome await(struct run *run, const struct link *l) {
    for (int i = 0; i < AWAIT_ROUNDS && !got_something(l); i++) {
        poll(NULL, 0, 1);
        if (!synchronise(run)) return GONE;
    }
    return compare_now(run, NULL, (struct rule){RULE_EXACT, 0});
}

static enum outcome expect(struct run *run, struct link *l, const char *at, bool wanted) {
    struct bytes text = {0};
    at += strspn(at, " \t");
    if (!bytes_unquote(&text, &at)) return NOT_UNDERSTOOD;
    if (wanted) {
        l->expected.len = 0;
        bytes_add(&l->expected, text.data, text.len);
        l->has_expected = true;
    }
    (void)run;
    free(text.data);
    return DONE;
}

static enum outcome run_directive(struct run *run, const char *line) {
    if (compare_parse(&line, &run->rule)) {
        run->has_rule = true;
        return DONE;
    }
    size_t verb = strcspn(line, " \t\r\n");
    const char *name = line + verb + strspn(line + verb, " \t");
    size_t len = strcspn(name, " \t\r\n");
    struct link *l = find_link(run, name, len);
    if (!l) return NOT_UNDERSTOOD;
    if (strncmp(line, "!await", verb) == 0) return await(run, l);
    if (strncmp(line, "!expect", verb) == 0) return expect(run, l, name + len, true);
    if (strncmp(line, "!expect3", verb) == 0) return expect(run, l, name + len, run->protocol == 3);
    bool close = strncmp(line, "!close", verb) == 0;
    if (!close && strncmp(line, "!shut", verb) != 0) return NOT_UNDERSTOOD;
    for (int i = 0; i < 2; i++) {
        if (close) {
            peer_disconnect(&l->to[i]);
            l->closed[i] = true;
        } else {
            shutdown(l->to[i].fd, SHUT_WR);
        }
    }
    return compare_now(run, NULL, (struct rule){RULE_EXACT, 0});
}

static bool run_line(struct run *run, const char *line, int *passed, int *failed) {
    enum outcome outcome = *line == '@' ? run_command(run, line + 1) : run_directive(run, line);
    if (outcome == NOT_UNDERSTOOD) printf("%s:%d: not understood: %s", run->path, run->number, line);
    if (outcome == DIFFERENT) printf("  after %s", line);
    if (outcome == SAME) (*passed)++;
    if (outcome == DIFFERENT) (*failed)++;
    return outcome != GONE && outcome != NOT_UNDERSTOOD;
}

bool clients_run(struct peer servers[2], const char *path, int protocol, int *passed, int *failed) {
    static char line[1 << 16];
    static struct run run;
    run = (struct run){.servers = servers, .path = path, .protocol = protocol};
    FILE *f = fopen(path, "r");
    bool alive = f != NULL;
    while (alive && fgets(line, sizeof line, f)) {
        run.number++;
        const char *at = line + strspn(line, " \t\r\n");
        if (*at && *at != '#') alive = run_line(&run, at, passed, failed);
    }
    if (f) fclose(f);
    close_links(&run);
    if (!alive) (*failed)++;
    return alive && synchronise(&run);
}
