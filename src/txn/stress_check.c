/*
 * txn/stress_check.c: the verifier of the stress workload: after all transactions ended and purge ran nothing is left over, and
 * tables, indexes, pages and extents agree with each other and with the model.
 */
#include "txn/stress_int.h"

static void report(void *arg, const char *text)
{
    stress_fail(arg, "the verifier: %s", text);
}

/* ---- everything that can be purged ---- */

static size_t pending_frees(TxnSystem *ts)
{
    mutex_lock(&ts->pending_mutex);
    size_t n = pending_count(ts);
    mutex_unlock(&ts->pending_mutex);
    return n;
}

static Status purge_all(Worker *w)
{
    TxnSystem *ts = w->s->ts;
    TxnStats stats = {.unpurged = 1};
    uint64_t left = 1;
    Status st = ST_OK;
    for (unsigned round = 0; round < 20 && st == ST_OK; round++) {
        st = wal_wait(&w->cx, ts->store, wal_end(ts->store));
        if (st == ST_OK) {
            st = txn_purge(&w->cx, ts, &left);
        }
        txn_stats(ts, &stats);
        if (left == 0 && stats.version_tables == 0 && pending_frees(ts) == 0) {
            return st;
        }
    }
    if (st == ST_OK) {
        stress_fail(w->s, "purge leaves %llu transactions, %llu version tables, %zu pending frees", (unsigned long long)left,
                    (unsigned long long)stats.version_tables, pending_frees(ts));
    }
    return st;
}

static void check_lanes(Stress *s)
{
    for (const UndoLane *l = s->ts->all_lanes; l != NULL; l = l->next_all) {
        const UndoChunk *last = atomic_load_explicit(&l->last, memory_order_acquire);
        if (l->first != last || (last != NULL && l->purge_at != atomic_load_explicit(&last->used, memory_order_acquire))) {
            stress_fail(s, "an undo lane has records that purge left");
        }
    }
}

static void check_counters(Stress *s)
{
    TxnStats t;
    txn_stats(s->ts, &t);
    uint64_t reserved = op_undo_reserved(s->ts->store);
    if (t.stale_tids != 0 || reserved != 0 || s->ts->running != NULL || s->ts->pending_promised != 0 || s->ts->sweep.n != 0) {
        stress_fail(s, "left over: %llu stale TIDs, %llu reserved bytes of log, %zu promised frees, %zu pages to sweep, running: %d",
                    (unsigned long long)t.stale_tids, (unsigned long long)reserved, s->ts->pending_promised, s->ts->sweep.n,
                    s->ts->running != NULL);
    }
    lockmgr_check(s->ts->locks);
    check_lanes(s);
}

/* ---- a table and its indexes ---- */

typedef struct IndexCheck {
    Worker *w;
    StressTable *tb;
    unsigned index;
    U64Map rows; /* TID -> place in w->found; removed when met */
} IndexCheck;

static void index_report(void *arg, const char *text)
{
    report(((IndexCheck *)arg)->w->s, text);
}

static Status met_entry(void *arg, Ctx *cx, const BTreeEntry *e)
{
    IndexCheck *c = arg;
    uint64_t at;
    uint8_t buf[STRESS_KEY_MAX];
    (void)cx;
    if (!u64map_remove(&c->rows, e->tid.v, &at)) {
        stress_fail(c->w->s, "an entry of index %u of table %llu (TID page %llu slot %u) has no row, or there are two", c->index,
                    (unsigned long long)c->tb->ref.id.v, (unsigned long long)tid_page(e->tid).v, tid_slot(e->tid));
    }
    const StressRow *row = &c->w->found.v[at].row;
    BTreeBytes key = row_key(row, c->index, buf);
    if (key.len != e->key.len || memcmp(key.p, e->key.p, key.len) != 0) {
        stress_fail(c->w->s, "an entry of index %u of table %llu has another key than its row %llu", c->index,
                    (unsigned long long)c->tb->ref.id.v, (unsigned long long)row->uid);
    }
    return ST_OK;
}

static Status check_index(Worker *w, StressTable *tb, unsigned index)
{
    IndexCheck c = {.w = w, .tb = tb, .index = index};
    BTreeCheck bc = {.arg = &c, .report = index_report, .entry = met_entry, .quiescent = true};
    u64map_init(&c.rows, &w->s->model.budget);
    for (size_t i = 0; i < w->found.n; i++) {
        if (!u64map_put(&c.rows, w->found.v[i].tid.v, i)) {
            stress_fail(w->s, "no memory for the model");
        }
    }
    Status st = btree_check(&w->cx, tb->index[index].tree, &bc);
    if (st == ST_OK && (c.rows.count != 0 || bc.problems != 0)) {
        stress_fail(w->s, "index %u of table %llu: %zu rows without entry, %llu problems", index,
                    (unsigned long long)tb->ref.id.v, c.rows.count, (unsigned long long)bc.problems);
    }
    u64map_done(&c.rows);
    return st;
}

static Status check_table(Worker *w, StressTable *tb)
{
    HeapCheck hc = {.arg = w->s, .report = report};
    arena_reset(&w->arena);
    Status st = scan_table(w, tb, NULL);
    if (st != ST_OK) {
        return st;
    }
    compare_rows(w, tb, "verifying scan", NULL, true);
    st = heap_check(&w->cx, txn_table_object(tb->table), stress_shape(STRESS_LAYOUTS), &hc);
    if (st == ST_OK && (hc.rows != w->found.n || hc.deleted != 0 || hc.overflow_pages != hc.chain_pages)) {
        stress_fail(w->s, "table %llu: %llu rows in pages, %zu visible, %llu deleted; %llu overflow pages, %llu in chains",
                    (unsigned long long)tb->ref.id.v, (unsigned long long)hc.rows, w->found.n, (unsigned long long)hc.deleted,
                    (unsigned long long)hc.overflow_pages, (unsigned long long)hc.chain_pages);
    }
    for (unsigned i = 0; i < STRESS_INDEXES && st == ST_OK; i++) {
        if (tb->index[i].tree != NULL) {
            st = check_index(w, tb, i);
        }
    }
    return st;
}

/* ---- all ---- */

static bool known(void *arg, ObjectRef ref)
{
    Stress *s = arg;
    bool found = ref.id.v == s->catalog_ref.id.v;
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        const StressTable *tb = s->tables[i];
        found |= tb != NULL && tb->ref.id.v == ref.id.v;
        for (unsigned k = 0; tb != NULL && k < STRESS_INDEXES; k++) {
            found |= tb->index[k].ref.object.id.v == ref.id.v;
        }
    }
    return found;
}

static Status check_tables(Worker *w)
{
    Stress *s = w->s;
    Status st = check_table(w, s->catalog);
    for (unsigned i = 0; i < STRESS_TABLES_MAX && st == ST_OK; i++) {
        if (s->tables[i] != NULL) {
            st = check_table(w, s->tables[i]);
        }
    }
    return st;
}

Status check_all(Worker *w)
{
    Stress *s = w->s;
    Status st = purge_all(w);
    if (st != ST_OK) {
        return st;
    }
    st = worker_begin(w, TXN_REPEATABLE_READ, true);
    if (st != ST_OK) {
        return st;
    }
    worker_statement(w);
    st = check_tables(w);
    if (st == ST_OK) {
        worker_commit(w, false);
    } else {
        worker_abort(w);
        return st;
    }
    check_counters(s);
    TxnCheck tc = {.arg = s, .report = report, .known = known};
    return txn_check_store(&w->cx, s->ts, &tc);
}

/* What recovery found: every table as of the newest commit there, for all tables the same one. */
Status check_contents(Worker *w)
{
    Stress *s = w->s;
    Status st = worker_begin(w, TXN_REPEATABLE_READ, true);
    if (st != ST_OK) {
        return st;
    }
    worker_statement(w);
    st = scan_table(w, s->catalog, NULL);
    if (st == ST_OK) {
        compare_rows(w, s->catalog, "the catalog found", NULL, true);
        st = ddl_load(w);
    }
    for (unsigned i = 0; i < STRESS_TABLES_MAX && st == ST_OK; i++) {
        if (s->tables[i] != NULL) {
            st = scan_table(w, s->tables[i], NULL);
            if (st == ST_OK) {
                compare_rows(w, s->tables[i], "what was found", NULL, true);
            }
        }
    }
    if (st == ST_OK) {
        worker_commit(w, false);
    } else {
        worker_abort(w);
    }
    return st;
}
