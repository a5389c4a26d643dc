/*
 * os/vfs.c: the part of the file layer that all implementations share: checks of arguments, dispatch, error texts.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "os/os_int.h"
#include "os/vfs_int.h"

static char *copy_text(Budget *b, const char *s, size_t *out_bytes)
{
    size_t bytes = strlen(s) + 1;
    char *p = mem_alloc(b, bytes);
    if (p != NULL) {
        memcpy(p, s, bytes);
        *out_bytes = bytes;
    }
    return p;
}

bool vfs_init_head(Vfs *v, const VfsOps *ops, Budget *budget, const char *root)
{
    v->ops = ops;
    v->budget = budget;
    v->root = copy_text(budget, root, &v->root_bytes);
    if (v->root == NULL) {
        return false;
    }
    mutex_init(&v->pool_lock, RANK_IO);
    return true;
}

void vfs_done_head(Vfs *v)
{
    io_pool_free(v->pool);
    mutex_done(&v->pool_lock);
    mem_free(v->budget, v->root, v->root_bytes);
}

bool file_init_head(File *f, Vfs *v, const char *path)
{
    f->vfs = v;
    f->alignment = 1;
    f->fd = -1;
    f->path = copy_text(v->budget, path, &f->path_bytes);
    if (f->path == NULL) {
        return false;
    }
    atomic_fetch_add_explicit(&v->open_files, 1, memory_order_relaxed);
    return true;
}

void file_done_head(File *f)
{
    mem_free(f->vfs->budget, f->path, f->path_bytes);
    atomic_fetch_sub_explicit(&f->vfs->open_files, 1, memory_order_relaxed);
}

Status io_status(int os_errno)
{
    return os_errno == ENOSPC || os_errno == EDQUOT ? ST_DISK_FULL : ST_IO_ERROR;
}

Status io_failed(Error *err, const Vfs *v, const char *path, const char *doing, int os_errno)
{
    char text[128];
    return err_set(err, io_status(os_errno), "could not %s \"%s%s%s\": %s", doing, v->root, path[0] == 0 ? "" : "/",
                   path, strerror_r(os_errno, text, sizeof text));
}

Status io_transfer_failed(Error *err, const File *f, const char *doing, int os_errno, uint64_t offset, size_t len)
{
    Status st = io_failed(err, f->vfs, f->path, doing, os_errno);
    err_detail(err, "%zu bytes at offset %llu.", len, (unsigned long long)offset);
    return st;
}

/* Paths are made by the engine, but parts of them may come from a backup or a setting: a check, not an assertion. */
static Status check_path(const Vfs *v, const char *path, bool may_be_root, Error *err)
{
    size_t len = strlen(path);
    bool ok = path[0] != '/' && (len > 0 || may_be_root) && (len == 0 || path[len - 1] != '/');
    for (const char *part = path; ok && *part != 0;) {
        size_t n = strcspn(part, "/");
        ok = n > 0 && !(n == 1 && part[0] == '.') && !(n == 2 && part[0] == '.' && part[1] == '.');
        part += n + (part[n] == '/');
    }
    return ok ? ST_OK : err_set(err, ST_INTERNAL, "\"%s\" is no path below \"%s\"", path, v->root);
}

void vfs_free(Vfs *v)
{
    if (v != NULL) {
        ASSERT(atomic_load_explicit(&v->open_files, memory_order_relaxed) == 0);
        v->ops->free(v);
    }
}

const char *vfs_root(const Vfs *v)
{
    return v->root;
}

Status vfs_open(Vfs *v, const char *path, uint32_t flags, Error *err, File **out_file)
{
    ASSERT(!(flags & FILE_EXCL) || (flags & FILE_CREATE));
    ASSERT(!(flags & FILE_CREATE) || !(flags & FILE_READONLY));
    Status st = check_path(v, path, false, err);
    return st != ST_OK ? st : v->ops->open(v, path, flags, err, out_file);
}

Status vfs_mkdir(Vfs *v, const char *path, Error *err)
{
    Status st = check_path(v, path, false, err);
    return st != ST_OK ? st : v->ops->mkdir(v, path, err);
}

Status vfs_rename(Vfs *v, const char *from, const char *to, Error *err)
{
    Status st = check_path(v, from, false, err);
    st = st != ST_OK ? st : check_path(v, to, false, err);
    return st != ST_OK ? st : v->ops->rename(v, from, to, err);
}

Status vfs_unlink(Vfs *v, const char *path, Error *err)
{
    Status st = check_path(v, path, false, err);
    return st != ST_OK ? st : v->ops->unlink(v, path, err);
}

Status vfs_exists(Vfs *v, const char *path, Error *err, bool *out_exists)
{
    Status st = check_path(v, path, true, err);
    return st != ST_OK ? st : v->ops->exists(v, path, err, out_exists);
}

Status vfs_sync_dir(Vfs *v, const char *path, Error *err)
{
    Status st = check_path(v, path, true, err);
    return st != ST_OK ? st : v->ops->sync_dir(v, path, err);
}

Status vfs_list(Vfs *v, const char *path, Status (*fn)(void *arg, const char *name), void *arg, Error *err)
{
    Status st = check_path(v, path, true, err);
    return st != ST_OK ? st : v->ops->list(v, path, fn, arg, err);
}

Status vfs_free_bytes(Vfs *v, Error *err, uint64_t *out_bytes)
{
    return v->ops->free_bytes(v, err, out_bytes);
}

Status vfs_lock(Vfs *v, const char *path, Error *err, File **out_lock)
{
    Status st = check_path(v, path, false, err);
    return st != ST_OK ? st : v->ops->lock(v, path, err, out_lock);
}

void vfs_unlock(File *lock)
{
    if (lock != NULL) {
        lock->vfs->ops->unlock(lock);
    }
}

void file_close(File *f)
{
    if (f != NULL) {
        f->vfs->ops->close(f);
    }
}

const char *file_path(const File *f)
{
    return f->path;
}

bool file_is_direct(const File *f)
{
    return f->is_direct;
}

uint32_t file_alignment(const File *f)
{
    return f->alignment;
}

Status file_size(File *f, Error *err, uint64_t *out_bytes)
{
    return f->vfs->ops->size(f, err, out_bytes);
}

/* What the kernel would answer with EINVAL for direct I/O: a bug of the caller. */
static void check_transfer(const File *f, const void *buf, size_t len, uint64_t offset)
{
    ASSERT(((uintptr_t)buf | len | offset) % f->alignment == 0);
    ASSERT(offset <= INT64_MAX && len <= INT64_MAX - offset);
}

Status file_read(File *f, void *buf, size_t len, uint64_t offset, Error *err)
{
    int os_errno = 0;
    check_transfer(f, buf, len, offset);
    return f->vfs->ops->read(f, buf, len, offset, err, &os_errno);
}

Status file_write(File *f, const void *buf, size_t len, uint64_t offset, Error *err)
{
    int os_errno = 0;
    check_transfer(f, buf, len, offset);
    ASSERT(!f->is_readonly);
    return f->vfs->ops->write(f, buf, len, offset, err, &os_errno);
}

Status file_sync(File *f, Error *err)
{
    int os_errno = 0;
    return f->vfs->ops->sync(f, err, &os_errno);
}

Status file_truncate(File *f, uint64_t bytes, Error *err)
{
    ASSERT(!f->is_readonly && bytes <= INT64_MAX);
    return f->vfs->ops->truncate(f, bytes, err);
}

Status file_allocate(File *f, uint64_t offset, uint64_t len, Error *err)
{
    ASSERT(!f->is_readonly && offset <= INT64_MAX && len <= INT64_MAX - offset);
    return len == 0 ? ST_OK : f->vfs->ops->allocate(f, offset, len, err);
}

Status file_punch(File *f, uint64_t offset, uint64_t len, Error *err)
{
    ASSERT(!f->is_readonly && offset <= INT64_MAX && len <= INT64_MAX - offset);
    return len == 0 ? ST_OK : f->vfs->ops->punch(f, offset, len, err);
}
