/* Sockets: listening, accepting, names. All are non-blocking and close-on-exec. This hides the address families from
 * the files above. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define SOCKET_NAME_MAX 120 /* "[ipv6]:port" or "path:0", with a terminator */

/* A listening TCP socket; address "*" is any. -1 with errno on failure, and *why (static) names the step that
 * failed. */
int socket_listen_tcp(const char *address, int port, int backlog, const char **why);
/* A listening Unix socket, with errors as above. An old file at path is removed; perm 0 leaves the mode alone. */
int socket_listen_unix(const char *path, int perm, int backlog, const char **why);
int socket_accept(int listener);               /* -1 with errno; TCP_NODELAY is set for TCP */
void socket_keepalive(int fd, int interval_s); /* 0: none */
/* "127.0.0.1:6379", "[::1]:6379", "/tmp/kura.sock:0"; "?:0" if it is unknown. */
void socket_peer_name(int fd, char name[SOCKET_NAME_MAX]);
void socket_local_name(int fd, char name[SOCKET_NAME_MAX]);
bool socket_is_unix(int fd);
bool socket_is_loopback(int fd);               /* the peer is on this machine: loopback address or Unix socket */
int64_t socket_raise_fd_limit(int64_t wanted); /* returns the limit that is now in force */
