/* Preloaded: appends every change of a file below SWIM_DISK_ROOT to SWIM_DISK_LOG, in the order in which it took effect.

   A change and its record are made under one lock that all processes share. A sync is two records: what was written
   before the first is on the disk once the second is there. The format is read by change_log.py.
   SQLite's shared memory (*-shm) is left out: it means nothing after a power cut. */
#include "preload.h"
#include <sys/file.h>
#include <sys/sendfile.h>

enum { CREATE = 1, WRITE, TRUNCATE, RENAME, UNLINK, MKDIR, RMDIR, SYNC_BEGIN, SYNC_END, LINK, UNKNOWN = 99 };

struct record {
    uint32_t magic, pid;
    uint8_t operation, is_data_only;
    uint16_t path_length, other_length, spare;
    uint32_t data_length;
    uint64_t file;
    int64_t offset, changed_ns; /* the file's time of change afterwards */
};

static const char *root, *log_path;
static size_t root_length;
static int log_fd = -1, lock_fd = -1;
static uint32_t syncs;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void open_files(void) {
    char lock_path[PATH_MAX];
    snprintf(lock_path, sizeof lock_path, "%s.lock", log_path);
    int log = REAL(open)(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int lock = REAL(open)(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    log_fd = fcntl(log, F_DUPFD_CLOEXEC, 900);
    lock_fd = fcntl(lock, F_DUPFD_CLOEXEC, 900);
    close(log);
    close(lock);
}

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void in_parent(void) { pthread_mutex_unlock(&mutex); }
static void in_child(void) {
    pthread_mutex_unlock(&mutex);
    if (root) open_files(); /* a lock belongs to an open file, which is the parent's */
}

__attribute__((constructor)) static void begin(void) {
    log_path = getenv("SWIM_DISK_LOG");
    root = log_path ? getenv("SWIM_DISK_ROOT") : NULL;
    if (!root) return;
    root_length = strlen(root);
    open_files();
    pthread_atfork(before_fork, in_parent, in_child);
}

static int is_ours(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length])
        && !ends_with(path, "-shm");
}

/* Lock, so that a change and its record are one. */
static void lock(void) {
    pthread_mutex_lock(&mutex);
    if (flock(lock_fd, LOCK_EX) != 0) { /* somebody closed all descriptors */
        open_files();
        flock(lock_fd, LOCK_EX);
    }
}

static void unlock(void) {
    int kept = errno;
    flock(lock_fd, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static int64_t changed_ns(int fd) {
    struct stat found;
    if (fd < 0 || fstat(fd, &found) != 0) return 0;
    return found.st_mtim.tv_sec * 1000000000LL + found.st_mtim.tv_nsec;
}

static void note(int operation, int fd, uint64_t file, int64_t offset, const char *path, const char *other,
                 const void *data, size_t length, int is_data_only) {
    int kept = errno;
    struct record record = {
        .magic = 0x4d495753, .pid = (uint32_t)getpid(), .operation = (uint8_t)operation,
        .is_data_only = (uint8_t)is_data_only, .path_length = path ? strlen(path) : 0,
        .other_length = other ? strlen(other) : 0, .data_length = (uint32_t)length, .file = file, .offset = offset,
        .changed_ns = changed_ns(fd)};
    struct iovec parts[4] = {{&record, sizeof record}, {(void *)path, record.path_length},
                             {(void *)other, record.other_length}, {(void *)data, length}};
    if (REAL(writev)(log_fd, parts, 4) < 0) {
        open_files();
        if (REAL(writev)(log_fd, parts, 4) < 0) abort(); /* a record with holes would prove nothing */
    }
    errno = kept;
}

/* The inode behind a descriptor that is a regular file of ours; 0 otherwise. */
static uint64_t file_of(int fd, char *path) {
    struct stat found;
    int kept = errno;
    uint64_t file = 0;
    if (root && fd >= 0 && fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))
        && path_of(fd, path) && is_ours(path))
        file = found.st_ino;
    errno = kept;
    return file;
}

static int opened(int fd, const char *path, int flags, int existed) {
    struct stat found;
    if (fd < 0 || fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return fd;
    if (!existed) note(CREATE, fd, found.st_ino, 0, path, NULL, NULL, 0, 0);
    else if (flags & O_TRUNC) note(TRUNCATE, fd, found.st_ino, 0, path, NULL, NULL, 0, 0);
    return fd;
}

#define OPEN_AS(name, call, folder, file) \
    if (!root || !(flags & (O_CREAT | O_TRUNC)) || !absolute(folder, file, path) || !is_ours(path)) return call; \
    struct stat before; \
    lock(); \
    int existed = stat(path, &before) == 0; \
    int fd = opened(call, path, flags, existed); \
    unlock(); \
    return fd;

#define MODE(last) \
    va_list rest; va_start(rest, last); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    char path[PATH_MAX];

int open(const char *file, int flags, ...) { MODE(flags) OPEN_AS(open, REAL(open)(file, flags, mode), AT_FDCWD, file) }
int open64(const char *file, int flags, ...) {
    MODE(flags) OPEN_AS(open64, REAL(open64)(file, flags, mode), AT_FDCWD, file)
}
int openat(int folder, const char *file, int flags, ...) {
    MODE(flags) OPEN_AS(openat, REAL(openat)(folder, file, flags, mode), folder, file)
}
int openat64(int folder, const char *file, int flags, ...) {
    MODE(flags) OPEN_AS(openat64, REAL(openat64)(folder, file, flags, mode), folder, file)
}

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    uint64_t file = file_of(fd, path);
    if (!file) return REAL(write)(fd, data, length);
    lock();
    ssize_t done = REAL(write)(fd, data, length);
    if (done > 0) note(WRITE, fd, file, lseek(fd, 0, SEEK_CUR) - done, path, NULL, data, done, 0);
    unlock();
    return done;
}

#define PWRITE(name, type) \
    ssize_t name(int fd, const void *data, size_t length, type offset) { \
        char path[PATH_MAX]; \
        uint64_t file = file_of(fd, path); \
        if (!file) return REAL(name)(fd, data, length, offset); \
        lock(); \
        ssize_t done = REAL(name)(fd, data, length, offset); \
        if (done > 0) note(WRITE, fd, file, offset, path, NULL, data, done, 0); \
        unlock(); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    uint64_t file = file_of(fd, path);
    if (!file) return REAL(writev)(fd, parts, count);
    lock();
    ssize_t done = REAL(writev)(fd, parts, count);
    int64_t at = lseek(fd, 0, SEEK_CUR) - done;
    ssize_t left = done;
    for (int i = 0; i < count && left > 0; i++) {
        size_t length = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left;
        if (length) note(WRITE, fd, file, at, path, NULL, parts[i].iov_base, length, 0);
        at += length;
        left -= length;
    }
    unlock();
    return done;
}

#define FTRUNCATE(name, type) \
    int name(int fd, type size) { \
        char path[PATH_MAX]; \
        uint64_t file = file_of(fd, path); \
        if (!file) return REAL(name)(fd, size); \
        lock(); \
        int result = REAL(name)(fd, size); \
        if (result == 0) note(TRUNCATE, fd, file, size, path, NULL, NULL, 0, 0); \
        unlock(); \
        return result; \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define SYNC(name, data_only) \
    int name(int fd) { \
        char path[PATH_MAX]; \
        uint64_t file = file_of(fd, path); \
        if (!file) return REAL(name)(fd); \
        lock(); \
        int64_t token = ++syncs; \
        note(SYNC_BEGIN, -1, file, token, path, NULL, NULL, 0, data_only); \
        unlock(); \
        int result = REAL(name)(fd); \
        lock(); \
        if (result == 0) note(SYNC_END, -1, file, token, path, NULL, NULL, 0, data_only); \
        unlock(); \
        return result; \
    }
SYNC(fsync, 0)
SYNC(fdatasync, 1)

/* One name changes: the call, its record. */
#define NAMES(operation, call, from_folder, from, has_other, to_folder, to) \
    char path[PATH_MAX], other[PATH_MAX]; \
    if (!root || !absolute(from_folder, from, path)) return call; \
    other[0] = 0; \
    if (has_other && !absolute(to_folder, to, other)) return call; \
    if (!is_ours(path) && !(other[0] && is_ours(other))) return call; \
    lock(); \
    int result = call; \
    if (result == 0) note(operation, -1, 0, 0, path, has_other ? other : NULL, NULL, 0, 0); \
    unlock(); \
    return result;

int rename(const char *from, const char *to) {
    NAMES(RENAME, REAL(rename)(from, to), AT_FDCWD, from, 1, AT_FDCWD, to)
}
int renameat(int a, const char *from, int b, const char *to) {
    NAMES(RENAME, REAL(renameat)(a, from, b, to), a, from, 1, b, to)
}
int link(const char *from, const char *to) { NAMES(LINK, REAL(link)(from, to), AT_FDCWD, from, 1, AT_FDCWD, to) }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    NAMES(LINK, REAL(linkat)(a, from, b, to, flags), a, from, 1, b, to)
}
int unlink(const char *name) { NAMES(UNLINK, REAL(unlink)(name), AT_FDCWD, name, 0, AT_FDCWD, NULL) }
int unlinkat(int folder, const char *name, int flags) {
    NAMES(flags & AT_REMOVEDIR ? RMDIR : UNLINK, REAL(unlinkat)(folder, name, flags), folder, name, 0, AT_FDCWD, NULL)
}
int mkdir(const char *name, mode_t mode) { NAMES(MKDIR, REAL(mkdir)(name, mode), AT_FDCWD, name, 0, AT_FDCWD, NULL) }
int mkdirat(int folder, const char *name, mode_t mode) {
    NAMES(MKDIR, REAL(mkdirat)(folder, name, mode), folder, name, 0, AT_FDCWD, NULL)
}
int rmdir(const char *name) { NAMES(RMDIR, REAL(rmdir)(name), AT_FDCWD, name, 0, AT_FDCWD, NULL) }

/* Ways to change a file that are not recorded: told, so that the reader refuses the log instead of proving nothing. */
static void tell_unknown(int fd, const char *what) {
    char path[PATH_MAX];
    uint64_t file = file_of(fd, path);
    if (!file) return;
    lock();
    note(UNKNOWN, fd, file, 0, path, what, NULL, 0, 0);
    unlock();
}
ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
    tell_unknown(out, "sendfile");
    return REAL(sendfile)(out, in, offset, count);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    tell_unknown(out, "sendfile");
    return REAL(sendfile64)(out, in, offset, count);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
    tell_unknown(out, "copy_file_range");
    return REAL(copy_file_range)(in, from, out, to, count, flags);
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    tell_unknown(fd, "posix_fallocate");
    return REAL(posix_fallocate64)(fd, offset, length);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    tell_unknown(fd, "pwritev2");
    return REAL(pwritev2)(fd, parts, count, offset, flags);
}
