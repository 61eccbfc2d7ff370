/* For tests of the engine: EVAL as clients send it, beside the commands on data and three of the lab's own, which reply
 * what the tests want to be read by a script. */
#pragma once
#include "cmd/command_lab.h"

#include "script/cache.h"
#include "script/engine.h"
#include "script/lua_engine.h"
#include "session/reply.h"

extern const struct module eval_cmd_module, functions_cmd_module, hashes_module, keys_module, lists_module, sets_module,
    run_module, strings_module, zsets_module;

/* RAW bytes: replies the bytes as they are, which are protocol. */
static void lab_raw(struct request *r) {
    reply_raw(r->client, r->argv[1]);
}

/* BLOBS n: an array of n large strings, which are referred to, with numbers between. */
static void lab_blobs(struct request *r) {
    int count = r->argv[1].ptr[0] - '0';
    reply_array(r->client, (size_t)count * 2);
    for (int i = 0; i < count; i++) {
        struct blob *blob = blob_new(BLOB_MIN + (size_t)i);
        memset(blob->data, 'a' + i, blob->cap);
        blob->len = BLOB_MIN + (size_t)i;
        reply_bulk_blob(r->client, blob);
        reply_int(r->client, i);
        blob_drop(blob);
    }
}

/* HASHED key: the key and the hash that it came with. */
static void lab_hashed(struct request *r) {
    reply_array(r->client, 2);
    reply_bulk(r->client, r->key.name);
    reply_bool(r->client, r->key.hash == key_of(r->argv[1]).hash);
}

static const struct command lab_rows[] = {
    {"raw", lab_raw, 2, .summary = "s", .since = "1.0.0"},
    {"blobs", lab_blobs, 2, .summary = "s", .since = "1.0.0"},
    {"hashed", lab_hashed, 2, .first_key = 1, .flags = CMD_READONLY, .summary = "s", .since = "1.0.0"},
    {NULL},
};
static const struct module lab_module = {.commands = lab_rows};

static inline void lab_start_scripts(void) {
    static const struct module *const modules[] = {
        &eval_cmd_module, &functions_cmd_module, &hashes_module, &keys_module, &lists_module,
        &sets_module,     &strings_module,       &zsets_module,  &lab_module,  NULL};
    lab_start(modules);
    eval_cmd_module.start();
    run_module.start(); /* no script is busy */
}

/* The reply to EVAL script 1 key arg, as it is sent. Valid until the next call. */
static inline struct slice lab_eval(struct slice script, const char *key, struct slice arg) {
    struct slice words[] = {SLICE("EVAL"), script, SLICE("1"), slice_cstr(key), arg};
    return lab_call(words, 5);
}

/* The same without a key, as text: lab_lines(). */
static inline const char *lab_script(const char *script) {
    struct slice words[] = {SLICE("EVAL"), slice_cstr(script), SLICE("0")};
    return lab_lines(lab_call(words, 3));
}
