/*
 * os/rank.h: every lock rank of the engine, in the order in which locks may be taken (a thread may take a lock only if
 * its rank is greater than that of every lock it holds). Debug builds keep a list per thread and abort on inversion.
 *
 * Page latches are not ranked here: their order is index (from the root down, left to right), heap, overflow, free
 * space; storage checks it by page type. A thread that holds a page latch may take any lock ranked above RANK_LATCH.
 */
#ifndef RDB_OS_RANK_H
#define RDB_OS_RANK_H

typedef enum LockRank {
    RANK_NONE = 0, /* not checked: tests and tools */
    RANK_SERVER,   /* net: listeners, connection table */
    RANK_SESSION,
    RANK_CATALOG_CACHE,
    RANK_PLAN_CACHE,
    RANK_CHECKPOINT,    /* one checkpoint at a time */
    RANK_PURGE,         /* one purge pass at a time */
    RANK_FREE,          /* frees and their bookkeeping against checkpoints */
    RANK_PENDING,       /* list of pending frees */
    RANK_TXN_LIST,      /* running writers, lanes */
    RANK_TXN_UNDO,      /* one transaction's undo against checkpoints */
    RANK_ENGINE,        /* engine state: open objects, background job control */
    RANK_OBJECT_TABLE,  /* registry of storage objects */
    RANK_OBJECT_LOAD,   /* reading an object's map */
    RANK_OBJECT_GROW,   /* giving an object pages */
    RANK_SPACE_GROW,    /* growing the page file */
    RANK_LOCK_GRAPH,    /* one search for deadlocks at a time; it visits the partitions one by one */
    RANK_LOCK_MANAGER,  /* partitions of the lock manager, shards of its registry of owners */
    RANK_DOUBLEWRITE,   /* one batch of page writes at a time */
    RANK_LATCH,         /* stands for all page latches */
    RANK_OBJECT,        /* a storage object's allocation state */
    RANK_SPACE,         /* extents and free space of a file */
    RANK_VERSION_TABLE, /* version tables of evicted pages */
    RANK_UNDO,          /* undo arena's chunk directory */
    RANK_COMMIT,        /* commit order */
    RANK_BUF_TABLE,     /* buckets of the page table */
    RANK_BUF_FREE,      /* free and clean frame lists */
    RANK_ADMISSION,
    RANK_WAL_FLUSH, /* the flusher's state, durable waiters */
    RANK_WAL_SEGMENT,
    RANK_WAL_WAIT, /* those who wait for the durable LSN */
    RANK_TASK, /* job queues */
    RANK_EPOCH,
    RANK_IO, /* I/O queues and simulated disk */
    RANK_LOG,
    RANK_LEAF, /* takes nothing below it */
} LockRank;

#endif
