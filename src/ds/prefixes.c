/* Invariant: each node except the root has a value or at least two children. A node's children are in an array, ordered
 * by their first bytes, which are all different, so one binary search finds the next step. A label is part of its node:
 * to change a label, a new node is made, and only the pointer in its parent must follow. The label of the root is
 * empty. */
#include "ds/prefixes.h"
#include "base/alloc.h"
#include <assert.h>
#include <stdint.h>

struct prefixes_node {
    void *value; /* NULL: the node is only a fork */
    struct prefixes_node **children;
    uint32_t child_count;
    uint32_t len;
    char label[];
};

static struct slice label_of(const struct prefixes_node *node) {
    return slice_of(node->label, node->len);
}

static struct slice slice_behind(struct slice s, size_t n) {
    return slice_of(s.ptr + n, s.len - n);
}

static struct prefixes_node *node_new(struct prefixes *p, struct slice label) {
    struct prefixes_node *node = alloc_get(sizeof *node + label.len);
    *node = (struct prefixes_node){.len = (uint32_t)label.len};
    memcpy(node->label, label.ptr, label.len);
    p->bytes += sizeof *node + label.len;
    return node;
}

static void node_free(struct prefixes *p, struct prefixes_node *node) {
    p->bytes -= sizeof *node + node->len + node->child_count * sizeof node->children[0];
    alloc_put(node->children, node->child_count * sizeof node->children[0]);
    alloc_put(node, sizeof *node + node->len);
}

/* Make a node with this label and everything else of the old one, which is freed. */
static struct prefixes_node *node_relabel(struct prefixes *p, struct prefixes_node *old, struct slice label) {
    struct prefixes_node *node = node_new(p, label);
    node->value = old->value;
    node->children = old->children;
    node->child_count = old->child_count;
    p->bytes -= sizeof *old + old->len;
    alloc_put(old, sizeof *old + old->len);
    return node;
}

/* The index of the child whose label begins with this byte, or where it would be inserted. */
static uint32_t child_index(const struct prefixes_node *node, char first) {
    uint32_t low = 0, high = node->child_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((unsigned char)node->children[middle]->label[0] < (unsigned char)first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The pointer to the child with which the text continues, or NULL. */
static struct prefixes_node **child_for(const struct prefixes_node *node, struct slice text) {
    if (text.len == 0) return NULL;
    uint32_t i = child_index(node, text.ptr[0]);
    if (i == node->child_count || node->children[i]->label[0] != text.ptr[0]) return NULL;
    return &node->children[i];
}

static void resize_children(struct prefixes *p, struct prefixes_node *node, uint32_t count) {
    size_t size = sizeof node->children[0];
    p->bytes += ((size_t)count - node->child_count) * size;
    if (count == 0) {
        alloc_put(node->children, node->child_count * size);
        node->children = NULL;
    } else {
        node->children = alloc_resize(node->children, node->child_count * size, count * size);
    }
    node->child_count = count;
}

static void child_add(struct prefixes *p, struct prefixes_node *node, struct prefixes_node *child) {
    uint32_t i = child_index(node, child->label[0]), behind = node->child_count - i;
    resize_children(p, node, node->child_count + 1);
    memmove(&node->children[i + 1], &node->children[i], behind * sizeof node->children[0]);
    node->children[i] = child;
}

static void child_drop(struct prefixes *p, struct prefixes_node *node, struct prefixes_node **place) {
    size_t behind = node->child_count - (size_t)(place - node->children) - 1;
    node_free(p, *place);
    memmove(place, place + 1, behind * sizeof *place);
    resize_children(p, node, node->child_count - 1);
}

static size_t common_len(struct slice a, struct slice b) {
    size_t n = 0, most = a.len < b.len ? a.len : b.len;
    while (n < most && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

void *prefixes_find(const struct prefixes *p, struct slice string) {
    const struct prefixes_node *node = p->root;
    while (node && string.len) {
        struct prefixes_node **place = child_for(node, string);
        if (place == NULL || !slice_begins_with(string, label_of(*place))) return NULL;
        node = *place;
        string = slice_behind(string, node->len);
    }
    return node ? node->value : NULL;
}

/* Put a fork into the way to *place, behind the first n bytes of its label. Returns the fork. */
static struct prefixes_node *split_label(struct prefixes *p, struct prefixes_node **place, size_t n) {
    struct prefixes_node *old = *place, *fork = node_new(p, slice_of(old->label, n));
    *place = fork;
    child_add(p, fork, node_relabel(p, old, slice_behind(label_of(old), n)));
    return fork;
}

void prefixes_insert(struct prefixes *p, struct slice string, void *value) {
    assert(value != NULL);
    if (p->root == NULL) p->root = node_new(p, SLICE(""));
    struct prefixes_node *node = p->root;
    while (string.len) {
        struct prefixes_node **place = child_for(node, string);
        if (place == NULL) {
            struct prefixes_node *leaf = node_new(p, string);
            child_add(p, node, leaf);
            node = leaf;
            break;
        }
        size_t n = common_len(string, label_of(*place));
        node = n == (*place)->len ? *place : split_label(p, place, n);
        string = slice_behind(string, n);
    }
    assert(node->value == NULL);
    node->value = value;
    p->count++;
}

/* Replace a node with one child and no value by a node that joins both labels. */
static void merge_child(struct prefixes *p, struct prefixes_node **place) {
    struct prefixes_node *node = *place, *child = node->children[0];
    size_t len = (size_t)node->len + child->len;
    char *label = alloc_get(len);
    memcpy(label, node->label, node->len);
    memcpy(label + node->len, child->label, child->len);
    *place = node_relabel(p, child, slice_of(label, len));
    alloc_put(label, len);
    node_free(p, node);
}

void *prefixes_remove(struct prefixes *p, struct slice string) {
    struct prefixes_node **parent = NULL, **place = p->root ? &p->root : NULL;
    while (place && string.len) {
        parent = place;
        place = child_for(*parent, string);
        if (place == NULL || !slice_begins_with(string, label_of(*place))) return NULL;
        string = slice_behind(string, (*place)->len);
    }
    if (place == NULL || (*place)->value == NULL) return NULL;
    void *value = (*place)->value;
    (*place)->value = NULL;
    if (parent && (*place)->child_count == 1) {
        merge_child(p, place);
    } else if (parent && (*place)->child_count == 0) {
        child_drop(p, *parent, place);
        if (parent != &p->root && (*parent)->child_count == 1 && (*parent)->value == NULL) merge_child(p, parent);
    }
    if (--p->count == 0) {
        node_free(p, p->root);
        p->root = NULL;
    }
    return value;
}

void prefixes_visit(const struct prefixes *p, struct slice text, void (*visit)(void *ctx, void *value), void *ctx) {
    const struct prefixes_node *node = p->root;
    while (node) {
        if (node->value) visit(ctx, node->value);
        struct prefixes_node **place = child_for(node, text);
        if (place == NULL || !slice_begins_with(text, label_of(*place))) return;
        node = *place;
        text = slice_behind(text, node->len);
    }
}
