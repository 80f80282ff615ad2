/*
 * Stands between a process and its files: records what is done below one folder,
 * and fails a call of it when told to.
 *
 * Loaded with LD_PRELOAD; SHIM_FOLDER names the folder, SHIM_LOG the file that
 * records are appended to (none: nothing is recorded). Whether a descriptor lies
 * below the folder is asked of /proc, call by call, so that copies of descriptors
 * and renamed folders need no bookkeeping. A record is written when its call has
 * returned; for one process, under a lock, so that the order of the records is
 * the order of the calls. What would change a file unseen (a writable mapping, a
 * link) is recorded as such, and the reader of the log refuses it.
 *
 * SHIM_DEAF=folders swallows the fsync of folders: a planted bug, to show that it
 * is found. Layout of a record: docs in tests/power/records.py.
 */
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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))
#define FICLONE_REQUEST 0x40049409UL

enum kind { OPEN, WRITE, SYNC, RENAME, TRUNCATE, UNLINK, MKDIR, KINDS };
enum how { ONCE, FROM_HERE, SHORT_FIRST };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_length;
static int log_descriptor = -1;
static int is_deaf_to_folders;

static struct {
    int is_armed, kind, number, error, how, is_struck;
} fault;
static int calls[KINDS], all_calls;

struct record {
    uint32_t bytes;
    uint32_t operation;
    uint64_t inode, parent, other_parent, number;
    uint32_t name_bytes, other_name_bytes;
    uint64_t data_bytes;
} __attribute__((packed));

__attribute__((constructor)) static void start(void) {
    const char *named = getenv("SHIM_FOLDER"), *log = getenv("SHIM_LOG"), *deaf = getenv("SHIM_DEAF");
    if (named && realpath(named, folder))
        folder_length = strlen(folder);
    is_deaf_to_folders = deaf && !strcmp(deaf, "folders");
    if (folder_length && log) {
        int found = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        log_descriptor = found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, 500);
        if (log_descriptor < 0)
            abort();
        syscall(SYS_close, found);
    }
}

static int is_below(const char *path) {
    return folder_length && !strncmp(path, folder, folder_length) &&
           (path[folder_length] == '/' || !path[folder_length]);
}

/* Whether a descriptor leads below the folder; its path goes to `path`, its inode to `inode`. */
static int is_watched(int descriptor, char *path, uint64_t *inode) {
    char link[64];
    struct stat found;
    int saved = errno, is_it = 0;
    if (!folder_length || descriptor < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length > 0) {
        path[length] = 0;
        if (is_below(path) && !fstat(descriptor, &found)) {
            *inode = found.st_ino;
            is_it = S_ISREG(found.st_mode) ? 1 : S_ISDIR(found.st_mode) ? 2 : 0;
        }
    }
    errno = saved;
    return is_it;
}

/* Where a path's last name stands, if that is below the folder. */
static int place(int at, const char *path, uint64_t *parent, char *name) {
    char whole[2 * PATH_MAX], real[PATH_MAX];
    struct stat found;
    int saved = errno, is_it = 0;
    if (!folder_length)
        return 0;
    if (path[0] == '/' || at == AT_FDCWD)
        snprintf(whole, sizeof whole, "%s", path);
    else
        snprintf(whole, sizeof whole, "/proc/self/fd/%d/%s", at, path);
    size_t length = strlen(whole);
    while (length > 1 && whole[length - 1] == '/')
        whole[--length] = 0;
    char *slash = strrchr(whole, '/');
    snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? slash + 1 : whole);
    if (slash && slash != whole)
        *slash = 0;
    else
        snprintf(whole, sizeof whole, "%s", slash ? "/" : ".");
    if (realpath(whole, real) && is_below(real) && !stat(real, &found)) {
        *parent = found.st_ino;
        is_it = 1;
    }
    errno = saved;
    return is_it;
}

static void append(char operation, uint64_t inode, uint64_t parent, const char *name, uint64_t other_parent,
                   const char *other_name, uint64_t number, const void *data, size_t data_bytes) {
    struct record record = {.operation = (uint32_t)operation, .inode = inode, .parent = parent,
                            .other_parent = other_parent, .number = number, .data_bytes = data_bytes};
    int saved = errno;
    if (log_descriptor < 0)
        return;
    record.name_bytes = (uint32_t)strlen(name);
    record.other_name_bytes = (uint32_t)strlen(other_name);
    record.bytes = (uint32_t)(sizeof record + record.name_bytes + record.other_name_bytes + data_bytes);
    struct iovec parts[] = {{&record, sizeof record},
                            {(void *)name, record.name_bytes},
                            {(void *)other_name, record.other_name_bytes},
                            {(void *)data, data_bytes}};
    if (syscall(SYS_writev, log_descriptor, parts, 4) != (long)record.bytes)
        abort(); /* a log with a hole would prove nothing */
    errno = saved;
}

static void append_unseen(const char *call) { append('?', 0, 0, call, 0, "", 0, "", 0); }

/* Whether this call is the one to fail: 0 no, 1 yes with errno set, 2 do half of it. */
static int strikes(enum kind kind) {
    calls[kind]++;
    all_calls++;
    if (!fault.is_armed || (fault.kind >= 0 && fault.kind != (int)kind))
        return 0;
    int number = fault.kind < 0 ? all_calls : calls[kind];
    if (fault.how == SHORT_FIRST && number == fault.number) {
        fault.is_struck = 1;
        return 2;
    }
    int first = fault.how == SHORT_FIRST ? fault.number + 1 : fault.number;
    if (number == first || (fault.how == FROM_HERE && number > first)) {
        fault.is_struck = 1;
        errno = fault.error;
        return 1;
    }
    return 0;
}

/* Counts calls from now on, and fails some: kind -1 is any; how is enum how. */
SEEN void shim_arm(int kind, int number, int error, int how) {
    pthread_mutex_lock(&lock);
    memset(calls, 0, sizeof calls);
    all_calls = 0;
    fault.kind = kind, fault.number = number, fault.error = error, fault.how = how;
    fault.is_struck = 0, fault.is_armed = number > 0;
    pthread_mutex_unlock(&lock);
}

SEEN int shim_calls(int kind) { return kind < 0 ? all_calls : calls[kind]; }

/* Fails no call any more; returns whether one was failed. */
SEEN int shim_disarm(void) {
    fault.is_armed = 0;
    return fault.is_struck;
}

/* Puts a note of the test's own into the log, after all that was done before. */
SEEN void shim_mark(const char *data, size_t data_bytes) {
    pthread_mutex_lock(&lock);
    append('a', 0, 0, "", 0, "", 0, data, data_bytes);
    pthread_mutex_unlock(&lock);
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
    char name[NAME_MAX + 1], real[PATH_MAX];
    uint64_t parent = 0, inode = 0;
    struct stat before;
    if (!place(at, path, &parent, name))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int descriptor = -1;
    if (!strikes(OPEN)) {
        int saved = errno;
        int is_new = (flags & O_CREAT) && fstatat(at, path, &before, AT_SYMLINK_NOFOLLOW) && errno == ENOENT;
        errno = saved;
        descriptor = (int)syscall(SYS_openat, at, path, flags, mode);
        if (descriptor >= 0 && is_watched(descriptor, real, &inode) == 1) {
            if ((flags & O_TMPFILE) == O_TMPFILE)
                append_unseen("O_TMPFILE");
            else if (is_new)
                append('c', inode, parent, name, 0, "", 0, "", 0);
            else if (flags & O_TRUNC)
                append('t', inode, 0, "", 0, "", 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return descriptor;
}

#define MODE_OF(flags)                                                                                       \
    mode_t mode = 0;                                                                                         \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                   \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode = (mode_t)va_arg(rest, int);                                                                    \
        va_end(rest);                                                                                        \
    }

SEEN int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}
SEEN int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}
SEEN int openat(int at, const char *path, int flags, ...) {
    MODE_OF(flags)
    return do_open(at, path, flags, mode);
}
SEEN int openat64(int at, const char *path, int flags, ...) {
    MODE_OF(flags)
    return do_open(at, path, flags, mode);
}
SEEN int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static ssize_t do_write(int descriptor, const void *data, size_t bytes, off_t offset, int is_placed) {
    char path[PATH_MAX];
    uint64_t inode;
    if (is_watched(descriptor, path, &inode) != 1)
        return is_placed ? syscall(SYS_pwrite64, descriptor, data, bytes, offset)
                         : syscall(SYS_write, descriptor, data, bytes);
    pthread_mutex_lock(&lock);
    ssize_t written = -1;
    int struck = strikes(WRITE);
    if (struck != 1) {
        if (struck == 2 && bytes > 1)
            bytes /= 2;
        written = is_placed ? syscall(SYS_pwrite64, descriptor, data, bytes, offset)
                            : syscall(SYS_write, descriptor, data, bytes);
        if (written > 0) {
            int saved = errno;
            if (!is_placed)
                offset = lseek(descriptor, 0, SEEK_CUR) - written;
            errno = saved;
            append('w', inode, 0, "", 0, "", (uint64_t)offset, data, (size_t)written);
        }
    }
    pthread_mutex_unlock(&lock);
    return written;
}

SEEN ssize_t write(int descriptor, const void *data, size_t bytes) { return do_write(descriptor, data, bytes, 0, 0); }
SEEN ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset) {
    return do_write(descriptor, data, bytes, offset, 1);
}
SEEN ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off_t offset) {
    return do_write(descriptor, data, bytes, offset, 1);
}

static int do_truncate(int descriptor, off_t size) {
    char path[PATH_MAX];
    uint64_t inode;
    if (is_watched(descriptor, path, &inode) != 1)
        return (int)syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&lock);
    int result = strikes(TRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, descriptor, size);
    if (!result)
        append('t', inode, 0, "", 0, "", (uint64_t)size, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

SEEN int ftruncate(int descriptor, off_t size) { return do_truncate(descriptor, size); }
SEEN int ftruncate64(int descriptor, off_t size) { return do_truncate(descriptor, size); }

static int do_sync(int descriptor, long call) {
    char path[PATH_MAX];
    uint64_t inode;
    int kind = is_watched(descriptor, path, &inode);
    if (!kind)
        return (int)syscall(call, descriptor);
    if (kind == 2 && is_deaf_to_folders)
        return 0;
    pthread_mutex_lock(&lock);
    int result = strikes(SYNC) ? -1 : (int)syscall(call, descriptor);
    if (!result)
        append('s', inode, 0, "", 0, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

SEEN int fsync(int descriptor) { return do_sync(descriptor, SYS_fsync); }
SEEN int fdatasync(int descriptor) { return do_sync(descriptor, SYS_fdatasync); }

static int do_rename(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char name[NAME_MAX + 1], other[NAME_MAX + 1];
    uint64_t parent = 0, other_parent = 0;
    int is_from = place(from_at, from, &parent, name), is_to = place(to_at, to, &other_parent, other);
    if (!is_from && !is_to)
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    pthread_mutex_lock(&lock);
    int result = strikes(RENAME) ? -1 : (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (!result && is_from && is_to && !flags)
        append('r', 0, parent, name, other_parent, other, 0, "", 0);
    else if (!result)
        append_unseen("a rename into or out of the folder");
    pthread_mutex_unlock(&lock);
    return result;
}

SEEN int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0); }
SEEN int renameat(int from_at, const char *from, int to_at, const char *to) {
    return do_rename(from_at, from, to_at, to, 0);
}
SEEN int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    return do_rename(from_at, from, to_at, to, flags);
}

static int do_unlink(int at, const char *path, int flags) {
    char name[NAME_MAX + 1];
    uint64_t parent = 0;
    if (!place(at, path, &parent, name))
        return (int)syscall(SYS_unlinkat, at, path, flags);
    pthread_mutex_lock(&lock);
    int result = strikes(UNLINK) ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
    if (!result)
        append('u', 0, parent, name, 0, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

SEEN int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
SEEN int unlinkat(int at, const char *path, int flags) { return do_unlink(at, path, flags); }
SEEN int rmdir(const char *path) { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }

static int do_mkdir(int at, const char *path, mode_t mode) {
    char name[NAME_MAX + 1];
    uint64_t parent = 0;
    struct stat made;
    if (!place(at, path, &parent, name))
        return (int)syscall(SYS_mkdirat, at, path, mode);
    pthread_mutex_lock(&lock);
    int result = strikes(MKDIR) ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
    if (!result && !fstatat(at, path, &made, 0))
        append('m', made.st_ino, parent, name, 0, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

SEEN int mkdir(const char *path, mode_t mode) { return do_mkdir(AT_FDCWD, path, mode); }
SEEN int mkdirat(int at, const char *path, mode_t mode) { return do_mkdir(at, path, mode); }

/* What follows is not followed: it is refused where there is another way, and told where there is none. */

SEEN int ioctl(int descriptor, unsigned long request, ...) {
    char path[PATH_MAX];
    uint64_t inode;
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == FICLONE_REQUEST && is_watched(descriptor, path, &inode)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_ioctl, descriptor, request, argument);
}

static void *do_map(void *at, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
    char path[PATH_MAX];
    uint64_t inode;
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && is_watched(descriptor, path, &inode) == 1) {
        size_t length = strlen(path);
        /* SQLite's shared memory says nothing after a restart: nobody relies on what it holds. */
        if (length < 4 || strcmp(path + length - 4, "-shm"))
            append_unseen("a writable mapping");
    }
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, descriptor, offset);
}

SEEN void *mmap(void *at, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
    return do_map(at, bytes, protection, flags, descriptor, offset);
}
SEEN void *mmap64(void *at, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
    return do_map(at, bytes, protection, flags, descriptor, offset);
}

#define TOLD(descriptor, call)                                                                               \
    do {                                                                                                     \
        char path_[PATH_MAX];                                                                                \
        uint64_t inode_;                                                                                     \
        if (is_watched(descriptor, path_, &inode_))                                                          \
            append_unseen(call);                                                                             \
    } while (0)

SEEN ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    TOLD(descriptor, "writev");
    return syscall(SYS_writev, descriptor, parts, count);
}
SEEN ssize_t sendfile64(int to, int from, off_t *offset, size_t bytes) {
    TOLD(to, "sendfile");
    return syscall(SYS_sendfile, to, from, offset, bytes);
}
SEEN ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t bytes, unsigned flags) {
    TOLD(to, "copy_file_range");
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, bytes, flags);
}
SEEN int posix_fallocate64(int descriptor, off_t offset, off_t bytes) {
    TOLD(descriptor, "posix_fallocate");
    return syscall(SYS_fallocate, descriptor, 0, offset, bytes) ? errno : 0;
}
SEEN int link(const char *from, const char *to) {
    char name[NAME_MAX + 1];
    uint64_t parent;
    if (place(AT_FDCWD, to, &parent, name))
        append_unseen("link");
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
SEEN int symlink(const char *from, const char *to) {
    char name[NAME_MAX + 1];
    uint64_t parent;
    if (place(AT_FDCWD, to, &parent, name))
        append_unseen("symlink");
    return (int)syscall(SYS_symlinkat, from, AT_FDCWD, to);
}
SEEN int truncate64(const char *path, off_t size) {
    char name[NAME_MAX + 1];
    uint64_t parent;
    if (place(AT_FDCWD, path, &parent, name))
        append_unseen("truncate");
    return (int)syscall(SYS_truncate, path, size);
}
