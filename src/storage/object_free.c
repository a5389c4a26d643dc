/*
 * storage/object_free.c: giving a dead object's pages back, from the end of its map to its header, one record a step.
 *
 * Idempotent over crashes: a step cuts the object's map and frees in the extent map in the same record, so what is left
 * is always a smaller object; when the header page is no longer this object's, all is done.
 *
 * A page's frame is thrown away after the record that frees it (a checkpoint that misses the dirty page then has that record,
 * else a half-freed object could come back with an old map) and before anybody can be given the page: a page of a shared
 * extent while the extent map page is still latched, an extent's pages before it is pending.
 */
#include "storage/storage_int.h"

enum { STEP_EXTENTS = 16 };

/* Is the header page still allocated and the object's? Latches it exclusively then. */
static Status fix_header(Ctx *cx, Store *s, ObjectRef ref, BufFrame **out_frame, bool *out_gone)
{
    uint32_t extent = (uint32_t)(page_number(ref.header) / EXTENT_PAGES);
    unsigned bit = (unsigned)(page_number(ref.header) % EXTENT_PAGES);
    *out_gone = true;
    spin_lock(&s->space.lock);
    bool exists = extent < s->space.n_extents;
    spin_unlock(&s->space.lock);
    if (!exists) {
        return ST_OK;
    }
    BufFrame *map;
    Status st = buf_fix(cx, s, extent_map_page(extent), OBJ_NONE, LATCH_SHARED, &map);
    if (st != ST_OK) {
        return st;
    }
    ExtentEntry e = extent_entry(buf_page(map), extent);
    buf_unfix(map);
    if (e.state != EXTENT_SHARED || (e.used >> bit & 1) == 0) {
        return ST_OK;
    }
    st = buf_fix(cx, s, ref.header, OBJ_NONE, LATCH_EXCLUSIVE, out_frame);
    if (st != ST_OK) {
        return st;
    }
    const PageHeader *h = page_header_const(buf_page(*out_frame));
    *out_gone = h->object != ref.id.v || h->type != PAGE_OBJECT_HEADER;
    if (*out_gone) {
        buf_unfix(*out_frame);
    }
    return ST_OK;
}

/* ---- extents off the end of a header or map page ---- */

static Status free_extents(Ctx *cx, StoreOp *op, BufFrame *map, const uint32_t *extents, uint32_t n)
{
    Store *s = op->store;
    uint8_t changes[STEP_EXTENTS * EXTENT_CHANGE_BYTES];
    uint8_t cut[4];
    BufFrame *em;
    uint32_t freed[STEP_EXTENTS];
    uint32_t k = 0;
    uint32_t last = extents[n - 1];
    Status st = buf_fix(cx, s, extent_map_page(last), OBJ_NONE, LATCH_EXCLUSIVE, &em);
    if (st != ST_OK) {
        return st;
    }
    while (k < STEP_EXTENTS && k < n && page_eq(extent_map_page(extents[n - 1 - k]), extent_map_page(last))) {
        freed[k] = extents[n - 1 - k];
        extent_change(changes + k * EXTENT_CHANGE_BYTES, freed[k], EXTENT_FREE, 0, 0);
        k++;
    }
    uint16_t len = map_op(cut, MAP_CUT_EXTENTS, 0, (uint16_t)(n - k), 0, 0);
    LogPage pages[2] = {{.frame = map, .redo = REDO_OBJECT_MAP, .data = cut, .len = len},
                        {.frame = em, .redo = REDO_EXTENT_MAP, .data = changes, .len = k * EXTENT_CHANGE_BYTES}};
    Lsn lsn = store_log(op, WAL_SPACE, 0, TXN_NONE, pages, 2, NULL, 0);
    buf_unfix(em);
    SYNC_POINT("object.extents_freed");
    for (uint32_t i = 0; i < k; i++) {
        for (unsigned j = 0; j < EXTENT_PAGES; j++) {
            buf_discard(s, extent_page(freed[i], j));
        }
        space_pend_extent(s, freed[i], lsn);
    }
    return ST_OK;
}

/* ---- single pages ---- */

/*
 * Frees one page of a shared extent; `others` are pages of the same record (the map that loses it). When it was the extent's last
 * page the whole extent becomes free.
 */
static Status free_shared(Ctx *cx, StoreOp *op, PageId page, const LogPage *others, unsigned n_others, BufFrame *held)
{
    Store *s = op->store;
    uint32_t extent = (uint32_t)(page_number(page) / EXTENT_PAGES);
    uint64_t bit = UINT64_C(1) << (page_number(page) % EXTENT_PAGES);
    uint8_t change[EXTENT_CHANGE_BYTES];
    BufFrame *em;
    LogPage pages[4];
    Status st = buf_fix(cx, s, extent_map_page(extent), OBJ_NONE, LATCH_EXCLUSIVE, &em);
    if (st != ST_OK) {
        return st;
    }
    ExtentEntry e = extent_entry(buf_page(em), extent);
    if (e.state != EXTENT_SHARED || (e.used & bit) == 0) {
        buf_unfix(em);
        return err_set(cx->err, ST_CORRUPTED, "page %llu of a dropped object is not allocated",
                       (unsigned long long)page.v);
    }
    bool empty = (e.used & ~bit) == 0;
    extent_change(change, extent, empty ? EXTENT_FREE : EXTENT_SHARED, 0, e.used & ~bit);
    for (unsigned i = 0; i < n_others; i++) {
        pages[i] = others[i];
    }
    pages[n_others] = (LogPage){.frame = em, .redo = REDO_EXTENT_MAP, .data = change, .len = sizeof change};
    Lsn lsn = store_log(op, WAL_SPACE, 0, TXN_NONE, pages, n_others + 1, NULL, 0);
    if (held != NULL) {
        buf_unfix(held); /* the page to be freed itself */
    }
    buf_discard(s, page);
    space_set_shared(s, extent, !empty);
    if (empty) {
        space_pend_extent(s, extent, lsn);
    }
    buf_unfix(em);
    return ST_OK;
}

static Status free_single(Ctx *cx, StoreOp *op, BufFrame *header)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(header);
    uint8_t cut[4];
    uint16_t n = (uint16_t)(h->n_singles - 1);
    uint16_t len = map_op(cut, MAP_CUT_SINGLES, 0, n, 0, 0);
    LogPage lp = {.frame = header, .redo = REDO_OBJECT_MAP, .data = cut, .len = len};
    return free_shared(cx, op, (PageId){h->singles[n]}, &lp, 1, NULL);
}

/* ---- map and directory pages ---- */

static Status free_last_map(Ctx *cx, StoreOp *op, BufFrame *header, BufFrame *dir, PageId map_page)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(header);
    const ObjectDirectoryPage *d = (const ObjectDirectoryPage *)(const void *)buf_page(dir);
    uint8_t cut[4];
    uint8_t count[8];
    uint16_t cut_len = map_op(cut, MAP_CUT_MAPS, 0, (uint16_t)(d->n_maps - 1), 0, 0);
    uint16_t count_len = map_op(count, MAP_SET_MAPS, 0, 0, 0, h->n_maps - 1);
    LogPage pages[2] = {{.frame = dir, .redo = REDO_OBJECT_MAP, .data = cut, .len = cut_len},
                        {.frame = header, .redo = REDO_OBJECT_MAP, .data = count, .len = count_len}};
    return free_shared(cx, op, map_page, pages, 2, NULL);
}

static Status bad_object(Ctx *cx, ObjectRef ref)
{
    return err_set(cx->err, ST_CORRUPTED, "the page map of dropped object %llu is corrupted",
                   (unsigned long long)ref.id.v);
}

/* Works on the last map page: its extents first, then the page itself. */
static Status free_from_maps(Ctx *cx, StoreOp *op, ObjectRef ref, BufFrame *header)
{
    Store *s = op->store;
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(header);
    uint32_t last = h->n_maps - 1;
    BufFrame *dir;
    BufFrame *map;
    if (last / DIR_MAPS >= DIRS_MAX) {
        return bad_object(cx, ref);
    }
    Status st = buf_fix(cx, s, (PageId){h->dirs[last / DIR_MAPS]}, ref.id, LATCH_EXCLUSIVE, &dir);
    if (st != ST_OK) {
        return st;
    }
    const ObjectDirectoryPage *d = (const ObjectDirectoryPage *)(const void *)buf_page(dir);
    PageId map_page = {d->maps[last % DIR_MAPS]};
    st = d->n_maps == last % DIR_MAPS + 1 ? buf_fix(cx, s, map_page, ref.id, LATCH_EXCLUSIVE, &map)
                                          : bad_object(cx, ref);
    if (st == ST_OK) {
        const ObjectMapPage *m = (const ObjectMapPage *)(const void *)buf_page(map);
        if (m->n_extents > 0 && m->n_extents <= UNIT_EXTENTS) {
            st = free_extents(cx, op, map, m->extents, m->n_extents);
            buf_unfix(map);
        } else {
            buf_unfix(map);
            st = free_last_map(cx, op, header, dir, map_page);
        }
    }
    buf_unfix(dir);
    return st;
}

/* A directory without maps: the last of those that are left. */
static Status free_dir(Ctx *cx, StoreOp *op, BufFrame *header, uint16_t index)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(header);
    uint8_t cut[16];
    uint16_t len = map_op(cut, MAP_ADD_DIR, 0, index, 0, 0);
    LogPage lp = {.frame = header, .redo = REDO_OBJECT_MAP, .data = cut, .len = len};
    return free_shared(cx, op, (PageId){h->dirs[index]}, &lp, 1, NULL);
}

static int last_dir(const ObjectHeaderPage *h)
{
    for (int i = DIRS_MAX - 1; i >= 0; i--) {
        if (h->dirs[i] != 0) {
            return i;
        }
    }
    return -1;
}

/* One step; the header stays latched unless it was the last one. */
static Status step(Ctx *cx, StoreOp *op, ObjectRef ref, BufFrame *header, bool *out_done)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(header);
    Status st;
    if (h->n_maps > 0) {
        st = free_from_maps(cx, op, ref, header);
    } else if (last_dir(h) >= 0) {
        st = free_dir(cx, op, header, (uint16_t)last_dir(h));
    } else if (h->n_extents > 0 && h->n_extents <= HEADER_EXTENTS) {
        st = free_extents(cx, op, header, h->extents, h->n_extents);
    } else if (h->n_singles > 0 && h->n_singles <= SINGLES_MAX) {
        st = free_single(cx, op, header);
    } else {
        st = free_shared(cx, op, ref.header, NULL, 0, header);
        if (st == ST_OK) {
            *out_done = true;
            return ST_OK;
        }
    }
    buf_unfix(header);
    return st;
}

Status object_free_step(Ctx *cx, Store *s, ObjectRef ref, bool *out_done)
{
    OpNeed need = {
        .wal_bytes = wal_record_bytes(4, STEP_EXTENTS * EXTENT_CHANGE_BYTES + 32), .frames = 6, .is_undo = true};
    StoreOp op;
    BufFrame *header;
    bool gone;
    *out_done = false;
    Status st = op_begin(cx, s, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = fix_header(cx, s, ref, &header, &gone);
    if (st == ST_OK) {
        if (gone) {
            *out_done = true;
        } else {
            st = step(cx, &op, ref, header, out_done);
        }
    }
    op_end(&op);
    return st;
}
