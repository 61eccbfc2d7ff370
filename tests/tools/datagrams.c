/* Stands in for a service manager: receives datagrams at a Unix socket and prints each with a line end, until it is
 * killed. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[4096];
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return 1;
    for (;;) {
        ssize_t n = recv(fd, text, sizeof text, 0);
        if (n < 0) return 1;
        printf("%.*s\n", (int)n, text);
        fflush(stdout);
    }
}
