/*
 * catalog/cache.c: immutable entries by key, found without a lock.
 *
 * Key idea: a fixed number of buckets, each a chain of entries that readers walk inside an epoch; a writer replaces under the
 * bucket's lock and retires what it took out. An entry holds what was committed when it was read.
 *
 * K1  An entry is offered with the bucket's sequence number from before its snapshot was taken, and kept only when that has
 *     not moved: so no entry from before an invalidation enters after it. (cache_put)
 * K2  From before a commit is published until after it, the buckets of what it changes are blocked: nothing is found or
 *     kept there, so readers go to the tables. Locks are given up inside that span, so whoever waited for one of them finds no
 *     old entry. (cache_block, cache_unblock)
 * K3  A chain is at most CACHE_CHAIN_MAX long: the oldest entry makes room. So the cache is bounded.
 * K4  refs counts the cache and every holder; an entry found inside an epoch has the cache's reference until the epoch ends.
 */
#include "catalog/catalog_int.h"

#include "base/rng.h"

uint64_t cache_hash(const CatKey *k)
{
    uint64_t h = mix64((uint64_t)k->kind << 56 ^ (uint64_t)k->database << 32 ^ k->oid);
    for (size_t i = 0; i < k->name.len; i += 8) {
        uint64_t w = 0;
        memcpy(&w, k->name.p + i, k->name.len - i < 8 ? k->name.len - i : 8);
        h = mix64(h ^ w) + k->name.len;
    }
    return h == UINT64_MAX ? 0 : h; /* not a key of U64Map */
}

static CacheBucket *bucket_of(Catalog *c, uint64_t hash)
{
    return &c->buckets[hash % CACHE_BUCKETS];
}

static bool entry_is(const CatEntry *e, const CatKey *k, uint64_t hash)
{
    return e->hash == hash && e->kind == k->kind && e->database == k->database && e->oid == k->oid &&
           e->name_len == k->name.len && (k->name.len == 0 || memcmp(e->name, k->name.p, k->name.len) == 0);
}

CatEntry *cache_entry_new(Catalog *c, const CatKey *k)
{
    size_t bytes = sizeof(CatEntry) + k->name.len;
    CatEntry *e = mem_alloc0(c->budget, bytes);
    if (e != NULL) {
        e->catalog = c;
        atomic_init(&e->refs, 1);
        e->hash = cache_hash(k);
        e->kind = k->kind;
        e->database = k->database;
        e->oid = k->oid;
        e->bytes = bytes;
        e->name_len = (uint16_t)k->name.len;
        e->rel.entry = e;
        if (k->name.len != 0) {
            memcpy(e->name, k->name.p, k->name.len);
        }
        arena_init(&e->arena, c->budget, 2048);
    }
    return e;
}

void cache_release(CatEntry *e)
{
    /* acq_rel: what other holders did with it happens before it is freed. */
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < e->rel.n_indexes; i++) {
        btree_close(e->rel.indexes[i].tree);
    }
    if (e->rel.table != NULL) {
        txn_table_close(e->rel.table);
    }
    arena_done(&e->arena);
    mem_free(e->catalog->budget, e, e->bytes);
}

static void release_later(void *arg, EpochNode *node)
{
    (void)arg;
    cache_release((CatEntry *)node);
}

CatEntry *cache_get(Catalog *c, const CatKey *k, uint64_t hash, uint64_t *out_seq)
{
    CacheBucket *b = bucket_of(c, hash);
    /* acquire: the snapshot that a new entry is made by is taken after this (K1). */
    *out_seq = atomic_load_explicit(&b->seq, memory_order_acquire);
    if (atomic_load_explicit(&b->blocked, memory_order_acquire) != 0) {
        return NULL;
    }
    epoch_enter(c->epoch);
    CatEntry *e = atomic_load_explicit(&b->head, memory_order_acquire);
    while (e != NULL && !entry_is(e, k, hash)) {
        e = atomic_load_explicit(&e->next, memory_order_acquire);
    }
    if (e != NULL) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed); /* K4: it has at least one */
    }
    epoch_leave(c->epoch);
    return e;
}

/* Takes out of the chain the entries of that hash, or (oldest) the last one; returns them as a list by node.next. */
static EpochNode *unlink_entries(CacheBucket *b, uint64_t hash, bool oldest)
{
    EpochNode *out = NULL;
    CatEntry *_Atomic *at = &b->head;
    CatEntry *e;
    while ((e = atomic_load_explicit(at, memory_order_relaxed)) != NULL) {
        CatEntry *next = atomic_load_explicit(&e->next, memory_order_relaxed);
        if (oldest ? next == NULL : e->hash == hash) {
            atomic_store_explicit(at, next, memory_order_release);
            e->node.next = out;
            out = &e->node;
        } else {
            at = &e->next;
        }
    }
    return out;
}

static void retire_list(Catalog *c, EpochNode *list)
{
    while (list != NULL) {
        EpochNode *next = list->next;
        epoch_retire(c->epoch, list, release_later, NULL);
        list = next;
    }
}

static unsigned chain_length(const CacheBucket *b)
{
    unsigned n = 0;
    for (CatEntry *e = atomic_load_explicit(&b->head, memory_order_relaxed); e != NULL;
         e = atomic_load_explicit(&e->next, memory_order_relaxed)) {
        n++;
    }
    return n;
}

void cache_put(Catalog *c, CatEntry *e, uint64_t seq)
{
    CacheBucket *b = bucket_of(c, e->hash);
    EpochNode *old = NULL;
    spin_lock(&b->lock);
    bool keep = atomic_load_explicit(&b->seq, memory_order_relaxed) == seq &&
                atomic_load_explicit(&b->blocked, memory_order_relaxed) == 0;
    for (CatEntry *i = atomic_load_explicit(&b->head, memory_order_relaxed); keep && i != NULL;
         i = atomic_load_explicit(&i->next, memory_order_relaxed)) {
        keep = i->hash != e->hash; /* somebody was faster */
    }
    if (keep) {
        old = chain_length(b) >= CACHE_CHAIN_MAX ? unlink_entries(b, 0, true) : NULL;
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        atomic_store_explicit(&e->next, atomic_load_explicit(&b->head, memory_order_relaxed), memory_order_relaxed);
        atomic_store_explicit(&b->head, e, memory_order_release);
    }
    spin_unlock(&b->lock);
    retire_list(c, old);
}

void cache_block(Catalog *c, uint64_t hash)
{
    CacheBucket *b = bucket_of(c, hash);
    spin_lock(&b->lock);
    atomic_fetch_add_explicit(&b->blocked, 1, memory_order_seq_cst);
    atomic_fetch_add_explicit(&b->seq, 1, memory_order_seq_cst);
    EpochNode *old = unlink_entries(b, hash, false);
    spin_unlock(&b->lock);
    retire_list(c, old);
}

void cache_unblock(Catalog *c, uint64_t hash)
{
    CacheBucket *b = bucket_of(c, hash);
    spin_lock(&b->lock);
    ASSERT(atomic_load_explicit(&b->blocked, memory_order_relaxed) > 0);
    atomic_fetch_add_explicit(&b->seq, 1, memory_order_seq_cst);
    atomic_fetch_sub_explicit(&b->blocked, 1, memory_order_seq_cst);
    spin_unlock(&b->lock);
}

void cache_init(Catalog *c)
{
    for (unsigned i = 0; i < CACHE_BUCKETS; i++) {
        spin_init(&c->buckets[i].lock, RANK_LEAF);
        atomic_init(&c->buckets[i].head, NULL);
        atomic_init(&c->buckets[i].seq, 0);
        atomic_init(&c->buckets[i].blocked, 0);
    }
}

void cache_done(Catalog *c)
{
    for (unsigned i = 0; i < CACHE_BUCKETS; i++) {
        CatEntry *e = atomic_load_explicit(&c->buckets[i].head, memory_order_relaxed);
        while (e != NULL) {
            CatEntry *next = atomic_load_explicit(&e->next, memory_order_relaxed);
            ASSERT(atomic_load_explicit(&e->refs, memory_order_relaxed) == 1); /* K4: nobody holds it any more */
            cache_release(e);
            e = next;
        }
    }
}

/* ---- what a transaction sees ---- */

static STATUS changed_hash(Ctx *cx, CatView *v, uint64_t hash)
{
    uint64_t old;
    if (u64map_remove(&v->local, hash, &old)) {
        cache_release((CatEntry *)(uintptr_t)old);
    }
    return u64map_put(&v->changed, hash, 1) ? ST_OK : ctx_nomem(cx, sizeof hash);
}

STATUS cat_changed(Ctx *cx, CatView *v, const CatKey *k)
{
    return changed_hash(cx, v, cache_hash(k));
}

STATUS cat_changed_relation(Ctx *cx, CatView *v, Oid oid)
{
    return cat_changed(cx, v, &(CatKey){.kind = ENTRY_RELATION, .database = v->database, .oid = oid});
}

STATUS cat_changed_name(Ctx *cx, CatView *v, Oid schema, Str name)
{
    return cat_changed(cx, v, &(CatKey){.kind = ENTRY_NAME, .database = v->database, .oid = schema, .name = name});
}

CatKey object_key(const CatView *v, CatKind kind, Oid oid, Str name)
{
    bool shared = kind == CAT_ROLE || kind == CAT_DATABASE;
    unsigned base = name.len != 0 ? ENTRY_OBJECT_NAME : ENTRY_OBJECT;
    return (CatKey){.kind = (uint8_t)(base + kind), .database = shared ? 0 : v->database, .oid = oid, .name = name};
}

/* Drops the entries made from own rows. */
void view_forget(CatView *v)
{
    size_t cursor = 0;
    uint64_t hash, e;
    while (u64map_next(&v->local, &cursor, &hash, &e)) {
        cache_release((CatEntry *)(uintptr_t)e);
    }
    u64map_clear(&v->local);
}

static STATUS load_entry(Ctx *cx, CatView *v, const CatKey *k, CatLoad *load, CatEntry **out_entry)
{
    CatEntry *e = cache_entry_new(v->catalog, k);
    if (e == NULL) {
        return ctx_nomem(cx, sizeof *e);
    }
    Status st = load(cx, v, e);
    if (st != ST_OK) {
        cache_release(e);
        return st;
    }
    *out_entry = e;
    return ST_OK;
}

static STATUS local_entry(Ctx *cx, CatView *v, const CatKey *k, uint64_t hash, CatLoad *load, CatEntry **out_entry)
{
    uint64_t at;
    if (u64map_get(&v->local, hash, &at) && entry_is((CatEntry *)(uintptr_t)at, k, hash)) {
        *out_entry = (CatEntry *)(uintptr_t)at;
        atomic_fetch_add_explicit(&(*out_entry)->refs, 1, memory_order_relaxed);
        return ST_OK;
    }
    Status st = load_entry(cx, v, k, load, out_entry);
    if (st == ST_OK && !u64map_get(&v->local, hash, &at) && u64map_put(&v->local, hash, (uintptr_t)*out_entry)) {
        atomic_fetch_add_explicit(&(*out_entry)->refs, 1, memory_order_relaxed);
    }
    return st;
}

STATUS cat_entry(Ctx *cx, CatView *v, const CatKey *k, CatLoad *load, CatEntry **out_entry)
{
    uint64_t hash = cache_hash(k), seq, ignored;
    if (u64map_get(&v->changed, hash, &ignored)) {
        return local_entry(cx, v, k, hash, load, out_entry);
    }
    *out_entry = cache_get(v->catalog, k, hash, &seq);
    if (*out_entry != NULL) {
        return ST_OK;
    }
    SYNC_POINT("catalog.before_load");
    Status st = load_entry(cx, v, k, load, out_entry);
    if (st == ST_OK && v->changed.count == 0) { /* what own changes might show through is not for others */
        SYNC_POINT("catalog.before_put");
        cache_put(v->catalog, *out_entry, seq);
    }
    return st;
}
