/* Sockets: listening, accepting, names. Everything is non-blocking and close-on-exec. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SOCKET_NAME_MAX 120 /* "[ipv6]:port" or "path:0", with a terminator */

/* A listening TCP socket. -1 with errno; *why (static) says which step failed. */
int socket_listen_tcp(const char *address, int port, int backlog, const char **why);
/* A listening Unix socket; an old file at path is removed; perm 0 leaves the mode alone. */
int socket_listen_unix(const char *path, int perm, int backlog, const char **why);
int socket_accept(int listener); /* -1 with errno; TCP_NODELAY set on TCP */
void socket_keepalive(int fd, int interval_s);
/* "127.0.0.1:6379", "[::1]:6379", "/tmp/kura.sock:0"; "?:0" if it cannot be told. */
void socket_peer_name(int fd, char name[SOCKET_NAME_MAX]);
void socket_local_name(int fd, char name[SOCKET_NAME_MAX]);
bool socket_is_unix(int fd);
bool socket_is_loopback(int fd);               /* the peer is on this machine: loopback address or Unix socket */
int64_t socket_raise_fd_limit(int64_t wanted); /* returns the limit on open files now in force */
