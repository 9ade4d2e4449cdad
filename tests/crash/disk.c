/* What a server does to its data folder: each call that changes it is recorded, in order, and calls fail or do less than they
 * were asked. Loaded before the system's library (LD_PRELOAD).
 *
 * MICROTOME_DISK_FOLDER   the folder; calls elsewhere are let through
 * MICROTOME_DISK_JOURNAL  the file of records, which disk.rs reads
 * MICROTOME_DISK_FAULT    CALL:HOW:FIRST+STEP, where CALL is read, write, sync, open, rename, truncate, mkdir or remove. HOW is
 *                         short or the number of an error, for the FIRST such call of the process and each STEP further on; or
 *                         die, at one of STEP calls from the FIRST on, another one in each life. Left out, nothing goes wrong
 *
 * A sync does nothing but be recorded: what is on a disk after the power failed is worked out from the records. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder;
static size_t folder_len;
static int journal = -1;
/* Calls and their records have one order, and whoever locks the journal's file may end the process between them only. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char call[16];
    int is_short, is_death, error;
    long first, step, seen;
} fault;

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("MICROTOME_DISK_JOURNAL"), *text = getenv("MICROTOME_DISK_FAULT");
    folder = getenv("MICROTOME_DISK_FOLDER");
    if (!folder || !to) {
        folder = NULL;
        return;
    }
    folder_len = strlen(folder);
    char how[16];
    if (text && sscanf(text, "%15[a-z]:%15[a-z0-9]:%ld+%ld", fault.call, how, &fault.first, &fault.step) == 4) {
        fault.is_short = strcmp(how, "short") == 0;
        fault.is_death = strcmp(how, "die") == 0;
        fault.error = atoi(how);
    }
    journal = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
    if (fault.is_death) fault.first += lseek(journal, 0, SEEK_END) % fault.step;
}

static void lock(void) {
    pthread_mutex_lock(&turn);
    while (flock(journal, LOCK_EX) != 0 && folder) {}
}

/* Nothing changes the folder behind the last record. */
__attribute__((destructor)) static void end(void) {
    if (folder) lock();
}

static int is_inside(const char *path) {
    return strncmp(path, folder, folder_len) == 0 && (path[folder_len] == '/' || path[folder_len] == 0);
}

/* Where an open file is now; 0 where that is none of ours. */
static int path_of(int fd, char *path) {
    char link[40];
    static const char gone[] = " (deleted)";
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    size_t tail = sizeof gone - 1;
    return is_inside(path) && ((size_t)len < tail || strcmp(path + len - tail, gone) != 0);
}

/* The path of a name in a folder; 0 where that is none of ours. */
static int path_at(int dir, const char *name, char *path) {
    if (!folder) return 0;
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && is_inside(path);
    char at[PATH_MAX];
    return dir != AT_FDCWD && path_of(dir, at) && snprintf(path, PATH_MAX, "%s/%s", at, name) < PATH_MAX;
}

/* One record: kind, two paths, a place, data. The paths begin behind the folder's. */
static void record(char kind, const char *path, const char *other, uint64_t at, const void *data, size_t len) {
    path += folder_len;
    other = other ? other + folder_len : "";
    uint32_t lens[3] = {strlen(path), strlen(other), len};
    struct iovec parts[] = {{&kind, 1},   {lens, sizeof lens},        {&at, sizeof at}, {(void *)path, lens[0]},
                            {(void *)other, lens[1]}, {(void *)data, len}};
    size_t all = 1 + sizeof lens + sizeof at + lens[0] + lens[1] + len;
    int kept = errno;
    if (syscall(SYS_writev, journal, parts, 6) != (ssize_t)all) abort();
    errno = kept;
}

/* Whether it is this call's turn to go wrong. */
static int is_struck(const char *call, const char *path) {
    if (!fault.first || strcmp(call, fault.call) != 0) return 0;
    long nth = ++fault.seen;
    if (nth < fault.first || (nth > fault.first && (!fault.step || (nth - fault.first) % fault.step))) return 0;
    record('!', path, NULL, 0, NULL, 0);
    if (fault.is_death) _exit(1);
    return 1;
}

static int fails(const char *call, const char *path) {
    if (fault.is_short || !is_struck(call, path)) return 0;
    errno = fault.error;
    return 1;
}

/* How many bytes a call is to move: fewer than it was asked, or none and an error. */
static ssize_t allowed(const char *call, const char *path, size_t len) {
    if (!is_struck(call, path)) return len;
    if (fault.is_short) return (len + 1) / 2;
    errno = fault.error;
    return -1;
}

#define LOCKED(body)                                                                                                           \
    do {                                                                                                                       \
        lock();                                                                                                                \
        body;                                                                                                                  \
        int kept_ = errno;                                                                                                     \
        flock(journal, LOCK_UN);                                                                                               \
        pthread_mutex_unlock(&turn);                                                                                           \
        errno = kept_;                                                                                                         \
    } while (0)

static ssize_t put(int fd, const void *data, size_t len, off_t at, int is_placed) {
    char path[PATH_MAX];
    ssize_t done = -1;
    if (!path_of(fd, path)) {
        return is_placed ? syscall(SYS_pwrite64, fd, data, len, at) : syscall(SYS_write, fd, data, len);
    }
    LOCKED({
        int is_ours = path_of(fd, path);
        ssize_t part = is_ours ? allowed("write", path, len) : (ssize_t)len;
        if (part >= 0) {
            done = is_placed ? syscall(SYS_pwrite64, fd, data, part, at) : syscall(SYS_write, fd, data, part);
            if (!is_placed && done > 0) at = lseek(fd, 0, SEEK_CUR) - done;
            if (is_ours && done > 0) record('w', path, NULL, at, data, done);
        }
    });
    return done;
}

ssize_t write(int fd, const void *data, size_t len) { return put(fd, data, len, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return put(fd, data, len, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return put(fd, data, len, at, 1); }

static ssize_t get(int fd, void *data, size_t len, off_t at, int is_placed) {
    char path[PATH_MAX];
    ssize_t part = len;
    if (strcmp(fault.call, "read") == 0 && path_of(fd, path)) LOCKED(part = allowed("read", path, len));
    if (part < 0) return -1;
    return is_placed ? syscall(SYS_pread64, fd, data, part, at) : syscall(SYS_read, fd, data, part);
}

ssize_t read(int fd, void *data, size_t len) { return get(fd, data, len, 0, 0); }
ssize_t pread(int fd, void *data, size_t len, off_t at) { return get(fd, data, len, at, 1); }
ssize_t pread64(int fd, void *data, size_t len, off_t at) { return get(fd, data, len, at, 1); }

static int sync_of(int fd) {
    char path[PATH_MAX];
    int done = 0;
    if (!path_of(fd, path)) return 0;
    LOCKED({
        if (path_of(fd, path)) {
            done = fails("sync", path) ? -1 : 0;
            record(done ? 'f' : 's', path, NULL, 0, NULL, 0);
        }
    });
    return done;
}

int fsync(int fd) { return sync_of(fd); }
int fdatasync(int fd) { return sync_of(fd); }

static int cut(int fd, off_t len) {
    char path[PATH_MAX];
    int done = -1;
    LOCKED({
        int is_ours = path_of(fd, path);
        if (!is_ours || !fails("truncate", path)) done = syscall(SYS_ftruncate, fd, len);
        if (is_ours && done == 0) record('t', path, NULL, len, NULL, 0);
    });
    return done;
}

int ftruncate(int fd, off_t len) { return cut(fd, len); }
int ftruncate64(int fd, off_t len) { return cut(fd, len); }

static int open_at(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int fd = -1;
    if (!path_at(dir, name, path)) return syscall(SYS_openat, dir, name, flags, mode);
    LOCKED({
        if (!fails("open", path)) {
            int is_new = (flags & O_CREAT) && syscall(SYS_faccessat, dir, name, F_OK) != 0;
            fd = syscall(SYS_openat, dir, name, flags, mode);
            if (fd >= 0 && is_new) record('c', path, NULL, 0, NULL, 0);
            else if (fd >= 0 && (flags & O_TRUNC)) record('t', path, NULL, 0, NULL, 0);
        }
    });
    return fd;
}

#define MODE_OF(flags, mode)                                                                                                   \
    mode_t mode = 0;                                                                                                           \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                     \
        va_list more;                                                                                                          \
        va_start(more, flags);                                                                                                 \
        mode = va_arg(more, mode_t);                                                                                           \
        va_end(more);                                                                                                          \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}
int openat(int dir, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(dir, name, flags, mode);
}
int openat64(int dir, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(dir, name, flags | O_LARGEFILE, mode);
}

int rename(const char *from, const char *to) {
    char path[PATH_MAX], other[PATH_MAX];
    int done = -1;
    LOCKED({
        int is_ours = path_at(AT_FDCWD, from, path) && path_at(AT_FDCWD, to, other);
        if (!is_ours || !fails("rename", path)) done = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
        if (is_ours && done == 0) record('r', path, other, 0, NULL, 0);
    });
    return done;
}

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    int done = -1;
    LOCKED({
        int is_ours = path_at(AT_FDCWD, name, path);
        if (!is_ours || !fails("mkdir", path)) done = syscall(SYS_mkdirat, AT_FDCWD, name, mode);
        if (is_ours && done == 0) record('m', path, NULL, 0, NULL, 0);
    });
    return done;
}

int unlinkat(int dir, const char *name, int flags) {
    char path[PATH_MAX];
    int done = -1;
    LOCKED({
        int is_ours = path_at(dir, name, path);
        if (!is_ours || !fails("remove", path)) done = syscall(SYS_unlinkat, dir, name, flags);
        if (is_ours && done == 0) record('u', path, NULL, 0, NULL, 0);
    });
    return done;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
