/*
 * storage_model.c: see storage_model.h.
 */
#include "storage_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

enum { REDO_MODEL = 60, WAL_CHANGE = 100, WAL_CREATE = 101, WAL_DROP = 102 };
enum { OBJECTS_MAX = 4096, ALIVE_MAX = 6, PAGES_MAX = 288, CELLS = 1000, CELLS_AT = 96 };
enum { OBJECT_UNDO_BYTES = 256, WORKERS_MAX = 16 };

static char doing_text[512];

void model_doing(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(doing_text, sizeof doing_text, fmt, ap);
    va_end(ap);
}

void model_die(const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "FAILED (%s): ", doing_text);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    abort();
}

/* ---- the model ---- */

/* The state of a page from this LSN on. */
typedef struct Event {
    uint64_t lsn;
    uint64_t count; /* changes ever, over all lives of the page */
    uint64_t hash;
    bool used;
} Event;

typedef struct History {
    Event *v;
    size_t n, cap;
} History;

typedef enum ObjectState { OBJECT_ALIVE, OBJECT_DROPPED, OBJECT_GONE } ObjectState;

typedef struct ModelObject {
    ObjectRef ref;
    StoreObject *handle; /* while the store is open */
    ObjectState state;
    uint64_t create_lsn, drop_lsn; /* drop_lsn 0 = not dropped */
    int users;
    uint32_t n_pages; /* highest ordinal ever used, plus one */
    History pages[PAGES_MAX];
} ModelObject;

typedef struct Ack {
    uint64_t io, lsn;
} Ack;

/* `lock` guards everything; taken with pages latched. */
struct Model {
    Mutex lock;
    ModelObject *objects[OBJECTS_MAX];
    size_t n_objects;
    uint64_t in_flight[OBJECTS_MAX]; /* ids of objects being created */
    size_t n_in_flight;
    Ack *acks;
    size_t n_acks, cap_acks;
    uint64_t floor; /* verified to be durable by an earlier recovery */
    uint64_t changes;
    SimDisk *disk;
    Store *store;
    WorkConfig config;
    _Atomic uint64_t seq;
    _Atomic bool stop;
    uint64_t watermark; /* highest LSN acknowledged through wal_on_durable */
};

static void *grow(void *p, size_t *cap, size_t n, size_t bytes)
{
    if (n == *cap) {
        *cap = *cap == 0 ? 8 : *cap * 2;
        p = realloc(p, *cap * bytes);
    }
    return p;
}

Model *model_new(void)
{
    Model *m = calloc(1, sizeof *m);
    mutex_init(&m->lock, RANK_NONE);
    return m;
}

static void object_forget(ModelObject *o)
{
    for (uint32_t i = 0; i < PAGES_MAX; i++) {
        free(o->pages[i].v);
    }
    free(o);
}

void model_free(Model *m)
{
    for (size_t i = 0; i < m->n_objects; i++) {
        object_forget(m->objects[i]);
    }
    free(m->acks);
    mutex_done(&m->lock);
    free(m);
}

static void note(Model *m, ModelObject *o, uint32_t ordinal, Event e)
{
    mutex_lock(&m->lock);
    History *h = &o->pages[ordinal];
    if (h->n > 0 && h->v[h->n - 1].lsn >= e.lsn) {
        model_die("page %u of object %llu: LSN %llu after %llu", ordinal, (unsigned long long)o->ref.id.v,
                  (unsigned long long)e.lsn, (unsigned long long)h->v[h->n - 1].lsn);
    }
    h->v = grow(h->v, &h->cap, h->n, sizeof *h->v);
    h->v[h->n++] = e;
    o->n_pages = ordinal >= o->n_pages ? ordinal + 1 : o->n_pages;
    m->changes++;
    mutex_unlock(&m->lock);
}

static Event last_event(Model *m, ModelObject *o, uint32_t ordinal)
{
    Event e = {0};
    mutex_lock(&m->lock);
    History *h = &o->pages[ordinal];
    if (h->n > 0) {
        e = h->v[h->n - 1];
    }
    mutex_unlock(&m->lock);
    return e;
}

static Event event_at(const History *h, uint64_t end)
{
    Event e = {0};
    for (size_t i = 0; i < h->n && h->v[i].lsn <= end; i++) {
        e = h->v[i];
    }
    return e;
}

static void acknowledge(Model *m, uint64_t lsn)
{
    uint64_t io = simdisk_io_count(m->disk);
    mutex_lock(&m->lock);
    m->acks = grow(m->acks, &m->cap_acks, m->n_acks, sizeof *m->acks);
    m->acks[m->n_acks++] = (Ack){io, lsn};
    mutex_unlock(&m->lock);
}

uint64_t model_acknowledged(Model *m, uint64_t io)
{
    uint64_t lsn = m->floor;
    for (size_t i = 0; i < m->n_acks; i++) {
        lsn = m->acks[i].io <= io && m->acks[i].lsn > lsn ? m->acks[i].lsn : lsn;
    }
    return lsn;
}

uint64_t model_changes(const Model *m)
{
    return m->changes;
}

void model_cut(Model *m, uint64_t end)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_objects; i++) {
        ModelObject *o = m->objects[i];
        bool dropped = o->drop_lsn != 0 && o->drop_lsn <= end;
        if (o->create_lsn > end || dropped || o->state == OBJECT_GONE) {
            object_forget(o);
            continue;
        }
        o->drop_lsn = 0;
        o->state = OBJECT_ALIVE;
        o->users = 0;
        for (uint32_t p = 0; p < o->n_pages; p++) {
            History *h = &o->pages[p];
            while (h->n > 0 && h->v[h->n - 1].lsn > end) {
                h->n--;
            }
        }
        m->objects[kept++] = o;
    }
    m->n_objects = kept;
    m->n_in_flight = 0;
    m->n_acks = 0;
    m->floor = end;
}

/* ---- pages ---- */

static uint64_t page_count(const uint8_t *page)
{
    return load_u64(page + 64);
}
static uint64_t page_hash(const uint8_t *page)
{
    return load_u64(page + 72);
}

/* INIT: u64 object, u32 ordinal, u32, u64 count, u64 hash. Else: u64 count expected, u64 value. */
static Status redo_model(const WalPage *ref, uint8_t *page, Error *err)
{
    if ((ref->flags & WAL_PAGE_INIT) != 0) {
        page_init(page, ref->id, (ObjId){load_u64(ref->data)}, load_u32(ref->data + 8), PAGE_TABLE, 1);
        store_u64(page + 64, load_u64(ref->data + 16));
        store_u64(page + 72, load_u64(ref->data + 24));
        return ST_OK;
    }
    uint64_t expected = load_u64(ref->data);
    uint64_t value = load_u64(ref->data + 8);
    if (ref->len != 16 || page_header_const(page)->type != PAGE_TABLE || page_count(page) != expected) {
        return err_set(err, ST_CORRUPTED, "page %llu: change number %llu meets a page with %llu changes",
                       (unsigned long long)ref->id.v, (unsigned long long)expected,
                       (unsigned long long)page_count(page));
    }
    store_u64(page + 64, expected + 1);
    store_u64(page + 72, mix64(page_hash(page) ^ value));
    store_u64(page + CELLS_AT + 8 * (value % CELLS), value);
    return ST_OK;
}

static void page_must_be(const uint8_t *page, const ModelObject *o, uint32_t ordinal, Event e, const char *when)
{
    if (page_count(page) != e.count || page_hash(page) != e.hash) {
        model_die("%s: page %u of object %llu has %llu changes (hash %llx), expected %llu (hash %llx)", when, ordinal,
                  (unsigned long long)o->ref.id.v, (unsigned long long)page_count(page),
                  (unsigned long long)page_hash(page), (unsigned long long)e.count, (unsigned long long)e.hash);
    }
}

/* ---- the workload ---- */

typedef struct Worker {
    Model *m;
    Rng rng;
    Error err;
    Ctx cx;
    uint64_t last_lsn;
    OsThread *thread;
} Worker;

/* Passes over what a cut or an expected fault explains; anything else ends the test. Stops the work after a cut. */
static void explain(Worker *w, Status st, const char *what)
{
    Model *m = w->m;
    bool fault = st == ST_OUT_OF_MEMORY || st == ST_IO_ERROR || st == ST_DISK_FULL || st == ST_CRASH_SHUTDOWN;
    if (simdisk_is_cut(m->disk)) {
        atomic_store(&m->stop, true);
    } else if (!m->config.faults || !fault) {
        model_die("%s: %s %s (%s)", what, status_name(st), w->err.message != NULL ? w->err.message : "",
                  w->err.detail != NULL ? w->err.detail : "");
    }
    err_clear(&w->err);
}

static bool went(Worker *w, Status st, const char *what)
{
    if (st != ST_OK) {
        explain(w, st, what);
    }
    return st == ST_OK;
}

static uint64_t below(Worker *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

static ModelObject *borrow(Worker *w)
{
    Model *m = w->m;
    ModelObject *found = NULL;
    mutex_lock(&m->lock);
    size_t start = m->n_objects > 0 ? below(w, m->n_objects) : 0;
    for (size_t i = 0; i < m->n_objects && found == NULL; i++) {
        ModelObject *o = m->objects[(start + i) % m->n_objects];
        found = o->state == OBJECT_ALIVE && o->handle != NULL ? o : NULL;
    }
    if (found != NULL) {
        found->users++;
    }
    mutex_unlock(&m->lock);
    return found;
}

static void give_back(Worker *w, ModelObject *o)
{
    mutex_lock(&w->m->lock);
    o->users--;
    mutex_unlock(&w->m->lock);
}

static bool some_page(Worker *w, ModelObject *o, uint32_t *out_ordinal, PageId *out_id)
{
    mutex_lock(&w->m->lock);
    uint32_t n = o->n_pages;
    mutex_unlock(&w->m->lock);
    if (n == 0) {
        return false;
    }
    *out_ordinal = (uint32_t)below(w, n);
    return object_page_at(o->handle, *out_ordinal, out_id);
}

/* Latches a page that may just have been given back; false then. */
static bool fix(Worker *w, ModelObject *o, uint32_t ordinal, PageId id, LatchMode mode, BufFrame **out_frame)
{
    Status st = buf_fix(&w->cx, w->m->store, id, o->ref.id, mode, out_frame);
    PageId ignored;
    if (st == ST_CORRUPTED && !object_page_at(o->handle, ordinal, &ignored)) {
        err_clear(&w->err);
        return false;
    }
    if (!went(w, st, "buf_fix")) {
        return false;
    }
    if (!last_event(w->m, o, ordinal).used) {
        buf_unfix(*out_frame);
        return false;
    }
    return true;
}

typedef struct Change {
    ModelObject *o;
    uint32_t ordinal;
    PageId id;
    BufFrame *frame;
    uint8_t data[16];
    Event e;
} Change;

static void prepare_change(Worker *w, Change *c, uint64_t value)
{
    c->e = last_event(w->m, c->o, c->ordinal);
    page_must_be(buf_page(c->frame), c->o, c->ordinal, c->e, "before a change");
    store_u64(c->data, c->e.count);
    store_u64(c->data + 8, value);
    c->e.hash = mix64(c->e.hash ^ value);
    c->e.count++;
}

static void log_changes(Worker *w, StoreOp *op, Change *c, unsigned n)
{
    LogPage pages[2];
    uint64_t value = mix64(atomic_fetch_add(&w->m->seq, 1));
    uint8_t body[64] = {0};
    for (unsigned i = 0; i < n; i++) {
        prepare_change(w, &c[i], value);
        pages[i] = (LogPage){.frame = c[i].frame, .redo = REDO_MODEL, .data = c[i].data, .len = sizeof c[i].data};
    }
    Lsn lsn = store_log(op, WAL_CHANGE, 0, TXN_NONE, pages, n, body, (uint32_t)below(w, sizeof body));
    w->last_lsn = lsn.v;
    for (unsigned i = 0; i < n; i++) {
        c[i].e.lsn = lsn.v;
        note(w->m, c[i].o, c[i].ordinal, c[i].e);
    }
}

static void change_latched(Worker *w, StoreOp *op, Change *c, unsigned n)
{
    unsigned got = 0;
    while (got < n && fix(w, c[got].o, c[got].ordinal, c[got].id, LATCH_EXCLUSIVE, &c[got].frame)) {
        got++;
    }
    if (got == n) {
        log_changes(w, op, c, n);
    }
    for (unsigned i = 0; i < got; i++) {
        buf_unfix(c[i].frame);
    }
}

static void change_pages(Worker *w)
{
    Change c[2];
    unsigned n = 0;
    for (unsigned i = 0; i < 2; i++) {
        Change *at = &c[n];
        at->o = borrow(w);
        if (at->o == NULL) {
            continue;
        }
        if (some_page(w, at->o, &at->ordinal, &at->id) && (n == 0 || !page_eq(c[0].id, at->id))) {
            n++;
        } else {
            give_back(w, at->o);
        }
    }
    if (n == 2 && c[0].id.v > c[1].id.v) {
        Change t = c[0];
        c[0] = c[1];
        c[1] = t;
    }
    OpNeed need = {.wal_bytes = wal_record_bytes(2, 96), .frames = 2};
    StoreOp op;
    if (n > 0 && went(w, op_begin(&w->cx, w->m->store, &need, &op), "op_begin")) {
        change_latched(w, &op, c, n);
        op_end(&op);
    }
    for (unsigned i = 0; i < n; i++) {
        give_back(w, c[i].o);
    }
}

static void read_page(Worker *w)
{
    ModelObject *o = borrow(w);
    uint32_t ordinal;
    PageId id;
    BufFrame *f;
    if (o != NULL && some_page(w, o, &ordinal, &id) && fix(w, o, ordinal, id, LATCH_SHARED, &f)) {
        page_must_be(buf_page(f), o, ordinal, last_event(w->m, o, ordinal), "reading");
        buf_unfix(f);
    }
    if (o != NULL) {
        give_back(w, o);
    }
}

static void log_new_pages(Worker *w, StoreOp *op, ModelObject *o, BufFrame **frames, const uint32_t *ordinals,
                          unsigned n)
{
    LogPage pages[2];
    uint8_t data[2][32];
    Event e[2];
    for (unsigned i = 0; i < n; i++) {
        e[i] = last_event(w->m, o, ordinals[i]);
        e[i].used = true;
        e[i].count++;
        e[i].hash = mix64(atomic_fetch_add(&w->m->seq, 1));
        store_u64(data[i], o->ref.id.v);
        store_u64(data[i] + 8, ordinals[i]);
        store_u64(data[i] + 16, e[i].count);
        store_u64(data[i] + 24, e[i].hash);
        pages[i] =
            (LogPage){.frame = frames[i], .redo = REDO_MODEL, .flags = WAL_PAGE_INIT, .data = data[i], .len = 32};
    }
    w->last_lsn = store_log(op, WAL_CHANGE, 0, TXN_NONE, pages, n, NULL, 0).v;
    for (unsigned i = 0; i < n; i++) {
        e[i].lsn = w->last_lsn;
        note(w->m, o, ordinals[i], e[i]);
        buf_unfix(frames[i]);
    }
}

static void add_pages(Worker *w)
{
    ModelObject *o = borrow(w);
    if (o == NULL) {
        return;
    }
    unsigned n = 1 + (unsigned)below(w, 2);
    OpNeed need = {.wal_bytes = wal_record_bytes(2, 64), .frames = 6, .new_pages = (uint16_t)n, .object = o->handle};
    StoreOp op;
    if (object_page_count(o->handle) < PAGES_MAX - 64 &&
        went(w, op_begin(&w->cx, w->m->store, &need, &op), "op_begin")) {
        BufFrame *frames[2];
        uint32_t ordinals[2];
        unsigned got = 0;
        while (got < n && went(w, op_take_page(&w->cx, &op, &frames[got], &ordinals[got]), "op_take_page")) {
            got++;
        }
        if (got == n && below(w, 8) != 0) {
            log_new_pages(w, &op, o, frames, ordinals, n);
        } else {
            op_abandon(&op, frames, got);
        }
        op_end(&op);
    }
    give_back(w, o);
}

static void give_page(Worker *w)
{
    ModelObject *o = borrow(w);
    uint32_t ordinal;
    PageId id;
    BufFrame *f;
    StoreOp op;
    if (o == NULL) {
        return;
    }
    OpNeed need = {.wal_bytes = wal_record_bytes(1, 16), .frames = 3, .object = o->handle};
    if (some_page(w, o, &ordinal, &id) && went(w, op_begin(&w->cx, w->m->store, &need, &op), "op_begin")) {
        if (fix(w, o, ordinal, id, LATCH_EXCLUSIVE, &f)) {
            Event e = last_event(w->m, o, ordinal);
            if (went(w, op_give_page(&w->cx, &op, f), "op_give_page")) {
                e.used = false;
                e.lsn = w->last_lsn = store_log(&op, WAL_CHANGE, 0, TXN_NONE, NULL, 0, NULL, 0).v;
                note(w->m, o, ordinal, e);
            }
            buf_unfix(f);
        }
        op_end(&op);
    }
    give_back(w, o);
}

static void use_hints(Worker *w)
{
    ModelObject *o = borrow(w);
    if (o == NULL) {
        return;
    }
    uint32_t ordinal;
    PageId id;
    if (some_page(w, o, &ordinal, &id)) {
        object_note_space(&w->cx, o->handle, ordinal, (unsigned)below(w, SPACE_CLASS_MAX + 1));
    }
    Status st =
        object_find_space(&w->cx, o->handle, (unsigned)below(w, SPACE_CLASS_MAX), (uint32_t)below(w, 100), &ordinal);
    if (st != ST_NOT_FOUND) {
        went(w, st, "object_find_space");
    }
    err_clear(&w->err);
    give_back(w, o);
}

/* Objects alive; many when there is no room to note more. */
static size_t count_alive(Model *m)
{
    mutex_lock(&m->lock);
    size_t n = m->n_objects >= OBJECTS_MAX - WORKERS_MAX ? OBJECTS_MAX : 0;
    for (size_t i = 0; i < m->n_objects; i++) {
        n += m->objects[i]->state == OBJECT_ALIVE;
    }
    mutex_unlock(&m->lock);
    return n;
}

static void create_object(Worker *w)
{
    Model *m = w->m;
    ObjId id;
    ObjectRef ref;
    Lsn lsn;
    StoreObject *handle;
    if (count_alive(m) >= ALIVE_MAX || !went(w, object_new_id(&w->cx, m->store, &id), "object_new_id")) {
        return;
    }
    mutex_lock(&m->lock);
    m->in_flight[m->n_in_flight++ % OBJECTS_MAX] = id.v;
    mutex_unlock(&m->lock);
    if (!went(w, object_create(&w->cx, m->store, id, SPACE_MAIN, WAL_CREATE, TXN_NONE, "x", 1, NULL, &ref, &lsn),
              "object_create")) {
        return;
    }
    op_release_undo(m->store, OBJECT_UNDO_BYTES);
    w->last_lsn = lsn.v;
    ModelObject *o = calloc(1, sizeof *o);
    o->ref = ref;
    o->create_lsn = lsn.v;
    o->state = OBJECT_ALIVE;
    o->users = 1;
    bool opened = went(w, object_open(&w->cx, m->store, ref, &handle), "object_open");
    mutex_lock(&m->lock);
    o->handle = opened ? handle : NULL;
    o->users = 0;
    for (size_t i = 0; i < m->n_objects; i++) {
        if (m->objects[i]->ref.id.v == id.v) {
            model_die("object id %llu was given out twice", (unsigned long long)id.v);
        }
    }
    m->objects[m->n_objects++] = o;
    mutex_unlock(&m->lock);
}

static ModelObject *take_for_drop(Worker *w)
{
    Model *m = w->m;
    ModelObject *found = NULL;
    mutex_lock(&m->lock);
    size_t start = m->n_objects > 0 ? below(w, m->n_objects) : 0;
    for (size_t i = 0; i < m->n_objects && found == NULL; i++) {
        ModelObject *o = m->objects[(start + i) % m->n_objects];
        found = o->state == OBJECT_ALIVE && o->handle != NULL && o->users == 0 ? o : NULL;
    }
    if (found != NULL) {
        found->state = OBJECT_DROPPED;
    }
    mutex_unlock(&m->lock);
    return found;
}

static bool free_object(Worker *w, ObjectRef ref)
{
    bool done = false;
    while (!done) {
        Status st = object_free_step(&w->cx, w->m->store, ref, &done);
        if (!went(w, st, "object_free_step")) {
            return false;
        }
    }
    return true;
}

static void drop_object(Worker *w)
{
    Model *m = w->m;
    ModelObject *o = take_for_drop(w);
    if (o == NULL) {
        return;
    }
    OpNeed need = {.wal_bytes = wal_record_bytes(0, 8)};
    StoreOp op;
    if (!went(w, op_begin(&w->cx, m->store, &need, &op), "op_begin")) {
        mutex_lock(&m->lock);
        o->state = OBJECT_ALIVE;
        mutex_unlock(&m->lock);
        return;
    }
    Lsn lsn = store_log(&op, WAL_DROP, 0, TXN_NONE, NULL, 0, &o->ref.id.v, 8);
    op_end(&op);
    mutex_lock(&m->lock);
    o->drop_lsn = lsn.v;
    mutex_unlock(&m->lock);
    if (!went(w, wal_wait(&w->cx, m->store, lsn), "wal_wait")) {
        return;
    }
    acknowledge(m, lsn.v);
    object_close(o->handle);
    o->handle = NULL;
    if (free_object(w, o->ref)) {
        mutex_lock(&m->lock);
        o->state = OBJECT_GONE;
        mutex_unlock(&m->lock);
    }
}

typedef struct Waiting {
    WalWaiter waiter;
    Model *m;
} Waiting;

static void became_durable(WalWaiter *waiter, bool durable)
{
    Waiting *x = (Waiting *)waiter;
    if (durable) {
        acknowledge(x->m, waiter->lsn.v);
    }
    free(x);
}

static void wait_durable(Worker *w)
{
    Model *m = w->m;
    if (w->last_lsn == 0) {
        return;
    }
    if (below(w, 2) == 0) {
        if (went(w, wal_wait(&w->cx, m->store, (Lsn){w->last_lsn}), "wal_wait")) {
            acknowledge(m, w->last_lsn);
        }
        return;
    }
    Waiting *x = calloc(1, sizeof *x);
    x->m = m;
    wal_on_durable(m->store, (Lsn){w->last_lsn}, &x->waiter, became_durable);
}

static void one_operation(Worker *w)
{
    uint64_t dice = below(w, 1000);
    unsigned drops = w->m->config.drops;
    if (dice < drops) {
        drop_object(w);
    } else if (dice < drops + 30 || count_alive(w->m) == 0) {
        create_object(w);
    } else if (dice < 200) {
        add_pages(w);
    } else if (dice < 230) {
        give_page(w);
    } else if (dice < 290) {
        use_hints(w);
    } else if (dice < 400) {
        read_page(w);
    } else if (dice < 540) {
        wait_durable(w);
    } else if (dice < 550) {
        went(w, store_checkpoint(&w->cx, w->m->store), "store_checkpoint");
    } else if (dice < 570 && w->m->config.threads == 0) {
        went(w, store_tick(&w->cx, w->m->store), "store_tick");
    } else {
        change_pages(w);
    }
}

static void worker_init(Worker *w, Model *m, Budget *budget, uint64_t seed)
{
    *w = (Worker){.m = m};
    rng_seed(&w->rng, seed);
    err_clear(&w->err);
    ctx_init(&w->cx, &w->err, budget, NULL);
}

static void worker_main(void *arg)
{
    Worker *w = arg;
    for (unsigned i = 0; i < w->m->config.ops && !atomic_load(&w->m->stop); i++) {
        one_operation(w);
    }
}

/* ---- opening ---- */

static StoreConfig store_config(const WorkConfig *config)
{
    StoreConfig c;
    store_config_default(&c);
    c.pool_bytes = (config->pool_frames != 0 ? config->pool_frames : 64) * PAGE_BYTES;
    c.wal_ring_bytes = 64 * 1024;
    c.wal_segment_bytes = 64 * 1024;
    c.checkpoint_wal_bytes = 96 * 1024;
    c.checkpoint_every_us = 0;
    c.grow_extents = 2;
    c.background = config->threads > 0;
    return c;
}

static Status open_store(Ctx *cx, Model *m, Vfs *vfs, Budget *budget, const WorkConfig *config, Store **out_store)
{
    (void)m;
    StoreRegistry reg;
    StoreConfig c = store_config(config);
    memset(&reg, 0, sizeof reg);
    reg.redo[REDO_MODEL] = redo_model;
    return store_open(cx, vfs, budget, NULL, &c, &reg, true, out_store);
}

static void open_handles(Worker *w)
{
    Model *m = w->m;
    for (size_t i = 0; i < m->n_objects; i++) {
        ModelObject *o = m->objects[i];
        if (o->state == OBJECT_ALIVE) {
            StoreObject *handle;
            o->handle = went(w, object_open(&w->cx, m->store, o->ref, &handle), "object_open") ? handle : NULL;
        }
    }
}

static void close_handles(Model *m)
{
    for (size_t i = 0; i < m->n_objects; i++) {
        object_close(m->objects[i]->handle);
        m->objects[i]->handle = NULL;
    }
}

static void work_threads(Worker *main, Budget *budget)
{
    Model *m = main->m;
    static _Thread_local Worker workers[WORKERS_MAX];
    Worker *all = workers;
    unsigned started = 0;
    for (unsigned i = 0; i < m->config.threads && i < WORKERS_MAX; i++) {
        worker_init(&all[i], m, budget, mix64(m->config.seed * 31 + i));
        if (went(main, os_thread_start("worker", worker_main, &all[i], &main->err, &all[i].thread),
                 "os_thread_start")) {
            started++;
        }
    }
    for (unsigned i = 0; i < started; i++) {
        os_thread_join(all[i].thread);
    }
}

void model_work(Model *m, SimDisk *disk, Budget *budget, const WorkConfig *config)
{
    Worker w;
    Vfs *vfs;
    m->disk = disk;
    m->config = *config;
    atomic_store(&m->stop, false);
    if (atomic_load(&m->seq) == 0) {
        atomic_store(&m->seq, mix64(config->seed));
    }
    worker_init(&w, m, budget, mix64(config->seed));
    if (!went(&w, simdisk_vfs(disk, &w.err, &vfs), "simdisk_vfs")) {
        return;
    }
    if (went(&w, open_store(&w.cx, m, vfs, budget, config, &m->store), "store_open")) {
        open_handles(&w);
        if (config->threads == 0) {
            worker_main(&w);
        } else {
            work_threads(&w, budget);
        }
        close_handles(m);
        store_close(&w.cx, m->store, config->clean_close);
        err_clear(&w.err);
        m->store = NULL;
    }
    vfs_free(vfs);
    budget_done(budget);
}

Status model_try_open(Model *m, SimDisk *disk, Budget *budget)
{
    Worker w;
    Vfs *vfs;
    Store *store;
    WorkConfig config = {.seed = 1};
    worker_init(&w, m, budget, 1);
    Status st = simdisk_vfs(disk, &w.err, &vfs);
    if (st != ST_OK) {
        return st;
    }
    st = open_store(&w.cx, m, vfs, budget, &config, &store);
    if (st == ST_OK) {
        store_close(&w.cx, store, true);
    } else if (w.err.status != st) {
        model_die("store_open returned %s, its error says %s", status_name(st), status_name(w.err.status));
    }
    vfs_free(vfs);
    budget_done(budget);
    return st;
}

/* ---- verifying ---- */

typedef struct Found {
    ObjectRef v[OBJECTS_MAX];
    size_t n;
} Found;

static void on_problem(void *arg, const char *text)
{
    (void)arg;
    model_die("store_check: %s", text);
}

static bool on_object(void *arg, ObjectRef ref)
{
    Found *f = arg;
    if (f->n < OBJECTS_MAX) {
        f->v[f->n++] = ref;
    }
    return true;
}

static void check_store(Worker *w, Found *found)
{
    found->n = 0;
    StoreCheck check = {.arg = found, .report = on_problem, .known = on_object};
    went(w, store_check(&w->cx, w->m->store, &check), "store_check");
}

static bool was_found(const Found *f, ObjectRef ref)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].id.v == ref.id.v && page_eq(f->v[i].header, ref.header)) {
            return true;
        }
    }
    return false;
}

static void verify_object(Worker *w, ModelObject *o, uint64_t end)
{
    StoreObject *handle;
    went(w, object_open(&w->cx, w->m->store, o->ref, &handle), "object_open");
    for (uint32_t p = 0; p < o->n_pages; p++) {
        Event e = event_at(&o->pages[p], end);
        PageId id;
        BufFrame *f;
        if (object_page_at(handle, p, &id) != e.used) {
            model_die("page %u of object %llu is %s (its last change before the end %llu: number %llu at %llu)", p,
                      (unsigned long long)o->ref.id.v, e.used ? "missing" : "there, but was given back or never used",
                      (unsigned long long)end, (unsigned long long)e.count, (unsigned long long)e.lsn);
        }
        if (e.used) {
            went(w, buf_fix(&w->cx, w->m->store, id, o->ref.id, LATCH_SHARED, &f), "buf_fix");
            page_must_be(buf_page(f), o, p, e, "after recovery");
            buf_unfix(f);
        }
    }
    for (uint32_t p = o->n_pages; p < object_page_count(handle); p++) {
        PageId id;
        if (object_page_at(handle, p, &id)) {
            model_die("page %u of object %llu is used, nobody used it", p, (unsigned long long)o->ref.id.v);
        }
    }
    object_close(handle);
}

static bool is_in_flight(const Model *m, uint64_t id)
{
    for (size_t i = 0; i < m->n_in_flight; i++) {
        if (m->in_flight[i] == id) {
            return true;
        }
    }
    return false;
}

/* Every object found is one that should be there, or one whose creation or drop was under way: that one is freed. */
static void verify_found(Worker *w, const Found *found, uint64_t end)
{
    Model *m = w->m;
    for (size_t i = 0; i < found->n; i++) {
        ModelObject *o = NULL;
        for (size_t k = 0; k < m->n_objects && o == NULL; k++) {
            o = m->objects[k]->ref.id.v == found->v[i].id.v ? m->objects[k] : NULL;
        }
        bool dropped = o != NULL && o->drop_lsn != 0 && o->drop_lsn <= end;
        if (o != NULL ? o->create_lsn > end : !is_in_flight(m, found->v[i].id.v)) {
            model_die("object %llu is there and should not", (unsigned long long)found->v[i].id.v);
        }
        if (o == NULL || dropped) {
            free_object(w, found->v[i]);
        }
    }
}

static void verify_open(Worker *w, uint64_t io, uint64_t end)
{
    Model *m = w->m;
    static Found found;
    if (end < model_acknowledged(m, io)) {
        model_die("the log ends at %llu, %llu was acknowledged", (unsigned long long)end,
                  (unsigned long long)model_acknowledged(m, io));
    }
    check_store(w, &found);
    size_t alive = 0;
    for (size_t i = 0; i < m->n_objects; i++) {
        ModelObject *o = m->objects[i];
        if (o->create_lsn <= end && (o->drop_lsn == 0 || o->drop_lsn > end)) {
            if (!was_found(&found, o->ref)) {
                model_die("object %llu is lost", (unsigned long long)o->ref.id.v);
            }
            verify_object(w, o, end);
            alive++;
        }
    }
    verify_found(w, &found, end);
    check_store(w, &found);
    if (found.n != alive) {
        model_die("%zu objects are there after freeing the dropped ones, expected %zu", found.n, alive);
    }
}

Status model_verify(Model *m, SimDisk *disk, uint64_t io, Recovered *out)
{
    Worker w;
    Budget budget;
    Vfs *vfs;
    WorkConfig config = {.seed = 1};
    m->config = config;
    m->disk = disk;
    budget_init(&budget, "verify", NULL, 0, 0);
    worker_init(&w, m, &budget, 1);
    went(&w, simdisk_vfs(disk, &w.err, &vfs), "simdisk_vfs");
    Status st = open_store(&w.cx, m, vfs, &budget, &config, &m->store);
    if (st == ST_OK) {
        Recovered r = {.end = wal_end(m->store).v, .ios = simdisk_io_count(disk)};
        verify_open(&w, io, r.end);
        went(&w, wal_wait(&w.cx, m->store, wal_end(m->store)), "wal_wait"); /* what was freed is gone for good */
        store_close(&w.cx, m->store, false);
        m->store = NULL;
        if (out != NULL) {
            *out = r;
        }
    } else if (!simdisk_is_cut(disk)) {
        model_die("recovery: %s %s (%s)", status_name(st), w.err.message != NULL ? w.err.message : "",
                  w.err.detail != NULL ? w.err.detail : "");
    }
    vfs_free(vfs);
    budget_done(&budget);
    return st;
}
