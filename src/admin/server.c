/* Commands about the server as a whole: INFO, LOLWUT and TIME. */
#include "admin/info.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/version.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "session/reply.h"
#include "session/request.h"

static void server_time(struct request *r) {
    int64_t now_us = clock_time_us();
    reply_array(r->client, 2);
    reply_bulk_int(r->client, now_us / 1000000);
    reply_bulk_int(r->client, now_us % 1000000);
}

static void server_info(struct request *r) {
    struct buf text = {0};
    info_write(r->argv + 1, r->argc - 1, &text);
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

/* Redis 7.2 draws the pictures of 5 and 6, and has none of its own: it tells its version, and so do we for all. */
static void server_lolwut(struct request *r) {
    int64_t version;
    if (r->argc > 2 && slice_is(r->argv[1], "version") && !args_i64(r->client, r->argv[2], &version)) return;
    reply_verbatim(r->client, SLICE("Redis ver. " VERSION_REDIS "\n"), "txt");
}

static const struct command server_commands[] = {
    {"info", server_info, -1, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_DANGEROUS, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Report on the server, section by section.",
     .complexity = "O(n) for n lines of the report", .syntax = "[section...]",
     .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special",
     .history = "7.0.0|Takes several sections."},
    {"lolwut", server_lolwut, -1, .flags = CMD_READONLY | CMD_FAST, .group = GROUP_SERVER, .since = "5.0.0",
     .summary = "Tell the version, the short way.", .complexity = "", .syntax = "[VERSION version:integer]"},
    {"time", server_time, 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .group = GROUP_SERVER, .since = "2.6.0",
     .summary = "Read the server's clock.", .tips = "nondeterministic_output"},
    {NULL},
};

const struct module server_module = {.commands = server_commands};
