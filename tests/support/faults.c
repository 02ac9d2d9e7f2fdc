/* Makes one system call of a process fail, by number: LD_PRELOAD this, and set
   FAULT_ROOT   count calls on files below this folder only
   FAULT_AT     the call to fail, from 1; 0 fails none
   FAULT_KIND   an errno by number, or "short" (half a write), "kill" (before the call), "killed" (after it)
   FAULT_COUNT  a file in which the number of calls is left */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static int below(const char *path) {
    const char *root = getenv("FAULT_ROOT");
    return root && path && strncmp(path, root, strlen(root)) == 0;
}

static int open_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
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
    if (!at || !kind || now != atol(at)) return 0;
    if (!strcmp(kind, "kill")) { kill(getpid(), SIGKILL); pause(); }
    if (!strcmp(kind, "killed")) return 3;
    if (!strcmp(kind, "short")) return 2;
    errno = atoi(kind);
    return 1;
}

static void die(void) { kill(getpid(), SIGKILL); pause(); }

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    int what = open_below(fd) ? fault() : 0;
    if (what == 1) return -1;
    ssize_t written = real(fd, data, what == 2 ? (size + 1) / 2 : size);
    if (what == 3) die();
    return written;
}

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
WRAP(renameat, (int at, const char *from, int to_at, const char *to), (at, from, to_at, to), below(to))
WRAP(unlink, (const char *path), (path), below(path))
WRAP(fsync, (int fd), (fd), open_below(fd))
WRAP(ftruncate64, (int fd, off_t size), (fd, size), open_below(fd))
WRAP(ftruncate, (int fd, off_t size), (fd, size), open_below(fd))
WRAP(mkdir, (const char *path, mode_t mode), (path, mode), below(path))
