/*
 * os/sim_vfs.c: the Vfs of a simulated disk.
 *
 * Each call passes one gate (enter), which counts it and decides its outcome: it goes, it fails as an injected fault, the
 * power goes while it is under way, or the power is gone. Then it is applied as one SimEvent, and recorded. The disk's
 * lock is held from the gate to the end of the call.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "os/os_int.h"
#include "os/simdisk_int.h"
#include "os/vfs_int.h"

typedef struct SimVfs {
    Vfs head;
    SimDisk *disk;
} SimVfs;

typedef struct SimFile {
    File head;
    uint32_t inode;
} SimFile;

typedef enum Outcome { GOES, FAULT, DIES, DEAD } Outcome;

static SimDisk *disk_of(const Vfs *v)
{
    return ((const SimVfs *)v)->disk;
}

static uint32_t inode_of(const File *f)
{
    return ((const SimFile *)f)->inode;
}

static bool fault_fires(SimDisk *d, SimOpClass ops)
{
    SimFault *f = &d->fault;
    if (f->ops != SIM_ANY && f->ops != ops) {
        return false;
    }
    bool fires = f->fired_once && f->persistent;
    if (f->countdown > 0 && --f->countdown == 0) {
        fires = true;
        f->fired_once = true;
    }
    d->faults_fired += fires;
    return fires;
}

static int64_t latency(const SimDisk *d, SimOpClass ops)
{
    switch (ops) {
    case SIM_READS: return d->latency_us[0];
    case SIM_WRITES: return d->latency_us[1];
    case SIM_SYNCS: return d->latency_us[2];
    default: return 0;
    }
}

/* The gate. Returns with the lock held. */
static Outcome enter(SimDisk *d, SimOpClass ops, const char *point)
{
    if (sched_on()) {
        sched_point(point);
    }
    simdisk_lock(d);
    int64_t wait_us = latency(d, ops);
    if (wait_us > 0) {
        simdisk_unlock(d);
        os_sleep_us(wait_us);
        simdisk_lock(d);
    }
    d->io++;
    if (d->is_cut) {
        return DEAD;
    }
    if (d->cut_countdown > 0 && --d->cut_countdown == 0) {
        d->is_cut = true;
        return DIES;
    }
    return fault_fires(d, ops) ? FAULT : GOES;
}

static int fault_errno(const SimDisk *d)
{
    return d->fault.status == ST_DISK_FULL ? ENOSPC : EIO;
}

/* The errno of an outcome that is not GOES. */
static int outcome_errno(const SimDisk *d, Outcome o)
{
    return o == FAULT ? fault_errno(d) : EIO;
}

/* Applies and records; false = no memory. */
static bool apply(SimDisk *d, SimEvent *e, uint32_t *out_inode)
{
    e->io = d->io;
    if (d->record != NULL && !sim_record_reserve(d->record)) {
        return false;
    }
    if (!sim_event_apply(d->state, e, out_inode)) {
        return false;
    }
    if (d->record != NULL) {
        sim_record_add(d->record, e);
    }
    return true;
}

/* Carries out an operation whose effect may outlive a power cut that hits it. 0 or an errno. */
static int perform(SimDisk *d, Outcome o, SimEvent *e, uint32_t *out_inode)
{
    if ((o == GOES || o == DIES) && !apply(d, e, out_inode)) {
        return ENOMEM;
    }
    return o == GOES ? 0 : outcome_errno(d, o);
}

static Status failed(Error *err, const Vfs *v, const char *path, const char *doing, int os_errno)
{
    if (os_errno == ENOMEM) {
        return err_set(err, ST_OUT_OF_MEMORY, "no memory for the simulated disk");
    }
    return io_failed(err, v, path, doing, os_errno);
}

static Status missing(Error *err, const Vfs *v, const char *path, const char *doing)
{
    return err_set(err, ST_FILE_NOT_FOUND, "could not %s \"%s/%s\": No such file or directory", doing, v->root, path);
}

/* Opens or creates under the lock; 0 or an errno. */
static int open_locked(SimDisk *d, Outcome o, const char *path, uint32_t flags, uint32_t *out_inode)
{
    if (o == DEAD || o == FAULT) {
        return outcome_errno(d, o);
    }
    SimEvent e = {.op = SIM_OP_CREATE};
    int rc = sim_walk(d->state, path, &e.inode, e.name);
    if (rc != 0) {
        return rc;
    }
    uint32_t inode = sim_find(d->state, e.inode, e.name);
    if (inode == SIM_NO_INODE) {
        rc = flags & FILE_CREATE ? perform(d, o, &e, &inode) : ENOENT;
    } else if (flags & FILE_EXCL) {
        rc = EEXIST;
    } else if (sim_inode(d->state, inode)->is_dir) {
        rc = EISDIR;
    }
    if (rc == 0 && o == DIES) {
        rc = EIO;
    }
    if (rc == 0) {
        sim_handle_opened(d->state, inode);
        *out_inode = inode;
    }
    return rc;
}

static void sim_file_free(SimFile *f)
{
    Vfs *v = f->head.vfs;
    file_done_head(&f->head);
    mem_free(v->budget, f, sizeof *f);
}

static Status sim_open(Vfs *v, const char *path, uint32_t flags, Error *err, File **out_file)
{
    SimDisk *d = disk_of(v);
    SimFile *f = mem_alloc0(v->budget, sizeof *f);
    if (f == NULL || !file_init_head(&f->head, v, path)) {
        mem_free(v->budget, f, f == NULL ? 0 : sizeof *f);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    Outcome o = enter(d, SIM_ANY, "sim open");
    int rc = open_locked(d, o, path, flags, &f->inode);
    uint32_t alignment = d->alignment;
    simdisk_unlock(d);
    if (rc != 0) {
        sim_file_free(f);
        if (rc == ENOENT) {
            return missing(err, v, path, "open file");
        }
        if (rc == EEXIST) {
            return err_set(err, ST_FILE_EXISTS, "could not create file \"%s/%s\": File exists", v->root, path);
        }
        return failed(err, v, path, "open file", rc);
    }
    f->head.is_direct = (flags & FILE_DIRECT) != 0;
    f->head.is_readonly = (flags & FILE_READONLY) != 0;
    f->head.alignment = f->head.is_direct ? alignment : 1;
    *out_file = &f->head;
    return ST_OK;
}

static void sim_close(File *file)
{
    SimFile *f = (SimFile *)file;
    SimDisk *d = disk_of(file->vfs);
    simdisk_lock(d);
    sim_handle_closed(d->state, f->inode);
    simdisk_unlock(d);
    sim_file_free(f);
}

static Status sim_mkdir(Vfs *v, const char *path, Error *err)
{
    SimDisk *d = disk_of(v);
    Outcome o = enter(d, SIM_ANY, "sim mkdir");
    SimEvent e = {.op = SIM_OP_MKDIR};
    uint32_t made;
    int rc = sim_walk(d->state, path, &e.inode, e.name);
    uint32_t there = rc == 0 ? sim_find(d->state, e.inode, e.name) : SIM_NO_INODE;
    if (o != GOES && o != DIES) {
        rc = outcome_errno(d, o);
    } else if (there != SIM_NO_INODE) {
        rc = o == DIES ? EIO : sim_inode(d->state, there)->is_dir ? 0 : EEXIST;
    } else if (rc == 0) {
        rc = perform(d, o, &e, &made);
    }
    simdisk_unlock(d);
    return rc == 0 ? ST_OK : failed(err, v, path, "create directory", rc);
}

static Status sim_rename_file(Vfs *v, const char *from, const char *to, Error *err)
{
    SimDisk *d = disk_of(v);
    Outcome o = enter(d, SIM_ANY, "sim rename");
    SimEvent e = {.op = SIM_OP_RENAME};
    int rc = sim_walk(d->state, from, &e.inode, e.name);
    rc = rc != 0 ? rc : sim_walk(d->state, to, &e.to_dir, e.to_name);
    if (o != GOES && o != DIES) {
        rc = outcome_errno(d, o);
    } else if (rc == 0) {
        uint32_t old = sim_find(d->state, e.inode, e.name);
        uint32_t replaced = sim_find(d->state, e.to_dir, e.to_name);
        if (old == SIM_NO_INODE) {
            rc = ENOENT;
        } else if (replaced != SIM_NO_INODE && sim_inode(d->state, replaced)->is_dir) {
            rc = EISDIR;
        } else {
            rc = perform(d, o, &e, NULL);
        }
    }
    simdisk_unlock(d);
    if (rc == ENOENT) {
        return missing(err, v, from, "rename file");
    }
    return rc == 0 ? ST_OK : failed(err, v, from, "rename file", rc);
}

static Status sim_unlink(Vfs *v, const char *path, Error *err)
{
    SimDisk *d = disk_of(v);
    Outcome o = enter(d, SIM_ANY, "sim unlink");
    SimEvent e = {.op = SIM_OP_REMOVE};
    int rc = sim_walk(d->state, path, &e.inode, e.name);
    if (o != GOES && o != DIES) {
        rc = outcome_errno(d, o);
    } else if (rc == 0) {
        uint32_t inode = sim_find(d->state, e.inode, e.name);
        rc = inode == SIM_NO_INODE ? ENOENT : sim_inode(d->state, inode)->is_dir ? EISDIR : perform(d, o, &e, NULL);
    }
    simdisk_unlock(d);
    if (rc == ENOENT) {
        return missing(err, v, path, "remove file");
    }
    return rc == 0 ? ST_OK : failed(err, v, path, "remove file", rc);
}

static Status sim_exists(Vfs *v, const char *path, Error *err, bool *out_exists)
{
    SimDisk *d = disk_of(v);
    simdisk_lock(d);
    bool is_cut = d->is_cut;
    bool exists = sim_look_up(d->state, path) != SIM_NO_INODE;
    simdisk_unlock(d);
    if (is_cut) {
        return failed(err, v, path, "look up", EIO);
    }
    *out_exists = exists;
    return ST_OK;
}

static Status sim_sync_directory(Vfs *v, const char *path, Error *err)
{
    SimDisk *d = disk_of(v);
    Outcome o = enter(d, SIM_SYNCS, "sim sync directory");
    SimEvent e = {.op = SIM_OP_SYNC_DIR, .inode = sim_look_up(d->state, path)};
    int rc = o == GOES ? 0 : outcome_errno(d, o);
    if (o == GOES) {
        bool is_dir = e.inode != SIM_NO_INODE && sim_inode(d->state, e.inode)->is_dir;
        rc = !is_dir ? ENOENT : apply(d, &e, NULL) ? 0 : ENOMEM;
    }
    simdisk_unlock(d);
    if (rc == ENOENT) {
        return missing(err, v, path, "open directory");
    }
    return rc == 0 ? ST_OK : failed(err, v, path, "sync directory", rc);
}

/* The names are copied first: fn may come back to the disk. */
static Status sim_list(Vfs *v, const char *path, Status (*fn)(void *arg, const char *name), void *arg, Error *err)
{
    SimDisk *d = disk_of(v);
    SimEntries names = {.budget = d->budget};
    simdisk_lock(d);
    uint32_t inode = sim_look_up(d->state, path);
    bool is_dir = inode != SIM_NO_INODE && sim_inode(d->state, inode)->is_dir;
    int rc = d->is_cut                                                        ? EIO
             : !is_dir                                                        ? ENOENT
             : sim_entries_copy(&names, &sim_inode(d->state, inode)->entries) ? 0
                                                                              : ENOMEM;
    simdisk_unlock(d);
    if (rc != 0) {
        return rc == ENOENT ? missing(err, v, path, "open directory") : failed(err, v, path, "read directory", rc);
    }
    Status st = ST_OK;
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        st = fn(arg, names.v[i].name);
    }
    VEC_DONE(&names);
    return st;
}

static Status sim_free_bytes(Vfs *v, Error *err, uint64_t *out_bytes)
{
    SimDisk *d = disk_of(v);
    simdisk_lock(d);
    bool is_cut = d->is_cut;
    uint64_t used = sim_used_bytes(d->state);
    uint64_t capacity = d->capacity == 0 ? INT64_MAX : d->capacity;
    simdisk_unlock(d);
    if (is_cut) {
        return failed(err, v, "", "query the file system of", EIO);
    }
    *out_bytes = used < capacity ? capacity - used : 0;
    return ST_OK;
}

static Status sim_lock_file(Vfs *v, const char *path, Error *err, File **out_lock)
{
    File *f = NULL;
    Status st = sim_open(v, path, FILE_CREATE, err, &f);
    if (st != ST_OK) {
        return st;
    }
    SimDisk *d = disk_of(v);
    simdisk_lock(d);
    SimInode *inode = sim_inode(d->state, inode_of(f));
    bool was_locked = inode->is_locked;
    inode->is_locked = true;
    simdisk_unlock(d);
    if (was_locked) {
        sim_close(f);
        return err_set(err, ST_OBJECT_IN_USE, "lock file \"%s/%s\" is held by another process or engine", v->root,
                       path);
    }
    *out_lock = f;
    return ST_OK;
}

static void sim_unlock_file(File *f)
{
    SimDisk *d = disk_of(f->vfs);
    simdisk_lock(d);
    sim_inode(d->state, inode_of(f))->is_locked = false;
    simdisk_unlock(d);
    sim_close(f);
}

static Status sim_size(File *f, Error *err, uint64_t *out_bytes)
{
    SimDisk *d = disk_of(f->vfs);
    simdisk_lock(d);
    bool is_cut = d->is_cut;
    uint64_t size = sim_inode(d->state, inode_of(f))->size;
    simdisk_unlock(d);
    if (is_cut) {
        return failed(err, f->vfs, f->path, "query file", EIO);
    }
    *out_bytes = size;
    return ST_OK;
}

static Status transfer_failed(Error *err, const File *f, const char *doing, int os_errno, uint64_t offset, size_t len)
{
    return os_errno == ENOMEM ? failed(err, f->vfs, f->path, doing, os_errno)
                              : io_transfer_failed(err, f, doing, os_errno, offset, len);
}

static Status sim_read(File *f, void *buf, size_t len, uint64_t offset, Error *err, int *out_errno)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_READS, "sim read");
    const SimInode *inode = sim_inode(d->state, inode_of(f));
    bool past_end = offset + len > inode->size;
    if (o == GOES && !past_end) {
        sim_tree_read(&inode->visible, offset, buf, len);
    } else {
        memset(buf, 0xa5, len); /* nothing is promised: give something nobody should rely on */
    }
    int rc = o == GOES ? 0 : outcome_errno(d, o);
    simdisk_unlock(d);
    if (rc != 0) {
        *out_errno = rc;
        return transfer_failed(err, f, "read file", rc, offset, len);
    }
    return past_end ? ST_END : ST_OK;
}

/* Bytes that a write or allocation of the range would newly take. */
static uint64_t new_space(const SimInode *f, uint64_t offset, uint64_t len)
{
    uint64_t pages = 0;
    for (uint64_t at = offset / SIM_PAGE_BYTES * SIM_PAGE_BYTES; at < offset + len; at += SIM_PAGE_BYTES) {
        pages += !sim_tree_takes_space(&f->visible, at);
    }
    return pages * SIM_PAGE_BYTES;
}

static bool has_room(const SimDisk *d, uint32_t inode, uint64_t offset, uint64_t len)
{
    return d->capacity == 0 ||
           sim_used_bytes(d->state) + new_space(sim_inode(d->state, inode), offset, len) <= d->capacity;
}

/* A failing write may have been done in part; one that the power cut hits may be found whole, torn or not at all. */
static int write_locked(SimDisk *d, Outcome o, uint32_t inode, const void *buf, size_t len, uint64_t offset)
{
    if (o == DEAD) {
        return EIO;
    }
    if (!has_room(d, inode, offset, len)) {
        return ENOSPC;
    }
    SimEvent e = {.op = SIM_OP_WRITE, .inode = inode, .offset = offset, .len = len};
    e.torn_seed = o == FAULT ? mix64(d->io) | 1 : 0;
    e.blob = sim_write_blob(d->state, inode, offset, buf, len);
    bool ok = e.blob != NULL && apply(d, &e, NULL);
    sim_blob_unref(d->budget, e.blob);
    return !ok ? ENOMEM : o == GOES ? 0 : outcome_errno(d, o);
}

static Status sim_write_file(File *f, const void *buf, size_t len, uint64_t offset, Error *err, int *out_errno)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_WRITES, "sim write");
    int rc = write_locked(d, o, inode_of(f), buf, len, offset);
    simdisk_unlock(d);
    *out_errno = rc;
    return rc == 0 ? ST_OK : transfer_failed(err, f, "write file", rc, offset, len);
}

static Status sim_sync_file(File *f, Error *err, int *out_errno)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_SYNCS, "sim sync");
    SimEvent e = {.op = o == FAULT ? SIM_OP_SYNC_FAILED : SIM_OP_SYNC, .inode = inode_of(f)};
    int rc = o == GOES ? 0 : outcome_errno(d, o);
    if ((o == GOES || o == FAULT) && !apply(d, &e, NULL)) {
        rc = ENOMEM;
    }
    simdisk_unlock(d);
    *out_errno = rc;
    return rc == 0 ? ST_OK : failed(err, f->vfs, f->path, "sync file", rc);
}

static Status sim_truncate_file(File *f, uint64_t bytes, Error *err)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_ALLOCS, "sim truncate");
    SimEvent e = {.op = SIM_OP_TRUNCATE, .inode = inode_of(f), .offset = bytes};
    int rc = perform(d, o, &e, NULL);
    simdisk_unlock(d);
    return rc == 0 ? ST_OK : failed(err, f->vfs, f->path, "truncate file", rc);
}

static Status sim_allocate_file(File *f, uint64_t offset, uint64_t len, Error *err)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_ALLOCS, "sim allocate");
    SimEvent e = {.op = SIM_OP_ALLOCATE, .inode = inode_of(f), .offset = offset, .len = len};
    int rc = has_room(d, e.inode, offset, len) ? perform(d, o, &e, NULL) : o == GOES ? ENOSPC : outcome_errno(d, o);
    simdisk_unlock(d);
    return rc == 0 ? ST_OK : transfer_failed(err, f, "allocate space in file", rc, offset, (size_t)len);
}

static Status sim_punch_file(File *f, uint64_t offset, uint64_t len, Error *err)
{
    SimDisk *d = disk_of(f->vfs);
    Outcome o = enter(d, SIM_WRITES, "sim punch");
    SimEvent e = {.op = SIM_OP_PUNCH, .inode = inode_of(f), .offset = offset, .len = len};
    int rc = perform(d, o, &e, NULL);
    simdisk_unlock(d);
    return rc == 0 ? ST_OK : transfer_failed(err, f, "punch a hole into file", rc, offset, (size_t)len);
}

static void sim_vfs_free(Vfs *v)
{
    vfs_done_head(v);
    mem_free(v->budget, v, sizeof(SimVfs));
}

static const VfsOps SIM_OPS = {
    .free = sim_vfs_free,
    .open = sim_open,
    .mkdir = sim_mkdir,
    .rename = sim_rename_file,
    .unlink = sim_unlink,
    .exists = sim_exists,
    .sync_dir = sim_sync_directory,
    .list = sim_list,
    .free_bytes = sim_free_bytes,
    .lock = sim_lock_file,
    .unlock = sim_unlock_file,
    .close = sim_close,
    .size = sim_size,
    .read = sim_read,
    .write = sim_write_file,
    .sync = sim_sync_file,
    .truncate = sim_truncate_file,
    .allocate = sim_allocate_file,
    .punch = sim_punch_file,
};

Status simdisk_vfs(SimDisk *d, Error *err, Vfs **out_vfs)
{
    SimVfs *v = mem_alloc0(d->budget, sizeof *v);
    if (v == NULL || !vfs_init_head(&v->head, &SIM_OPS, d->budget, "simdisk:")) {
        mem_free(d->budget, v, v == NULL ? 0 : sizeof *v);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    v->disk = d;
    *out_vfs = &v->head;
    return ST_OK;
}
