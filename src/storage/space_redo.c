/*
 * storage/space_redo.c: the redo functions of space pages: extent maps, object headers, object maps and directories.
 * Pure functions of (data, page); everything from the record is checked before the page changes.
 */
#include "storage/storage_int.h"

static Status bad(Error *err, const WalPage *ref, const char *what)
{
    return err_set(err, ST_CORRUPTED, "log record for page %llu: %s", (unsigned long long)ref->id.v, what);
}

/* ---- extent maps ---- */

PageId extent_map_page(uint32_t extent)
{
    return extent_page(extent / MAP_EXTENTS * MAP_EXTENTS, 0);
}

static uint8_t *entry_at(uint8_t *map_page, uint32_t index)
{
    return map_page + PAGE_HEADER_BYTES + (size_t)index * sizeof(ExtentEntry);
}

ExtentEntry extent_entry(const uint8_t *map_page, uint32_t extent)
{
    ExtentEntry e;
    memcpy(&e, map_page + PAGE_HEADER_BYTES + (size_t)(extent % MAP_EXTENTS) * sizeof e, sizeof e);
    return e;
}

void extent_change(uint8_t *at, uint32_t extent, ExtentState state, uint64_t owner, uint64_t used)
{
    store_u32(at, extent % MAP_EXTENTS);
    store_u32(at + 4, state);
    store_u64(at + 8, owner);
    store_u64(at + 16, used);
}

Status redo_extent_map(const WalPage *ref, uint8_t *page, Error *err)
{
    if (ref->len % EXTENT_CHANGE_BYTES != 0) {
        return bad(err, ref, "bad length of extent changes");
    }
    bool init = (ref->flags & WAL_PAGE_INIT) != 0;
    if (!init && page_header_const(page)->type != PAGE_EXTENT_MAP) {
        return bad(err, ref, "not an extent map");
    }
    for (uint32_t i = 0; i < ref->len; i += EXTENT_CHANGE_BYTES) {
        if (load_u32(ref->data + i) >= MAP_EXTENTS || load_u32(ref->data + i + 4) > EXTENT_SYSTEM) {
            return bad(err, ref, "bad extent change");
        }
    }
    if (init) {
        page_init(page, ref->id, OBJ_NONE, ORDINAL_NONE, PAGE_EXTENT_MAP, 1);
    }
    for (uint32_t i = 0; i < ref->len; i += EXTENT_CHANGE_BYTES) {
        const uint8_t *c = ref->data + i;
        ExtentEntry e = {.owner = load_u64(c + 8), .used = load_u64(c + 16), .state = load_u32(c + 4)};
        memcpy(entry_at(page, load_u32(c)), &e, sizeof e);
    }
    return ST_OK;
}

/* ---- object headers ---- */

Status redo_object_header(const WalPage *ref, uint8_t *page, Error *err)
{
    if (ref->len != sizeof(uint64_t) + OBJECT_USER_BYTES || (ref->flags & WAL_PAGE_INIT) == 0) {
        return bad(err, ref, "bad object header");
    }
    page_init(page, ref->id, (ObjId){load_u64(ref->data)}, ORDINAL_NONE, PAGE_OBJECT_HEADER, 1);
    memcpy(((ObjectHeaderPage *)(void *)page)->user, ref->data + 8, OBJECT_USER_BYTES);
    return ST_OK;
}

Status redo_object_user(const WalPage *ref, uint8_t *page, Error *err)
{
    if (ref->len != OBJECT_USER_BYTES || page_header_const(page)->type != PAGE_OBJECT_HEADER) {
        return bad(err, ref, "bad object user area");
    }
    memcpy(((ObjectHeaderPage *)(void *)page)->user, ref->data, OBJECT_USER_BYTES);
    return ST_OK;
}

/* ---- object maps ---- */

static const uint8_t op_bytes[] = {
    [MAP_CLASS] = 4,    [MAP_ADD_SINGLE] = 16, [MAP_ADD_EXTENT] = 8,  [MAP_ADD_DIR] = 16,
    [MAP_ADD_MAP] = 16, [MAP_SET_MAPS] = 8,    [MAP_CUT_EXTENTS] = 4, [MAP_CUT_SINGLES] = 4,
    [MAP_CUT_MAPS] = 4, [MAP_INIT_MAP] = 16,   [MAP_INIT_DIR] = 16,   [MAP_INIT_BLANK] = 16,
};

uint16_t map_op(uint8_t *at, MapOp op, uint8_t arg8, uint16_t arg16, uint64_t value, uint32_t value32)
{
    at[0] = (uint8_t)op;
    at[1] = arg8;
    store_u16(at + 2, arg16);
    if (op_bytes[op] >= 8) {
        store_u32(at + 4, value32);
    }
    if (op_bytes[op] == 16) {
        store_u64(at + 8, value);
    }
    return op_bytes[op];
}

static bool class_ok(const uint8_t *page, uint16_t index)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)page;
    const ObjectMapPage *m = (const ObjectMapPage *)(const void *)page;
    if (h->head.type == PAGE_OBJECT_MAP) {
        return index < (uint32_t)m->n_extents * EXTENT_PAGES;
    }
    return index < SINGLES_MAX ? index < h->n_singles : (uint32_t)index - SINGLES_MAX < h->n_extents * EXTENT_PAGES;
}

/* Would the operation be right on the page as it stands? */
static bool map_op_ok(const uint8_t *page, const uint8_t *op, bool init)
{
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)page;
    const ObjectMapPage *m = (const ObjectMapPage *)(const void *)page;
    const ObjectDirectoryPage *d = (const ObjectDirectoryPage *)(const void *)page;
    uint8_t type = h->head.type;
    uint16_t n = load_u16(op + 2);
    switch (op[0]) {
    case MAP_CLASS: return (type == PAGE_OBJECT_HEADER || type == PAGE_OBJECT_MAP) && class_ok(page, n);
    case MAP_ADD_SINGLE: return type == PAGE_OBJECT_HEADER && n < SINGLES_MAX && n == h->n_singles;
    case MAP_ADD_EXTENT:
        return (type == PAGE_OBJECT_HEADER && n < HEADER_EXTENTS && n == h->n_extents) ||
               (type == PAGE_OBJECT_MAP && n < UNIT_EXTENTS && n == m->n_extents);
    case MAP_ADD_DIR: return type == PAGE_OBJECT_HEADER && n < DIRS_MAX;
    case MAP_ADD_MAP: return type == PAGE_OBJECT_DIRECTORY && n < DIR_MAPS && n == d->n_maps;
    case MAP_SET_MAPS: return type == PAGE_OBJECT_HEADER;
    case MAP_CUT_EXTENTS:
        return (type == PAGE_OBJECT_HEADER && n <= h->n_extents) || (type == PAGE_OBJECT_MAP && n <= m->n_extents);
    case MAP_CUT_SINGLES: return type == PAGE_OBJECT_HEADER && n <= h->n_singles;
    case MAP_CUT_MAPS: return type == PAGE_OBJECT_DIRECTORY && n <= d->n_maps;
    default: return op[0] >= MAP_INIT_MAP && op[0] <= MAP_INIT_BLANK && init;
    }
}

static PageType init_type(uint8_t op)
{
    return op == MAP_INIT_MAP ? PAGE_OBJECT_MAP : op == MAP_INIT_DIR ? PAGE_OBJECT_DIRECTORY : PAGE_BLANK;
}

static void map_op_apply(const WalPage *ref, uint8_t *page, const uint8_t *op)
{
    ObjectHeaderPage *h = (ObjectHeaderPage *)(void *)page;
    ObjectMapPage *m = (ObjectMapPage *)(void *)page;
    ObjectDirectoryPage *d = (ObjectDirectoryPage *)(void *)page;
    uint16_t n = load_u16(op + 2);
    bool header = h->head.type == PAGE_OBJECT_HEADER;
    switch (op[0]) {
    case MAP_CLASS:
        *(!header ? &m->classes[n] : n < SINGLES_MAX ? &h->single_class[n] : &h->classes[n - SINGLES_MAX]) = op[1];
        break;
    case MAP_ADD_SINGLE:
        h->singles[n] = load_u64(op + 8);
        h->single_class[n] = CLASS_FREE;
        h->n_singles = n + 1u;
        break;
    case MAP_ADD_EXTENT:
        if (header) {
            h->extents[n] = load_u32(op + 4);
            memset(h->classes + (size_t)n * EXTENT_PAGES, CLASS_FREE, EXTENT_PAGES);
            h->n_extents = n + 1u;
        } else {
            m->extents[n] = load_u32(op + 4);
            memset(m->classes + (size_t)n * EXTENT_PAGES, CLASS_FREE, EXTENT_PAGES);
            m->n_extents = n + 1u;
        }
        break;
    case MAP_ADD_DIR: h->dirs[n] = load_u64(op + 8); break;
    case MAP_ADD_MAP:
        d->maps[n] = load_u64(op + 8);
        d->n_maps = n + 1u;
        break;
    case MAP_SET_MAPS: h->n_maps = load_u32(op + 4); break;
    case MAP_CUT_EXTENTS: *(header ? &h->n_extents : &m->n_extents) = n; break;
    case MAP_CUT_SINGLES: h->n_singles = n; break;
    case MAP_CUT_MAPS: d->n_maps = n; break;
    default:
        page_init(page, ref->id, (ObjId){load_u64(op + 8)}, ORDINAL_NONE, init_type(op[0]), 1);
        m->index = load_u32(op + 4); /* the same place in all */
    }
}
STATIC_ASSERT(offsetof(ObjectMapPage, index) == offsetof(ObjectDirectoryPage, index), "MAP_INIT_* sets both");

Status redo_object_map(const WalPage *ref, uint8_t *page, Error *err)
{
    bool init = (ref->flags & WAL_PAGE_INIT) != 0;
    for (uint32_t at = 0; at < ref->len;) {
        const uint8_t *op = ref->data + at;
        uint32_t len = ref->len - at >= 4 && op[0] < ARRAY_LEN(op_bytes) ? op_bytes[op[0]] : 0;
        /* Operations of one record build on each other, so each is checked on the page as it is by then. */
        if (len == 0 || len > ref->len - at || !map_op_ok(page, op, init && at == 0)) {
            return bad(err, ref, "bad change of an object map");
        }
        map_op_apply(ref, page, op);
        at += len;
    }
    return ST_OK;
}
