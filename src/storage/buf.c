/*
 * storage/buf.c: the buffer pool: page id -> frame, reading, eviction.
 *
 * Key idea: the latch is the pin. A page is used only while its frame is latched, and a frame changes its page only
 * under the exclusive latch, so "latched and page_id is still mine" is all a reader has to check. Finding a frame takes
 * no lock: bucket chains are followed without one (frames are never unmapped; a chain that changes underneath at worst
 * hides a frame, and a miss is confirmed under the bucket's lock).
 *
 * B1  A frame is in the bucket of its page_id exactly when page_id is not FRAME_NO_PAGE; both change together under
 *     the bucket's lock and the frame's exclusive latch.
 * B2  A frame on the free list is exclusively latched by nobody, holds no page, is clean and has no versions.
 * B3  rec_lsn != 0 whenever the frame's content differs from what was last handed to the file.
 * B4  versions of a page are either on its resident frame or in the orphan table, never in both.
 */
#include "storage/storage_int.h"

enum { CHAIN_LIMIT = 64, CLEAN_WAIT_US = 10000 };

/* ---- opening ---- */

static uint32_t pow2_at_least(uint32_t n)
{
    uint32_t p = 1;
    while (p < n) {
        p *= 2;
    }
    return p;
}

static void frame_setup(BufPool *p, uint32_t i)
{
    BufFrame *f = &p->frames[i];
    atomic_init(&f->page_id, FRAME_NO_PAGE);
    atomic_init(&f->next, i + 1 < p->n_frames ? i + 1 : FRAME_NIL);
    f->pool = p;
    f->page = p->pages + (size_t)i * PAGE_BYTES;
}

Status pool_open(Ctx *cx, Store *s)
{
    BufPool *p = &s->pool;
    p->store = s;
    p->n_frames = (uint32_t)(s->config.pool_bytes / PAGE_BYTES);
    p->n_buckets = pow2_at_least(p->n_frames * 2);
    p->pages = vmem_alloc(s->budget, (size_t)p->n_frames * PAGE_BYTES);
    p->frames = p->pages != NULL ? mem_alloc_aligned(s->budget, p->n_frames * sizeof(BufFrame), 64) : NULL;
    p->buckets = p->frames != NULL ? mem_alloc(s->budget, p->n_buckets * sizeof(uint32_t)) : NULL;
    if (p->buckets == NULL) {
        return ctx_nomem(cx, (size_t)p->n_frames * PAGE_BYTES);
    }
    memset(p->frames, 0, p->n_frames * sizeof(BufFrame));
    for (uint32_t i = 0; i < p->n_buckets; i++) {
        atomic_init(&p->buckets[i], FRAME_NIL);
    }
    for (uint32_t i = 0; i < p->n_frames; i++) {
        frame_setup(p, i);
    }
    for (int i = 0; i < BUF_LOCKS; i++) {
        spin_init(&p->locks[i], RANK_BUF_TABLE);
    }
    for (size_t i = 0; i < ARRAY_LEN(p->orphan_lock); i++) {
        spin_init(&p->orphan_lock[i], RANK_VERSION_TABLE);
    }
    spin_init(&p->free_lock, RANK_BUF_FREE);
    p->free_head = 0;
    atomic_init(&p->n_free, p->n_frames);
    atomic_init(&p->permits, (int32_t)(p->n_frames - p->n_frames / 4));
    return ST_OK;
}

void pool_close(Store *s)
{
    BufPool *p = &s->pool;
    if (p->frames != NULL) {
        mem_free(s->budget, p->frames, p->n_frames * sizeof(BufFrame));
    }
    if (p->buckets != NULL) {
        mem_free(s->budget, p->buckets, p->n_buckets * sizeof(uint32_t));
    }
    if (p->pages != NULL) {
        vmem_free(s->budget, p->pages, (size_t)p->n_frames * PAGE_BYTES);
    }
    memset(p, 0, sizeof *p);
}

/* ---- table ---- */

static uint32_t bucket_of(const BufPool *p, uint64_t id)
{
    return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (p->n_buckets - 1);
}

static SpinLock *bucket_lock(BufPool *p, uint32_t bucket)
{
    return &p->locks[bucket % BUF_LOCKS];
}

/* Without the lock a NULL is only a hint (bounded walk over a chain that may change); with it, it is the truth. */
static BufFrame *table_find(BufPool *p, uint32_t bucket, uint64_t id, bool locked)
{
    uint32_t i = atomic_load_explicit(&p->buckets[bucket], memory_order_acquire);
    for (int steps = 0; i != FRAME_NIL && (locked || steps < CHAIN_LIMIT); steps++) {
        BufFrame *f = &p->frames[i];
        if (atomic_load_explicit(&f->page_id, memory_order_acquire) == id) {
            return f;
        }
        i = atomic_load_explicit(&f->next, memory_order_acquire);
    }
    return NULL;
}

static uint32_t frame_index(const BufFrame *f)
{
    return (uint32_t)(f - f->pool->frames);
}

static void table_insert_locked(BufPool *p, uint32_t bucket, BufFrame *f, uint64_t id)
{
    atomic_store_explicit(&f->next, atomic_load_explicit(&p->buckets[bucket], memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&f->page_id, id, memory_order_release);
    /* Release: a reader that finds the frame through the bucket sees its page id and next. */
    atomic_store_explicit(&p->buckets[bucket], frame_index(f), memory_order_release);
}

static void table_remove(BufPool *p, BufFrame *f)
{
    uint64_t id = atomic_load_explicit(&f->page_id, memory_order_relaxed);
    uint32_t bucket = bucket_of(p, id);
    uint32_t self = frame_index(f);
    spin_lock(bucket_lock(p, bucket));
    _Atomic uint32_t *link = &p->buckets[bucket];
    while (atomic_load_explicit(link, memory_order_relaxed) != self) {
        uint32_t i = atomic_load_explicit(link, memory_order_relaxed);
        ASSERT(i != FRAME_NIL);
        link = &p->frames[i].next;
    }
    atomic_store_explicit(link, atomic_load_explicit(&f->next, memory_order_relaxed), memory_order_release);
    atomic_store_explicit(&f->page_id, FRAME_NO_PAGE, memory_order_release);
    spin_unlock(bucket_lock(p, bucket));
}

/* ---- versions of pages that are not resident ---- */

static BufVersions **orphan_slot(BufPool *p, uint64_t id, SpinLock **out_lock)
{
    uint32_t b = (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % ORPHAN_BUCKETS;
    *out_lock = &p->orphan_lock[b % ARRAY_LEN(p->orphan_lock)];
    return &p->orphans[b];
}

static void orphan_put(BufPool *p, BufVersions *v)
{
    SpinLock *lock;
    BufVersions **head = orphan_slot(p, v->page.v, &lock);
    spin_lock(lock);
    v->next = *head;
    *head = v;
    spin_unlock(lock);
}

static BufVersions *orphan_take(BufPool *p, uint64_t id)
{
    SpinLock *lock;
    BufVersions **at = orphan_slot(p, id, &lock);
    spin_lock(lock);
    while (*at != NULL && (*at)->page.v != id) {
        at = &(*at)->next;
    }
    BufVersions *v = *at;
    if (v != NULL) {
        *at = v->next;
        v->next = NULL;
    }
    spin_unlock(lock);
    return v;
}

BufVersions *buf_versions(const BufFrame *f)
{
    return f->versions;
}

void buf_set_versions(BufFrame *f, BufVersions *v)
{
    ASSERT(buf_latch_mode(f) == LATCH_EXCLUSIVE);
    if (v != NULL) {
        v->page.v = atomic_load_explicit(&f->page_id, memory_order_relaxed);
        v->next = NULL;
    }
    f->versions = v;
}

void store_each_versions(Store *s, void (*fn)(void *arg, BufVersions *v), void *arg)
{
    BufPool *p = &s->pool;
    for (uint32_t i = 0; i < p->n_frames; i++) {
        BufVersions *v = p->frames[i].versions;
        p->frames[i].versions = NULL;
        if (v != NULL) {
            fn(arg, v);
        }
    }
    for (uint32_t i = 0; i < ORPHAN_BUCKETS; i++) {
        while (p->orphans[i] != NULL) {
            BufVersions *v = p->orphans[i];
            p->orphans[i] = v->next;
            fn(arg, v);
        }
    }
}

/* ---- free frames and eviction ---- */

static void free_push(BufPool *p, BufFrame *f)
{
    ASSERT(f->versions == NULL && atomic_load_explicit(&f->rec_lsn, memory_order_relaxed) == 0);
    spin_lock(&p->free_lock);
    atomic_store_explicit(&f->next, p->free_head, memory_order_relaxed);
    p->free_head = frame_index(f);
    atomic_fetch_add_explicit(&p->n_free, 1, memory_order_relaxed);
    spin_unlock(&p->free_lock);
}

static BufFrame *free_pop(BufPool *p)
{
    BufFrame *f = NULL;
    if (atomic_load_explicit(&p->n_free, memory_order_relaxed) == 0) {
        return NULL;
    }
    spin_lock(&p->free_lock);
    if (p->free_head != FRAME_NIL) {
        f = &p->frames[p->free_head];
        p->free_head = atomic_load_explicit(&f->next, memory_order_relaxed);
        atomic_fetch_sub_explicit(&p->n_free, 1, memory_order_relaxed);
    }
    spin_unlock(&p->free_lock);
    return f;
}

/* Empties a frame held exclusively: out of the table, versions kept aside (first, so that whoever reads the page again
 * finds them). */
static void frame_empty(BufFrame *f)
{
    BufPool *p = f->pool;
    if (f->versions != NULL) {
        orphan_put(p, f->versions);
        f->versions = NULL;
    }
    table_remove(p, f);
}

static bool evictable(const BufFrame *f)
{
    return atomic_load_explicit(&f->page_id, memory_order_acquire) != FRAME_NO_PAGE &&
           atomic_load_explicit(&f->rec_lsn, memory_order_acquire) == 0 &&
           atomic_load_explicit(&f->writing, memory_order_acquire) == 0;
}

/* Clock (second chance): one sweep of at most two rounds; returns an exclusively latched empty frame or NULL. */
static BufFrame *clock_evict(BufPool *p)
{
    for (uint32_t n = 0; n < 2 * p->n_frames; n++) {
        BufFrame *f = &p->frames[atomic_fetch_add_explicit(&p->hand, 1, memory_order_relaxed) % p->n_frames];
        if (!evictable(f)) {
            continue;
        }
        if (atomic_load_explicit(&f->referenced, memory_order_relaxed) != 0) {
            atomic_store_explicit(&f->referenced, 0, memory_order_relaxed);
            continue;
        }
        if (!frame_try_exclusive(f)) {
            continue;
        }
        if (evictable(f)) {
            frame_empty(f);
            atomic_fetch_add_explicit(&p->evictions, 1, memory_order_relaxed);
            return f;
        }
        frame_unlatch(f);
    }
    return NULL;
}

/* Nothing is clean: wait for the page writer, or do its work when there is none or it is the caller. */
static Status wait_for_clean(Ctx *cx, Store *s)
{
    atomic_fetch_add_explicit(&s->pool.waits_for_clean, 1, memory_order_relaxed);
    if (store_failed(s) || atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        return store_failed_error(s, cx->err);
    }
    if (writer_is_caller(cx, s)) {
        uint32_t written;
        return writer_try_batch(cx, s, &written);
    }
    mutex_lock(&s->job_mutex);
    cond_signal(&s->writer_cond);
    (void)cond_wait_for(&s->clean_cond, &s->job_mutex, CLEAN_WAIT_US);
    mutex_unlock(&s->job_mutex);
    return ST_OK;
}

/* An empty frame, exclusively latched. */
static Status take_frame(Ctx *cx, Store *s, BufFrame **out_frame)
{
    BufPool *p = &s->pool;
    for (;;) {
        BufFrame *f = free_pop(p);
        if (f != NULL) {
            /* A stale reader may hold the latch for an instant, to find that the page is gone. */
            frame_latch(f, LATCH_EXCLUSIVE);
        } else {
            f = clock_evict(p);
        }
        if (f != NULL) {
            *out_frame = f;
            return ST_OK;
        }
        Status st = wait_for_clean(cx, s);
        if (st != ST_OK) {
            return st;
        }
    }
}

static void give_frame_back(BufFrame *f)
{
    frame_unlatch(f);
    free_push(f->pool, f);
}

/* ---- reading ---- */

static Status corrupted(Ctx *cx, PageId id, ObjId object, const char *what)
{
    Status st = err_set(cx->err, ST_CORRUPTED, "page %u:%llu is corrupted: %s", page_space(id),
                        (unsigned long long)page_number(id), what);
    if (object.v != 0) {
        err_detail(cx->err, "The page belongs to object %llu.", (unsigned long long)object.v);
    }
    err_hint(cx->err, "Run \"rustdb check\" on the data directory and restore the object from a backup.");
    return st;
}

static Status read_page(Ctx *cx, Store *s, BufFrame *f, PageId id)
{
    SYNC_POINT("buf.read");
    if (page_space(id) != SPACE_MAIN) {
        return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "space %u does not exist", page_space(id));
    }
    Status st = file_read(s->data, f->page, PAGE_BYTES, page_number(id) * PAGE_BYTES, cx->err);
    if (st == ST_END) {
        err_clear(cx->err);
        return corrupted(cx, id, OBJ_NONE, "it lies beyond the end of the file");
    }
    return st;
}

static Status verify_page(Ctx *cx, Store *s, const BufFrame *f, PageId id, ObjId object)
{
    if (!page_valid(f->page, id)) {
        return corrupted(cx, id, object, page_all_zero(f->page) ? "it was never written" : "wrong checksum");
    }
    if (page_header_const(f->page)->lsn > wal_end(s).v) {
        /* Data file and log are not of the same time. Writing such a page would wait for a log position far away. */
        return corrupted(cx, id, object, "it is newer than the log");
    }
    return ST_OK;
}

typedef enum FixHow { FIX_READ, FIX_ZERO, FIX_REDO } FixHow;

/* The page is not resident as far as we saw: makes it so. ST_RETRY when somebody else did. Frame exclusively latched. */
static Status fix_miss(Ctx *cx, Store *s, PageId id, ObjId object, FixHow how, BufFrame **out_frame, bool *out_valid)
{
    BufPool *p = &s->pool;
    BufFrame *f;
    Status st = take_frame(cx, s, &f);
    if (st != ST_OK) {
        return st;
    }
    uint32_t bucket = bucket_of(p, id.v);
    spin_lock(bucket_lock(p, bucket));
    if (table_find(p, bucket, id.v, true) != NULL) {
        spin_unlock(bucket_lock(p, bucket));
        give_frame_back(f);
        return ST_RETRY;
    }
    table_insert_locked(p, bucket, f, id.v);
    spin_unlock(bucket_lock(p, bucket));
    atomic_fetch_add_explicit(&p->misses, 1, memory_order_relaxed);
    if (how == FIX_ZERO) {
        memset(f->page, 0, PAGE_BYTES);
    } else {
        st = read_page(cx, s, f, id);
        if (how == FIX_REDO && (st == ST_OK || st == ST_CORRUPTED)) {
            if (st == ST_CORRUPTED) {
                /* Beyond the end of the file: as if never written. */
                err_clear(cx->err);
                memset(f->page, 0, PAGE_BYTES);
            }
            *out_valid = st == ST_OK && page_valid(f->page, id);
            st = ST_OK;
        } else if (st == ST_OK) {
            st = verify_page(cx, s, f, id, object);
        }
    }
    if (st != ST_OK) {
        table_remove(p, f);
        give_frame_back(f);
        return st;
    }
    f->versions = orphan_take(p, id.v);
    atomic_store_explicit(&f->referenced, 1, memory_order_relaxed);
    *out_frame = f;
    return ST_OK;
}

static Status check_owner(Ctx *cx, BufFrame *f, PageId id, ObjId object)
{
    if (object.v == 0 || page_header_const(f->page)->object == object.v) {
        return ST_OK;
    }
    return corrupted(cx, id, object, "it belongs to another object");
}

/* The resident frame latched in `mode`, or NULL: not resident (or, with `try_only`, latched: *out_busy). */
static BufFrame *fix_resident(BufPool *p, PageId id, LatchMode mode, bool try_only, bool *out_busy)
{
    BufFrame *f = table_find(p, bucket_of(p, id.v), id.v, false);
    if (f == NULL) {
        return NULL;
    }
    if (!try_only) {
        frame_latch(f, mode);
    } else if (!(mode == LATCH_SHARED ? frame_try_shared(f) : frame_try_exclusive(f))) {
        *out_busy = true;
        return NULL;
    }
    if (UNLIKELY(atomic_load_explicit(&f->page_id, memory_order_relaxed) != id.v)) {
        frame_unlatch(f);
        return NULL;
    }
    if (atomic_load_explicit(&f->referenced, memory_order_relaxed) == 0) {
        atomic_store_explicit(&f->referenced, 1, memory_order_relaxed);
    }
    return f;
}

static Status fix(Ctx *cx, Store *s, PageId id, ObjId object, LatchMode mode, bool try_only, BufFrame **out_frame)
{
    for (;;) {
        bool busy = false;
        BufFrame *f = fix_resident(&s->pool, id, mode, try_only, &busy);
        if (busy) {
            return ST_WOULD_BLOCK;
        }
        if (f == NULL) {
            Status st = fix_miss(cx, s, id, object, FIX_READ, &f, NULL);
            if (st == ST_RETRY) {
                continue;
            }
            if (st != ST_OK) {
                return st;
            }
            if (mode == LATCH_SHARED) {
                buf_downgrade(f);
            }
        } else {
            struct BufHits *hits = &s->pool.hits[os_thread_index() % BUF_HIT_STRIPES];
            atomic_fetch_add_explicit(&hits->n, 1, memory_order_relaxed);
        }
        Status st = check_owner(cx, f, id, object);
        if (st != ST_OK) {
            frame_unlatch(f);
            return st;
        }
        *out_frame = f;
        return ST_OK;
    }
}

Status buf_fix(Ctx *cx, Store *s, PageId id, ObjId object, LatchMode mode, BufFrame **out_frame)
{
    return fix(cx, s, id, object, mode, false, out_frame);
}

Status buf_try_fix(Ctx *cx, Store *s, PageId id, ObjId object, LatchMode mode, BufFrame **out_frame)
{
    return fix(cx, s, id, object, mode, true, out_frame);
}

Status buf_fix_new(Ctx *cx, Store *s, PageId id, BufFrame **out_frame)
{
    for (;;) {
        bool busy = false;
        BufFrame *f = fix_resident(&s->pool, id, LATCH_EXCLUSIVE, false, &busy);
        if (f != NULL) {
            ASSERT(f->versions == NULL);
            memset(f->page, 0, PAGE_BYTES);
            *out_frame = f;
            return ST_OK;
        }
        Status st = fix_miss(cx, s, id, OBJ_NONE, FIX_ZERO, out_frame, NULL);
        if (st != ST_RETRY) {
            return st;
        }
    }
}

Status buf_fix_redo(Ctx *cx, Store *s, PageId id, BufFrame **out_frame, bool *out_valid)
{
    for (;;) {
        bool busy = false;
        BufFrame *f = fix_resident(&s->pool, id, LATCH_EXCLUSIVE, false, &busy);
        if (f != NULL) {
            *out_valid = page_header_const(f->page)->type != PAGE_FREE;
            *out_frame = f;
            return ST_OK;
        }
        Status st = fix_miss(cx, s, id, OBJ_NONE, FIX_REDO, out_frame, out_valid);
        if (st != ST_RETRY) {
            return st;
        }
    }
}

void buf_drop(BufFrame *f)
{
    ASSERT(buf_latch_mode(f) == LATCH_EXCLUSIVE && f->versions == NULL);
    ASSERT(atomic_load_explicit(&f->rec_lsn, memory_order_relaxed) == 0);
    table_remove(f->pool, f);
    give_frame_back(f);
}

void buf_discard(Store *s, PageId id)
{
    bool busy = false;
    BufFrame *f = fix_resident(&s->pool, id, LATCH_EXCLUSIVE, false, &busy);
    if (f == NULL) {
        return;
    }
    if (atomic_load_explicit(&f->writing, memory_order_acquire) != 0) {
        /* The writer has a copy in flight; it ends without needing our latch (P4). */
        mutex_lock(&s->job_mutex);
        while (atomic_load_explicit(&f->writing, memory_order_acquire) != 0) {
            (void)cond_wait_for(&s->clean_cond, &s->job_mutex, CLEAN_WAIT_US);
        }
        mutex_unlock(&s->job_mutex);
    }
    ASSERT(f->versions == NULL);
    if (atomic_exchange_explicit(&f->rec_lsn, 0, memory_order_acq_rel) != 0) {
        atomic_fetch_sub_explicit(&s->pool.n_dirty, 1, memory_order_relaxed);
    }
    buf_drop(f);
}

void buf_unfix(BufFrame *f)
{
    frame_unlatch(f);
}

uint8_t *buf_page(BufFrame *f)
{
    return f->page;
}

PageId buf_page_id(const BufFrame *f)
{
    return (PageId){atomic_load_explicit(&f->page_id, memory_order_relaxed)};
}

Lsn buf_page_lsn(const BufFrame *f)
{
    return (Lsn){page_header_const(f->page)->lsn};
}

void buf_mark_dirty(BufFrame *f)
{
    ASSERT(buf_latch_mode(f) == LATCH_EXCLUSIVE);
    if (atomic_load_explicit(&f->rec_lsn, memory_order_relaxed) == 0) {
        buf_mark_dirty_at(f, (Lsn){atomic_load_explicit(&f->pool->store->wal.reserved, memory_order_seq_cst)});
    }
}

void buf_mark_dirty_at(BufFrame *f, Lsn lsn)
{
    uint64_t rec = 0;
    /*
     * Before the record is reserved (seq_cst with it): a checkpoint that begins after the record's start sees it. Not a
     * plain store: the writer may be taking back a failed batch, and its older position must stay.
     */
    if (atomic_compare_exchange_strong_explicit(&f->rec_lsn, &rec, lsn.v, memory_order_seq_cst, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&f->pool->n_dirty, 1, memory_order_relaxed);
    }
}

void buf_hint_dirty(BufFrame *f)
{
    buf_mark_dirty(f);
}

/* ---- optimistic ---- */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define RDB_NO_OPTIMISTIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define RDB_NO_OPTIMISTIC 1
#endif
#endif

bool buf_opt_begin(Store *s, PageId id, BufOpt *out)
{
#ifdef RDB_NO_OPTIMISTIC
    (void)s, (void)id, (void)out;
    return false;
#else
    BufFrame *f = table_find(&s->pool, bucket_of(&s->pool, id.v), id.v, false);
    if (f == NULL) {
        return false;
    }
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_acquire);
    if ((w & LATCH_EXCL) != 0 || atomic_load_explicit(&f->page_id, memory_order_acquire) != id.v) {
        return false;
    }
    out->frame = f;
    out->page = f->page;
    out->version = w / LATCH_VERSION_ONE;
    return true;
#endif
}

bool buf_opt_valid(const BufOpt *o)
{
#ifdef RDB_NO_OPTIMISTIC
    (void)o;
    return false;
#else
    /* The fence orders the reads of the page before the second look at the word (seqlock, Boehm 2012). */
    atomic_thread_fence(memory_order_acquire);
    uint64_t w = atomic_load_explicit(&o->frame->latch, memory_order_relaxed);
    return (w & LATCH_EXCL) == 0 && w / LATCH_VERSION_ONE == o->version;
#endif
}

void buf_stats(Store *s, BufStats *out)
{
    BufPool *p = &s->pool;
    uint64_t hits = 0;
    for (size_t i = 0; i < ARRAY_LEN(p->hits); i++) {
        hits += atomic_load_explicit(&p->hits[i].n, memory_order_relaxed);
    }
    *out = (BufStats){
        .hits = hits,
        .misses = atomic_load_explicit(&p->misses, memory_order_relaxed),
        .evictions = atomic_load_explicit(&p->evictions, memory_order_relaxed),
        .writes = atomic_load_explicit(&p->writes, memory_order_relaxed),
        .waits_for_clean = atomic_load_explicit(&p->waits_for_clean, memory_order_relaxed),
        .frames = p->n_frames,
        .dirty = atomic_load_explicit(&p->n_dirty, memory_order_relaxed),
        .free_frames = atomic_load_explicit(&p->n_free, memory_order_relaxed),
    };
}
