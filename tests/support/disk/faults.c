/* Preloaded: fails or shortens what processes do to files, as the rules in the file SWIM_DISK_FAULTS say.

   The file is mapped: 8 bytes count its changes, then 64 counters of 8 bytes say how often each rule struck, then come
   the rules as text, ended by a zero byte. A rule is a line: OPERATIONS PATTERN ERROR PER_MILLION
     OPERATIONS  comma-separated: read write fsync truncate open rename unlink
     PATTERN     fnmatch(3) over the whole path
     ERROR       EIO ENOSPC EINTR EROFS; or short: half of what was asked for is done
   The last 8 bytes of the file count the processes that came; the 8 before them are added to the machine's clock, in
   seconds, whenever somebody asks for the time of day.
   SWIM_DISK_SEED repeats the choices of each thread of each process, in the order in which they come.
   SWIM_DISK_BOOT_ID names a file that is read instead of the kernel's boot_id: another boot without one. */
#include "preload.h"
#include <fnmatch.h>
#include <sys/time.h>
#include <time.h>

enum { READ = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, OPEN = 16, RENAME = 32, UNLINK = 64 };
enum { NOTHING = 0, SHORT = -1 };
#define MAX_RULES 64
#define MAP_BYTES 65536
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct rule { int operations, error; uint32_t per_million; char pattern[512]; };

static volatile uint64_t *map;
static uint64_t seen;
static struct rule rules[MAX_RULES];
static int rule_count;
static const char *boot_id;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread uint64_t random_state;
static uint64_t process_number, threads;

static volatile uint64_t *processes(void) { return map + MAP_BYTES / 8 - 1; }

static int64_t clock_offset(void) { return map ? (int64_t)map[MAP_BYTES / 8 - 2] : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += clock_offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = REAL(gettimeofday)(now, zone);
    if (result == 0) now->tv_sec += clock_offset();
    return result;
}

time_t time(time_t *kept) {
    time_t now = REAL(time)(NULL) + clock_offset();
    if (kept) *kept = now;
    return now;
}

static void be_another_process(void) {
    boot_id = getenv("SWIM_DISK_BOOT_ID");
    random_state = threads = 0;
    process_number = map ? __sync_add_and_fetch((uint64_t *)processes(), 1) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SWIM_DISK_FAULTS");
    boot_id = getenv("SWIM_DISK_BOOT_ID");
    if (!name) return;
    int fd = REAL(open)(name, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) map = mapped;
    be_another_process();
    pthread_atfork(NULL, NULL, be_another_process);
}

static int operation_named(const char *name) {
    static const struct { const char *name; int bit; } known[] = {
        {"read", READ}, {"write", WRITE}, {"fsync", SYNC}, {"truncate", TRUNCATE},
        {"open", OPEN}, {"rename", RENAME}, {"unlink", UNLINK}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) return known[i].bit;
    return 0;
}

static int error_named(const char *name) {
    if (!strcmp(name, "EIO")) return EIO;
    if (!strcmp(name, "ENOSPC")) return ENOSPC;
    if (!strcmp(name, "EINTR")) return EINTR;
    if (!strcmp(name, "EROFS")) return EROFS;
    return SHORT;
}

static void read_rules(void) {
    enum { TEXT_BYTES = MAP_BYTES - 8 * (3 + MAX_RULES) };
    static char text[TEXT_BYTES];
    seen = map[0];
    memcpy(text, (const char *)map + 8 * (1 + MAX_RULES), TEXT_BYTES);
    text[TEXT_BYTES - 1] = 0;
    rule_count = 0;
    char *lines = NULL;
    for (char *line = strtok_r(text, "\n", &lines); line && rule_count < MAX_RULES; line = strtok_r(NULL, "\n", &lines)) {
        char operations[128], error[16];
        struct rule *rule = &rules[rule_count];
        if (sscanf(line, "%127s %511s %15s %u", operations, rule->pattern, error, &rule->per_million) != 4) continue;
        char *names = NULL;
        rule->operations = 0;
        for (char *name = strtok_r(operations, ",", &names); name; name = strtok_r(NULL, ",", &names))
            rule->operations |= operation_named(name);
        rule->error = error_named(error);
        rule_count++;
    }
}

/* xorshift; each thread has its own, made of SWIM_DISK_SEED and the order in which processes and threads came. */
static uint32_t next_random(void) {
    if (!random_state) {
        const char *seed = getenv("SWIM_DISK_SEED");
        random_state = (seed ? strtoull(seed, NULL, 10) : 0) * 0x9e3779b97f4a7c15ULL;
        random_state += process_number * 0x94d049bb133111ebULL;
        random_state += __sync_add_and_fetch(&threads, 1) * 0xbf58476d1ce4e5b9ULL;
        random_state |= !random_state;
    }
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

/* What is to happen to this operation on this path: NOTHING, SHORT, or an errno. */
static int strike(int operation, const char *path) {
    int result = NOTHING;
    pthread_mutex_lock(&mutex);
    if (map[0] != seen) read_rules();
    for (int i = 0; i < rule_count && result == NOTHING; i++) {
        const struct rule *rule = &rules[i];
        if (!(rule->operations & operation) || fnmatch(rule->pattern, path, 0)) continue;
        if (next_random() % 1000000 >= rule->per_million) continue;
        __sync_fetch_and_add((uint64_t *)&map[1 + i], 1);
        result = rule->error;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

static int strike_fd(int operation, int fd) {
    char path[PATH_MAX];
    struct stat found;
    if (!map || (map[0] == seen && !rule_count)) return NOTHING;
    int kept = errno, result = NOTHING;
    if (fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) && path_of(fd, path))
        result = strike(operation, path);
    errno = kept;
    return result;
}

static int strike_name(int operation, int folder, const char *name) {
    char path[PATH_MAX];
    if (!map || (map[0] == seen && !rule_count)) return NOTHING;
    return absolute(folder, name, path) ? strike(operation, path) : NOTHING;
}

#define TRANSFER(operation, signature, call) \
    ssize_t signature { \
        int struck = strike_fd(operation, fd); \
        if (struck > 0) { errno = struck; return -1; } \
        if (struck == SHORT && length > 1) length /= 2; \
        return call; \
    }
TRANSFER(READ, read(int fd, void *data, size_t length), REAL(read)(fd, data, length))
TRANSFER(READ, pread(int fd, void *data, size_t length, off_t at), REAL(pread)(fd, data, length, at))
TRANSFER(READ, pread64(int fd, void *data, size_t length, off64_t at), REAL(pread64)(fd, data, length, at))
TRANSFER(WRITE, write(int fd, const void *data, size_t length), REAL(write)(fd, data, length))
TRANSFER(WRITE, pwrite(int fd, const void *data, size_t length, off_t at), REAL(pwrite)(fd, data, length, at))
TRANSFER(WRITE, pwrite64(int fd, const void *data, size_t length, off64_t at), REAL(pwrite64)(fd, data, length, at))

#define ON_FD(operation, signature, call) \
    int signature { \
        int struck = strike_fd(operation, fd); \
        if (struck > 0) { errno = struck; return -1; } \
        return call; \
    }
ON_FD(SYNC, fsync(int fd), REAL(fsync)(fd))
ON_FD(SYNC, fdatasync(int fd), REAL(fdatasync)(fd))
ON_FD(TRUNCATE, ftruncate(int fd, off_t size), REAL(ftruncate)(fd, size))
ON_FD(TRUNCATE, ftruncate64(int fd, off64_t size), REAL(ftruncate64)(fd, size))

#define ON_NAME(operation, signature, name, call) \
    int signature { \
        int struck = strike_name(operation, AT_FDCWD, name); \
        if (struck > 0) { errno = struck; return -1; } \
        return call; \
    }
ON_NAME(RENAME, rename(const char *from, const char *to), from, REAL(rename)(from, to))
ON_NAME(UNLINK, unlink(const char *name), name, REAL(unlink)(name))

static const char *named(const char *file) {
    return boot_id && file && !strcmp(file, BOOT_ID) ? boot_id : file;
}

#define OPENS(signature, folder, call) \
    int signature { \
        va_list rest; va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int struck = strike_name(OPEN, folder, file); \
        if (struck > 0) { errno = struck; return -1; } \
        return call; \
    }
OPENS(open(const char *file, int flags, ...), AT_FDCWD, REAL(open)(named(file), flags, mode))
OPENS(open64(const char *file, int flags, ...), AT_FDCWD, REAL(open64)(named(file), flags, mode))
OPENS(openat(int folder, const char *file, int flags, ...), folder, REAL(openat)(folder, named(file), flags, mode))
OPENS(openat64(int folder, const char *file, int flags, ...), folder, REAL(openat64)(folder, named(file), flags, mode))
