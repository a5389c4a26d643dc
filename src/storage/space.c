/*
 * storage/space.c: extents of the page file: which are free, growing the file, giving freed blocks back.
 *
 * The truth is in the extent map pages (the first page of each group of 640 extents); a bitmap in memory, built at open, says
 * what may be handed out. An extent freed by a record that is not durable yet is in neither: it waits in `pending`
 * until it is, is hole-punched, and only then is free.
 *
 * E1  free_map has a bit set only for extents that are EXTENT_FREE by a durable record (or since open), and that nobody
 *     has taken; taking clears it before the record that gives the extent an owner.
 * E2  An extent is handed out only with its blocks allocated on disk (file_allocate), so writing it cannot fail for space.
 */
#include "storage/storage_int.h"

/* ---- bitmaps ---- */

static bool bit_get(const uint64_t *map, uint32_t i)
{
    return (map[i / 64] >> (i % 64) & 1) != 0;
}
static void bit_set(uint64_t *map, uint32_t i)
{
    map[i / 64] |= UINT64_C(1) << (i % 64);
}
static void bit_clear(uint64_t *map, uint32_t i)
{
    map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* First set bit at or after `from`, or n. */
static uint32_t bit_find(const uint64_t *map, uint32_t from, uint32_t n)
{
    for (uint32_t w = from / 64; w * 64 < n; w++) {
        uint64_t bits = map[w];
        if (w == from / 64) {
            bits &= ~UINT64_C(0) << (from % 64);
        }
        if (bits != 0) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);
            return i < n ? i : n;
        }
    }
    return n;
}

static void set_free_locked(Space *sp, uint32_t extent)
{
    ASSERT(!bit_get(sp->free_map, extent));
    bit_set(sp->free_map, extent);
    sp->n_free++;
    if (extent < sp->free_hint) {
        sp->free_hint = extent;
    }
}

/* Makes the bitmaps (and the pending list) large enough for n extents; only the grower and the opener call it. */
static Status reserve_maps(Ctx *cx, Store *s, uint32_t n)
{
    Space *sp = &s->space;
    size_t words = ((size_t)n + 63) / 64;
    if (words <= sp->map_words) {
        return ST_OK;
    }
    words = words * 2;
    uint64_t *fm = mem_alloc0(s->budget, words * 8);
    uint64_t *sm = fm != NULL ? mem_alloc0(s->budget, words * 8) : NULL;
    PendingExtent *pending = sm != NULL ? mem_alloc(s->budget, words * 64 * sizeof *pending) : NULL;
    if (pending == NULL) {
        mem_free(s->budget, fm, fm != NULL ? words * 8 : 0);
        mem_free(s->budget, sm, sm != NULL ? words * 8 : 0);
        return ctx_nomem(cx, words * 16);
    }
    uint64_t *old_fm = sp->free_map;
    uint64_t *old_sm = sp->shared_map;
    PendingExtent *old_pending = sp->pending.v;
    size_t old_words = sp->map_words;
    size_t old_cap = sp->pending.cap;
    spin_lock(&sp->lock);
    if (old_words > 0) {
        memcpy(fm, sp->free_map, old_words * 8);
        memcpy(sm, sp->shared_map, old_words * 8);
        memcpy(pending, sp->pending.v, sp->pending.n * sizeof *pending);
    }
    sp->free_map = fm;
    sp->shared_map = sm;
    sp->map_words = words;
    sp->pending.v = pending;
    sp->pending.cap = words * 64;
    spin_unlock(&sp->lock);
    mem_free(s->budget, old_fm, old_words * 8);
    mem_free(s->budget, old_sm, old_words * 8);
    mem_free(s->budget, old_pending, old_cap * sizeof *pending);
    return ST_OK;
}

/* ---- loading ---- */

static Status bad_extent_map(Ctx *cx, uint32_t first)
{
    Status st = err_set(cx->err, ST_CORRUPTED, "page %llu, the map of the extents from %u on, is corrupted",
                        (unsigned long long)extent_map_page(first).v, first);
    err_hint(cx->err,
             "Restore the data directory from a backup: without this page it is not known which space is free.");
    return st;
}

static void note_entry(Space *sp, uint32_t extent, ExtentEntry e)
{
    if (e.state == EXTENT_FREE) {
        set_free_locked(sp, extent);
    } else if (e.state == EXTENT_SHARED && ~e.used != 0) {
        bit_set(sp->shared_map, extent);
    }
}

/*
 * Reads the map of the n extents from `first` on. *out_there false: there is none, the file had grown but the map's first
 * record was lost. A damaged map must not be taken for that: all its extents would be given away.
 */
static Status load_map(Ctx *cx, Store *s, uint32_t first, uint32_t n, bool *out_there)
{
    BufFrame *f;
    bool valid;
    Status st = buf_fix_redo(cx, s, extent_map_page(first), &f, &valid);
    if (st != ST_OK) {
        return st;
    }
    const uint8_t *page = buf_page(f);
    *out_there = valid;
    if (valid ? page_header_const(page)->type != PAGE_EXTENT_MAP : !page_all_zero(page)) {
        st = bad_extent_map(cx, first);
    }
    for (uint32_t i = 0; st == ST_OK && valid && i < n; i++) {
        note_entry(&s->space, first + i, extent_entry(page, first + i));
    }
    if (valid) {
        buf_unfix(f);
    } else {
        buf_drop(f);
    }
    return st;
}

Status space_load(Ctx *cx, Store *s)
{
    Space *sp = &s->space;
    uint64_t bytes;
    Status st = file_size(s->data, cx->err, &bytes);
    if (st != ST_OK) {
        return st;
    }
    uint32_t total = (uint32_t)(bytes / ((uint64_t)EXTENT_PAGES * PAGE_BYTES));
    st = reserve_maps(cx, s, total + 64);
    uint32_t first = 0;
    while (st == ST_OK && first < total) {
        uint32_t n = total - first < MAP_EXTENTS ? total - first : MAP_EXTENTS;
        bool there = true;
        st = load_map(cx, s, first, n, &there);
        if (st == ST_OK && !there) {
            /* The file had grown but its new map was not logged: as if it had not. Possible for the last map only. */
            st = n == MAP_EXTENTS && first + n < total ? bad_extent_map(cx, first) : ST_OK;
            break;
        }
        first += n;
    }
    sp->n_extents = first;
    return st;
}

void space_done(Store *s)
{
    Space *sp = &s->space;
    mem_free(s->budget, sp->free_map, sp->map_words * 8);
    mem_free(s->budget, sp->shared_map, sp->map_words * 8);
    VEC_DONE(&sp->pending);
}

/* ---- growing ---- */

/* Logs a new group's map: all free but the first extent, which holds the map. */
static Status init_map(Ctx *cx, Store *s, uint32_t first)
{
    uint8_t data[EXTENT_CHANGE_BYTES];
    StoreOp op;
    OpNeed need = {.wal_bytes = wal_record_bytes(1, sizeof data), .frames = 1};
    BufFrame *f;
    Status st = op_begin(cx, s, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix_new(cx, s, extent_map_page(first), &f);
    if (st == ST_OK) {
        extent_change(data, first, EXTENT_SYSTEM, 0, 1);
        LogPage lp = {.frame = f, .redo = REDO_EXTENT_MAP, .flags = WAL_PAGE_INIT, .data = data, .len = sizeof data};
        (void)store_log(&op, WAL_SPACE, 0, TXN_NONE, &lp, 1, NULL, 0);
        buf_unfix(f);
    }
    op_end(&op);
    return st;
}

/*
 * The file's new size is durable before the log can give its extents to anybody: else a crash leaves extents that have an
 * owner beyond the end of the file, and growing would give them away again. Between batches of the page writer: a failure
 * reported here could be one of its writes'.
 */
static Status allocate_durably(Ctx *cx, Store *s, uint64_t offset, uint64_t bytes)
{
    Status st = file_allocate(s->data, offset, bytes, cx->err);
    if (st != ST_OK) {
        return st;
    }
    mutex_lock(&s->writer.mutex);
    st = file_sync(s->data, cx->err);
    if (st != ST_OK) {
        store_set_read_only(s, cx->err);
    }
    mutex_unlock(&s->writer.mutex);
    return st;
}

static Status grow_by(Ctx *cx, Store *s, uint32_t n)
{
    Space *sp = &s->space;
    const uint64_t extent_bytes = (uint64_t)EXTENT_PAGES * PAGE_BYTES;
    uint32_t from = sp->n_extents;
    uint32_t group_end = (from / MAP_EXTENTS + 1) * MAP_EXTENTS;
    uint32_t to = from + n < group_end ? from + n : group_end;
    if ((uint64_t)to * EXTENT_PAGES > PAGE_NO_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "the data file has reached its largest size");
    }
    Status st = reserve_maps(cx, s, to);
    if (st == ST_OK) {
        st = allocate_durably(cx, s, from * extent_bytes, (to - from) * extent_bytes);
    }
    if (st == ST_OK && from % MAP_EXTENTS == 0) {
        st = init_map(cx, s, from);
    }
    if (st != ST_OK) {
        return st;
    }
    spin_lock(&sp->lock);
    for (uint32_t i = from % MAP_EXTENTS == 0 ? from + 1 : from; i < to; i++) {
        set_free_locked(sp, i);
    }
    sp->n_extents = to;
    spin_unlock(&sp->lock);
    return ST_OK;
}

static Status grow(Ctx *cx, Store *s)
{
    Space *sp = &s->space;
    mutex_lock(&sp->grow_mutex);
    spin_lock(&sp->lock);
    bool enough = sp->n_free > 0;
    spin_unlock(&sp->lock);
    Status st = ST_OK;
    if (!enough) {
        st = grow_by(cx, s, s->config.grow_extents);
        if (st == ST_DISK_FULL && s->config.grow_extents > 2) {
            err_clear(cx->err);
            st = grow_by(cx, s, 2);
        }
    }
    mutex_unlock(&sp->grow_mutex);
    return st;
}

/* ---- taking and giving back ---- */

static bool take_free(Space *sp, uint32_t *out_extent)
{
    spin_lock(&sp->lock);
    uint32_t i = bit_find(sp->free_map, sp->free_hint, sp->n_extents);
    bool found = i < sp->n_extents;
    sp->free_hint = i;
    if (found) {
        bit_clear(sp->free_map, i);
        sp->n_free--;
        *out_extent = i;
    }
    spin_unlock(&sp->lock);
    return found;
}

Status space_take_extent(Ctx *cx, Store *s, uint32_t *out_extent)
{
    const uint64_t extent_bytes = (uint64_t)EXTENT_PAGES * PAGE_BYTES;
    uint32_t extent;
    while (!take_free(&s->space, &extent)) {
        Status st = space_reclaim(cx, s, false);
        spin_lock(&s->space.lock);
        bool some = s->space.n_free > 0;
        bool pending = s->space.pending.n > 0;
        spin_unlock(&s->space.lock);
        if (st == ST_OK && !some) {
            st = grow(cx, s);
            if (st == ST_DISK_FULL && pending) {
                /* Freed extents wait for the log: with them it may go. */
                err_clear(cx->err);
                st = space_reclaim(cx, s, true);
            }
        }
        if (st != ST_OK) {
            return st;
        }
    }
    /* It may have been punched, now or before a restart. Cheap where the blocks are there. */
    Status st = file_allocate(s->data, extent * extent_bytes, extent_bytes, cx->err);
    if (st != ST_OK) {
        space_untake_extent(s, extent);
        return st;
    }
    *out_extent = extent;
    return ST_OK;
}

void space_untake_extent(Store *s, uint32_t extent)
{
    spin_lock(&s->space.lock);
    set_free_locked(&s->space, extent);
    spin_unlock(&s->space.lock);
}

bool space_is_free(Store *s, uint32_t extent)
{
    spin_lock(&s->space.lock);
    bool is_free = bit_get(s->space.free_map, extent);
    spin_unlock(&s->space.lock);
    return is_free;
}

void space_pend_extent(Store *s, uint32_t extent, Lsn lsn)
{
    Space *sp = &s->space;
    spin_lock(&sp->lock);
    ASSERT(sp->pending.n < sp->pending.cap);
    sp->pending.v[sp->pending.n++] = (PendingExtent){extent, lsn};
    spin_unlock(&sp->lock);
}

static bool take_pending(Store *s, Lsn durable, PendingExtent *out)
{
    Space *sp = &s->space;
    bool found = false;
    spin_lock(&sp->lock);
    for (size_t i = 0; i < sp->pending.n && !found; i++) {
        if (lsn_le(sp->pending.v[i].lsn, durable)) {
            *out = sp->pending.v[i];
            sp->pending.v[i] = sp->pending.v[--sp->pending.n];
            found = true;
        }
    }
    spin_unlock(&sp->lock);
    return found;
}

Status space_reclaim(Ctx *cx, Store *s, bool wait)
{
    const uint64_t extent_bytes = (uint64_t)EXTENT_PAGES * PAGE_BYTES;
    PendingExtent p;
    if (wait) {
        Status st = wal_wait(cx, s, wal_end(s));
        if (st != ST_OK) {
            return st;
        }
    }
    Lsn durable = wal_durable(s);
    while (take_pending(s, durable, &p)) {
        SYNC_POINT("space.before_punch");
        Status st = file_punch(s->data, p.extent * extent_bytes, extent_bytes, cx->err);
        if (st != ST_OK) {
            /* Keeping the blocks is no harm. */
            log_error(s->log, LOG_WARNING, cx->err, "giving the blocks of a freed extent back");
            err_clear(cx->err);
        }
        space_untake_extent(s, p.extent);
    }
    return ST_OK;
}

/* ---- shared extents ---- */

bool space_shared_candidate(Store *s, uint32_t *out_extent)
{
    Space *sp = &s->space;
    spin_lock(&sp->lock);
    uint32_t i = bit_find(sp->shared_map, sp->shared_hint, sp->n_extents);
    sp->shared_hint = i;
    bool found = i < sp->n_extents;
    spin_unlock(&sp->lock);
    *out_extent = i;
    return found;
}

void space_set_shared(Store *s, uint32_t extent, bool has_room)
{
    Space *sp = &s->space;
    spin_lock(&sp->lock);
    if (has_room) {
        bit_set(sp->shared_map, extent);
        if (extent < sp->shared_hint) {
            sp->shared_hint = extent;
        }
    } else {
        bit_clear(sp->shared_map, extent);
    }
    spin_unlock(&sp->lock);
}

/*
 * The candidate's map page is latched and its bits looked at: they are the truth. A full one is struck off the list.
 */
static Status try_candidate(Ctx *cx, Store *s, uint32_t extent, SharedPage *out, bool *out_ok)
{
    *out_ok = false;
    Status st = buf_fix(cx, s, extent_map_page(extent), OBJ_NONE, LATCH_EXCLUSIVE, &out->map_frame);
    if (st != ST_OK) {
        return st;
    }
    ExtentEntry e = extent_entry(buf_page(out->map_frame), extent);
    if (e.state != EXTENT_SHARED || ~e.used == 0) {
        space_set_shared(s, extent, false);
        buf_unfix(out->map_frame);
        return ST_OK;
    }
    unsigned bit = (unsigned)__builtin_ctzll(~e.used);
    uint64_t used = e.used | UINT64_C(1) << bit;
    out->extent = extent;
    out->page = extent_page(extent, bit);
    out->fresh = false;
    extent_change(out->change, extent, EXTENT_SHARED, 0, used);
    *out_ok = true;
    return ST_OK;
}

Status shared_page_prepare(Ctx *cx, Store *s, SharedPage *out)
{
    uint32_t extent;
    out->fresh = !space_shared_candidate(s, &extent);
    return out->fresh ? space_take_extent(cx, s, &out->extent) : ST_OK;
}

Status shared_page_latch(Ctx *cx, Store *s, SharedPage *sp)
{
    uint32_t extent;
    while (!sp->fresh && space_shared_candidate(s, &extent)) {
        bool ok;
        Status st = try_candidate(cx, s, extent, sp, &ok);
        if (st != ST_OK || ok) {
            return st;
        }
    }
    if (!sp->fresh) {
        return ST_RETRY;
    }
    sp->page = extent_page(sp->extent, 0);
    extent_change(sp->change, sp->extent, EXTENT_SHARED, 0, 1);
    return buf_fix(cx, s, extent_map_page(sp->extent), OBJ_NONE, LATCH_EXCLUSIVE, &sp->map_frame);
}

void shared_page_logged(Store *s, SharedPage *sp)
{
    space_set_shared(s, sp->extent, true);
}

void shared_page_abandon(Store *s, SharedPage *sp)
{
    if (sp->fresh) {
        space_untake_extent(s, sp->extent);
    }
}
