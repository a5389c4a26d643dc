/*
 * os/posix.c: a Vfs on a directory of the real file system.
 *
 * All calls are relative to a descriptor of the root, so that the root may be renamed and the working directory may
 * change. Files opened FILE_DIRECT bypass the page cache where the file system allows; otherwise they are
 * silently buffered. On a scheduled thread every call is a scheduling point and then simply blocks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_int.h"
#include "os/vfs_int.h"

typedef struct PosixVfs {
    Vfs head;
    int root_fd;
} PosixVfs;

enum { SECTOR = 512, ZEROS_BYTES = 64 * 1024 };

static int root_fd(const Vfs *v)
{
    return ((const PosixVfs *)v)->root_fd;
}

static void io_point(const char *name)
{
    if (sched_on()) {
        sched_point(name);
    }
}

/* The kernel's struct statx (linux/stat.h, 6.1) as far as we read it; the C library's lacks the direct I/O fields. */
typedef struct KernelStatx {
    uint32_t mask;
    uint32_t before[37];
    uint32_t dio_mem_align;    /* 0x98 */
    uint32_t dio_offset_align; /* 0x9c */
    uint32_t after[24];
} KernelStatx;
STATIC_ASSERT(offsetof(KernelStatx, dio_mem_align) == 0x98 && sizeof(KernelStatx) == 256, "layout of struct statx");
enum { KERNEL_STATX_DIOALIGN = 0x2000 };

/* Does a read at an odd sector, into an odd sector of memory, work? Says nothing about an empty file. */
static bool sector_read_works(int fd)
{
    _Alignas(FILE_ALIGN_MAX) char buf[FILE_ALIGN_MAX];
    struct stat sb;
    return fstat(fd, &sb) == 0 && sb.st_size >= 2 * SECTOR && pread(fd, buf + SECTOR, SECTOR, SECTOR) == SECTOR;
}

/* The alignment that direct I/O on fd needs, between SECTOR and FILE_ALIGN_MAX; 0 = direct I/O does not work. */
static uint32_t direct_alignment(int fd)
{
    KernelStatx sx = {0};
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, KERNEL_STATX_DIOALIGN, &sx) == 0 &&
        (sx.mask & KERNEL_STATX_DIOALIGN)) {
        uint32_t align = sx.dio_offset_align > sx.dio_mem_align ? sx.dio_offset_align : sx.dio_mem_align;
        if (sx.dio_offset_align == 0 || align > FILE_ALIGN_MAX) {
            return 0;
        }
        return align < SECTOR ? SECTOR : align;
    }
    return sector_read_works(fd) ? SECTOR : FILE_ALIGN_MAX;
}

static int open_at(const Vfs *v, const char *path, int flags)
{
    int fd;
    do {
        fd = openat(root_fd(v), path, flags | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Opens direct if that works on this file, else buffered. *out_alignment 1 = buffered. */
static int open_direct(const Vfs *v, const char *path, int flags, uint32_t *out_alignment)
{
    *out_alignment = 1;
    int fd = open_at(v, path, flags | O_DIRECT);
    if (fd < 0) {
        /* tmpfs before Linux 6.6 refuses O_DIRECT, after it may have created the file: O_EXCL must not come again. */
        return errno == EINVAL ? open_at(v, path, flags & ~O_EXCL) : -1;
    }
    uint32_t alignment = direct_alignment(fd);
    if (alignment == 0) {
        int status_flags = fcntl(fd, F_GETFL);
        if (status_flags < 0 || fcntl(fd, F_SETFL, status_flags & ~O_DIRECT) != 0) {
            int saved = errno;
            close(fd);
            errno = saved;
            return -1;
        }
        return fd;
    }
    *out_alignment = alignment;
    return fd;
}

static Status open_failed(Error *err, const Vfs *v, const char *path, int os_errno)
{
    if (os_errno == ENOENT) {
        return err_set(err, ST_FILE_NOT_FOUND, "could not open file \"%s/%s\": No such file or directory", v->root,
                       path);
    }
    if (os_errno == EEXIST) {
        return err_set(err, ST_FILE_EXISTS, "could not create file \"%s/%s\": File exists", v->root, path);
    }
    return io_failed(err, v, path, "open file", os_errno);
}

static Status new_file(Vfs *v, const char *path, Error *err, File **out_file)
{
    File *f = mem_alloc0(v->budget, sizeof *f);
    if (f == NULL || !file_init_head(f, v, path)) {
        mem_free(v->budget, f, f == NULL ? 0 : sizeof *f);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    *out_file = f;
    return ST_OK;
}

static void posix_close(File *f)
{
    if (f->fd >= 0) {
        close(f->fd); /* errors were reported by the sync that mattered; after EINTR the descriptor is gone on Linux */
    }
    Vfs *v = f->vfs;
    file_done_head(f);
    mem_free(v->budget, f, sizeof *f);
}

static Status posix_open(Vfs *v, const char *path, uint32_t flags, Error *err, File **out_file)
{
    io_point("open");
    File *f = NULL;
    Status st = new_file(v, path, err, &f);
    if (st != ST_OK) {
        return st;
    }
    int open_flags = (flags & FILE_READONLY ? O_RDONLY : O_RDWR) | (flags & FILE_CREATE ? O_CREAT : 0) |
                     (flags & FILE_EXCL ? O_EXCL : 0);
    f->is_readonly = (flags & FILE_READONLY) != 0;
    f->fd = flags & FILE_DIRECT ? open_direct(v, path, open_flags, &f->alignment) : open_at(v, path, open_flags);
    if (f->fd < 0) {
        st = open_failed(err, v, path, errno);
        posix_close(f);
        return st;
    }
    f->is_direct = f->alignment > 1;
    *out_file = f;
    return ST_OK;
}

static Status posix_mkdir(Vfs *v, const char *path, Error *err)
{
    io_point("mkdir");
    if (mkdirat(root_fd(v), path, 0700) == 0) {
        return ST_OK;
    }
    int os_errno = errno;
    struct stat sb;
    if (os_errno == EEXIST && fstatat(root_fd(v), path, &sb, 0) == 0 && S_ISDIR(sb.st_mode)) {
        return ST_OK;
    }
    return io_failed(err, v, path, "create directory", os_errno);
}

static Status missing_or_failed(Error *err, const Vfs *v, const char *path, const char *doing, int os_errno)
{
    if (os_errno == ENOENT) {
        return err_set(err, ST_FILE_NOT_FOUND, "could not %s \"%s/%s\": No such file or directory", doing, v->root,
                       path);
    }
    return io_failed(err, v, path, doing, os_errno);
}

static Status posix_rename(Vfs *v, const char *from, const char *to, Error *err)
{
    io_point("rename");
    if (renameat(root_fd(v), from, root_fd(v), to) != 0) {
        return missing_or_failed(err, v, from, "rename file", errno);
    }
    return ST_OK;
}

static Status posix_unlink(Vfs *v, const char *path, Error *err)
{
    io_point("unlink");
    if (unlinkat(root_fd(v), path, 0) != 0) {
        return missing_or_failed(err, v, path, "remove file", errno);
    }
    return ST_OK;
}

static Status posix_exists(Vfs *v, const char *path, Error *err, bool *out_exists)
{
    struct stat sb;
    if (fstatat(root_fd(v), path[0] == 0 ? "." : path, &sb, 0) == 0) {
        *out_exists = true;
        return ST_OK;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        *out_exists = false;
        return ST_OK;
    }
    return io_failed(err, v, path, "look up", errno);
}

static int open_directory(const Vfs *v, const char *path)
{
    return open_at(v, path[0] == 0 ? "." : path, O_RDONLY | O_DIRECTORY);
}

static Status posix_sync_dir(Vfs *v, const char *path, Error *err)
{
    io_point("sync directory");
    int fd = open_directory(v, path);
    if (fd < 0) {
        return missing_or_failed(err, v, path, "open directory", errno);
    }
    /* EINVAL: the file system has nothing to sync for directories. */
    Status st = fsync(fd) == 0 || errno == EINVAL ? ST_OK : io_failed(err, v, path, "sync directory", errno);
    close(fd);
    return st;
}

static Status posix_list(Vfs *v, const char *path, Status (*fn)(void *arg, const char *name), void *arg, Error *err)
{
    int fd = open_directory(v, path);
    if (fd < 0) {
        return missing_or_failed(err, v, path, "open directory", errno);
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        Status st = io_failed(err, v, path, "read directory", errno);
        close(fd);
        return st;
    }
    Status st = ST_OK;
    struct dirent *entry;
    while (st == ST_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            st = fn(arg, entry->d_name);
        }
    }
    if (st == ST_OK && errno != 0) {
        st = io_failed(err, v, path, "read directory", errno);
    }
    closedir(dir);
    return st;
}

static Status posix_free_bytes(Vfs *v, Error *err, uint64_t *out_bytes)
{
    struct statvfs sb;
    if (fstatvfs(root_fd(v), &sb) != 0) {
        return io_failed(err, v, "", "query the file system of", errno);
    }
    *out_bytes = (uint64_t)sb.f_bavail * sb.f_frsize;
    return ST_OK;
}

/*
 * An open-file-description lock: unlike a classic fcntl lock it also keeps out another open in this process and does not
 * end when that one is closed. Where the file system has none, flock, which belongs to the description as well.
 */
static int try_lock_fd(int fd)
{
    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole_file) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOLCK && errno != EOPNOTSUPP) {
        return errno;
    }
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
}

static Status lock_refused(Error *err, const File *f)
{
    char owner[32] = "";
    ssize_t n = pread(f->fd, owner, sizeof owner - 1, 0);
    Status st = err_set(err, ST_OBJECT_IN_USE, "lock file \"%s/%s\" is held by another process or engine", f->vfs->root,
                        f->path);
    long pid = n > 0 ? strtol(owner, NULL, 10) : 0;
    if (pid > 0) {
        err_detail(err, "Process id %ld.", pid);
    }
    return st;
}

static Status posix_lock(Vfs *v, const char *path, Error *err, File **out_lock)
{
    File *f = NULL;
    Status st = posix_open(v, path, FILE_CREATE, err, &f);
    if (st != ST_OK) {
        return st;
    }
    int os_errno = try_lock_fd(f->fd);
    if (os_errno != 0) {
        bool is_held = os_errno == EAGAIN || os_errno == EACCES || os_errno == EWOULDBLOCK;
        st = is_held ? lock_refused(err, f) : io_failed(err, v, path, "lock file", os_errno);
        posix_close(f);
        return st;
    }
    /* For the message above only: that it may fail does not matter. */
    char owner[32];
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(f->fd, 0) != 0 || pwrite(f->fd, owner, (size_t)n, 0) != n) {
        errno = 0;
    }
    *out_lock = f;
    return ST_OK;
}

static Status posix_size(File *f, Error *err, uint64_t *out_bytes)
{
    struct stat sb;
    if (fstat(f->fd, &sb) != 0) {
        return io_failed(err, f->vfs, f->path, "query file", errno);
    }
    *out_bytes = (uint64_t)sb.st_size;
    return ST_OK;
}

static Status posix_read(File *f, void *buf, size_t len, uint64_t offset, Error *err, int *out_errno)
{
    io_point("read");
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(f->fd, (char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            *out_errno = errno;
            return io_transfer_failed(err, f, "read file", *out_errno, offset, len);
        }
        /* A direct read that stops off the alignment stopped at the end of the file: the rest could not be read anyway. */
        if (n == 0 || (size_t)n % f->alignment != 0) {
            return ST_END;
        }
        done += (size_t)n;
    }
    return ST_OK;
}

static Status posix_write(File *f, const void *buf, size_t len, uint64_t offset, Error *err, int *out_errno)
{
    io_point("write");
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(f->fd, (const char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            *out_errno = n < 0 ? errno : EIO;
            return io_transfer_failed(err, f, "write file", *out_errno, offset, len);
        }
        done += (size_t)n;
    }
    return ST_OK;
}

/* Not retried, not even after EINTR: after a failed sync the kernel may have dropped what it could not write. */
static Status posix_sync(File *f, Error *err, int *out_errno)
{
    io_point("sync");
    if (fdatasync(f->fd) != 0) {
        *out_errno = errno;
        return io_failed(err, f->vfs, f->path, "sync file", *out_errno);
    }
    return ST_OK;
}

static Status posix_truncate(File *f, uint64_t bytes, Error *err)
{
    io_point("truncate");
    int rc;
    do {
        rc = ftruncate(f->fd, (off_t)bytes);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? ST_OK : io_failed(err, f->vfs, f->path, "truncate file", errno);
}

/* Writes zeros over [from, to) through a buffered descriptor; 0 or an errno. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[ZEROS_BYTES];
    while (from < to) {
        size_t n = to - from < ZEROS_BYTES ? (size_t)(to - from) : ZEROS_BYTES;
        ssize_t written = pwrite(fd, zeros, n, (off_t)from);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        from += (uint64_t)written;
    }
    return 0;
}

int io_fill_by_writing(int fd, uint64_t offset, uint64_t end)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0) {
        return errno;
    }
    uint64_t size = (uint64_t)sb.st_size;
    uint64_t at = offset;
    while (at < end && at < size) {
        off_t hole = lseek(fd, (off_t)at, SEEK_HOLE);
        if (hole < 0) {
            return errno;
        }
        off_t data = lseek(fd, hole, SEEK_DATA);
        if (data < 0 && errno != ENXIO) { /* ENXIO: no data behind the hole */
            return errno;
        }
        uint64_t hole_end = data < 0 ? size : (uint64_t)data;
        uint64_t stop = hole_end < end ? hole_end : end;
        int rc = (uint64_t)hole < stop ? write_zeros(fd, (uint64_t)hole, stop) : 0;
        if (rc != 0) {
            return rc;
        }
        at = hole_end;
    }
    return size < end ? write_zeros(fd, offset > size ? offset : size, end) : 0;
}

static Status posix_allocate(File *f, uint64_t offset, uint64_t len, Error *err)
{
    io_point("allocate");
    int rc;
    do {
        rc = fallocate(f->fd, 0, (off_t)offset, (off_t)len) == 0 ? 0 : errno;
    } while (rc == EINTR);
    if (rc == EOPNOTSUPP || rc == ENOSYS) {
        int fd = open_at(f->vfs, f->path, O_RDWR); /* buffered: the range need not be aligned */
        rc = fd < 0 ? errno : io_fill_by_writing(fd, offset, offset + len);
        if (fd >= 0) {
            close(fd);
        }
    }
    return rc == 0 ? ST_OK : io_transfer_failed(err, f, "allocate space in file", rc, offset, len);
}

static Status posix_punch(File *f, uint64_t offset, uint64_t len, Error *err)
{
    io_point("punch");
    int rc;
    do {
        rc = fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0 ? 0 : errno;
    } while (rc == EINTR);
    if (rc == 0 || rc == EOPNOTSUPP || rc == ENOSYS) {
        return ST_OK;
    }
    return io_transfer_failed(err, f, "punch a hole into file", rc, offset, len);
}

static void posix_free(Vfs *v)
{
    PosixVfs *p = (PosixVfs *)v;
    close(p->root_fd);
    vfs_done_head(v);
    mem_free(v->budget, p, sizeof *p);
}

static const VfsOps POSIX_OPS = {
    .free = posix_free,
    .open = posix_open,
    .mkdir = posix_mkdir,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .exists = posix_exists,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .free_bytes = posix_free_bytes,
    .lock = posix_lock,
    .unlock = posix_close, /* the lock ends with the description */
    .close = posix_close,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .allocate = posix_allocate,
    .punch = posix_punch,
};

/* Makes the root's name durable in its parent. */
static void sync_parent(const char *root)
{
    char parent[4096];
    int n = snprintf(parent, sizeof parent, "%s/..", root);
    int fd = n > 0 && (size_t)n < sizeof parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* the parent is not ours: no permission to sync it is no reason to refuse */
        close(fd);
    }
}

static int open_root(const char *root, bool create)
{
    if (create) {
        if (mkdir(root, 0700) == 0) {
            sync_parent(root);
        } else if (errno != EEXIST) {
            return -1;
        }
    }
    return open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

Status vfs_open_dir(Budget *budget, const char *root, bool create, Error *err, Vfs **out_vfs)
{
    int fd = open_root(root, create);
    if (fd < 0) {
        int os_errno = errno;
        char text[128];
        return err_set(err, os_errno == ENOENT ? ST_FILE_NOT_FOUND : io_status(os_errno),
                       "could not open directory \"%s\": %s", root, strerror_r(os_errno, text, sizeof text));
    }
    PosixVfs *p = mem_alloc0(budget, sizeof *p);
    if (p == NULL || !vfs_init_head(&p->head, &POSIX_OPS, budget, root)) {
        mem_free(budget, p, p == NULL ? 0 : sizeof *p);
        close(fd);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    p->root_fd = fd;
    p->head.has_fds = true;
    p->head.has_uring = uring_works();
    *out_vfs = &p->head;
    return ST_OK;
}
