/*
 * txn/undo.c: the undo arena: chunks of 64 KiB in memory, in a file when memory runs short, found by number.
 *
 * U1  A chunk's number is never used again while the database is open, so a pointer finds its record or nothing.
 * U2  A chunk's bytes move from memory to the file once, when it is complete and not pinned; readers inside an epoch
 *     keep the old memory until they leave.
 * U3  Resident bytes stay within the limit: an allocation that would pass it spills the oldest complete chunk first. Only
 *     the chunks that running writers are filling may pass it.
 */
#include "txn/txn_int.h"

enum { CHUNK_HEAD = 16 }; /* so that offset 0 is no record */

/* ---- directory ---- */

static _Atomic(UndoChunk *) *directory_slot(UndoArena *u, uint64_t id)
{
    _Atomic(UndoChunk *) *leaf = atomic_load_explicit(&u->top[(id / UNDO_LEAF) % UNDO_TOP], memory_order_acquire);
    return leaf != NULL ? &leaf[id % UNDO_LEAF] : NULL;
}

static UndoChunk *chunk_find(UndoArena *u, uint64_t id)
{
    _Atomic(UndoChunk *) *at = directory_slot(u, id);
    UndoChunk *c = at != NULL ? atomic_load_explicit(at, memory_order_acquire) : NULL;
    return c != NULL && c->id == id ? c : NULL;
}

/* Caller holds the mutex. */
static bool directory_reserve(UndoArena *u, uint64_t id)
{
    _Atomic(_Atomic(UndoChunk *) *) *top = &u->top[(id / UNDO_LEAF) % UNDO_TOP];
    if (atomic_load_explicit(top, memory_order_relaxed) == NULL) {
        _Atomic(UndoChunk *) *leaf = mem_alloc0(u->parent, UNDO_LEAF * sizeof *leaf);
        if (leaf == NULL) {
            return false;
        }
        atomic_store_explicit(top, leaf, memory_order_release);
    }
    return true;
}

/* ---- residency ---- */

static void lru_append(UndoArena *u, UndoChunk *c)
{
    c->lru_prev = u->lru.lru_prev;
    c->lru_next = &u->lru;
    c->lru_prev->lru_next = c;
    u->lru.lru_prev = c;
    c->listed = true;
}

static void lru_remove(UndoChunk *c)
{
    if (c->listed) {
        c->lru_prev->lru_next = c->lru_next;
        c->lru_next->lru_prev = c->lru_prev;
        c->listed = false;
    }
}

typedef struct DataNode {
    EpochNode node;
} DataNode;

/* Gives the memory back, and with it what writers had to take beyond the limit. */
static void data_free(UndoArena *u, uint8_t *data)
{
    mem_free(&u->budget, data, UNDO_CHUNK_BYTES + sizeof(EpochNode));
    if (UNLIKELY(atomic_load_explicit(&u->budget.limit, memory_order_relaxed) > u->memory)) {
        size_t used = budget_used(&u->budget);
        budget_set_limit(&u->budget, used > u->memory ? used : u->memory);
    }
}

/* The first bytes of a retired buffer serve as its list node: nobody writes them, and readers of records start beyond. */
static void data_retired(void *arg, EpochNode *node)
{
    UndoArena *u = arg;
    data_free(u, (uint8_t *)node - UNDO_CHUNK_BYTES);
    atomic_fetch_sub_explicit(&u->retired, 1, memory_order_relaxed);
}

static uint8_t *data_alloc(UndoArena *u)
{
    return mem_alloc(&u->budget, UNDO_CHUNK_BYTES + sizeof(EpochNode));
}

static void data_retire(UndoArena *u, uint8_t *data)
{
    atomic_fetch_add_explicit(&u->retired, 1, memory_order_relaxed);
    epoch_retire(u->epoch, (EpochNode *)(void *)(data + UNDO_CHUNK_BYTES), data_retired, u);
}

static Status take_file_slot(Ctx *cx, UndoArena *u, uint64_t *out_slot)
{
    if (u->free_slots.n > 0) {
        *out_slot = u->free_slots.v[--u->free_slots.n];
        return ST_OK;
    }
    if ((u->file_slots + 1) * UNDO_CHUNK_BYTES > u->file_limit) {
        return err_set(cx->err, ST_SNAPSHOT_TOO_OLD, "the undo file has reached its limit");
    }
    /* Room for all slots, so that giving one back cannot fail. */
    if (!VEC_RESERVE(&u->free_slots, u->file_slots + 1 - u->free_slots.n)) {
        return ctx_nomem(cx, (size_t)(u->file_slots + 1) * sizeof(uint64_t));
    }
    *out_slot = u->file_slots++;
    return ST_OK;
}

/* Writes the oldest complete chunk that is not pinned to the file. Caller holds the mutex. ST_NOT_FOUND: there is none. */
static Status spill_one(Ctx *cx, UndoArena *u)
{
    UndoChunk *c = u->lru.lru_next;
    while (c != &u->lru && atomic_load_explicit(&c->pins, memory_order_acquire) != 0) {
        c = c->lru_next;
    }
    if (c == &u->lru) {
        return ST_NOT_FOUND;
    }
    Status st = c->file_slot == UINT64_MAX ? take_file_slot(cx, u, &c->file_slot) : ST_OK;
    if (st != ST_OK) {
        return st;
    }
    uint8_t *data = atomic_load_explicit(&c->data, memory_order_relaxed);
    st = file_write(u->file, data, UNDO_CHUNK_BYTES, c->file_slot * UNDO_CHUNK_BYTES, cx->err);
    if (st == ST_OK) {
        lru_remove(c);
        /* Release: who finds no data finds the file slot. */
        atomic_store_explicit(&c->data, NULL, memory_order_release);
        data_retire(u, data);
        atomic_fetch_add_explicit(&u->spilled, 1, memory_order_relaxed);
    }
    return st;
}

/* ---- chunks ---- */

static void chunk_free(void *arg, EpochNode *node)
{
    UndoArena *u = arg;
    UndoChunk *c = (UndoChunk *)(void *)node;
    uint8_t *data = atomic_load_explicit(&c->data, memory_order_relaxed);
    if (data != NULL) {
        data_free(u, data);
    }
    mem_free(u->parent, c, sizeof *c);
}
STATIC_ASSERT(offsetof(UndoChunk, node) == 0, "chunk_free");

enum { ALLOC_TRIES = 100 };

/*
 * Memory for a chunk. At the limit others are spilled first, and given time to leave the hands of readers. When all that is
 * resident belongs to running writers the limit gives way: more of them than it has chunks for must not stop them.
 */
static Status alloc_data(Ctx *cx, UndoArena *u, uint8_t **out_data)
{
    uint8_t *data = data_alloc(u);
    for (unsigned tries = 0; data == NULL && tries < ALLOC_TRIES; tries++) {
        Status st = ST_NOT_FOUND;
        if (atomic_load_explicit(&u->retired, memory_order_relaxed) == 0) {
            mutex_lock(&u->mutex);
            st = spill_one(cx, u);
            mutex_unlock(&u->mutex);
        }
        if (st != ST_OK && st != ST_NOT_FOUND) {
            return st;
        }
        epoch_poll(u->epoch);
        data = data_alloc(u);
        if (data == NULL) {
            os_yield();
        }
    }
    if (data == NULL) {
        budget_set_limit(&u->budget, budget_used(&u->budget) + UNDO_CHUNK_BYTES + sizeof(EpochNode));
        data = data_alloc(u);
    }
    *out_data = data;
    return data != NULL ? ST_OK : ctx_nomem(cx, UNDO_CHUNK_BYTES);
}

static Status chunk_new(Ctx *cx, UndoArena *u, UndoChunk **out_chunk)
{
    uint8_t *data;
    Status st = alloc_data(cx, u, &data);
    if (st != ST_OK) {
        return st;
    }
    UndoChunk *c = mem_alloc0(u->parent, sizeof *c);
    if (c == NULL) {
        data_free(u, data);
        return ctx_nomem(cx, sizeof *c);
    }
    atomic_init(&c->data, data);
    atomic_init(&c->used, CHUNK_HEAD);
    c->file_slot = UINT64_MAX;
    c->arena = u;
    mutex_lock(&u->mutex);
    do {
        c->id = u->next_id++;
        if (!directory_reserve(u, c->id)) {
            mutex_unlock(&u->mutex);
            chunk_free(u, &c->node);
            return ctx_nomem(cx, UNDO_LEAF * sizeof(void *));
        }
    } while (atomic_load_explicit(directory_slot(u, c->id), memory_order_relaxed) != NULL);
    atomic_store_explicit(directory_slot(u, c->id), c, memory_order_release);
    mutex_unlock(&u->mutex);
    atomic_fetch_add_explicit(&u->live_chunks, 1, memory_order_relaxed);
    *out_chunk = c;
    return ST_OK;
}

void undo_free_first(UndoArena *u, UndoLane *lane)
{
    UndoChunk *c = lane->first;
    lane->first = atomic_load_explicit(&c->next, memory_order_acquire);
    lane->purge_at = CHUNK_HEAD;
    mutex_lock(&u->mutex);
    lru_remove(c);
    atomic_store_explicit(directory_slot(u, c->id), NULL, memory_order_release);
    if (c->file_slot != UINT64_MAX) {
        u->free_slots.v[u->free_slots.n++] = c->file_slot; /* room was reserved when the slot was made */
    }
    mutex_unlock(&u->mutex);
    atomic_fetch_sub_explicit(&u->live_chunks, 1, memory_order_relaxed);
    epoch_retire(u->epoch, &c->node, chunk_free, u);
}

/* ---- appending ---- */

static uint32_t rec_bytes(uint32_t payload)
{
    return (uint32_t)((sizeof(UndoRec) + payload + 7) & ~(size_t)7);
}

Status undo_reserve(Ctx *cx, UndoArena *u, UndoLane *lane, uint32_t payload_bytes)
{
    uint32_t need = rec_bytes(payload_bytes);
    ASSERT(need <= UNDO_CHUNK_BYTES - CHUNK_HEAD);
    UndoChunk *last = atomic_load_explicit(&lane->last, memory_order_relaxed);
    if (last != NULL) {
        uint32_t end = atomic_load_explicit(&last->used, memory_order_relaxed) + need;
        if (end <= u->fill || (end == CHUNK_HEAD + need && end <= UNDO_CHUNK_BYTES)) {
            return ST_OK;
        }
    }
    UndoChunk *c = NULL;
    Status st = chunk_new(cx, u, &c);
    if (st != ST_OK) {
        return st;
    }
    if (last == NULL) {
        lane->first = c;
        lane->purge_at = CHUNK_HEAD;
    } else {
        mutex_lock(&u->mutex);
        lru_append(u, last); /* complete now */
        mutex_unlock(&u->mutex);
        /* Release: purge that follows the link sees the chunk. */
        atomic_store_explicit(&last->next, c, memory_order_release);
    }
    atomic_store_explicit(&lane->last, c, memory_order_release);
    return ST_OK;
}

UndoRec *undo_begin_append(UndoLane *lane, uint32_t payload_bytes, UndoPtr *out_ptr)
{
    UndoChunk *c = atomic_load_explicit(&lane->last, memory_order_relaxed);
    uint32_t at = atomic_load_explicit(&c->used, memory_order_relaxed);
    uint32_t need = rec_bytes(payload_bytes);
    ASSERT(UNDO_CHUNK_BYTES - at >= need);
    UndoRec *r = (UndoRec *)(void *)(atomic_load_explicit(&c->data, memory_order_relaxed) + at);
    memset(r, 0, sizeof *r);
    r->len = need;
    r->payload_len = payload_bytes;
    *out_ptr = undo_ptr(c->id, at);
    return r;
}

void undo_publish(UndoLane *lane, const UndoRec *rec)
{
    UndoChunk *c = atomic_load_explicit(&lane->last, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->used, rec->len, memory_order_release);
}

/* ---- reading ---- */

static Status read_spilled(Ctx *cx, UndoArena *u, UndoReader *rd, const UndoChunk *c, uint32_t at, const UndoRec **out)
{
    if (rd->buf == NULL) {
        rd->buf = mem_alloc(rd->budget, UNDO_CHUNK_BYTES);
        if (rd->buf == NULL) {
            return ctx_nomem(cx, UNDO_CHUNK_BYTES);
        }
    }
    uint64_t base = c->file_slot * UNDO_CHUNK_BYTES;
    uint32_t n = UNDO_CHUNK_BYTES - at < 512 ? UNDO_CHUNK_BYTES - at : 512;
    Status st = file_read(u->file, rd->buf, n, base + at, cx->err);
    if (st != ST_OK) {
        return st;
    }
    const UndoRec *r = (const UndoRec *)(const void *)rd->buf;
    if (r->len < sizeof *r || r->len > UNDO_CHUNK_BYTES - at) {
        return err_set(cx->err, ST_CORRUPTED, "the undo file is corrupted");
    }
    if (r->len > n) {
        st = file_read(u->file, rd->buf, r->len, base + at, cx->err);
    }
    *out = r;
    return st;
}

static Status read_head(Ctx *cx, UndoArena *u, UndoReader *rd, const UndoChunk *c, uint32_t at, const UndoRec **out)
{
    uint32_t n = UNDO_CHUNK_BYTES - at < sizeof rd->head ? UNDO_CHUNK_BYTES - at : (uint32_t)sizeof rd->head;
    *out = &rd->head.rec;
    return file_read(u->file, (void *)&rd->head, n, c->file_slot * UNDO_CHUNK_BYTES + at, cx->err);
}

static Status get(Ctx *cx, UndoArena *u, UndoReader *rd, UndoPtr ptr, bool whole, const UndoRec **out_rec)
{
    UndoChunk *c = chunk_find(u, ptr >> 16);
    uint32_t at = (uint32_t)(ptr & 0xffff);
    *out_rec = NULL;
    if (c == NULL) {
        return ST_OK;
    }
    /* Acquire: with NULL comes the file slot. */
    uint8_t *data = atomic_load_explicit(&c->data, memory_order_acquire);
    if (LIKELY(data != NULL)) {
        *out_rec = (const UndoRec *)(const void *)(data + at);
        return ST_OK;
    }
    return whole ? read_spilled(cx, u, rd, c, at, out_rec) : read_head(cx, u, rd, c, at, out_rec);
}

Status undo_get(Ctx *cx, UndoArena *u, UndoReader *rd, UndoPtr ptr, const UndoRec **out_rec)
{
    return get(cx, u, rd, ptr, true, out_rec);
}

Status undo_head(Ctx *cx, UndoArena *u, UndoReader *rd, UndoPtr ptr, const UndoRec **out_rec)
{
    return get(cx, u, rd, ptr, false, out_rec);
}

void undo_reader_done(UndoReader *rd)
{
    mem_free(rd->budget, rd->buf, rd->buf != NULL ? UNDO_CHUNK_BYTES : 0);
    rd->buf = NULL;
}

bool undo_chunk_state(UndoArena *u, uint64_t id, uint32_t *out_used, uint64_t *out_next)
{
    UndoChunk *c = chunk_find(u, id);
    if (c == NULL) {
        return false;
    }
    UndoChunk *next = atomic_load_explicit(&c->next, memory_order_acquire);
    *out_next = next != NULL ? next->id : 0;
    /* After `next`: with a successor the figure is final. */
    *out_used = atomic_load_explicit(&c->used, memory_order_acquire);
    return true;
}

bool undo_is_purged(UndoArena *u, UndoPtr ptr)
{
    UndoChunk *c = chunk_find(u, ptr >> 16);
    /* Relaxed: asked with the page of the record's row latched; purge stores before it latches that page. */
    return c == NULL || (uint32_t)(ptr & 0xffff) < atomic_load_explicit(&c->purged, memory_order_relaxed);
}

/* ---- the two mutable fields ---- */

static Status patch(Ctx *cx, UndoArena *u, UndoPtr ptr, size_t field, const void *value, size_t len)
{
    Status st = ST_OK;
    mutex_lock(&u->mutex); /* keeps the chunk where it is */
    UndoChunk *c = chunk_find(u, ptr >> 16);
    if (c != NULL) {
        uint8_t *data = atomic_load_explicit(&c->data, memory_order_relaxed);
        size_t at = (size_t)(ptr & 0xffff);
        if (data == NULL) {
            st = file_write(u->file, value, len, c->file_slot * UNDO_CHUNK_BYTES + at + field, cx->err);
        } else if (len == 8) {
            uint64_t v = load_u64(value);
            atomic_store_explicit(&((UndoRec *)(void *)(data + at))->prev_row, v, memory_order_release);
        } else {
            uint8_t v = *(const uint8_t *)value;
            atomic_store_explicit(&((UndoRec *)(void *)(data + at))->flags, v, memory_order_release);
        }
    }
    mutex_unlock(&u->mutex);
    return st;
}

Status undo_set_prev(Ctx *cx, UndoArena *u, UndoPtr ptr, UndoPtr prev)
{
    return patch(cx, u, ptr, offsetof(UndoRec, prev_row), &prev, sizeof prev);
}

Status undo_mark_dead(Ctx *cx, UndoArena *u, UndoPtr ptr)
{
    uint8_t flags = UNDO_DEAD;
    return patch(cx, u, ptr, offsetof(UndoRec, flags), &flags, 1);
}

void undo_pin(UndoArena *u, UndoPtr ptr, bool pin)
{
    epoch_enter(u->epoch);
    UndoChunk *c = chunk_find(u, ptr >> 16);
    ASSERT(!pin || c != NULL); /* once the end is published purge may be faster than its transaction */
    if (pin) {
        atomic_fetch_add_explicit(&c->pins, 1, memory_order_relaxed);
    } else if (c != NULL) {
        atomic_fetch_sub_explicit(&c->pins, 1, memory_order_release);
    }
    epoch_leave(u->epoch);
}

/* ---- open, close ---- */

Status undo_open(Ctx *cx, UndoArena *u, Vfs *vfs, Budget *parent, Epoch *epoch, size_t memory, uint64_t file_limit)
{
    memset(u, 0, sizeof *u);
    u->parent = parent;
    u->epoch = epoch;
    u->file_limit = file_limit;
    u->memory = memory;
    u->next_id = 1;
    u->fill = UNDO_CHUNK_BYTES;
    u->lru.lru_next = u->lru.lru_prev = &u->lru;
    u->free_slots.budget = parent;
    budget_init(&u->budget, "undo", parent, memory, 0);
    mutex_init(&u->mutex, RANK_UNDO);
    Status st = vfs_open(vfs, "undo", FILE_CREATE, cx->err, &u->file);
    return st == ST_OK ? file_truncate(u->file, 0, cx->err) : st;
}

void undo_close(UndoArena *u)
{
    if (u->parent == NULL) {
        return;
    }
    for (size_t i = 0; i < UNDO_TOP; i++) {
        _Atomic(UndoChunk *) *leaf = atomic_load_explicit(&u->top[i], memory_order_relaxed);
        for (size_t k = 0; leaf != NULL && k < UNDO_LEAF; k++) {
            UndoChunk *c = atomic_load_explicit(&leaf[k], memory_order_relaxed);
            if (c != NULL) {
                chunk_free(u, &c->node);
            }
        }
        if (leaf != NULL) {
            mem_free(u->parent, leaf, UNDO_LEAF * sizeof *leaf);
        }
    }
    VEC_DONE(&u->free_slots);
    file_close(u->file);
    mutex_done(&u->mutex);
    budget_done(&u->budget);
}
