/* See stranger.h. */
#include "session/stranger.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/socket.h"
#include "session/client.h"

#define MINUTE_US INT64_C(60000000)

static const char *const warnings[STRANGERS] = {
    [STRANGER_HTTP] =
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is "
        "likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance.",
    [STRANGER_TLS] = "A client began a TLS handshake on a port without TLS.",
};

static void report_stranger(const struct client *c, enum stranger kind) {
    static int64_t silent_until_us[STRANGERS];
    int64_t now_us = clock_mono_us();
    if (now_us < silent_until_us[kind]) return;
    silent_until_us[kind] = now_us + MINUTE_US;
    char peer[SOCKET_NAME_MAX];
    socket_peer_name(c->conn.source.fd, peer);
    log_warning("%s Connection from %s aborted.", warnings[kind], peer);
}

void stranger_refuse(struct client *c, enum stranger kind) {
    report_stranger(c, kind);
    client_kill(c);
}
