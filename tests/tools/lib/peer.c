#include "peer.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A Unix socket in the folder of the peer: another program may take a free port a moment later. */
bool peer_connect(struct peer *p) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", p->folder);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        peer_disconnect(p);
        return false;
    }
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    p->out.len = p->in.len = p->at = 0;
    return true;
}

void peer_disconnect(struct peer *p) {
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
}

static void become_server(const struct peer *p, const char *program) {
    int log = -1;
    if (chdir(p->folder) == 0) log = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600);
    if (log < 0) _exit(126);
    dup2(log, 1);
    dup2(log, 2);
    /* redis-server looks at the time of blocked clients hz times a second. */
    execl(program, program, "--port", "0", "--unixsocket", "socket", "--save", "", "--enable-debug-command", "yes",
          "--hz", "500", (char *)NULL);
    _exit(127);
}

bool peer_start(struct peer *p, const char *name, const char *program) {
    char path[4096];
    *p = (struct peer){.name = name, .fd = -1, .folder = "/tmp/kura-peer-XXXXXX"};
    /* Not realpath(): the program of the oracle looks at the name by which it is called. */
    if (program[0] != '/' && getcwd(path, sizeof(path) / 2)) {
        snprintf(path + strlen(path), sizeof(path) / 2, "/%s", program);
        program = path;
    }
    if (access(program, X_OK) < 0 || !mkdtemp(p->folder)) {
        fprintf(stderr, "%s: %s\n", program, strerror(errno));
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    p->pid = fork();
    if (p->pid == 0) become_server(p, program);
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end && peer_alive(p);) {
        if (peer_connect(p)) return true;
        poll(NULL, 0, 10);
    }
    fprintf(stderr, "%s does not start\n", program);
    peer_stop(p);
    return false;
}

/* Has it ended, and how? Waits for up to wait_ms. */
static bool reap(struct peer *p, int *status, int wait_ms) {
    for (int64_t end = now_ms() + wait_ms;;) {
        if (waitpid(p->pid, status, WNOHANG) != 0) {
            p->pid = 0;
            return true;
        }
        if (now_ms() >= end) return false;
        poll(NULL, 0, 5);
    }
}

bool peer_alive(struct peer *p) {
    int status;
    if (!p->pid) return false;
    if (!reap(p, &status, 0)) return true;
    if (WIFSIGNALED(status))
        printf("%s died of signal %d\n", p->name, WTERMSIG(status));
    else
        printf("%s exited with status %d\n", p->name, WEXITSTATUS(status));
    return false;
}

static bool look_at_log(const struct peer *p, bool ok) {
    static const char *complaints[] = {"Sanitizer", "runtime error:", "STACK TRACE", "BUG REPORT"};
    char path[128], *text = calloc(1, 65537);
    snprintf(path, sizeof(path), "%s/log", p->folder);
    FILE *f = fopen(path, "r");
    const char *show = text;
    if (f) {
        size_t n = fread(text, 1, 65536, f);
        fclose(f);
        if (n > 4000) show = text + n - 4000;
    }
    for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++) {
        const char *found = strstr(text, complaints[i]);
        if (!found) continue;
        ok = false;
        show = found;
        break;
    }
    if (!ok) printf("---- log of %s\n%.6000s\n----\n", p->name, show);
    free(text);
    return ok;
}

bool peer_stop(struct peer *p) {
    int status = 0;
    bool ok = p->pid != 0;
    peer_disconnect(p);
    if (p->pid) {
        kill(p->pid, SIGTERM);
        if (!reap(p, &status, PATIENCE_MS)) {
            printf("%s does not end on SIGTERM\n", p->name);
            kill(p->pid, SIGKILL);
            reap(p, &status, PATIENCE_MS);
        }
        ok = status == 0;
        if (!ok) printf("%s ended with status %d\n", p->name, status);
    }
    ok = look_at_log(p, ok);
    char line[128];
    snprintf(line, sizeof(line), "rm -rf %s", p->folder);
    return system(line) == 0 && ok;
}

/* The end of the line at p[at], behind its CR LF; 0 if the line is not complete yet. */
static size_t line_end(const char *p, size_t len, size_t at) {
    const char *end = at < len ? memmem(p + at, len - at, "\r\n", 2) : NULL;
    return end ? (size_t)(end - p) + 2 : 0;
}

size_t reply_end(const char *p, size_t len, size_t at) {
    size_t end = line_end(p, len, at);
    if (!end) return len - (at < len ? at : len) > 70000 && at < len && !strchr("+-", p[at]) ? SIZE_MAX : 0;
    if (strchr("+-:_,#(", p[at]) && p[at]) return end;
    long long n = strtoll(p + at + 1, NULL, 10);
    if (strchr("$=!", p[at]) && p[at]) {
        if (n < 0) return end;
        if (len - end < (size_t)n + 2) return 0;
        return memcmp(p + end + n, "\r\n", 2) == 0 ? end + (size_t)n + 2 : SIZE_MAX;
    }
    if (!p[at] || !strchr("*~>%|", p[at])) return SIZE_MAX;
    if (strchr("%|", p[at])) n *= 2;
    if (p[at] == '|') n++;
    while (n-- > 0) {
        end = reply_end(p, len, end);
        if (end == 0 || end == SIZE_MAX) return end;
    }
    return end;
}

/* Writes and reads as much as is possible now. False at the end of the connection. */
static bool turn(struct peer *p, short events) {
    char part[65536];
    if (events & POLLOUT && p->out.len) {
        ssize_t n = write(p->fd, p->out.data, p->out.len);
        if (n < 0 && errno != EAGAIN) return false;
        if (n > 0) bytes_drop(&p->out, (size_t)n);
    }
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t n = read(p->fd, part, sizeof(part));
        if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
        if (n > 0) bytes_add(&p->in, part, (size_t)n);
    }
    return true;
}

bool peer_send(struct peer *p) {
    struct pollfd writable = {p->fd, POLLOUT, 0};
    for (int64_t end = now_ms() + PATIENCE_MS; p->out.len && now_ms() < end;) {
        poll(&writable, 1, 1000);
        if (!turn(p, POLLOUT)) return false;
    }
    return true;
}

bool peer_collect(struct peer *p) {
    struct pollfd readable = {p->fd, POLLIN, 0};
    while (poll(&readable, 1, 0) > 0) {
        if (!turn(p, POLLIN)) return false;
    }
    return true;
}

bool peer_exchange(struct peer *peers, int count, int replies) {
    int got[4] = {0};
    size_t seen[4] = {0};
    struct pollfd fds[4];
    for (int i = 0; i < count; i++)
        peers[i].in.len = peers[i].at = 0;
    for (int64_t end = now_ms() + PATIENCE_MS;;) {
        bool done = true;
        for (int i = 0; i < count; i++) {
            struct peer *p = &peers[i];
            for (size_t next; got[i] < replies && (next = reply_end(p->in.data, p->in.len, seen[i])); got[i]++) {
                if (next == SIZE_MAX) {
                    printf("%s does not talk RESP: ", p->name);
                    bytes_print_quoted(stdout, p->in.data + seen[i], p->in.len - seen[i]);
                    puts("");
                    return false;
                }
                seen[i] = next;
            }
            bool mine = got[i] == replies && !p->out.len;
            done = done && mine;
            fds[i] = (struct pollfd){p->fd, (short)(mine ? 0 : POLLIN | (p->out.len ? POLLOUT : 0)), 0};
        }
        if (done) return true;
        if (poll(fds, (nfds_t)count, 1000) < 0 || now_ms() > end) {
            for (int i = 0; i < count; i++) {
                if (got[i] < replies) printf("%s does not answer: %d of %d replies\n", peers[i].name, got[i], replies);
            }
            return false;
        }
        for (int i = 0; i < count; i++) {
            if (fds[i].revents && !turn(&peers[i], fds[i].revents)) {
                printf("%s closed the connection after %d of %d replies\n", peers[i].name, got[i], replies);
                return false;
            }
        }
    }
}
