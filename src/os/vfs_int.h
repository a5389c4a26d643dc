/*
 * os/vfs_int.h: the table behind a Vfs and a File, implemented by the real files (posix.c) and the simulated disk
 * (simdisk.c). Callers have checked the arguments: vfs.c.
 */
#ifndef RDB_OS_VFS_INT_H
#define RDB_OS_VFS_INT_H

#include "os/file.h"
#include "os/thread.h"

typedef struct IoPool IoPool;

typedef struct VfsOps {
    void (*free)(Vfs *v);
    Status (*open)(Vfs *v, const char *path, uint32_t flags, Error *err, File **out_file);
    Status (*mkdir)(Vfs *v, const char *path, Error *err);
    Status (*rename)(Vfs *v, const char *from, const char *to, Error *err);
    Status (*unlink)(Vfs *v, const char *path, Error *err);
    Status (*exists)(Vfs *v, const char *path, Error *err, bool *out_exists);
    Status (*sync_dir)(Vfs *v, const char *path, Error *err);
    Status (*list)(Vfs *v, const char *path, Status (*fn)(void *arg, const char *name), void *arg, Error *err);
    Status (*free_bytes)(Vfs *v, Error *err, uint64_t *out_bytes);
    Status (*lock)(Vfs *v, const char *path, Error *err, File **out_lock);
    void (*unlock)(File *lock);

    void (*close)(File *f);
    Status (*size)(File *f, Error *err, uint64_t *out_bytes);
    Status (*read)(File *f, void *buf, size_t len, uint64_t offset, Error *err, int *out_errno);
    Status (*write)(File *f, const void *buf, size_t len, uint64_t offset, Error *err, int *out_errno);
    Status (*sync)(File *f, Error *err, int *out_errno);
    Status (*truncate)(File *f, uint64_t bytes, Error *err);
    Status (*allocate)(File *f, uint64_t offset, uint64_t len, Error *err);
    Status (*punch)(File *f, uint64_t offset, uint64_t len, Error *err);
} VfsOps;

/* The head of both implementations' structs. */
struct Vfs {
    const VfsOps *ops;
    Budget *budget;
    char *root; /* for messages; owned */
    size_t root_bytes;
    _Atomic uint32_t open_files;
    bool has_fds;   /* files have descriptors: batches may run aside */
    bool has_uring; /* the probe at open succeeded */
    Mutex pool_lock; /* guards pool */
    IoPool *pool;    /* made at first need */
};

struct File {
    Vfs *vfs;
    char *path; /* owned */
    size_t path_bytes;
    uint32_t alignment;
    bool is_direct;
    bool is_readonly;
    int fd; /* -1 on the simulated disk */
};

/* Fill the head; the caller has zeroed the rest. Both copy the text. False = no memory, nothing to undo. */
MUST_CHECK bool vfs_init_head(Vfs *v, const VfsOps *ops, Budget *budget, const char *root);
void vfs_done_head(Vfs *v);
MUST_CHECK bool file_init_head(File *f, Vfs *v, const char *path);
void file_done_head(File *f);

/* What a failed call means: ENOSPC, EDQUOT -> ST_DISK_FULL, EINTR etc. -> ST_IO_ERROR. */
Status io_status(int os_errno);
/* Records `could not <doing> file "<root>/<path>": <errno's text>`; returns io_status(os_errno). */
Status io_failed(Error *err, const Vfs *v, const char *path, const char *doing, int os_errno);
/* The same for a failed transfer, with offset and length in the detail. */
Status io_transfer_failed(Error *err, const File *f, const char *doing, int os_errno, uint64_t offset, size_t len);

/*
 * What file_allocate does where there is no fallocate: writes zeros into the holes of [offset, end) below the size of fd
 * (buffered), then into what lies beyond it; data is left alone. 0 or an errno.
 */
int io_fill_by_writing(int fd, uint64_t offset, uint64_t end);

/* Does io_uring work here with the operations a queue needs? */
bool uring_works(void);
void io_pool_free(IoPool *p);

#endif
