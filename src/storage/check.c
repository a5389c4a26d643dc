/*
 * storage/check.c: the verifier of everything storage owns: extent maps, object maps, page headers and checksums.
 *
 * Finds every object by its header page (they live in shared extents), claims what each object's map names, and compares
 * the claims with the extent maps in both directions.
 */
#include <stdarg.h>
#include <stdio.h>

#include "storage/storage_int.h"

typedef struct Claims {
    Store *s;
    StoreCheck *check;
    uint64_t *owner;  /* by extent: object that claims it */
    uint64_t *shared; /* by extent: bitmap of pages claimed */
    uint32_t n;
} Claims;

static void report(StoreCheck *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void report(StoreCheck *c, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->problems++;
    if (c->report != NULL) {
        c->report(c->arg, text);
    }
}

static Status read_entry(Ctx *cx, Store *s, uint32_t extent, ExtentEntry *out)
{
    BufFrame *f;
    Status st = buf_fix(cx, s, extent_map_page(extent), OBJ_NONE, LATCH_SHARED, &f);
    if (st == ST_OK) {
        *out = extent_entry(buf_page(f), extent);
        buf_unfix(f);
    }
    return st;
}

static void claim_shared(Claims *c, PageId page, ObjId object)
{
    uint64_t number = page_number(page);
    uint32_t extent = (uint32_t)(number / EXTENT_PAGES);
    uint64_t bit = UINT64_C(1) << (number % EXTENT_PAGES);
    if (page_space(page) != SPACE_MAIN || extent >= c->n) {
        report(c->check, "object %llu names page %llu, which does not exist", (unsigned long long)object.v,
               (unsigned long long)page.v);
        return;
    }
    if ((c->shared[extent] & bit) != 0) {
        report(c->check, "page %llu is claimed twice, the second time by object %llu", (unsigned long long)page.v,
               (unsigned long long)object.v);
    }
    c->shared[extent] |= bit;
}

static void claim_extent(Claims *c, uint32_t extent, ObjId object)
{
    if (extent >= c->n) {
        report(c->check, "object %llu names extent %u, which does not exist", (unsigned long long)object.v, extent);
        return;
    }
    if (c->owner[extent] != 0) {
        report(c->check, "extent %u is claimed by object %llu and by object %llu", extent,
               (unsigned long long)c->owner[extent], (unsigned long long)object.v);
    }
    c->owner[extent] = object.v;
}

/* Reads a page of an object; what is wrong with it is a problem, not a failure of the check. */
static Status check_page(Ctx *cx, Claims *c, StoreObject *o, PageId id, uint32_t ordinal)
{
    BufFrame *f;
    Status st = buf_fix(cx, c->s, id, o->ref.id, LATCH_SHARED, &f);
    c->check->pages++;
    if (st == ST_CORRUPTED) {
        report(c->check, "%s", cx->err->message);
        err_clear(cx->err);
        return ST_OK;
    }
    if (st == ST_OK) {
        if (page_header_const(buf_page(f))->ordinal != ordinal) {
            report(c->check, "page %llu of object %llu says ordinal %u, its place is %u", (unsigned long long)id.v,
                   (unsigned long long)o->ref.id.v, page_header_const(buf_page(f))->ordinal, ordinal);
        }
        buf_unfix(f);
    }
    return st == ST_OK ? ctx_poll(cx) : st;
}

static Status check_pages(Ctx *cx, Claims *c, StoreObject *o)
{
    uint32_t n = object_page_count(o);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        PageId id;
        if (object_page_at(o, i, &id)) {
            st = check_page(cx, c, o, id, i);
        }
    }
    return st;
}

static Status claim_dirs(Ctx *cx, Claims *c, StoreObject *o)
{
    BufFrame *f;
    Status st = buf_fix(cx, c->s, o->ref.header, o->ref.id, LATCH_SHARED, &f);
    if (st == ST_OK) {
        const ObjectHeaderPage *h = (const ObjectHeaderPage *)(const void *)buf_page(f);
        for (unsigned i = 0; i < DIRS_MAX; i++) {
            if (h->dirs[i] != 0) {
                claim_shared(c, (PageId){h->dirs[i]}, o->ref.id);
            }
        }
        buf_unfix(f);
    }
    return st;
}

static Status check_object(Ctx *cx, Claims *c, ObjectRef ref)
{
    StoreObject *o;
    c->check->objects++;
    bool known = c->check->known == NULL || c->check->known(c->check->arg, ref);
    if (!known) {
        report(c->check, "object %llu at page %llu is leaked: nothing names it", (unsigned long long)ref.id.v,
               (unsigned long long)ref.header.v);
    }
    Status st = object_open(cx, c->s, ref, &o);
    if (st == ST_CORRUPTED) {
        report(c->check, "%s", cx->err->message);
        err_clear(cx->err);
        return ST_OK;
    }
    if (st != ST_OK) {
        return st;
    }
    claim_shared(c, ref.header, ref.id);
    for (uint32_t i = 0; i < o->n_singles; i++) {
        claim_shared(c, o->singles[i], ref.id);
    }
    for (size_t i = 0; i < o->maps.n; i++) {
        claim_shared(c, o->maps.v[i], ref.id);
    }
    for (uint32_t i = 0; i < o->n_extents; i++) {
        claim_extent(c, o->extents[i].extent, ref.id);
    }
    st = claim_dirs(cx, c, o);
    if (st == ST_OK && known) {
        st = check_pages(cx, c, o);
    }
    object_close(o);
    return st;
}

static Status find_objects(Ctx *cx, Claims *c)
{
    for (uint32_t extent = 0; extent < c->n; extent++) {
        ExtentEntry e;
        Status st = read_entry(cx, c->s, extent, &e);
        for (unsigned i = 0; st == ST_OK && e.state == EXTENT_SHARED && i < EXTENT_PAGES; i++) {
            if ((e.used >> i & 1) == 0) {
                continue;
            }
            BufFrame *f;
            PageId id = extent_page(extent, i);
            st = buf_fix(cx, c->s, id, OBJ_NONE, LATCH_SHARED, &f);
            if (st == ST_CORRUPTED) {
                /* A page given to an object but never used is legitimately not there; its object's map tells. */
                err_clear(cx->err);
                st = ST_OK;
                continue;
            }
            if (st != ST_OK) {
                break;
            }
            PageHeader h = *page_header_const(buf_page(f));
            buf_unfix(f);
            if (h.type == PAGE_OBJECT_HEADER) {
                st = check_object(cx, c, (ObjectRef){{h.object}, id});
            }
        }
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

static Status compare(Ctx *cx, Claims *c)
{
    for (uint32_t extent = 0; extent < c->n; extent++) {
        ExtentEntry e;
        Status st = read_entry(cx, c->s, extent, &e);
        if (st != ST_OK) {
            return st;
        }
        uint64_t owned = e.state == EXTENT_OWNED ? e.owner : 0;
        uint64_t shared = e.state == EXTENT_SHARED ? e.used : 0;
        if (owned != c->owner[extent]) {
            report(c->check, "extent %u is owned by object %llu, the object maps say %llu", extent,
                   (unsigned long long)owned, (unsigned long long)c->owner[extent]);
        }
        if (shared != c->shared[extent]) {
            report(c->check, "shared extent %u has pages %016llx in use, the object maps say %016llx", extent,
                   (unsigned long long)shared, (unsigned long long)c->shared[extent]);
        }
        if (e.state != EXTENT_FREE && space_is_free(c->s, extent)) {
            report(c->check, "extent %u is in use, and would be handed out as free", extent);
        }
        if (e.state == EXTENT_SYSTEM && extent % MAP_EXTENTS != 0) {
            report(c->check, "extent %u is marked as holding an extent map", extent);
        }
    }
    return ST_OK;
}

Status store_check(Ctx *cx, Store *s, StoreCheck *check)
{
    Claims c = {.s = s, .check = check};
    spin_lock(&s->space.lock);
    c.n = s->space.n_extents;
    spin_unlock(&s->space.lock);
    check->problems = check->pages = check->objects = 0;
    size_t bytes = ((size_t)c.n + 1) * sizeof(uint64_t);
    c.owner = mem_alloc0(s->budget, bytes);
    c.shared = mem_alloc0(s->budget, bytes);
    Status st = c.owner != NULL && c.shared != NULL ? find_objects(cx, &c) : ctx_nomem(cx, bytes);
    if (st == ST_OK) {
        st = compare(cx, &c);
    }
    mem_free(s->budget, c.owner, c.owner != NULL ? bytes : 0);
    mem_free(s->budget, c.shared, c.shared != NULL ? bytes : 0);
    return st;
}
