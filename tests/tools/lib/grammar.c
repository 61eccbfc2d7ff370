#include "grammar.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum kind { WORD, CLASS, INT, BYTES, TEXT, TIME_S, TIME_MS, CHOICE, JOINED };

struct node {
    enum kind kind;
    struct bytes word;    /* WORD */
    int64_t low, high;    /* generators; for CHOICE how often it is expanded */
    struct choice *among; /* CLASS, CHOICE, JOINED */
};

struct sequence {
    struct node *nodes;
    int count;
};

struct choice {
    struct sequence *ways;
    int count;
};

struct class {
    char name[32];
    struct choice choice;
};

struct grammar {
    struct class *classes;
    int class_count;
    struct sequence *templates;
    int *up_to;  /* sum of the weights so far */
    bool *as_is; /* never spoilt */
    int template_count, total;
};

#define GROW(array, count) ((array) = realloc((array), (size_t)((count) + 1) * sizeof(*(array))))
#define CLASSES_MAX 256 /* never moved, since nodes point at them */

struct grammar *grammar_new(void) {
    struct grammar *g = calloc(1, sizeof(*g));
    g->classes = calloc(CLASSES_MAX, sizeof(*g->classes));
    return g;
}

bool grammar_empty(const struct grammar *g) {
    return g->template_count == 0;
}

static struct class *find_class(const struct grammar *g, const char *name, size_t len) {
    for (int i = 0; i < g->class_count; i++) {
        if (strlen(g->classes[i].name) == len && memcmp(g->classes[i].name, name, len) == 0) return &g->classes[i];
    }
    return NULL;
}

static bool parse_choice(const struct grammar *g, const char **at, struct choice *into, char end);

static bool parse_generator(const char **at, struct node *node) {
    static const struct {
        const char *name;
        enum kind kind;
    } known[] = {{"%int:", INT}, {"%bytes:", BYTES}, {"%text:", TEXT}, {"%time_s:", TIME_S}, {"%time_ms:", TIME_MS}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        size_t n = strlen(known[i].name);
        if (strncmp(*at, known[i].name, n) != 0) continue;
        node->kind = known[i].kind;
        node->low = strtoll(*at + n, (char **)at, 10);
        node->high = node->low;
        if (**at == ':') node->high = strtoll(*at + 1, (char **)at, 10);
        return node->high >= node->low;
    }
    return false;
}

static bool parse_group(const struct grammar *g, const char **at, struct node *node) {
    bool optional = *(*at)++ == '[';
    node->kind = CHOICE;
    node->among = calloc(1, sizeof(*node->among));
    if (!parse_choice(g, at, node->among, optional ? ']' : ')')) return false;
    node->low = optional ? 0 : 1;
    node->high = 1;
    if (**at == '+' || **at == '*') {
        node->low = **at == '+';
        node->high = 5;
        (*at)++;
    }
    return true;
}

static bool parse_joined(const struct grammar *g, const char **at, struct node *node) {
    (*at)++;
    node->kind = JOINED;
    node->among = calloc(1, sizeof(*node->among));
    return parse_choice(g, at, node->among, '>') && node->among->count == 1;
}

static bool parse_node(const struct grammar *g, const char **at, struct node *node) {
    memset(node, 0, sizeof(*node));
    if (**at == '(' || **at == '[') return parse_group(g, at, node);
    if (**at == '<') return parse_joined(g, at, node);
    if (**at == '%') return parse_generator(at, node);
    if (**at == '$') {
        size_t n = strspn(*at + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
        struct class *class = find_class(g, *at + 1, n);
        node->kind = CLASS;
        node->among = class ? &class->choice : NULL;
        *at += n + 1;
        return class != NULL;
    }
    if (**at == '"' || **at == '\'') return bytes_unquote(&node->word, at);
    size_t n = strcspn(*at, " \t\n()[]|");
    bytes_add(&node->word, *at, n);
    *at += n;
    return n > 0;
}

static void skip_blanks(const char **at) {
    *at += strspn(*at, " \t\r\n");
}

/* Reads alternatives up to `end`, and moves behind it (unless it is the end of the line). */
static bool parse_choice(const struct grammar *g, const char **at, struct choice *into, char end) {
    memset(into, 0, sizeof(*into));
    for (;;) {
        GROW(into->ways, into->count);
        struct sequence *way = &into->ways[into->count++];
        memset(way, 0, sizeof(*way));
        for (skip_blanks(at); **at && **at != '|' && **at != end; skip_blanks(at)) {
            GROW(way->nodes, way->count);
            if (!parse_node(g, at, &way->nodes[way->count++])) return false;
        }
        if (**at == end) {
            if (end) (*at)++;
            return true;
        }
        if (**at == '\0') return false;
        (*at)++;
    }
}

static bool parse_class(struct grammar *g, const char *line) {
    size_t n = strcspn(line + 1, " =\t");
    const char *at = strchr(line, '=');
    if (!at || n >= sizeof(g->classes->name) || g->class_count == CLASSES_MAX) return false;
    at++;
    struct class *class = &g->classes[g->class_count];
    memcpy(class->name, line + 1, n);
    if (!parse_choice(g, &at, &class->choice, '\0')) return false;
    g->class_count++;
    return true;
}

static bool parse_template(struct grammar *g, const char *line) {
    struct choice choice;
    int weight = 1;
    bool as_is = false;
    if (isdigit((unsigned char)*line) || *line == '=') {
        if (*line != '=') weight = (int)strtol(line, (char **)&line, 10);
        as_is = *line == '=';
        line += as_is;
        if (*line++ != ':') return false;
    }
    if (!parse_choice(g, &line, &choice, '\0') || choice.count != 1 || weight < 1) return false;
    GROW(g->templates, g->template_count);
    GROW(g->up_to, g->template_count);
    GROW(g->as_is, g->template_count);
    g->as_is[g->template_count] = as_is;
    g->total += weight;
    g->templates[g->template_count] = choice.ways[0];
    g->up_to[g->template_count++] = g->total;
    return true;
}

bool grammar_read(struct grammar *g, const char *path, bool (*rule)(const char *line)) {
    FILE *f = fopen(path, "r");
    char line[8192];
    int number = 0;
    bool ok = f != NULL;
    if (!f) perror(path);
    while (ok && fgets(line, sizeof(line), f)) {
        const char *at = line;
        number++;
        skip_blanks(&at);
        if (*at == '\0' || *at == '#') continue;
        if (*at == '$' && strchr(at, '='))
            ok = parse_class(g, at);
        else if (*at == '!')
            ok = rule(at);
        else
            ok = parse_template(g, at);
        if (!ok) fprintf(stderr, "%s:%d: not understood: %s", path, number, line);
    }
    if (f) fclose(f);
    return ok;
}

static void expand(const struct sequence *s, struct command *out);

static void make_number(const struct node *node, struct command *out) {
    char text[32];
    int64_t value = random_between(node->low, node->high);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (node->kind == TIME_S) value += now.tv_sec;
    if (node->kind == TIME_MS) value += now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int n = snprintf(text, sizeof(text), "%lld", (long long)value);
    command_add(out, text, (size_t)n);
}

static void make_bytes(const struct node *node, struct command *out) {
    size_t most = (size_t)node->high, least = node->kind == TEXT ? (size_t)node->low : 0;
    size_t n = least + (size_t)random_below(most - least + 1);
    /* Short ones come more often than long ones. */
    if (random_below(2) && n > least) n = least + (size_t)random_below(n - least);
    char *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(node->kind == TEXT ? 'a' + random_below(26) : random_below(256));
    command_add(out, p, n);
    free(p);
}

static void make_joined(const struct node *node, struct command *out) {
    struct command parts = {0};
    struct bytes text = {0};
    expand(&node->among->ways[0], &parts);
    for (int i = 0; i < parts.count; i++) {
        if (i) bytes_add(&text, " ", 1);
        bytes_add(&text, command_word(&parts, i), parts.word[i].len);
    }
    command_add(out, text.data ? text.data : "", text.len);
    free(parts.text.data);
    free(text.data);
}

static void expand_node(const struct node *node, struct command *out) {
    switch (node->kind) {
    case WORD: command_add(out, node->word.data ? node->word.data : "", node->word.len); break;
    case CLASS: expand(&node->among->ways[random_below((uint64_t)node->among->count)], out); break;
    case BYTES:
    case TEXT: make_bytes(node, out); break;
    case JOINED: make_joined(node, out); break;
    case INT:
    case TIME_S:
    case TIME_MS: make_number(node, out); break;
    case CHOICE:
        for (int64_t times = random_between(node->low, node->high); times-- > 0;) {
            expand(&node->among->ways[random_below((uint64_t)node->among->count)], out);
        }
        break;
    }
}

static void expand(const struct sequence *s, struct command *out) {
    for (int i = 0; i < s->count; i++)
        expand_node(&s->nodes[i], out);
}

/* Makes one mistake of the kinds that clients make. */
static void spoil(const struct grammar *g, struct command *c) {
    static struct command old;
    struct class *any = find_class(g, "any", 3);
    int victim = 1 + (int)random_below((uint64_t)c->count), kind = (int)random_below(4);
    command_copy(&old, c);
    command_clear(c);
    for (int i = 0; i < old.count; i++) {
        if (i == victim && kind == 0) continue;
        if (i == victim && kind == 1 && any) {
            expand(&any->choice.ways[random_below((uint64_t)any->choice.count)], c);
            continue;
        }
        command_add(c, command_word(&old, i), old.word[i].len);
        if (i == victim && kind == 2) command_add(c, command_word(&old, i), old.word[i].len);
    }
    if (kind == 3 && any) expand(&any->choice.ways[random_below((uint64_t)any->choice.count)], c);
}

static void vary_case(struct command *c) {
    char *name = c->text.data + c->word[0].at;
    for (size_t i = 0; i < c->word[0].len; i++) {
        if (random_below(2)) name[i] = (char)tolower((unsigned char)name[i]);
    }
}

void grammar_make(const struct grammar *g, struct command *out) {
    int pick = (int)random_below((uint64_t)g->total), i = 0;
    while (g->up_to[i] <= pick)
        i++;
    command_clear(out);
    expand(&g->templates[i], out);
    if (random_below(40) == 0 && !g->as_is[i]) spoil(g, out);
    if (random_below(20) == 0) vary_case(out);
}
