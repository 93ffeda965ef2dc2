/* The limit: a loop of send(2) over all connections, and nothing else. Linux, one thread.

   send_loop PORT     prints the port it listens on, answers every upgrade the same way (all clients send one key),
                      then takes lines "send FIRST COUNT SIZE": COUNT events from sequence FIRST, joined in one send. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char ANSWER[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x14{\"type\":\"connected\"}";

static int clients[100000], count;
static char burst[8 << 20];

static void deliver(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) return;
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 1000);
            continue;
        }
        data += sent;
        length -= (size_t)sent;
    }
}

static size_t build(unsigned long first, int events, int size) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    unsigned long at = 1000000000000000000u + (unsigned long)t.tv_sec * 1000000000u + (unsigned long)t.tv_nsec;
    size_t length = 0;
    static char text[70000], padding[65536];
    memset(padding, 'x', sizeof padding);
    for (int i = 0; i < events; i++) {
        int body = sprintf(text, "{\"type\":\"flight.created\",\"timestamp\":\"2026-01-16T14:30:15.123Z\",\"id\":\"1768573815123-0\","
                           "\"data\":{\"dep\":\"KJFK\",\"route\":\"%.*s\",\"seq\":%lu,\"at\":%lu}}",
                           size > 190 ? size - 190 : 1, padding, 1000000000u + first + (unsigned long)i, at);
        char *out = burst + length;
        *out++ = (char)0x81;
        if (body < 126) *out++ = (char)body;
        else { *out++ = 126; *out++ = (char)(body >> 8); *out++ = (char)body; }
        memcpy(out, text, (size_t)body);
        length = (size_t)(out + body - burst);
    }
    return length;
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        int found = epoll_wait(poller, ready, 256, -1);
        for (int i = 0; i < found; i++) {
            int fd = ready[i].data.fd;
            char text[4096];
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = client;
                epoll_ctl(poller, EPOLL_CTL_ADD, client, &event);
            } else if (fd == 0) {
                unsigned long first;
                int events, bytes;
                if (!fgets(text, sizeof text, stdin)) return 0;
                if (sscanf(text, "send %lu %d %d", &first, &events, &bytes) == 3) {
                    size_t length = build(first, events, bytes);
                    for (int k = 0; k < count; k++) deliver(clients[k], burst, length);
                }
            } else {
                ssize_t got = recv(fd, text, sizeof text, 0);
                if (got > 0 && memmem(text, (size_t)got, "\r\n\r\n", 4)) {
                    deliver(fd, ANSWER, sizeof ANSWER - 1);
                    clients[count++] = fd;
                } else if (got == 0 || (got < 0 && errno != EAGAIN)) {
                    for (int k = 0; k < count; k++)
                        if (clients[k] == fd) { clients[k] = clients[--count]; break; }
                    close(fd);
                }
            }
        }
    }
}
