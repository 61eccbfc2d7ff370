/* bridge PATH: joins standard input and output to a Unix socket, since Tcl cannot open one.
 * bridge PATH hang: reads nothing; at the end of its input it shuts the socket down without closing it. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Moves the bytes that are there; false at the end of the stream. */
static int move(int from, int to) {
    char bytes[65536];
    ssize_t n = read(from, bytes, sizeof(bytes));
    for (ssize_t done = 0; done < n;) {
        ssize_t written = write(to, bytes + done, (size_t)(n - done));
        if (written <= 0) return 0;
        done += written;
    }
    return n > 0;
}

static int hang(int fd) {
    struct pollfd out = {.fd = STDOUT_FILENO};
    while (move(STDIN_FILENO, fd)) {
    }
    shutdown(fd, SHUT_RDWR);
    return poll(&out, 1, -1) < 0; /* until the reader of our output is gone */
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc < 2 || strlen(argv[1]) >= sizeof(address.sun_path)) return 2;
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        perror(argv[1]);
        return 1;
    }
    if (argc == 3 && strcmp(argv[2], "hang") == 0) return hang(fd);
    struct pollfd ends[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(ends, 2, -1) >= 0) {
        if (ends[1].revents && !move(fd, STDOUT_FILENO)) return 0;
        if (ends[0].revents && !move(STDIN_FILENO, fd)) return 0;
    }
    return 1;
}
