/*
 * os/file.h: files. All durable bytes of the engine go through a Vfs, so that the whole engine runs on real files or on
 * the simulated disk of os/simdisk.h.
 *
 * Contracts common to all implementations
 *  - Paths are relative to the Vfs's root directory; no "..".
 *  - file_read and file_write transfer everything or fail. Reading past the end of the file is ST_END with *nothing*
 *    promised about the buffer; callers know their sizes.
 *  - Durability: written bytes survive a power cut only after file_sync of that file; a new, renamed or removed name only after
 *    vfs_sync_dir of its directory; a size change with the file's sync. Unsynced writes may survive in part, in units
 *    of 512 bytes, in any order.
 *  - A file opened FILE_DIRECT asks for direct I/O; where the file system refuses, the file silently is buffered
 *    (file_is_direct tells). With direct I/O buffer address, length and offset must be multiples of
 *    file_alignment(); with buffered I/O that is 1.
 *  - Errors name file, operation and errno in the Error; ENOSPC and EDQUOT are ST_DISK_FULL, everything else
 *    ST_IO_ERROR (opening a missing file: ST_FILE_NOT_FOUND; creating an existing one with FILE_EXCL: ST_FILE_EXISTS).
 *  - All functions may be called from any thread; two writes to overlapping ranges must not run side by side.
 */
#ifndef RDB_OS_FILE_H
#define RDB_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"

typedef struct Vfs Vfs;
typedef struct File File;

enum {
    FILE_CREATE = 1u << 0, /* create if missing */
    FILE_EXCL = 1u << 1,   /* with FILE_CREATE: must not exist */
    FILE_DIRECT = 1u << 2,
    FILE_READONLY = 1u << 3,
};

enum { FILE_ALIGN_MAX = 4096 };

/* Real files under `root` (created if missing when `create`). */
STATUS vfs_open_dir(Budget *budget, const char *root, bool create, Error *err, Vfs **out_vfs);
void vfs_free(Vfs *v); /* all files must be closed */
const char *vfs_root(const Vfs *v);

STATUS vfs_open(Vfs *v, const char *path, uint32_t flags, Error *err, File **out_file);
STATUS vfs_mkdir(Vfs *v, const char *path, Error *err); /* existing is fine */
STATUS vfs_rename(Vfs *v, const char *from, const char *to, Error *err);
STATUS vfs_unlink(Vfs *v, const char *path, Error *err);
STATUS vfs_exists(Vfs *v, const char *path, Error *err, bool *out_exists);
STATUS vfs_sync_dir(Vfs *v, const char *path, Error *err); /* "" = the root */
/* Calls fn for each name in the directory (no "." and ".."), in unspecified order; stops when fn does not return ST_OK. */
STATUS vfs_list(Vfs *v, const char *path, Status (*fn)(void *arg, const char *name), void *arg, Error *err);
/* Free bytes on the file system. */
STATUS vfs_free_bytes(Vfs *v, Error *err, uint64_t *out_bytes);
/*
 * Takes an exclusive lock on the file (created if missing) that lasts until vfs_unlock or the end of the process, also
 * against another open in the same process. Held by another: ST_OBJECT_IN_USE, its process id in the detail if known.
 */
STATUS vfs_lock(Vfs *v, const char *path, Error *err, File **out_lock);
void vfs_unlock(File *lock);

void file_close(File *f);
const char *file_path(const File *f);
bool file_is_direct(const File *f);
uint32_t file_alignment(const File *f);
STATUS file_size(File *f, Error *err, uint64_t *out_bytes);
STATUS file_read(File *f, void *buf, size_t len, uint64_t offset, Error *err);
STATUS file_write(File *f, const void *buf, size_t len, uint64_t offset, Error *err);
STATUS file_sync(File *f, Error *err); /* data and size: fdatasync */
STATUS file_truncate(File *f, uint64_t bytes, Error *err);
/*
 * Makes [offset, offset+len) allocated on disk, reading as zeros where it was not; grows the file. After success writes
 * there do not fail for lack of space (where the file system can promise it).
 */
STATUS file_allocate(File *f, uint64_t offset, uint64_t len, Error *err);
/* Gives the range's blocks back; it reads as zeros. Unsupported by the file system: ST_OK without effect. */
STATUS file_punch(File *f, uint64_t offset, uint64_t len, Error *err);

/* ---- batches ---- */

typedef enum IoOp { IO_READ, IO_WRITE, IO_SYNC } IoOp;

typedef struct IoReq {
    IoOp op;
    File *file;
    void *buf;
    uint32_t len;
    uint64_t offset;
    void *user;
    /* results, valid once ioq_next returned the request */
    Status status;
    int os_errno;
    struct IoReq *next; /* private */
    uint32_t done;      /* private: bytes transferred */
} IoReq;

/*
 * A queue of requests in flight, used by one thread at a time. Backend: io_uring where a probe at vfs open succeeds,
 * otherwise a small thread pool of the Vfs (and inline execution on the simulated disk, which switches threads there).
 * `depth` bounds the requests in flight.
 */
typedef struct IoQueue IoQueue;
STATUS ioq_new(Vfs *v, unsigned depth, Error *err, IoQueue **out_queue);
void ioq_free(IoQueue *q); /* waits for what is in flight */
/* Starts the request; when `depth` are in flight waits for one first (kept for a later ioq_next). Never fails itself. */
void ioq_submit(IoQueue *q, IoReq *req);
/* Returns a finished request, waiting for one if `wait`; NULL when none is in flight (or none finished, without wait). */
IoReq *ioq_next(IoQueue *q, bool wait);
const char *ioq_backend(const IoQueue *q); /* "io_uring", "threads", "inline" */
/* Fills the Error from a failed request, as file_read and the others would; returns the request's status. */
Status ioq_error(const IoReq *req, Error *err);

#endif
