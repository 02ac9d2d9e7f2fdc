/* Makes system calls of a process that write fail, by number: LD_PRELOAD this, and set
   FAULT_ROOT   count calls on files below this folder only
   FAULT_AT     the call to fail, from 1; 0 fails none
   FAULT_KIND   an errno by number, or "short" (half a write), "kill" (before the call), "killed" (after it)
   FAULT_SPAN   "one": that call alone; "writes": it and all that write after it; "all": those that read as well
   FAULT_COUNT  a file in which the number of calls is left
   FAULT_CLOCK  seconds by which the clock of the wall jumps forwards and backwards, each time that it is read */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static long calls;

static int below(const char *path) {
    const char *root = getenv("FAULT_ROOT");
    if (!root || !path) return 0;
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int open_below(int fd) {
    char link[64], path[4096];
    if (!getenv("FAULT_ROOT")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int at_below(int at, const char *path) { return path && path[0] == '/' ? below(path) : open_below(at); }

static int lasts(const char *what) {
    const char *span = getenv("FAULT_SPAN");
    return span && (!strcmp(span, "all") || !strcmp(span, what));
}

/* 0: go on; 1: fail with errno; 2: write half; 3: go on and be killed */
static int fault(void) {
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND"), *count = getenv("FAULT_COUNT");
    long now = __sync_add_and_fetch(&calls, 1);
    if (count) {
        FILE *(*open_file)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen");
        FILE *file = open_file(count, "w");
        if (file) { fprintf(file, "%ld", now); fclose(file); }
    }
    long first = at ? atol(at) : 0;
    if (!first || !kind || (lasts("writes") ? now < first : now != first)) return 0;
    if (!strcmp(kind, "kill")) { kill(getpid(), SIGKILL); pause(); }
    if (!strcmp(kind, "killed")) return 3;
    if (!strcmp(kind, "short")) return 2;
    errno = atoi(kind);
    return 1;
}

/* 1: a call that reads is to fail with errno */
static int gone(void) {
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
    long first = at ? atol(at) : 0;
    if (!first || !kind || !lasts("all") || calls < first) return 0;
    errno = atoi(kind);
    return 1;
}

static void die(void) { kill(getpid(), SIGKILL); pause(); }

static ssize_t (*real_write)(int, const void *, size_t);

ssize_t write(int fd, const void *data, size_t size) {
    if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
    int what = open_below(fd) ? fault() : 0;
    if (what == 1) return -1;
    ssize_t written = real_write(fd, data, what == 2 ? (size + 1) / 2 : size);
    if (what == 3) die();
    return written;
}

ssize_t read(int fd, void *data, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    return lasts("all") && open_below(fd) && gone() ? -1 : real(fd, data, size);
}

int close(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "close");
    int flags = getenv("FAULT_ROOT") ? fcntl(fd, F_GETFL) : O_RDONLY;
    int what = flags != -1 && (flags & O_ACCMODE) != O_RDONLY && open_below(fd) ? fault() : 0, number = errno;
    int result = real(fd); /* as Linux does: the descriptor is closed, whatever close says */
    if (what == 1) { errno = number; return -1; }
    if (what == 3) die();
    return result;
}

#define OPEN(name, parameters, arguments, inside) \
    int name parameters { \
        static int (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
        int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT; \
        int what = (inside) ? (writes ? fault() : gone()) : 0; \
        if (what == 1) return -1; \
        int result = ((int (*)()) real) arguments; \
        if (what == 3) die(); \
        return result; \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode), below(path))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), below(path))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), at_below(at, path))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), at_below(at, path))

#define WRAP(name, parameters, arguments, inside) \
    int name parameters { \
        static int (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        int what = (inside) ? fault() : 0; \
        if (what == 1) return -1; \
        int result = real arguments; \
        if (what == 3) die(); \
        return result; \
    }

WRAP(rename, (const char *from, const char *to), (from, to), below(to))
WRAP(renameat, (int at, const char *from, int to_at, const char *to), (at, from, to_at, to), at_below(to_at, to))
WRAP(unlink, (const char *path), (path), below(path))
WRAP(unlinkat, (int at, const char *path, int flags), (at, path, flags), at_below(at, path))
WRAP(rmdir, (const char *path), (path), below(path))
WRAP(fsync, (int fd), (fd), open_below(fd))
WRAP(ftruncate64, (int fd, off_t size), (fd, size), open_below(fd))
WRAP(ftruncate, (int fd, off_t size), (fd, size), open_below(fd))
WRAP(mkdir, (const char *path, mode_t mode), (path, mode), below(path))

#define READ(name, parameters, arguments, inside) \
    int name parameters { \
        static int (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        return lasts("all") && (inside) && gone() ? -1 : real arguments; \
    }

READ(stat, (const char *path, struct stat *found), (path, found), below(path))
READ(lstat, (const char *path, struct stat *found), (path, found), below(path))
READ(fstat, (int fd, struct stat *found), (fd, found), open_below(fd))
READ(fstatat, (int at, const char *path, struct stat *found, int flags), (at, path, found, flags), at_below(at, path))
READ(stat64, (const char *path, struct stat64 *found), (path, found), below(path))
READ(lstat64, (const char *path, struct stat64 *found), (path, found), below(path))
READ(fstat64, (int fd, struct stat64 *found), (fd, found), open_below(fd))
READ(fstatat64, (int at, const char *path, struct stat64 *found, int flags), (at, path, found, flags), at_below(at, path))
READ(access, (const char *path, int mode), (path, mode), below(path))

DIR *opendir(const char *path) {
    static DIR *(*real)(const char *);
    if (!real) real = dlsym(RTLD_NEXT, "opendir");
    return lasts("all") && below(path) && gone() ? NULL : real(path);
}

/* seconds to add to the clock of the wall, others each time */
static long jump(void) {
    static unsigned reads;
    const char *clock = getenv("FAULT_CLOCK");
    return clock ? atol(clock) * ((long) (__sync_add_and_fetch(&reads, 1) * 5 % 7) - 3) : 0;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (!result && which == CLOCK_REALTIME) now->tv_sec += jump();
    return result;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}
