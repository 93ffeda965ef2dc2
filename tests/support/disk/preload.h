/* What both preloaded libraries need: the real functions, and the path behind a descriptor. */
#ifndef SWIM_DISK_PRELOAD_H
#define SWIM_DISK_PRELOAD_H
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* REAL(write) is libc's write, or that of the next preloaded library. */
#define REAL(name) ({ \
    static __typeof__(&name) found; \
    if (!found) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    found; })

/* The path of an open descriptor; 0 when it has none. */
static inline int path_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return 1;
}

/* An absolute path for what a call was given. */
static inline int absolute(int folder, const char *name, char *path) {
    if (!name) return 0;
    if (name[0] == '/') {
        if (strlen(name) >= PATH_MAX) return 0;
        strcpy(path, name);
        return 1;
    }
    if (folder == AT_FDCWD ? !getcwd(path, PATH_MAX) : !path_of(folder, path)) return 0;
    if (strlen(path) + strlen(name) + 2 > PATH_MAX) return 0;
    strcat(path, "/");
    strcat(path, name);
    return 1;
}

static inline int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}
#endif
