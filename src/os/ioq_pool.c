/*
 * os/ioq_pool.c: queues over a small pool of threads that a Vfs starts at the first need.
 *
 * `lock` of the pool guards its list of requests; `lock` of a queue's channel guards what came back. Neither is held
 * while the other is taken, nor during I/O.
 */
#include "base/check.h"
#include "os/ioq_int.h"

enum { POOL_THREADS = 8 };

typedef struct PoolJob PoolJob;

/* A queue's end of the pool. */
typedef struct Channel {
    Mutex lock;
    Cond came;
    PoolJob *back;      /* executed, newest first */
    PoolJob *free_jobs; /* used by the queue's thread only */
    size_t bytes;       /* of this block, which includes one job per request that may be in flight */
} Channel;

struct PoolJob {
    PoolJob *next;
    IoReq *req;
    Channel *channel;
};

struct IoPool {
    Budget *budget;
    Mutex lock;
    Cond more;
    PoolJob *first;
    PoolJob *last;
    bool stopping;
    unsigned thread_count;
    OsThread *threads[POOL_THREADS];
};

static PoolJob *take_job(IoPool *p)
{
    mutex_lock(&p->lock);
    while (p->first == NULL && !p->stopping) {
        cond_wait(&p->more, &p->lock);
    }
    PoolJob *job = p->first;
    if (job != NULL) {
        p->first = job->next;
        p->last = p->first == NULL ? NULL : p->last;
    }
    mutex_unlock(&p->lock);
    return job;
}

static void pool_thread(void *arg)
{
    IoPool *p = arg;
    for (PoolJob *job = take_job(p); job != NULL; job = take_job(p)) {
        Channel *c = job->channel;
        ioq_execute(job->req);
        mutex_lock(&c->lock);
        job->next = c->back;
        c->back = job;
        /* Signalled under the lock: without it the channel may be gone already. */
        cond_signal(&c->came);
        mutex_unlock(&c->lock);
    }
}

void io_pool_free(IoPool *p)
{
    if (p == NULL) {
        return;
    }
    mutex_lock(&p->lock);
    ASSERT(p->first == NULL);
    p->stopping = true;
    cond_broadcast(&p->more);
    mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++) {
        os_thread_join(p->threads[i]);
    }
    cond_done(&p->more);
    mutex_done(&p->lock);
    mem_free(p->budget, p, sizeof *p);
}

/* NULL = not even one thread could be had. */
static IoPool *new_pool(Vfs *v)
{
    IoPool *p = mem_alloc0(v->budget, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->budget = v->budget;
    mutex_init(&p->lock, RANK_LEAF);
    cond_init(&p->more);
    while (p->thread_count < POOL_THREADS &&
           os_thread_start("rdb-io", pool_thread, p, NULL, &p->threads[p->thread_count]) == ST_OK) {
        p->thread_count++;
    }
    if (p->thread_count == 0) {
        io_pool_free(p);
        return NULL;
    }
    return p;
}

static IoPool *get_pool(Vfs *v)
{
    mutex_lock(&v->pool_lock);
    if (v->pool == NULL) {
        v->pool = new_pool(v);
    }
    IoPool *p = v->pool;
    mutex_unlock(&v->pool_lock);
    return p;
}

static void pool_start(IoQueue *q, IoReq *req)
{
    Channel *c = q->state;
    PoolJob *job = c->free_jobs;
    ASSERT(job != NULL);
    c->free_jobs = job->next;
    job->next = NULL;
    job->req = req;
    job->channel = c;

    IoPool *p = q->vfs->pool;
    mutex_lock(&p->lock);
    if (p->last == NULL) {
        p->first = job;
    } else {
        p->last->next = job;
    }
    p->last = job;
    cond_signal(&p->more);
    mutex_unlock(&p->lock);
}

static PoolJob *take_back(Channel *c, bool wait)
{
    mutex_lock(&c->lock);
    while (wait && c->back == NULL) {
        cond_wait(&c->came, &c->lock);
    }
    PoolJob *newest_first = c->back;
    c->back = NULL;
    mutex_unlock(&c->lock);

    PoolJob *oldest_first = NULL;
    while (newest_first != NULL) {
        PoolJob *next = newest_first->next;
        newest_first->next = oldest_first;
        oldest_first = newest_first;
        newest_first = next;
    }
    return oldest_first;
}

static void pool_collect(IoQueue *q, bool wait)
{
    Channel *c = q->state;
    PoolJob *job = take_back(c, wait);
    while (job != NULL) {
        PoolJob *next = job->next;
        ioq_finished(q, job->req);
        job->next = c->free_jobs;
        c->free_jobs = job;
        job = next;
    }
}

static void pool_free(IoQueue *q)
{
    Channel *c = q->state;
    cond_done(&c->came);
    mutex_done(&c->lock);
    mem_free(q->vfs->budget, c, c->bytes);
}

static const IoqBackend POOL = {"threads", pool_start, pool_collect, pool_free};

bool ioq_use_pool(IoQueue *q)
{
    if (get_pool(q->vfs) == NULL) {
        return false;
    }
    size_t bytes = sizeof(Channel) + q->depth * sizeof(PoolJob);
    Channel *c = mem_alloc0(q->vfs->budget, bytes);
    if (c == NULL) {
        return false;
    }
    c->bytes = bytes;
    mutex_init(&c->lock, RANK_LEAF);
    cond_init(&c->came);
    PoolJob *jobs = (PoolJob *)(c + 1);
    for (unsigned i = 0; i < q->depth; i++) {
        jobs[i].next = c->free_jobs;
        c->free_jobs = &jobs[i];
    }
    q->state = c;
    q->backend = &POOL;
    return true;
}
