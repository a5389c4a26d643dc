/*
 * storage/object_grow.c: creating objects and giving them pages: singles out of shared extents first, then extents.
 * Each step is one record that changes the extent map and the object's map together: nothing leaks at any cut.
 */
#include "storage/storage_int.h"

/* ---- creation ---- */

static Status create_latched(Ctx *cx, StoreOp *op, ObjId id, SharedPage *sp, uint8_t wal_type, TxnId txn,
                             const void *body, uint32_t body_len, const void *user, Lsn *out_lsn)
{
    Store *s = op->store;
    uint8_t init[8 + OBJECT_USER_BYTES] = {0};
    BufFrame *header;
    Status st = buf_fix_new(cx, s, sp->page, &header);
    if (st != ST_OK) {
        return st;
    }
    store_u64(init, id.v);
    if (user != NULL) {
        memcpy(init + 8, user, OBJECT_USER_BYTES);
    }
    uint8_t full[16 + CREATE_BODY_MAX];
    store_u64(full, id.v);
    store_u64(full + 8, sp->page.v);
    if (body_len > 0) {
        memcpy(full + 16, body, body_len);
    }
    LogPage pages[2] = {
        {.frame = header, .redo = REDO_OBJECT_HEADER, .flags = WAL_PAGE_INIT, .data = init, .len = sizeof init},
        {.frame = sp->map_frame, .redo = REDO_EXTENT_MAP, .data = sp->change, .len = EXTENT_CHANGE_BYTES},
    };
    *out_lsn = store_log(op, wal_type, 0, txn, pages, 2, full, 16 + body_len);
    buf_unfix(header);
    return ST_OK;
}

Status object_create(Ctx *cx, Store *s, ObjId id, unsigned space, uint8_t wal_type, TxnId txn, const void *body,
                     uint32_t body_len, const void *user, ObjectRef *out_ref, Lsn *out_lsn)
{
    ASSERT(body_len <= CREATE_BODY_MAX);
    if (space != SPACE_MAIN) {
        return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "unlogged and temporary objects are not supported yet");
    }
    OpNeed need = {.wal_bytes = wal_record_bytes(2, 8 + OBJECT_USER_BYTES + EXTENT_CHANGE_BYTES + 16 + body_len),
                   .undo_wal_bytes = OBJECT_DROP_UNDO_BYTES,
                   .frames = 2};
    SharedPage sp;
    Status st;
    do {
        StoreOp op;
        st = shared_page_prepare(cx, s, &sp);
        if (st != ST_OK) {
            return st;
        }
        st = op_begin(cx, s, &need, &op);
        if (st == ST_OK) {
            st = shared_page_latch(cx, s, &sp);
            if (st == ST_OK) {
                st = create_latched(cx, &op, id, &sp, wal_type, txn, body, body_len, user, out_lsn);
                buf_unfix(sp.map_frame);
            }
            op_end(&op);
            if (st != ST_OK) {
                op_release_undo(s, need.undo_wal_bytes);
            }
        }
        if (st != ST_OK) {
            shared_page_abandon(s, &sp);
        }
    } while (st == ST_RETRY);
    if (st == ST_OK) {
        shared_page_logged(s, &sp);
        *out_ref = (ObjectRef){id, sp.page};
    }
    return st;
}

/* ---- one more single page ---- */

/*
 * The record also makes the page blank: an old header of another object, left there, would look alive to the verifier, which
 * finds objects by their header pages.
 */
static Status log_single(Ctx *cx, StoreOp *op, StoreObject *o, BufFrame *header, SharedPage *sp)
{
    Store *s = op->store;
    uint8_t link[16];
    uint8_t init[16];
    BufFrame *fresh;
    Status st = shared_page_latch(cx, s, sp);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix_new(cx, s, sp->page, &fresh);
    if (st == ST_OK) {
        uint16_t link_len = map_op(link, MAP_ADD_SINGLE, 0, (uint16_t)o->n_singles, sp->page.v, 0);
        uint16_t init_len = map_op(init, MAP_INIT_BLANK, 0, 0, o->ref.id.v, 0);
        LogPage pages[3] = {
            {.frame = fresh, .redo = REDO_OBJECT_MAP, .flags = WAL_PAGE_INIT, .data = init, .len = init_len},
            {.frame = header, .redo = REDO_OBJECT_MAP, .data = link, .len = link_len},
            {.frame = sp->map_frame, .redo = REDO_EXTENT_MAP, .data = sp->change, .len = EXTENT_CHANGE_BYTES}};
        (void)store_log(op, WAL_SPACE, 0, TXN_NONE, pages, 3, NULL, 0);
        buf_unfix(fresh);
    }
    buf_unfix(sp->map_frame);
    return st;
}

static Status add_single(Ctx *cx, StoreObject *o)
{
    Store *s = o->store;
    OpNeed need = {.wal_bytes = wal_record_bytes(3, EXTENT_CHANGE_BYTES + 32), .frames = 3};
    StoreOp op;
    SharedPage sp;
    BufFrame *header;
    Status st = shared_page_prepare(cx, s, &sp);
    if (st != ST_OK) {
        return st;
    }
    st = op_begin(cx, s, &need, &op);
    if (st != ST_OK) {
        shared_page_abandon(s, &sp);
        return st;
    }
    st = buf_fix(cx, s, o->ref.header, o->ref.id, LATCH_EXCLUSIVE, &header);
    if (st == ST_OK) {
        st = log_single(cx, &op, o, header, &sp);
        buf_unfix(header);
    }
    op_end(&op);
    if (st == ST_OK) {
        shared_page_logged(s, &sp);
        object_note_single(o, sp.page);
    } else {
        shared_page_abandon(s, &sp);
    }
    return st;
}

/* ---- one more map page ---- */

/* Directory page `index` of the object, created when it is the first map in it. */
static Status add_dir(Ctx *cx, StoreObject *o, uint16_t index);

static Status log_new_map(Ctx *cx, StoreOp *op, StoreObject *o, SharedPage *sp, bool is_dir)
{
    Store *s = op->store;
    uint32_t n_maps = (uint32_t)o->maps.n;
    uint8_t init[16];
    uint8_t link[16];
    uint8_t count[8];
    BufFrame *header;
    BufFrame *dir = NULL;
    BufFrame *fresh;
    Status st = buf_fix(cx, s, o->ref.header, o->ref.id, LATCH_EXCLUSIVE, &header);
    if (st != ST_OK) {
        return st;
    }
    uint16_t d = (uint16_t)(n_maps / DIR_MAPS);
    if (!is_dir) {
        PageId dir_page = {((const ObjectHeaderPage *)(const void *)buf_page(header))->dirs[d]};
        st = buf_fix(cx, s, dir_page, o->ref.id, LATCH_EXCLUSIVE, &dir);
    }
    if (st == ST_OK) {
        st = shared_page_latch(cx, s, sp);
    }
    if (st == ST_OK) {
        st = buf_fix_new(cx, s, sp->page, &fresh);
        if (st == ST_OK) {
            LogPage pages[4];
            unsigned n = 0;
            uint16_t len = map_op(init, is_dir ? MAP_INIT_DIR : MAP_INIT_MAP, 0, 0, o->ref.id.v, is_dir ? d : n_maps);
            pages[n++] =
                (LogPage){.frame = fresh, .redo = REDO_OBJECT_MAP, .flags = WAL_PAGE_INIT, .data = init, .len = len};
            if (is_dir) {
                len = map_op(link, MAP_ADD_DIR, 0, d, sp->page.v, 0);
                pages[n++] = (LogPage){.frame = header, .redo = REDO_OBJECT_MAP, .data = link, .len = len};
            } else {
                len = map_op(link, MAP_ADD_MAP, 0, (uint16_t)(n_maps % DIR_MAPS), sp->page.v, 0);
                pages[n++] = (LogPage){.frame = dir, .redo = REDO_OBJECT_MAP, .data = link, .len = len};
                len = map_op(count, MAP_SET_MAPS, 0, 0, 0, n_maps + 1);
                pages[n++] = (LogPage){.frame = header, .redo = REDO_OBJECT_MAP, .data = count, .len = len};
            }
            pages[n++] = (LogPage){
                .frame = sp->map_frame, .redo = REDO_EXTENT_MAP, .data = sp->change, .len = EXTENT_CHANGE_BYTES};
            (void)store_log(op, WAL_SPACE, 0, TXN_NONE, pages, n, NULL, 0);
            buf_unfix(fresh);
        }
        buf_unfix(sp->map_frame);
    }
    if (dir != NULL) {
        buf_unfix(dir);
    }
    buf_unfix(header);
    return st;
}

static Status add_map_page(Ctx *cx, StoreObject *o, bool is_dir)
{
    Store *s = o->store;
    OpNeed need = {.wal_bytes = wal_record_bytes(4, 64 + EXTENT_CHANGE_BYTES), .frames = 4};
    SharedPage sp;
    StoreOp op;
    Status st = shared_page_prepare(cx, s, &sp);
    if (st != ST_OK) {
        return st;
    }
    st = op_begin(cx, s, &need, &op);
    if (st == ST_OK) {
        st = log_new_map(cx, &op, o, &sp, is_dir);
        op_end(&op);
    }
    if (st != ST_OK) {
        shared_page_abandon(s, &sp);
        return st;
    }
    shared_page_logged(s, &sp);
    if (!is_dir) {
        spin_lock(&o->lock);
        bool ok = VEC_PUSH(&o->maps, sp.page) && VEC_PUSH(&o->unit_max, 0);
        spin_unlock(&o->lock);
        ASSERT(ok); /* room was reserved by ensure_map */
    }
    return ST_OK;
}

static Status add_dir(Ctx *cx, StoreObject *o, uint16_t index)
{
    if (index >= DIRS_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "the object has reached its largest size");
    }
    return add_map_page(cx, o, true);
}

/* The next extent needs a map page that does not exist yet. */
static Status ensure_map(Ctx *cx, StoreObject *o)
{
    if (o->n_extents < HEADER_EXTENTS + o->maps.n * UNIT_EXTENTS) {
        return ST_OK;
    }
    Status st = object_note_map_room(cx, o);
    if (st != ST_OK) {
        return st;
    }
    if (o->maps.n % DIR_MAPS == 0 && o->dirs_made <= o->maps.n / DIR_MAPS) {
        st = add_dir(cx, o, (uint16_t)(o->maps.n / DIR_MAPS));
        if (st == ST_OK) {
            o->dirs_made++;
        }
    }
    return st == ST_OK ? add_map_page(cx, o, false) : st;
}

/* ---- one more extent ---- */

static Status log_extent(Ctx *cx, StoreOp *op, StoreObject *o, uint32_t extent)
{
    Store *s = op->store;
    uint8_t change[EXTENT_CHANGE_BYTES];
    uint8_t data[8];
    uint16_t ignored;
    BufFrame *map;
    BufFrame *extents;
    PageId map_page = object_map_of(o, SINGLES_MAX + o->n_extents * EXTENT_PAGES, &ignored);
    uint32_t index = o->n_extents < HEADER_EXTENTS ? o->n_extents : (o->n_extents - HEADER_EXTENTS) % UNIT_EXTENTS;
    Status st = buf_fix(cx, s, map_page, o->ref.id, LATCH_EXCLUSIVE, &map);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix(cx, s, extent_map_page(extent), OBJ_NONE, LATCH_EXCLUSIVE, &extents);
    if (st == ST_OK) {
        ASSERT(extent_entry(buf_page(extents), extent).state == EXTENT_FREE);
        extent_change(change, extent, EXTENT_OWNED, o->ref.id.v, 0);
        uint16_t len = map_op(data, MAP_ADD_EXTENT, 0, (uint16_t)index, 0, extent);
        LogPage pages[2] = {{.frame = map, .redo = REDO_OBJECT_MAP, .data = data, .len = len},
                            {.frame = extents, .redo = REDO_EXTENT_MAP, .data = change, .len = sizeof change}};
        (void)store_log(op, WAL_SPACE, 0, TXN_NONE, pages, 2, NULL, 0);
        buf_unfix(extents);
    }
    buf_unfix(map);
    return st;
}

static Status add_extent(Ctx *cx, StoreObject *o)
{
    Store *s = o->store;
    OpNeed need = {.wal_bytes = wal_record_bytes(2, EXTENT_CHANGE_BYTES + 8), .frames = 2};
    StoreOp op;
    uint32_t extent;
    Status st = ensure_map(cx, o);
    if (st == ST_OK) {
        st = object_note_extent_room(cx, o);
    }
    if (st == ST_OK) {
        st = space_take_extent(cx, s, &extent);
    }
    if (st != ST_OK) {
        return st;
    }
    st = op_begin(cx, s, &need, &op);
    if (st == ST_OK) {
        st = log_extent(cx, &op, o, extent);
        op_end(&op);
    }
    if (st == ST_OK) {
        object_note_extent(o, extent);
    } else {
        space_untake_extent(s, extent);
    }
    return st;
}

Status object_grow(Ctx *cx, StoreObject *o)
{
    Status st;
    do {
        st = o->n_singles < SINGLES_MAX ? add_single(cx, o) : add_extent(cx, o);
    } while (st == ST_RETRY);
    return st;
}
