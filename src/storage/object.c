/*
 * storage/object.c: handles of objects: the page sequence in memory, reservations, free-space hints.
 *
 * Ordinals 0..31 are single pages out of shared extents, then 64 per extent. The handle holds extents and bitmaps (12 bytes
 * a MiB), loaded from the header and map pages; class bytes stay on the pages, with the highest class per unit
 * (header, map page) in memory so that a search reads only pages that promise something.
 *
 * J1  used is a subset of busy; a page is used exactly when its class byte is not CLASS_FREE.
 * J2  n_free = pages owned and not busy.
 * J3  A reserved page (busy, not used) belongs to one operation.
 */
#include "storage/storage_int.h"

enum { ID_BATCH = 256, CLASS_UNKNOWN = 251 };

/* ---- ids ---- */

void object_ids_replay(Store *s, uint64_t below)
{
    if (below > s->promised_object) {
        s->promised_object = below;
    }
    /* What was promised may have been used. */
    s->next_object = s->usable_object = s->promised_object;
}

uint64_t object_ids_promised(Store *s)
{
    spin_lock(&s->id_lock);
    uint64_t v = s->promised_object;
    spin_unlock(&s->id_lock);
    return v;
}

static bool take_id(Store *s, ObjId *out_id)
{
    spin_lock(&s->id_lock);
    bool ok = s->next_object < s->usable_object;
    if (ok) {
        out_id->v = s->next_object++;
    }
    spin_unlock(&s->id_lock);
    return ok;
}

/*
 * The promise is raised before its record, the use after it: a checkpoint that begins after the record has the promise in its
 * control file, and no id is in a record that lies before its promise.
 */
static Status promise_ids(Ctx *cx, Store *s)
{
    spin_lock(&s->id_lock);
    uint64_t below = s->usable_object + ID_BATCH;
    s->promised_object = below > s->promised_object ? below : s->promised_object;
    spin_unlock(&s->id_lock);
    OpNeed need = {.wal_bytes = wal_record_bytes(0, sizeof below)};
    StoreOp op;
    Status st = op_begin(cx, s, &need, &op);
    if (st == ST_OK) {
        (void)store_log(&op, WAL_OBJECT_IDS, 0, TXN_NONE, NULL, 0, &below, sizeof below);
        SYNC_POINT("object.ids_promised");
        op_end(&op);
        spin_lock(&s->id_lock);
        s->usable_object = below;
        spin_unlock(&s->id_lock);
    }
    return st;
}

Status object_new_id(Ctx *cx, Store *s, ObjId *out_id)
{
    if (take_id(s, out_id)) {
        return ST_OK;
    }
    Status st = ST_OK;
    mutex_lock(&s->id_mutex);
    while (st == ST_OK && !take_id(s, out_id)) {
        st = promise_ids(cx, s);
    }
    mutex_unlock(&s->id_mutex);
    return st;
}

/* ---- registry ---- */

static StoreObject **bucket_of(Store *s, ObjId id)
{
    return &s->objects[(id.v * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}
STATIC_ASSERT(OBJECT_BUCKETS == 1 << (64 - 54), "bucket_of");

static StoreObject *registry_find(Store *s, ObjId id)
{
    StoreObject *o = *bucket_of(s, id);
    while (o != NULL && o->ref.id.v != id.v) {
        o = o->next;
    }
    return o;
}

static StoreObject *object_new(Store *s, ObjectRef ref)
{
    StoreObject *o = mem_alloc0(s->budget, sizeof *o);
    if (o != NULL) {
        o->store = s;
        o->ref = ref;
        o->refs = 1;
        mutex_init(&o->load_mutex, RANK_OBJECT_LOAD);
        mutex_init(&o->grow_mutex, RANK_OBJECT_GROW);
        spin_init(&o->lock, RANK_OBJECT);
        o->maps.budget = o->unit_max.budget = s->budget;
    }
    return o;
}

static void object_destroy(StoreObject *o)
{
    Store *s = o->store;
    mem_free(s->budget, o->extents, (size_t)o->cap_extents * sizeof *o->extents);
    VEC_DONE(&o->maps);
    VEC_DONE(&o->unit_max);
    mutex_done(&o->load_mutex);
    mutex_done(&o->grow_mutex);
    mem_free(s->budget, o, sizeof *o);
}

void object_close(StoreObject *o)
{
    if (o == NULL) {
        return;
    }
    Store *s = o->store;
    mutex_lock(&s->objects_mutex);
    bool last = --o->refs == 0;
    if (last) {
        StoreObject **at = bucket_of(s, o->ref.id);
        while (*at != o) {
            at = &(*at)->next;
        }
        *at = o->next;
    }
    mutex_unlock(&s->objects_mutex);
    if (last) {
        object_destroy(o);
    }
}

void objects_done(Store *s)
{
    for (size_t i = 0; i < OBJECT_BUCKETS; i++) {
        ASSERT(s->objects[i] == NULL); /* a handle was not closed */
    }
}

/* ---- loading ---- */

static void load_extent(StoreObject *o, uint32_t extent, const uint8_t *classes, uint8_t *io_max)
{
    struct ObjectExtent *e = &o->extents[o->n_extents++];
    *e = (struct ObjectExtent){.extent = extent};
    for (unsigned i = 0; i < EXTENT_PAGES; i++) {
        if (classes[i] != CLASS_FREE) {
            e->used |= UINT64_C(1) << i;
            *io_max = classes[i] > *io_max ? classes[i] : *io_max;
        } else {
            o->n_free++;
        }
    }
    e->busy = e->used;
}

Status object_note_extent_room(Ctx *cx, StoreObject *o)
{
    if (o->n_extents < o->cap_extents) {
        return ST_OK;
    }
    /* Readers walk the array under the lock: a new one is filled outside and swapped in. */
    Store *s = o->store;
    uint32_t cap = o->cap_extents == 0 ? 8 : o->cap_extents * 2;
    struct ObjectExtent *v = mem_alloc(s->budget, (size_t)cap * sizeof *v);
    if (v == NULL) {
        return ctx_nomem(cx, (size_t)cap * sizeof *v);
    }
    struct ObjectExtent *old = o->extents;
    size_t old_bytes = (size_t)o->cap_extents * sizeof *v;
    spin_lock(&o->lock);
    if (old != NULL) {
        memcpy(v, old, (size_t)o->n_extents * sizeof *v);
    }
    o->extents = v;
    o->cap_extents = cap;
    spin_unlock(&o->lock);
    mem_free(s->budget, old, old_bytes);
    return ST_OK;
}

/* The same for one more map page and unit. */
Status object_note_map_room(Ctx *cx, StoreObject *o)
{
    if (o->maps.n < o->maps.cap && o->unit_max.n < o->unit_max.cap) {
        return ST_OK;
    }
    Budget *b = o->store->budget;
    size_t cap = o->maps.n * 2 + 8;
    size_t old_maps = o->maps.cap;
    size_t old_max = o->unit_max.cap;
    PageId *maps = mem_alloc(b, cap * sizeof *maps);
    uint8_t *max = maps != NULL ? mem_alloc(b, cap + 1) : NULL;
    if (max == NULL) {
        mem_free(b, maps, maps != NULL ? cap * sizeof *maps : 0);
        return ctx_nomem(cx, cap * sizeof *maps);
    }
    spin_lock(&o->lock);
    PageId *drop_maps = o->maps.v;
    uint8_t *drop_max = o->unit_max.v;
    if (o->maps.n > 0) {
        memcpy(maps, drop_maps, o->maps.n * sizeof *maps);
    }
    if (o->unit_max.n > 0) {
        memcpy(max, drop_max, o->unit_max.n);
    }
    o->maps.v = maps;
    o->maps.cap = cap;
    o->unit_max.v = max;
    o->unit_max.cap = cap + 1;
    spin_unlock(&o->lock);
    mem_free(b, drop_maps, old_maps * sizeof *maps);
    mem_free(b, drop_max, old_max);
    return ST_OK;
}

static Status bad_map(Ctx *cx, const StoreObject *o)
{
    return err_set(cx->err, ST_CORRUPTED, "the page map of object %llu is corrupted", (unsigned long long)o->ref.id.v);
}

static Status load_unit(Ctx *cx, StoreObject *o, const uint32_t *extents, const uint8_t *classes, uint32_t n,
                        uint8_t max)
{
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        st = object_note_extent_room(cx, o);
        if (st == ST_OK) {
            load_extent(o, extents[i], classes + (size_t)i * EXTENT_PAGES, &max);
        }
    }
    return st == ST_OK && !VEC_PUSH(&o->unit_max, max) ? ctx_nomem(cx, 1) : st;
}

static Status load_header(Ctx *cx, StoreObject *o, const ObjectHeaderPage *h)
{
    if (h->head.type != PAGE_OBJECT_HEADER || h->n_singles > SINGLES_MAX || h->n_extents > HEADER_EXTENTS ||
        h->n_maps > DIRS_MAX * DIR_MAPS) {
        return bad_map(cx, o);
    }
    uint8_t max = 0;
    o->n_singles = h->n_singles;
    for (uint32_t i = 0; i < h->n_singles; i++) {
        o->singles[i].v = h->singles[i];
        if (h->single_class[i] != CLASS_FREE) {
            o->singles_used |= 1u << i;
            max = h->single_class[i] > max ? h->single_class[i] : max;
        } else {
            o->n_free++;
        }
    }
    o->singles_busy = o->singles_used;
    return load_unit(cx, o, h->extents, h->classes, h->n_extents, max);
}

static Status load_map(Ctx *cx, StoreObject *o, PageId page)
{
    BufFrame *f;
    Status st = buf_fix(cx, o->store, page, o->ref.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    const ObjectMapPage *m = (const ObjectMapPage *)(const void *)buf_page(f);
    if (m->head.type != PAGE_OBJECT_MAP || m->n_extents > UNIT_EXTENTS || m->index != o->maps.n) {
        st = bad_map(cx, o);
    } else if (!VEC_PUSH(&o->maps, page)) {
        st = ctx_nomem(cx, sizeof page);
    } else {
        st = load_unit(cx, o, m->extents, m->classes, m->n_extents, 0);
    }
    buf_unfix(f);
    return st;
}

static Status load_directory(Ctx *cx, StoreObject *o, PageId dir, uint32_t n_maps)
{
    for (uint32_t i = 0; i < n_maps; i++) {
        BufFrame *f;
        Status st = buf_fix(cx, o->store, dir, o->ref.id, LATCH_SHARED, &f);
        if (st != ST_OK) {
            return st;
        }
        const ObjectDirectoryPage *d = (const ObjectDirectoryPage *)(const void *)buf_page(f);
        bool ok = d->head.type == PAGE_OBJECT_DIRECTORY && d->n_maps >= n_maps;
        PageId page = {ok ? d->maps[i] : 0};
        buf_unfix(f);
        st = ok ? load_map(cx, o, page) : bad_map(cx, o);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

static Status object_load(Ctx *cx, StoreObject *o)
{
    BufFrame *f;
    uint64_t dirs[DIRS_MAX];
    Status st = buf_fix(cx, o->store, o->ref.header, o->ref.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(f);
    uint32_t left = h->n_maps;
    memcpy(dirs, h->dirs, sizeof dirs);
    o->dirs_made = 0;
    while (o->dirs_made < DIRS_MAX && dirs[o->dirs_made] != 0) {
        o->dirs_made++;
    }
    st = load_header(cx, o, h);
    buf_unfix(f);
    for (unsigned i = 0; st == ST_OK && left > 0; i++) {
        uint32_t n = left < DIR_MAPS ? left : DIR_MAPS;
        st = load_directory(cx, o, (PageId){dirs[i]}, n);
        left -= n;
    }
    return st;
}

static void unload(StoreObject *o)
{
    o->n_singles = o->n_extents = o->n_free = 0;
    o->singles_used = o->singles_busy = 0;
    o->maps.n = o->unit_max.n = 0;
}

Status object_open(Ctx *cx, Store *s, ObjectRef ref, StoreObject **out_object)
{
    mutex_lock(&s->objects_mutex);
    StoreObject *o = registry_find(s, ref.id);
    if (o != NULL) {
        o->refs++;
    } else {
        o = object_new(s, ref);
        if (o != NULL) {
            StoreObject **head = bucket_of(s, ref.id);
            o->next = *head;
            *head = o;
        }
    }
    mutex_unlock(&s->objects_mutex);
    if (o == NULL) {
        return ctx_nomem(cx, sizeof *o);
    }
    ASSERT(page_eq(o->ref.header, ref.header));
    Status st = ST_OK;
    mutex_lock(&o->load_mutex);
    if (!o->loaded) {
        st = object_load(cx, o);
        o->loaded = st == ST_OK;
        if (st != ST_OK) {
            unload(o);
        }
    }
    mutex_unlock(&o->load_mutex);
    if (st != ST_OK) {
        object_close(o);
        return st;
    }
    *out_object = o;
    return ST_OK;
}

ObjectRef object_ref(const StoreObject *o)
{
    return o->ref;
}
Store *object_store(const StoreObject *o)
{
    return o->store;
}

/* ---- pages ---- */

uint32_t object_page_count(const StoreObject *o)
{
    StoreObject *w = (StoreObject *)(uintptr_t)o; /* the lock is not part of the object's value */
    spin_lock(&w->lock);
    uint32_t n = o->n_extents > 0 ? SINGLES_MAX + o->n_extents * EXTENT_PAGES : o->n_singles;
    spin_unlock(&w->lock);
    return n;
}

static bool page_at_locked(const StoreObject *o, uint32_t ordinal, bool busy, PageId *out_id)
{
    if (ordinal < SINGLES_MAX) {
        *out_id = o->singles[ordinal];
        return ordinal < o->n_singles && ((busy ? o->singles_busy : o->singles_used) >> ordinal & 1) != 0;
    }
    uint32_t e = (ordinal - SINGLES_MAX) / EXTENT_PAGES;
    unsigned i = (ordinal - SINGLES_MAX) % EXTENT_PAGES;
    if (e >= o->n_extents) {
        return false;
    }
    *out_id = extent_page(o->extents[e].extent, i);
    return ((busy ? o->extents[e].busy : o->extents[e].used) >> i & 1) != 0;
}

bool object_page_at(StoreObject *o, uint32_t ordinal, PageId *out_id)
{
    PageId id;
    spin_lock(&o->lock);
    bool ok = page_at_locked(o, ordinal, false, &id);
    spin_unlock(&o->lock);
    if (ok) {
        *out_id = id;
    }
    return ok;
}

void object_reserved_page(StoreObject *o, uint32_t ordinal, PageId *out_id)
{
    spin_lock(&o->lock);
    bool ok = page_at_locked(o, ordinal, true, out_id);
    spin_unlock(&o->lock);
    ASSERT(ok);
}

/* The bitmap words of an ordinal. */
static void set_bits(StoreObject *o, uint32_t ordinal, bool used, bool busy)
{
    if (ordinal < SINGLES_MAX) {
        uint32_t b = 1u << ordinal;
        o->singles_used = used ? o->singles_used | b : o->singles_used & ~b;
        o->singles_busy = busy ? o->singles_busy | b : o->singles_busy & ~b;
        return;
    }
    uint32_t e = (ordinal - SINGLES_MAX) / EXTENT_PAGES;
    uint64_t b = UINT64_C(1) << ((ordinal - SINGLES_MAX) % EXTENT_PAGES);
    struct ObjectExtent *x = &o->extents[e];
    x->used = used ? x->used | b : x->used & ~b;
    x->busy = busy ? x->busy | b : x->busy & ~b;
    if (!busy && e < o->extent_hint) {
        o->extent_hint = e;
    }
}

static bool take_free_page(StoreObject *o, uint32_t *out_ordinal)
{
    if (o->n_free == 0) {
        return false;
    }
    o->n_free--;
    uint32_t singles = ~o->singles_busy & (o->n_singles == 32 ? ~0u : (1u << o->n_singles) - 1);
    if (singles != 0) {
        *out_ordinal = (uint32_t)__builtin_ctz(singles);
    } else {
        uint32_t e = o->extent_hint;
        while (~o->extents[e].busy == 0) {
            e++;
            ASSERT(e < o->n_extents);
        }
        o->extent_hint = e;
        *out_ordinal = SINGLES_MAX + e * EXTENT_PAGES + (uint32_t)__builtin_ctzll(~o->extents[e].busy);
    }
    set_bits(o, *out_ordinal, false, true);
    return true;
}

Status object_reserve(Ctx *cx, StoreObject *o, unsigned n, uint32_t *out_ordinals)
{
    ASSERT(o != NULL);
    unsigned got = 0;
    for (;;) {
        spin_lock(&o->lock);
        while (got < n && take_free_page(o, &out_ordinals[got])) {
            got++;
        }
        spin_unlock(&o->lock);
        if (got == n) {
            return ST_OK;
        }
        mutex_lock(&o->grow_mutex);
        spin_lock(&o->lock);
        bool grown = o->n_free > 0;
        spin_unlock(&o->lock);
        Status st = grown ? ST_OK : object_grow(cx, o);
        mutex_unlock(&o->grow_mutex);
        if (st != ST_OK) {
            if (got > 0) {
                object_unreserve(o, out_ordinals, got);
            }
            return st;
        }
    }
}

void object_unreserve(StoreObject *o, const uint32_t *ordinals, unsigned n)
{
    spin_lock(&o->lock);
    for (unsigned i = 0; i < n; i++) {
        set_bits(o, ordinals[i], false, false);
        o->n_free++;
    }
    spin_unlock(&o->lock);
}

void object_apply_change(StoreObject *o, uint32_t ordinal, bool given)
{
    spin_lock(&o->lock);
    set_bits(o, ordinal, !given, !given);
    if (given) {
        o->n_free++;
    }
    spin_unlock(&o->lock);
}

void object_note_single(StoreObject *o, PageId page)
{
    spin_lock(&o->lock);
    o->singles[o->n_singles++] = page;
    o->n_free++;
    spin_unlock(&o->lock);
}

void object_note_extent(StoreObject *o, uint32_t extent)
{
    spin_lock(&o->lock);
    ASSERT(o->n_extents < o->cap_extents);
    o->extents[o->n_extents++] = (struct ObjectExtent){.extent = extent};
    o->n_free += EXTENT_PAGES;
    spin_unlock(&o->lock);
}

/* ---- free-space hints ---- */

static uint32_t unit_of(uint32_t ordinal)
{
    if (ordinal < SINGLES_MAX + HEADER_EXTENTS * EXTENT_PAGES) {
        return 0;
    }
    return 1 + (ordinal - SINGLES_MAX - HEADER_EXTENTS * EXTENT_PAGES) / (UNIT_EXTENTS * EXTENT_PAGES);
}

static uint32_t unit_first(uint32_t unit)
{
    return unit == 0 ? 0 : SINGLES_MAX + (HEADER_EXTENTS + (unit - 1) * UNIT_EXTENTS) * EXTENT_PAGES;
}

PageId object_map_of(StoreObject *o, uint32_t ordinal, uint16_t *out_index)
{
    uint32_t unit = unit_of(ordinal);
    *out_index = (uint16_t)(ordinal - unit_first(unit));
    if (unit == 0) {
        return o->ref.header;
    }
    spin_lock(&o->lock);
    PageId page = o->maps.v[unit - 1];
    spin_unlock(&o->lock);
    return page;
}

static uint8_t *class_array(uint8_t *page, uint32_t unit, uint32_t *out_n, uint32_t *out_skip)
{
    if (unit > 0) {
        ObjectMapPage *m = (ObjectMapPage *)(void *)page;
        *out_n = m->n_extents * EXTENT_PAGES;
        *out_skip = 0;
        return m->classes;
    }
    ObjectHeaderPage *h = (ObjectHeaderPage *)(void *)page;
    *out_n = h->n_extents * EXTENT_PAGES;
    *out_skip = SINGLES_MAX;
    return h->classes;
}

static bool class_fits(uint8_t c, unsigned min_class)
{
    return c != CLASS_FREE && c >= min_class;
}

/* Looks for a class on one unit's page, from a place chosen by the hint; learns the unit's highest class on a miss. */
static bool search_unit(uint8_t *page, uint32_t unit, unsigned min_class, uint32_t hint, uint32_t *out_index,
                        uint8_t *out_max)
{
    uint32_t n;
    uint32_t skip;
    uint8_t max = 0;
    const uint8_t *classes = class_array(page, unit, &n, &skip);
    const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)page;
    for (uint32_t i = 0; unit == 0 && i < h->n_singles; i++) {
        if (class_fits(h->single_class[i], min_class)) {
            *out_index = i;
            return true;
        }
        max = h->single_class[i] != CLASS_FREE && h->single_class[i] > max ? h->single_class[i] : max;
    }
    uint32_t start = n > 0 ? hint % n : 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = start + k < n ? start + k : start + k - n;
        if (class_fits(classes[i], min_class)) {
            *out_index = skip + i;
            return true;
        }
        max = classes[i] != CLASS_FREE && classes[i] > max ? classes[i] : max;
    }
    *out_max = max;
    return false;
}

static uint32_t promising_unit(StoreObject *o, uint32_t from, unsigned min_class)
{
    spin_lock(&o->lock);
    uint32_t u = from;
    while (u < o->unit_max.n && o->unit_max.v[u] < min_class) {
        u++;
    }
    bool found = u < o->unit_max.n;
    spin_unlock(&o->lock);
    return found ? u : UINT32_MAX;
}

Status object_find_space(Ctx *cx, StoreObject *o, unsigned min_class, uint32_t hint, uint32_t *out_ordinal)
{
    ASSERT(min_class <= SPACE_CLASS_MAX);
    for (uint32_t u = promising_unit(o, 0, min_class); u != UINT32_MAX; u = promising_unit(o, u + 1, min_class)) {
        uint16_t ignored;
        BufFrame *f;
        uint8_t max = 0;
        uint32_t index = 0;
        Status st = buf_fix(cx, o->store, object_map_of(o, unit_first(u), &ignored), o->ref.id, LATCH_SHARED, &f);
        if (st != ST_OK) {
            return st;
        }
        bool found = search_unit(buf_page(f), u, min_class, hint, &index, &max);
        if (!found) {
            spin_lock(&o->lock);
            o->unit_max.v[u] = max;
            spin_unlock(&o->lock);
        }
        buf_unfix(f);
        if (found) {
            *out_ordinal = unit_first(u) + index;
            return ST_OK;
        }
    }
    return ST_NOT_FOUND;
}

void object_note_space(Ctx *cx, StoreObject *o, uint32_t ordinal, unsigned space_class)
{
    ASSERT(space_class <= SPACE_CLASS_MAX);
    uint16_t index;
    BufFrame *f;
    PageId ignored;
    if (!object_page_at(o, ordinal, &ignored)) {
        return;
    }
    PageId page = object_map_of(o, ordinal, &index);
    Status st = buf_try_fix(cx, o->store, page, o->ref.id, LATCH_EXCLUSIVE, &f);
    if (st != ST_OK) {
        if (st != ST_WOULD_BLOCK) {
            err_clear(cx->err);
        }
        return;
    }
    uint32_t unit = unit_of(ordinal);
    uint32_t n;
    uint32_t skip;
    uint8_t *classes = class_array(buf_page(f), unit, &n, &skip);
    ObjectHeaderPage *h = (ObjectHeaderPage *)(void *)buf_page(f);
    uint8_t *c = unit == 0 && index < SINGLES_MAX ? &h->single_class[index] : &classes[index - skip];
    if (*c != CLASS_FREE && *c != space_class) {
        buf_hint_dirty(f);
        *c = (uint8_t)space_class;
        spin_lock(&o->lock);
        if (o->unit_max.v[unit] < space_class) {
            o->unit_max.v[unit] = (uint8_t)space_class;
        }
        spin_unlock(&o->lock);
    }
    buf_unfix(f);
}

/* ---- the user area ---- */

Status object_read_user(Ctx *cx, StoreObject *o, void *out_user)
{
    BufFrame *f;
    Status st = buf_fix(cx, o->store, o->ref.header, o->ref.id, LATCH_SHARED, &f);
    if (st == ST_OK) {
        memcpy(out_user, ((const ObjectHeaderPage *)(const void *)buf_page(f))->user, OBJECT_USER_BYTES);
        buf_unfix(f);
    }
    return st;
}

Status object_write_user(Ctx *cx, StoreObject *o, TxnId txn, const void *user)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(1, OBJECT_USER_BYTES), .frames = 1};
    StoreOp op;
    BufFrame *f;
    Status st = op_begin(cx, o->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix(cx, o->store, o->ref.header, o->ref.id, LATCH_EXCLUSIVE, &f);
    if (st == ST_OK) {
        LogPage lp = {.frame = f, .redo = REDO_OBJECT_USER, .data = user, .len = OBJECT_USER_BYTES};
        (void)store_log(&op, WAL_SPACE, 0, txn, &lp, 1, NULL, 0);
        buf_unfix(f);
    }
    op_end(&op);
    return st;
}
