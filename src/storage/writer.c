/*
 * storage/writer.c: the page writer: cleans frames, batch by batch, through the doublewrite area.
 *
 * A batch: copy up to 64 dirty pages under their shared latches; make the log durable up to the newest of their LSNs; write the
 * copies to the doublewrite file and sync; write them in place and sync. Until the last sync the frames are marked
 * `writing` (not evictable) and the batch remembers their first-dirty LSNs, so that a checkpoint cannot pass them.
 *
 * P1  A page is in place only after its log is durable (S3) and its copy is durable in the doublewrite area: a torn
 *     page always has a good copy.
 * P2  The area is overwritten only after the pages of the batch before are synced in place.
 * P3  One batch at a time (writer.mutex).
 * P4  A batch waits for the log and the disk, never for a latch: whoever holds one may be waiting for a clean frame, or,
 *     throwing a page away, for the batch to end.
 */
#include "storage/storage_int.h"
#include "storage/wal_format.h"

#define DW_MAGIC UINT64_C(0x3157444254535552)
enum { DW_BYTES = 4096 + DW_PAGES * PAGE_BYTES, WRITER_IDLE_US = 100000, REPEAT_US = 10000000 };

static uint8_t *copy_of(const Store *s, uint32_t i)
{
    return s->writer.buffer + 4096 + (size_t)i * PAGE_BYTES;
}

/* ---- choosing and copying ---- */

/* Takes a copy of a dirty frame; false when it is clean, latched, being written, or dirty only since `below`. */
static bool take_copy(Store *s, BufFrame *f, Lsn below)
{
    Writer *wr = &s->writer;
    uint64_t rec = atomic_load_explicit(&f->rec_lsn, memory_order_acquire);
    if (rec == 0 || rec >= below.v) {
        return false;
    }
    if (!frame_try_shared(f)) { /* P4 */
        return false;
    }
    /* Only this thread cleans (P3), so rec_lsn can only have gone from zero to something meanwhile. */
    rec = atomic_load_explicit(&f->rec_lsn, memory_order_acquire);
    if (rec == 0) {
        frame_unlatch(f);
        return false;
    }
    memcpy(copy_of(s, wr->n), f->page, PAGE_BYTES);
    wr->frames[wr->n] = f;
    wr->rec_lsns[wr->n].v = rec;
    wr->ids[wr->n].v = atomic_load_explicit(&f->page_id, memory_order_relaxed);
    wr->n++;
    atomic_store_explicit(&f->writing, 1, memory_order_release);
    atomic_store_explicit(&f->rec_lsn, 0, memory_order_release);
    atomic_fetch_sub_explicit(&s->pool.n_dirty, 1, memory_order_relaxed);
    frame_unlatch(f);
    return true;
}

static void collect(Store *s, Lsn below)
{
    Writer *wr = &s->writer;
    BufPool *p = &s->pool;
    wr->n = 0;
    for (uint32_t i = 0; i < p->n_frames && wr->n < DW_PAGES; i++) {
        (void)take_copy(s, &p->frames[wr->sweep], below);
        wr->sweep = (wr->sweep + 1) % p->n_frames;
    }
}

/* ---- writing ---- */

static Lsn newest_lsn(Store *s)
{
    Lsn lsn = LSN_NONE;
    for (uint32_t i = 0; i < s->writer.n; i++) {
        lsn = lsn_max(lsn, (Lsn){page_header_const(copy_of(s, i))->lsn});
    }
    return lsn;
}

static Status write_doublewrite(Ctx *cx, Store *s)
{
    Writer *wr = &s->writer;
    DwHeader *h = (DwHeader *)(void *)wr->buffer;
    memset(wr->buffer, 0, 4096);
    h->magic = DW_MAGIC;
    h->n = wr->n;
    h->sequence = ++wr->sequence;
    for (uint32_t i = 0; i < wr->n; i++) {
        page_set_checksum(copy_of(s, i));
        h->ids[i] = wr->ids[i].v;
        h->checksums[i] = page_header_const(copy_of(s, i))->checksum;
    }
    h->checksum = wal_hash(h, offsetof(DwHeader, checksum));
    Status st = file_write(wr->dw, wr->buffer, 4096 + (size_t)wr->n * PAGE_BYTES, 0, cx->err);
    return st == ST_OK ? file_sync(wr->dw, cx->err) : st;
}

static Status write_in_place(Ctx *cx, Store *s)
{
    Writer *wr = &s->writer;
    IoReq reqs[DW_PAGES];
    Status st = ST_OK;
    for (uint32_t i = 0; i < wr->n; i++) {
        reqs[i] = (IoReq){.op = IO_WRITE,
                          .file = s->data,
                          .buf = copy_of(s, i),
                          .len = PAGE_BYTES,
                          .offset = page_number(wr->ids[i]) * PAGE_BYTES};
        ioq_submit(wr->io, &reqs[i]);
    }
    for (uint32_t i = 0; i < wr->n; i++) {
        IoReq *done = ioq_next(wr->io, true);
        if (st == ST_OK && done->status != ST_OK) {
            st = ioq_error(done, cx->err);
        }
    }
    SYNC_POINT("writer.before_sync");
    return st == ST_OK ? file_sync(s->data, cx->err) : st;
}

static Status write_batch(Ctx *cx, Store *s)
{
    Status st = wal_wait(cx, s, newest_lsn(s));
    if (st != ST_OK) {
        return st;
    }
    st = write_doublewrite(cx, s);
    if (st == ST_OK) {
        st = write_in_place(cx, s);
    }
    if (st != ST_OK) {
        /* The files do not take our pages: nothing new is admitted. */
        store_set_read_only(s, cx->err);
    }
    return st;
}

/* The pages of a failed batch are as dirty as before. Without latching them: P4. */
static void take_back(Store *s)
{
    Writer *wr = &s->writer;
    for (uint32_t i = 0; i < wr->n; i++) {
        BufFrame *f = wr->frames[i];
        uint64_t was = wr->rec_lsns[i].v;
        uint64_t rec = atomic_load_explicit(&f->rec_lsn, memory_order_relaxed);
        while ((rec == 0 || rec > was) && !atomic_compare_exchange_weak_explicit(
                                              &f->rec_lsn, &rec, was, memory_order_seq_cst, memory_order_relaxed)) {
        }
        if (rec == 0) {
            atomic_fetch_add_explicit(&s->pool.n_dirty, 1, memory_order_relaxed);
        }
    }
}

/* Caller holds writer.mutex, which is released. */
static Status batch_locked(Ctx *cx, Store *s, Lsn below, uint32_t *out_written)
{
    Writer *wr = &s->writer;
    Status st = ST_OK;
    wr->n = 0;
    if (store_failed(s) || atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        st = store_failed_error(s, cx->err);
    } else {
        collect(s, below);
        st = wr->n > 0 ? write_batch(cx, s) : ST_OK;
    }
    if (st != ST_OK) {
        take_back(s);
    }
    for (uint32_t i = 0; i < wr->n; i++) {
        atomic_store_explicit(&wr->frames[i]->writing, 0, memory_order_release);
    }
    atomic_fetch_add_explicit(&s->pool.writes, wr->n, memory_order_relaxed);
    *out_written = st == ST_OK ? wr->n : 0;
    mutex_unlock(&wr->mutex);
    mutex_lock(&s->job_mutex);
    cond_broadcast(&s->clean_cond);
    mutex_unlock(&s->job_mutex);
    return st;
}

Status writer_batch(Ctx *cx, Store *s, Lsn below, uint32_t *out_written)
{
    mutex_lock(&s->writer.mutex);
    return batch_locked(cx, s, below, out_written);
}

Status writer_try_batch(Ctx *cx, Store *s, uint32_t *out_written)
{
    *out_written = 0;
    if (!mutex_try_lock(&s->writer.mutex)) {
        os_yield();
        return ST_OK;
    }
    return batch_locked(cx, s, LSN_MAX, out_written);
}

bool writer_is_caller(const Ctx *cx, const Store *s)
{
    return !s->threads_running || cx == &s->writer.cx;
}

Status store_help(Ctx *cx, Store *s)
{
    uint32_t written = 0;
    Status st = store_state(s, cx->err);
    if (st == ST_OK) {
        st = writer_batch(cx, s, LSN_MAX, &written);
    }
    if (st == ST_OK && written == 0) {
        os_sleep_us(50);
    }
    return st;
}

/* ---- after a crash ---- */

/* Puts the good copies of the last batch in the place of torn pages. */
Status dw_restore(Ctx *cx, Store *s)
{
    Writer *wr = &s->writer;
    uint64_t size;
    Status st = file_size(wr->dw, cx->err, &size);
    if (st != ST_OK || size < DW_BYTES) {
        return st;
    }
    st = file_read(wr->dw, wr->buffer, DW_BYTES, 0, cx->err);
    if (st != ST_OK) {
        return st;
    }
    DwHeader h;
    memcpy(&h, wr->buffer, sizeof h);
    if (h.magic != DW_MAGIC || h.n > DW_PAGES || h.checksum != wal_hash(&h, offsetof(DwHeader, checksum))) {
        return ST_OK;
    }
    wr->sequence = h.sequence;
    uint64_t data_bytes;
    st = file_size(s->data, cx->err, &data_bytes);
    uint8_t *page = vmem_alloc(s->budget, PAGE_BYTES);
    if (page == NULL) {
        return ctx_nomem(cx, PAGE_BYTES);
    }
    uint32_t restored = 0;
    for (uint32_t i = 0; i < h.n && st == ST_OK; i++) {
        PageId id = {h.ids[i]};
        uint64_t at = page_number(id) * PAGE_BYTES;
        const uint8_t *copy = copy_of(s, i);
        if (page_header_const(copy)->checksum != h.checksums[i] || !page_valid(copy, id) ||
            at + PAGE_BYTES > data_bytes) {
            continue;
        }
        st = file_read(s->data, page, PAGE_BYTES, at, cx->err);
        /* All zero is not torn: freed and punched since, or never in place, then its first record is still in the log. */
        if (st == ST_OK && !page_valid(page, id) && !page_all_zero(page)) {
            st = file_write(s->data, copy, PAGE_BYTES, at, cx->err);
            restored++;
        }
    }
    vmem_free(s->budget, page, PAGE_BYTES);
    if (st == ST_OK && restored > 0) {
        log_line(s->log, LOG_INFO, "recovery: %u torn pages restored from the doublewrite area", restored);
        st = file_sync(s->data, cx->err);
    }
    return st;
}

/* ---- the thread ---- */

Status writer_open(Ctx *cx, Store *s)
{
    Writer *wr = &s->writer;
    mutex_init(&wr->mutex, RANK_DOUBLEWRITE);
    err_clear(&wr->err);
    ctx_init(&wr->cx, &wr->err, &s->job_budget, NULL);
    wr->opened = true;
    wr->buffer = vmem_alloc(s->budget, DW_BYTES);
    if (wr->buffer == NULL) {
        return ctx_nomem(cx, DW_BYTES);
    }
    Status st =
        vfs_open(s->vfs, "doublewrite", FILE_CREATE | (s->config.direct_io ? FILE_DIRECT : 0), cx->err, &wr->dw);
    uint64_t size = 0;
    if (st == ST_OK) {
        st = file_size(wr->dw, cx->err, &size);
    }
    if (st == ST_OK && size < DW_BYTES) {
        st = file_allocate(wr->dw, 0, DW_BYTES, cx->err);
        if (st == ST_OK) {
            st = file_sync(wr->dw, cx->err);
        }
    }
    return st == ST_OK ? ioq_new(s->vfs, DW_PAGES, cx->err, &wr->io) : st;
}

void writer_close(Store *s)
{
    Writer *wr = &s->writer;
    if (!wr->opened) {
        return;
    }
    ioq_free(wr->io);
    file_close(wr->dw);
    if (wr->buffer != NULL) {
        vmem_free(s->budget, wr->buffer, DW_BYTES);
    }
    mutex_done(&wr->mutex);
}

void writer_kick(Store *s)
{
    mutex_lock(&s->job_mutex);
    cond_signal(&s->writer_cond);
    mutex_unlock(&s->job_mutex);
}

/* Half of the pool stays replaceable without waiting, as long as the disk keeps up. */
static bool needs_cleaning(Store *s)
{
    return atomic_load_explicit(&s->pool.n_dirty, memory_order_relaxed) > s->pool.n_frames / 2;
}

/* Logs a step's failure, the same one not more often than every ten seconds. Returns whether there was none. */
static bool step_ok(Ctx *cx, Store *s, Status st)
{
    Writer *wr = &s->writer;
    if (st == ST_OK) {
        return true;
    }
    int64_t now = os_monotonic_us();
    if (st != ST_CRASH_SHUTDOWN && (st != wr->said || now - wr->said_us >= REPEAT_US)) {
        log_error(s->log, LOG_WARNING, cx->err, "background writing");
        wr->said = st;
        wr->said_us = now;
    }
    err_clear(cx->err);
    return false;
}

/*
 * One turn of everything the page writer does; false when there is no point in another one at once. A step that fails does
 * not keep the others from their turn: on a full disk it is the checkpoint that makes room for the log.
 */
static bool writer_round(Ctx *cx, Store *s)
{
    bool ok = true;
    uint32_t written = 1;
    if (store_failed(s) || atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        return false;
    }
    while (ok && written > 0 && needs_cleaning(s)) {
        ok = step_ok(cx, s, writer_batch(cx, s, LSN_MAX, &written));
    }
    ok = step_ok(cx, s, wal_prepare_segments(cx, s, 2)) && ok;
    ok = step_ok(cx, s, space_reclaim(cx, s, false)) && ok;
    if (checkpoint_due(s)) {
        ok = step_ok(cx, s, checkpoint_run(cx, s)) && ok;
    }
    return ok && written > 0 && (needs_cleaning(s) || checkpoint_due(s));
}

void writer_main(void *store)
{
    Store *s = store;
    Writer *wr = &s->writer;
    mutex_lock(&s->job_mutex);
    while (!atomic_load_explicit(&s->stop, memory_order_acquire)) {
        mutex_unlock(&s->job_mutex);
        bool again = writer_round(&wr->cx, s);
        epoch_poll(s->epoch);
        mutex_lock(&s->job_mutex);
        if (!again && !atomic_load_explicit(&s->stop, memory_order_acquire)) {
            (void)cond_wait_for(&s->writer_cond, &s->job_mutex, WRITER_IDLE_US);
        }
    }
    mutex_unlock(&s->job_mutex);
}

Status store_tick(Ctx *cx, Store *s)
{
    Status st = wal_flush(cx, s, wal_end(s));
    if (st == ST_OK) {
        (void)writer_round(cx, s);
        epoch_poll(s->epoch);
    }
    return st;
}
