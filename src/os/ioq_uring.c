/*
 * os/ioq_uring.c: a queue as an io_uring of its own, through liburing.
 *
 * Each request is submitted at once: a caller that computes between submit and next expects its read to run meanwhile.
 * Short transfers are continued, as file_read and file_write do.
 */
#include <errno.h>
#include <liburing.h>

#include "base/check.h"
#include "os/ioq_int.h"

bool uring_works(void)
{
    struct io_uring ring;
    if (io_uring_queue_init(2, &ring, 0) != 0) {
        return false; /* no kernel support, or forbidden as container runtimes do */
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    bool works = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_READ) &&
                 io_uring_opcode_supported(probe, IORING_OP_WRITE) && io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    if (probe != NULL) {
        io_uring_free_probe(probe);
    }
    io_uring_queue_exit(&ring);
    return works;
}

static void finish(IoQueue *q, IoReq *req, Status status, int os_errno)
{
    req->status = status;
    req->os_errno = os_errno;
    ioq_finished(q, req);
}

static void uring_start(IoQueue *q, IoReq *req)
{
    struct io_uring *ring = q->state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    ASSERT(sqe != NULL); /* the ring has `depth` entries and each is submitted at once */
    unsigned left = req->len - req->done;
    char *at = (char *)req->buf + req->done;
    switch (req->op) {
    case IO_READ: io_uring_prep_read(sqe, req->file->fd, at, left, req->offset + req->done); break;
    case IO_WRITE: io_uring_prep_write(sqe, req->file->fd, at, left, req->offset + req->done); break;
    case IO_SYNC: io_uring_prep_fsync(sqe, req->file->fd, IORING_FSYNC_DATASYNC); break;
    }
    io_uring_sqe_set_data(sqe, req);
    int rc;
    do {
        rc = io_uring_submit(ring);
    } while (rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
    /* What else can be wrong with the call itself is a bug here; a request's own failure comes as its completion. */
    ASSERT(rc == 1);
}

/* Continues a short transfer or finishes the request. */
static void complete(IoQueue *q, IoReq *req, int result)
{
    if (result == -EINTR || result == -EAGAIN) {
        if (req->op != IO_SYNC) {
            uring_start(q, req);
            return;
        }
    }
    if (result < 0) {
        finish(q, req, io_status(-result), -result);
        return;
    }
    req->done += (unsigned)result;
    if (req->op == IO_SYNC || req->done == req->len) {
        finish(q, req, ST_OK, 0);
    } else if (req->op == IO_READ && (result == 0 || (unsigned)result % req->file->alignment != 0)) {
        finish(q, req, ST_END, 0);
    } else if (result == 0) {
        finish(q, req, ST_IO_ERROR, EIO);
    } else {
        uring_start(q, req);
    }
}

static void uring_collect(IoQueue *q, bool wait)
{
    struct io_uring *ring = q->state;
    struct io_uring_cqe *cqe;
    const IoReq *before = q->done_last;
    do {
        int rc = wait ? io_uring_wait_cqe(ring, &cqe) : io_uring_peek_cqe(ring, &cqe);
        if (rc == -EINTR) {
            continue;
        }
        if (rc == -EAGAIN && !wait) {
            return;
        }
        ASSERT(rc == 0);
        do {
            IoReq *req = io_uring_cqe_get_data(cqe);
            int result = cqe->res;
            io_uring_cqe_seen(ring, cqe);
            complete(q, req, result);
        } while (q->in_flight > 0 && io_uring_peek_cqe(ring, &cqe) == 0);
    } while (wait && q->done_last == before);
}

static void uring_free(IoQueue *q)
{
    io_uring_queue_exit(q->state);
    mem_free(q->vfs->budget, q->state, sizeof(struct io_uring));
}

static const IoqBackend URING = {"io_uring", uring_start, uring_collect, uring_free};

bool ioq_use_uring(IoQueue *q)
{
    struct io_uring *ring = mem_alloc0(q->vfs->budget, sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    if (io_uring_queue_init(q->depth, ring, 0) != 0) {
        mem_free(q->vfs->budget, ring, sizeof *ring);
        return false;
    }
    q->state = ring;
    q->backend = &URING;
    return true;
}
