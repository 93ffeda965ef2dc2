/* Counts WebSocket frames on many connections: the load side of the benchmarks. Linux, one thread, epoll.

   receiver HOST PORT[,PORT...] CONNECTIONS IN_FLIGHT REQUEST_FILE ADDRESSES

   Connects, sends the head of REQUEST_FILE (an HTTP upgrade, then what follows the first empty line, each further
   line as one masked text frame), and reads. Lines "---" part the messages into sets: the clients take them in turn. IN_FLIGHT connections are being opened at a time. Connections begin at
   ADDRESSES source addresses (127.0.1.1 and on), as one has 28,000 ports only. Several ports are taken in turn.

   An event is a text frame that ends with  "seq":1NNNNNNNNN,"at":1NNNNNNNNNNNNNNNNNN}}  (10 and 19 digits): the
   sequence is checked on each connection (every step not +1 is lost, each one not forward repeated), and the time
   (CLOCK_MONOTONIC, ns, plus 10^18) gives the latency. A compressed frame (RSV1) is counted and not looked into.
   With a line "scan" in REQUEST_FILE the bytes are searched for such events instead, whatever they are framed in, each
   line sent ends in CR LF, and a connection is open when it has heard PONG: that is how NATS speaks.
   Standard input: a line "count N" waits until N more events have come on every connection, "stop" ends.
   Standard output: "open SECONDS" when all are open and subscribed, "counting" and "counted" for each count, then one JSON line. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, UPGRADING, OPEN, GONE };
enum { TAIL = 128, READ = 1 << 20, BUCKETS = 64 * 32 };

struct connection {
    int fd, state, answers, closed_with;
    uint64_t left;             /* bytes of the frame at hand that are still to come */
    uint64_t frames, last;     /* events, and the sequence number of the last one */
    unsigned char opcode, rsv1, have, head[16]; /* of a frame's head, bytes that have come */
    unsigned tail_length;
    char tail[TAIL];           /* the end of the frame at hand */
    uint64_t counted;
};

static struct connection *all;
static int count, opened, gone, epoll_fd, in_flight, next_to_open, addresses;
enum { MOST_SETS = 1024 };
static char request[65536], messages[1 << 20];
static size_t request_length, messages_length;
static struct { size_t begin, length; } sets[MOST_SETS]; /* what each client sends: the first the first set, and so on */
static int set_count = 1, expected_answers, scanning;
enum { MOST_PORTS = 64 };
static struct sockaddr_in server;
static uint16_t ports[MOST_PORTS];
static int port_count;
static uint64_t frames, bytes, lost, repeated, compressed, controls, target, reached, first_event_ns, last_event_ns;
static uint64_t buckets[BUCKETS], maximum;
static char *buffer;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Log-linear: 32 steps for each doubling. */
static int bucket_of(uint64_t ns) {
    if (ns < 32) return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - 5;
    int index = (shift + 1) * 32 + (int)((ns >> shift) & 31);
    return index < BUCKETS ? index : BUCKETS - 1;
}

static double quantile_ms(double q) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += buckets[i];
    if (!total) return 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (seen >= q * total) {
            if (i < 32) return i / 1e6;
            int shift = i / 32 - 1;
            return (double)(((uint64_t)(32 + i % 32) + 1) << shift) / 1e6;
        }
    }
    return maximum / 1e6;
}

static void die(const char *what) {
    fprintf(stderr, "receiver: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t number(const char *text, int digits) {
    uint64_t value = 0;
    while (digits--) value = value * 10 + (uint64_t)(*text++ - '0');
    return value;
}

static void count_event(struct connection *c, uint64_t now) {
    frames++;
    c->frames++;
    if (!first_event_ns) first_event_ns = now;
    last_event_ns = now;
    if (target && ++c->counted == target) reached++;
}

static void check_event(struct connection *c, uint64_t sequence, uint64_t at, uint64_t now) {
    if (c->last) {
        if (sequence <= c->last) repeated++;
        else lost += sequence - c->last - 1;
    }
    if (sequence > c->last) c->last = sequence;
    uint64_t latency = now > at ? now - at : 0;
    buckets[bucket_of(latency)]++;
    if (latency > maximum) maximum = latency;
}

static void end_of_frame(struct connection *c, uint64_t now) {
    if (c->opcode == 8) {
        if (c->tail_length >= 2) c->closed_with = (unsigned char)c->tail[0] << 8 | (unsigned char)c->tail[1];
        return;
    }
    if (c->opcode == 9) { /* without a pong the service would take the client for dead */
        static const char pong[6] = {(char)0x8a, (char)0x80};
        if (write(c->fd, pong, sizeof pong) < 0 && errno != EAGAIN) c->left = 0;
    }
    if (c->opcode != 1) { controls++; return; }
    const char *end = c->tail + c->tail_length;
    int is_event = (c->rsv1 && c->state == OPEN) || (c->tail_length >= 43 && !memcmp(end - 43, "\"seq\":", 6) && !memcmp(end - 27, ",\"at\":", 6));
    if (!is_event) {
        c->answers++;
        if (c->state == UPGRADING && c->answers == expected_answers) { c->state = OPEN; opened++; in_flight--; }
        return;
    }
    if (c->rsv1) compressed++;
    else check_event(c, number(end - 37, 10), number(end - 21, 19) - 1000000000000000000u, now);
    count_event(c, now);
}

static void keep_tail(struct connection *c, const char *data, size_t length) {
    if (length >= TAIL) {
        memcpy(c->tail, data + length - TAIL, TAIL);
        c->tail_length = TAIL;
        return;
    }
    if (c->tail_length + length > TAIL) {
        size_t drop = c->tail_length + length - TAIL;
        memmove(c->tail, c->tail + drop, c->tail_length - drop);
        c->tail_length -= (unsigned)drop;
    }
    memcpy(c->tail + c->tail_length, data, length);
    c->tail_length += (unsigned)length;
}

static void parse(struct connection *c, const char *data, size_t length, uint64_t now) {
    while (length) {
        if (!c->left) {
            unsigned need = 2;
            for (;;) {
                if (c->have >= 2) {
                    unsigned short_length = c->head[1] & 127;
                    need = short_length == 126 ? 4 : short_length == 127 ? 10 : 2;
                }
                if (c->have >= need || !length) break;
                c->head[c->have++] = (unsigned char)*data++;
                length--;
            }
            if (c->have < need) return;
            c->left = c->head[1] & 127;
            if (need > 2) {
                c->left = 0;
                for (unsigned i = 2; i < need; i++) c->left = c->left << 8 | c->head[i];
            }
            c->opcode = c->head[0] & 15;
            c->rsv1 = c->head[0] >> 6 & 1;
            c->have = 0;
            c->tail_length = 0;
            if (!c->left) { end_of_frame(c, now); continue; }
        }
        size_t part = length < c->left ? length : (size_t)c->left;
        keep_tail(c, data, part);
        data += part;
        length -= part;
        c->left -= part;
        if (!c->left) end_of_frame(c, now);
    }
}

/* Before data there is room for TAIL bytes: the end of what was read before goes there. */
static void scan(struct connection *c, char *data, size_t length, uint64_t now) {
    char *from = data - c->tail_length, *end = data + length, *found;
    memcpy(from, c->tail, c->tail_length);
    if (c->state == UPGRADING && memmem(from, (size_t)(end - from), "PONG", 4)) {
        c->state = OPEN;
        opened++;
        in_flight--;
    }
    while ((found = memmem(from, (size_t)(end - from), ",\"at\":", 6)) && end - found >= 27) {
        if (found - from >= 16) {
            check_event(c, number(found - 10, 10), number(found + 6, 19) - 1000000000000000000u, now);
            count_event(c, now);
        }
        from = found + 27;
    }
    if (end - from > TAIL) from = end - TAIL;
    c->tail_length = (unsigned)(end - from);
    memmove(c->tail, from, c->tail_length);
}

static void leave(struct connection *c) {
    if (c->state == GONE) return;
    if (c->state != OPEN) in_flight--;
    c->state = GONE;
    gone++;
    close(c->fd);
}

static void open_next(void) {
    struct connection *c = &all[next_to_open];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (addresses > 1) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000101u + (unsigned)(next_to_open % addresses));
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    }
    server.sin_port = htons(ports[next_to_open % port_count]);
    next_to_open++;
    in_flight++;
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static void on_connected(struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    if (write(c->fd, request, request_length) != (ssize_t)request_length) leave(c);
    c->state = UPGRADING;
    c->answers = -1; /* the HTTP head is yet to come */
}

static void on_readable(struct connection *c) {
    ssize_t length = read(c->fd, buffer, READ);
    if (length <= 0) {
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        leave(c);
        return;
    }
    uint64_t now = now_ns();
    bytes += (uint64_t)length;
    char *data = buffer;
    if (c->answers < 0) {
        keep_tail(c, data, (size_t)length); /* the head may come in pieces; it never exceeds one read in practice */
        char *end = memmem(buffer, (size_t)length, "\r\n\r\n", 4);
        if (!end) return;
        if (memcmp(buffer, "HTTP/1.1 101", 12)) { leave(c); return; }
        c->answers = 0;
        c->tail_length = 0;
        length -= end + 4 - buffer;
        data = end + 4;
        int set = (int)((c - all) % set_count);
        if (sets[set].length && write(c->fd, messages + sets[set].begin, sets[set].length) != (ssize_t)sets[set].length) leave(c);
        if (!expected_answers && !scanning) { c->state = OPEN; opened++; in_flight--; }
    }
    if (c->state == GONE) return;
    if (scanning) scan(c, data, (size_t)length, now);
    else parse(c, data, (size_t)length, now);
}

/* A line of the request file becomes one masked text frame; the mask is zero. */
static void add_message(const char *line, size_t length) {
    size_t ending = scanning ? 2 : 0;
    length += ending;
    unsigned char *out = (unsigned char *)messages + messages_length;
    *out++ = 0x81;
    if (length < 126) *out++ = (unsigned char)(0x80 | length);
    else { *out++ = 0x80 | 126; *out++ = (unsigned char)(length >> 8); *out++ = (unsigned char)length; }
    memset(out, 0, 4);
    out += 4;
    memcpy(out, line, length - ending);
    if (ending) memcpy(out + length - ending, "\r\n", ending);
    messages_length = (size_t)((char *)out + length - messages);
    sets[set_count - 1].length = messages_length - sets[set_count - 1].begin;
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "r");
    char line[32768];
    int in_head = 1;
    if (!file) die(path);
    while (fgets(line, sizeof line, file)) {
        size_t length = strcspn(line, "\r\n");
        line[length] = 0;
        if (in_head) {
            request_length += (size_t)sprintf(request + request_length, "%s\r\n", line);
            if (!length) in_head = 0;
        } else if (!strncmp(line, "answers ", 8)) expected_answers = atoi(line + 8);
        else if (!strcmp(line, "scan")) scanning = 1;
        else if (!strcmp(line, "---") && set_count < MOST_SETS) sets[set_count++].begin = messages_length;
        else if (length) add_message(line, length);
    }
    fclose(file);
}

static void report(double open_seconds, uint64_t opened_at) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    uint64_t silent = 0, fewest = UINT64_MAX, most = 0;
    int closes[8][2] = {{0}};
    for (int i = 0; i < count; i++) {
        struct connection *c = &all[i];
        if (!c->frames) silent++;
        if (c->frames < fewest) fewest = c->frames;
        if (c->frames > most) most = c->frames;
        if (c->closed_with)
            for (int k = 0; k < 8; k++)
                if (!closes[k][1] || closes[k][0] == c->closed_with) { closes[k][0] = c->closed_with; closes[k][1]++; break; }
    }
    printf("{\"connections\":%d,\"opened\":%d,\"gone\":%d,\"open_seconds\":%.6f,\"frames\":%lu,\"bytes\":%lu,\"lost\":%lu,"
           "\"repeated\":%lu,\"compressed\":%lu,\"silent\":%lu,\"fewest\":%lu,\"most\":%lu,\"seconds\":%.6f,"
           "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"cpu_seconds\":%.3f,"
           "\"wall_seconds\":%.3f,\"closes\":{",
           count, opened, gone, open_seconds, frames, bytes, lost, repeated, compressed, silent, fewest, most,
           (double)(last_event_ns - first_event_ns) / 1e9, quantile_ms(.5), quantile_ms(.9), quantile_ms(.99),
           quantile_ms(.999), maximum / 1e6,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           (double)(now_ns() - opened_at) / 1e9);
    for (int k = 0; k < 8 && closes[k][1]; k++) printf("%s\"%d\":%d", k ? "," : "", closes[k][0], closes[k][1]);
    printf("}}\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 7) { fprintf(stderr, "receiver HOST PORT[,PORT...] CONNECTIONS IN_FLIGHT REQUEST_FILE ADDRESSES\n"); return 2; }
    server.sin_family = AF_INET;
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    for (char *port = strtok(argv[2], ","); port && port_count < MOST_PORTS; port = strtok(NULL, ",")) ports[port_count++] = (uint16_t)atoi(port);
    count = atoi(argv[3]);
    int window = atoi(argv[4]);
    read_request(argv[5]);
    addresses = atoi(argv[6]);
    all = calloc((size_t)count, sizeof *all);
    buffer = (char *)malloc(READ + TAIL) + TAIL;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
    uint64_t began = now_ns();
    double open_seconds = 0;
    char line[256];
    size_t line_length = 0;
    struct epoll_event events[1024];
    for (;;) {
        while (next_to_open < count && in_flight < window) open_next();
        if (!open_seconds && opened + gone >= count) {
            open_seconds = (double)(now_ns() - began) / 1e9;
            printf("open %.6f %d\n", open_seconds, opened);
            fflush(stdout);
        }
        if (target && reached + (uint64_t)gone >= (uint64_t)count) {
            target = 0;
            printf("counted %lu\n", now_ns());
            fflush(stdout);
        }
        int ready = epoll_wait(epoll_fd, events, 1024, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) {
                if (c->state == GONE) continue;
                if (c->state == CONNECTING) {
                    if (events[i].events & (EPOLLERR | EPOLLHUP)) leave(c);
                    else on_connected(c);
                } else on_readable(c);
                continue;
            }
            ssize_t got = read(0, line + line_length, sizeof line - 1 - line_length);
            if (got <= 0) { report(open_seconds, began); return 0; }
            line_length += (size_t)got;
            line[line_length] = 0;
            char *end;
            while ((end = strchr(line, '\n'))) {
                *end = 0;
                if (!strcmp(line, "stop")) { report(open_seconds, began); return 0; }
                if (!strncmp(line, "count ", 6)) {
                    target = strtoull(line + 6, NULL, 10);
                    reached = 0;
                    for (int k = 0; k < count; k++) all[k].counted = 0;
                    printf("counting\n"); /* who asked sends only now */
                    fflush(stdout);
                }
                if (!strcmp(line, "reset")) {
                    memset(buckets, 0, sizeof buckets);
                    maximum = frames = bytes = first_event_ns = last_event_ns = 0;
                }
                line_length -= (size_t)(end + 1 - line);
                memmove(line, end + 1, line_length + 1);
            }
        }
    }
}
