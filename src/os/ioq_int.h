/*
 * os/ioq_int.h: the backends of an I/O queue.
 */
#ifndef RDB_OS_IOQ_INT_H
#define RDB_OS_IOQ_INT_H

#include "os/vfs_int.h"

typedef struct IoqBackend {
    const char *name;
    /* Starts a request; one of at most `depth`. Finished requests are handed to ioq_finished. */
    void (*start)(IoQueue *q, IoReq *req);
    /* Collects what has finished; with `wait` blocks until at least one has. Called with requests in flight only. */
    void (*collect)(IoQueue *q, bool wait);
    void (*free)(IoQueue *q); /* nothing is in flight */
} IoqBackend;

/* Used by one thread at a time, so nothing here is locked but the backends' own. */
struct IoQueue {
    Vfs *vfs;
    const IoqBackend *backend;
    unsigned depth;
    unsigned in_flight;
    IoReq *done_first; /* finished, in order */
    IoReq *done_last;
    void *state; /* the backend's */
};

/* To be called by collect (or start) for each finished request, its status filled in. */
void ioq_finished(IoQueue *q, IoReq *req);
/* Executes a request in place and fills in its status. */
void ioq_execute(IoReq *req);

/* Set q->backend and q->state; false = not available here. */
bool ioq_use_uring(IoQueue *q);
bool ioq_use_pool(IoQueue *q);

#endif
