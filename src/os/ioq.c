/*
 * os/ioq.c: queues of requests in flight, over one of three backends: io_uring (ioq_uring.c), the Vfs's thread pool
 * (ioq_pool.c), or inline execution: on the simulated disk and on scheduled threads, where the order must follow
 * from the seed, and where neither of the others can be had.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "os/ioq_int.h"
#include "os/os_int.h"

void ioq_finished(IoQueue *q, IoReq *req)
{
    req->next = NULL;
    if (q->done_last == NULL) {
        q->done_first = req;
    } else {
        q->done_last->next = req;
    }
    q->done_last = req;
    ASSERT(q->in_flight > 0);
    q->in_flight--;
}

void ioq_execute(IoReq *req)
{
    const VfsOps *ops = req->file->vfs->ops;
    req->os_errno = 0;
    switch (req->op) {
    case IO_READ: req->status = ops->read(req->file, req->buf, req->len, req->offset, NULL, &req->os_errno); break;
    case IO_WRITE: req->status = ops->write(req->file, req->buf, req->len, req->offset, NULL, &req->os_errno); break;
    case IO_SYNC: req->status = ops->sync(req->file, NULL, &req->os_errno); break;
    }
}

static void inline_start(IoQueue *q, IoReq *req)
{
    ioq_execute(req);
    ioq_finished(q, req);
}

static void inline_collect(IoQueue *q, bool wait)
{
    (void)q;
    (void)wait;
    UNREACHABLE(); /* nothing stays in flight */
}

static void inline_free(IoQueue *q)
{
    (void)q;
}

static const IoqBackend INLINE = {"inline", inline_start, inline_collect, inline_free};

Status ioq_new(Vfs *v, unsigned depth, Error *err, IoQueue **out_queue)
{
    ASSERT(depth > 0);
    IoQueue *q = mem_alloc0(v->budget, sizeof *q);
    if (q == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    q->vfs = v;
    q->depth = depth;
    bool aside = v->has_fds && !sched_on();
    if (!(aside && v->has_uring && ioq_use_uring(q)) && !(aside && ioq_use_pool(q))) {
        q->backend = &INLINE;
    }
    *out_queue = q;
    return ST_OK;
}

void ioq_free(IoQueue *q)
{
    if (q == NULL) {
        return;
    }
    while (q->in_flight > 0) {
        q->backend->collect(q, true);
    }
    q->backend->free(q);
    mem_free(q->vfs->budget, q, sizeof *q);
}

void ioq_submit(IoQueue *q, IoReq *req)
{
    ASSERT(req->file->vfs == q->vfs);
    ASSERT(req->op == IO_SYNC || ((uintptr_t)req->buf | req->len | req->offset) % req->file->alignment == 0);
    ASSERT(req->op != IO_WRITE || !req->file->is_readonly);
    while (q->in_flight >= q->depth) {
        q->backend->collect(q, true);
    }
    req->status = ST_OK;
    req->os_errno = 0;
    req->done = 0;
    req->next = NULL;
    q->in_flight++;
    q->backend->start(q, req);
}

IoReq *ioq_next(IoQueue *q, bool wait)
{
    if (q->done_first == NULL && q->in_flight > 0) {
        q->backend->collect(q, wait);
    }
    IoReq *req = q->done_first;
    if (req != NULL) {
        q->done_first = req->next;
        q->done_last = q->done_first == NULL ? NULL : q->done_last;
        req->next = NULL;
    }
    return req;
}

const char *ioq_backend(const IoQueue *q)
{
    return q->backend->name;
}

Status ioq_error(const IoReq *req, Error *err)
{
    if (req->status == ST_OK || req->status == ST_END) {
        return req->status;
    }
    switch (req->op) {
    case IO_READ: return io_transfer_failed(err, req->file, "read file", req->os_errno, req->offset, req->len);
    case IO_WRITE: return io_transfer_failed(err, req->file, "write file", req->os_errno, req->offset, req->len);
    case IO_SYNC: return io_failed(err, req->file->vfs, req->file->path, "sync file", req->os_errno);
    }
    UNREACHABLE();
}
