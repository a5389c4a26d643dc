/*
 * txn/stress_read.c: what a worker reads, compared with what it must see.
 *
 * What a statement must see of a row: the last own write of an earlier command, otherwise the model's version as of the snapshot.
 */
#include "txn/stress_int.h"

/* ---- what must be seen ---- */

static void met(Worker *w, uint64_t ts, uint64_t lsn)
{
    w->met_ts = ts > w->met_ts ? ts : w->met_ts;
    w->met_lsn = lsn > w->met_lsn ? lsn : w->met_lsn;
}

void expected_row(Worker *w, uint64_t table, uint64_t uid, uint64_t snapshot, Expected *out)
{
    const StressWrite *own = own_write(w, table, uid, w->t->command);
    *out = (Expected){.exists = false};
    if (own != NULL) {
        *out = (Expected){.exists = !own->deleted, .own = true, .ts = own->base, .row = own->row};
        return;
    }
    const ModelVersion *v = model_version(model_row(model_table(&w->s->model, table, false), uid), snapshot);
    if (v != NULL) {
        *out = (Expected){.exists = !v->deleted, .ts = v->ts, .lsn = v->lsn, .row = v->row};
    }
}

_Noreturn static void wrong_row(Worker *w, const StressTable *tb, const char *how, const StressRow *got, const Expected *e)
{
    stress_fail(w->s,
                "%s: table %llu (slot %u), snapshot %llu, transaction %llu command %u: row uid %llu a %llu b %u c %lld d %llu s %u/%u t "
                "%u/%u nulls %x; to be seen: exists %d own %d ts %llu a %llu b %u c %lld d %llu s %u/%u t %u/%u nulls %x",
                how, (unsigned long long)tb->ref.id.v, tb->slot, (unsigned long long)w->snapshot,
                (unsigned long long)txn_id(w->t).v, w->t->command, (unsigned long long)got->uid, (unsigned long long)got->a,
                got->b, (long long)got->c, (unsigned long long)got->d, got->s_seed, got->s_len, got->t_seed, got->t_len,
                got->nulls, e->exists, e->own, (unsigned long long)e->ts, (unsigned long long)e->row.a, e->row.b,
                (long long)e->row.c, (unsigned long long)e->row.d, e->row.s_seed, e->row.s_len, e->row.t_seed, e->row.t_len,
                e->row.nulls);
}

static void note_met(Worker *w, const Expected *e)
{
    if (!e->own) {
        met(w, e->ts, e->lsn);
    }
}

/* The row must be as the model says; model locked. */
static void compare_one(Worker *w, const StressTable *tb, const char *how, const StressRow *got, uint64_t snapshot, Expected *out)
{
    expected_row(w, tb->ref.id.v, got->uid, snapshot, out);
    if (!out->exists || !row_eq(got, &out->row)) {
        wrong_row(w, tb, how, got, out);
    }
    note_met(w, out);
    atomic_fetch_add_explicit(&w->s->rows_compared, 1, memory_order_relaxed);
}

static bool passes(const StressFilter *f, const StressRow *r)
{
    return f == NULL || f->pass(f, r);
}

/* Every row that must be seen and passes the filter must have been met: `seen` has the uids. Model locked. */
static void compare_missing(Worker *w, const StressTable *tb, const char *how, const StressFilter *f, bool whole)
{
    ModelTable *mt = model_table(&w->s->model, tb->ref.id.v, false);
    Expected e;
    for (size_t i = 0; mt != NULL && i < mt->rows.n; i++) {
        expected_row(w, tb->ref.id.v, mt->rows.v[i]->uid, w->snapshot, &e);
        if (whole) {
            note_met(w, &e); /* absence too */
        }
        if (e.exists && passes(f, &e.row) && !u64map_get(&w->seen, e.row.uid, &(uint64_t){0})) {
            wrong_row(w, tb, "missing", &e.row, &e);
        }
        if (e.exists && passes(f, &e.row)) {
            (void)u64map_remove(&w->seen, e.row.uid, NULL);
        }
    }
    for (size_t i = 0; i < w->log.n; i++) {
        const StressWrite *x = &w->log.v[i];
        if (x->table == tb->ref.id.v && model_row(mt, x->row.uid) == NULL &&
            own_write(w, x->table, x->row.uid, w->t->command) == x && !x->deleted && passes(f, &x->row)) {
            expected_row(w, x->table, x->row.uid, w->snapshot, &e);
            if (!u64map_remove(&w->seen, x->row.uid, NULL)) {
                wrong_row(w, tb, "missing", &x->row, &e);
            }
        }
    }
    if (w->seen.count != 0) {
        stress_fail(w->s, "%s: %zu rows too many of table %llu", how, w->seen.count, (unsigned long long)tb->ref.id.v);
    }
}

void compare_rows(Worker *w, const StressTable *tb, const char *how, const StressFilter *f, bool whole)
{
    Model *m = &w->s->model;
    Expected e;
    u64map_clear(&w->seen);
    model_lock(m);
    for (size_t i = 0; i < w->found.n; i++) {
        const StressRow *r = &w->found.v[i].row;
        compare_one(w, tb, how, r, w->snapshot, &e);
        w->found.v[i].base = e.ts;
        if (!passes(f, r)) {
            wrong_row(w, tb, "a row that fails the filter", r, &e);
        }
        if (u64map_get(&w->seen, r->uid, &(uint64_t){0})) {
            wrong_row(w, tb, "twice", r, &e);
        }
        if (!u64map_put(&w->seen, r->uid, 1)) {
            stress_fail(w->s, "no memory for the model");
        }
    }
    compare_missing(w, tb, how, f, whole);
    model_unlock(m);
    atomic_fetch_add_explicit(&w->s->reads, 1, memory_order_relaxed);
}

/* ---- reading rows ---- */

static Status read_string(Worker *w, StressTable *tb, HeapValue *v, uint32_t *out_seed, uint32_t *out_len)
{
    if (v->state == HEAP_OVERFLOW) {
        Status st = txn_fetch_overflow(&w->cx, w->t, tb->table, v, &w->arena);
        if (st != ST_OK) {
            return st;
        }
    }
    *out_len = v->view.len;
    if (!string_seed(heap_view_ptr(&v->view), v->view.len, out_seed)) {
        stress_fail(w->s, "a string of %u bytes of table %llu is not as written", v->view.len, (unsigned long long)tb->ref.id.v);
    }
    return ST_OK;
}

Status row_read(Worker *w, StressTable *tb, HeapValue *values, StressRow *out)
{
    unsigned n = stress_layout(tb->n_layouts)->n_columns;
    *out = (StressRow){.d = n > COL_D ? 0 : STRESS_D_FILL, .nulls = n > COL_T ? 0 : 1u << COL_T};
    for (unsigned c = 0; c < n; c++) {
        if (values[c].state == HEAP_NULL) {
            out->nulls |= 1u << c;
        }
    }
    out->uid = values[COL_UID].u64;
    out->a = values[COL_A].u64;
    out->b = row_null(out, COL_B) ? 0 : values[COL_B].u32;
    out->c = values[COL_C].i64;
    if (n > COL_D && !row_null(out, COL_D)) {
        out->d = values[COL_D].u64;
    }
    Status st = ST_OK;
    if (!row_null(out, COL_S)) {
        st = read_string(w, tb, &values[COL_S], &out->s_seed, &out->s_len);
    }
    if (st == ST_OK && n > COL_T && !row_null(out, COL_T)) {
        st = read_string(w, tb, &values[COL_T], &out->t_seed, &out->t_len);
    }
    return st;
}

static const uint16_t ALL_COLUMNS[STRESS_COLUMNS] = {0, 1, 2, 3, 4, 5, 6};

Status fetch_row(Worker *w, StressTable *tb, Tid tid, StressRow *out, bool *out_found)
{
    HeapValue v[STRESS_COLUMNS];
    const HeapShape *shape = stress_shape(tb->n_layouts);
    ArenaMark mark = arena_mark(&w->arena);
    Status st = txn_fetch(&w->cx, w->t, tb->table, shape, tid, ALL_COLUMNS, heap_newest(shape)->n_columns, v, out_found);
    if (st == ST_OK && *out_found) {
        st = row_read(w, tb, v, out);
    }
    arena_rewind(&w->arena, mark);
    return st;
}

Status fetch_newest_row(Worker *w, StressTable *tb, Tid tid, StressRow *out, bool *out_found, TxnSeen *out_seen)
{
    HeapValue v[STRESS_COLUMNS];
    const HeapShape *shape = stress_shape(tb->n_layouts);
    Status st = txn_fetch_newest(&w->cx, w->t, tb->table, shape, tid, ALL_COLUMNS, heap_newest(shape)->n_columns, v, out_found,
                                 out_seen);
    if (st == ST_OK && *out_found) {
        st = row_read(w, tb, v, out);
    }
    return st;
}

void found_add(Worker *w, const StressRow *row, Tid tid)
{
    if (!VEC_PUSH(&w->found, ((FoundRow){*row, tid, 0}))) {
        stress_fail(w->s, "no memory for the model");
    }
}

/* ---- table scans ---- */

static void scan_begin(Worker *w, unsigned n_columns)
{
    ScanBuffers *b = w->scan;
    for (unsigned c = 0; c < n_columns; c++) {
        b->out[c] = (HeapColumnOut){.column = (uint16_t)c, .data = b->data[c], .nulls = b->nulls[c], .overflow = b->overflow[c]};
    }
    b->batch = (HeapBatch){.strings = b->strings};
}

static void value_at(const ScanBuffers *b, unsigned c, uint32_t row, HeapValue *out)
{
    unsigned width = stress_layout(STRESS_LAYOUTS)->columns[c].width;
    unsigned bytes = heap_width_bytes(width);
    bool null = (b->nulls[c][row / 64] >> (row % 64) & 1) != 0;
    *out = heap_null();
    if (!null) {
        memcpy(out->bytes, b->data[c] + (size_t)row * bytes, bytes);
        bool overflow = width == HEAP_STRING && b->out[c].any_overflow && (b->overflow[c][row / 64] >> (row % 64) & 1) != 0;
        out->state = overflow ? HEAP_OVERFLOW : HEAP_PRESENT;
    }
}

Status scan_table(Worker *w, StressTable *tb, const StressFilter *f)
{
    const HeapShape *shape = stress_shape(tb->n_layouts);
    unsigned n = heap_newest(shape)->n_columns;
    ScanBuffers *b = w->scan;
    bool more = true;
    Status st = ST_OK;
    w->found.n = 0;
    for (uint32_t page = 0; more && st == ST_OK; page++) {
        scan_begin(w, n);
        st = txn_scan_page(&w->cx, w->t, tb->table, shape, page, f != NULL ? f->preds : NULL, f != NULL ? f->n_preds : 0, b->out,
                           n, &b->batch, b->tids, b->recheck, &more);
        for (uint32_t i = 0; st == ST_OK && i < b->batch.n_rows; i++) {
            HeapValue v[STRESS_COLUMNS];
            StressRow r;
            for (unsigned c = 0; c < n; c++) {
                value_at(b, c, i, &v[c]);
            }
            st = row_read(w, tb, v, &r);
            bool recheck = (b->recheck[i / 64] >> (i % 64) & 1) != 0;
            if (st == ST_OK && (!recheck || passes(f, &r))) {
                found_add(w, &r, b->tids[i]);
            }
        }
        if (st == ST_OK) {
            st = ctx_poll(&w->cx);
        }
    }
    return st;
}

static bool pass_c(const StressFilter *f, const StressRow *r)
{
    return r->c < f->preds[0].value.i64;
}

static bool pass_b(const StressFilter *f, const StressRow *r)
{
    return !row_null(r, COL_B) && r->b == f->preds[0].value.u32;
}

static bool pass_s(const StressFilter *f, const StressRow *r)
{
    (void)f;
    return row_null(r, COL_S);
}

/* `whole`: no filter, so that absent rows count for the gate as well. */
Status scan_and_compare(Worker *w, StressTable *tb, bool whole)
{
    StressFilter f = {.n_preds = 1};
    switch (whole ? 3 : rng_below(&w->rng, 3)) {
    case 0:
        f.pass = pass_c;
        f.preds[0] = (HeapPredicate){.column = COL_C, .test = HEAP_LT, .order = HEAP_SIGNED,
                                     .value = heap_i64((int64_t)rng_below(&w->rng, 1000))};
        break;
    case 1:
        f.pass = pass_b;
        f.preds[0] = (HeapPredicate){.column = COL_B, .test = HEAP_EQ, .order = HEAP_UNSIGNED,
                                     .value = {.u32 = (uint32_t)rng_below(&w->rng, 20), .state = HEAP_PRESENT}};
        break;
    case 2:
        f.pass = pass_s;
        f.preds[0] = (HeapPredicate){.column = COL_S, .test = HEAP_IS_NULL};
        break;
    default:
        break;
    }
    Status st = scan_table(w, tb, f.pass != NULL ? &f : NULL);
    if (st == ST_OK) {
        compare_rows(w, tb, "scan", f.pass != NULL ? &f : NULL, whole);
    }
    return st;
}

/* ---- by index ---- */

enum { BATCH = 32 };
typedef struct IndexBatch {
    BTreeBatch b;
    Tid tids[BATCH];
    BTreeItem items[BATCH];
    uint8_t bytes[BTREE_ENTRY_MAX];
} IndexBatch;

static void batch_init(IndexBatch *b)
{
    b->b = (BTreeBatch){.tids = b->tids, .items = b->items, .bytes = b->bytes, .max = BATCH, .bytes_max = sizeof b->bytes};
}

static void check_key(Worker *w, const StressTable *tb, unsigned index, BTreeBytes key, const StressRow *r)
{
    uint8_t buf[STRESS_KEY_MAX];
    BTreeBytes is = row_key(r, index, buf);
    if (is.len != key.len || memcmp(is.p, key.p, key.len) != 0) {
        stress_fail(w->s, "an entry of index %u of table %llu has another key than its row (uid %llu)", index,
                    (unsigned long long)tb->ref.id.v, (unsigned long long)r->uid);
    }
}

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int d = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return d != 0 ? d : (a_len > b_len) - (a_len < b_len);
}

typedef struct KeyFilter {
    StressFilter f;
    unsigned index;
    bool has_lower, has_upper;
    uint8_t lower[STRESS_KEY_MAX], upper[STRESS_KEY_MAX];
    uint32_t lower_len, upper_len;
} KeyFilter;

static bool pass_key(const StressFilter *f, const StressRow *r)
{
    const KeyFilter *k = (const KeyFilter *)(const void *)f;
    uint8_t buf[STRESS_KEY_MAX];
    BTreeBytes key = row_key(r, k->index, buf);
    return (!k->has_lower || compare_bytes(key.p, key.len, k->lower, k->lower_len) >= 0) &&
           (!k->has_upper || compare_bytes(key.p, key.len, k->upper, k->upper_len) <= 0);
}

/* Reads the rows of a batch of entries. */
static Status take_batch(Worker *w, StressTable *tb, unsigned index, const IndexBatch *b)
{
    Status st = ST_OK;
    for (uint32_t i = 0; i < b->b.n && st == ST_OK; i++) {
        StressRow r;
        bool found;
        st = fetch_row(w, tb, b->tids[i], &r, &found);
        if (st == ST_OK && found) {
            check_key(w, tb, index, btree_batch_entry(&b->b, i).key, &r);
            found_add(w, &r, b->tids[i]);
        }
    }
    return st;
}

static Status scan_range(Worker *w, StressTable *tb, unsigned index, const BTreeRange *range)
{
    BTreeCursor *c;
    IndexBatch b;
    w->found.n = 0;
    Status st = btree_cursor_open(&w->cx, tb->index[index].tree, range, &c);
    if (st != ST_OK) {
        return st;
    }
    do {
        batch_init(&b);
        st = btree_cursor_next(&w->cx, c, &b.b);
        if (st == ST_OK) {
            st = take_batch(w, tb, index, &b);
        }
    } while (st == ST_OK && b.b.n > 0);
    btree_cursor_close(c);
    return st;
}

static void random_bound(Worker *w, unsigned index, uint8_t *buf, uint32_t *out_len)
{
    StressRow r;
    random_row(w, &r);
    *out_len = row_key(&r, index, buf).len;
}

bool index_usable(const Worker *w, const StressTable *tb, unsigned index)
{
    const StressIndex *x = &tb->index[index];
    return x->tree != NULL && (x->own || x->made_by == NULL || x->made_by->ts <= w->snapshot);
}

Status index_scan_and_compare(Worker *w, StressTable *tb, unsigned index)
{
    if (!index_usable(w, tb, index)) {
        return ST_OK;
    }
    KeyFilter k = {.f = {.pass = pass_key}, .index = index};
    k.has_lower = rng_below(&w->rng, 2) == 0;
    k.has_upper = rng_below(&w->rng, 2) == 0;
    random_bound(w, index, k.lower, &k.lower_len);
    random_bound(w, index, k.upper, &k.upper_len);
    BTreeRange range = {.backward = rng_below(&w->rng, 2) == 0};
    if (k.has_lower) {
        range.lower = (BTreeBound){.edge = BTREE_INCLUSIVE, .key = {k.lower, k.lower_len}};
    }
    if (k.has_upper) {
        range.upper = (BTreeBound){.edge = BTREE_INCLUSIVE, .key = {k.upper, k.upper_len}};
    }
    Status st = scan_range(w, tb, index, &range);
    if (st == ST_OK) {
        compare_rows(w, tb, "index scan", &k.f, false);
    }
    return st;
}

/* The model says that no visible row has this key. Model locked. */
static void compare_absent(Worker *w, StressTable *tb, uint64_t a)
{
    ModelTable *mt = model_table(&w->s->model, tb->ref.id.v, false);
    Expected e;
    for (size_t i = 0; mt != NULL && i < mt->rows.n; i++) {
        expected_row(w, tb->ref.id.v, mt->rows.v[i]->uid, w->snapshot, &e);
        if (e.exists && e.row.a == a) {
            wrong_row(w, tb, "not found by its key", &e.row, &e);
        }
    }
}

Status find_by_a(Worker *w, StressTable *tb, uint64_t a, FoundRow *out, bool *out_found)
{
    IndexBatch b;
    uint8_t key[8];
    bool more;
    store_be64(key, a);
    batch_init(&b);
    w->found.n = 0;
    Status st = btree_lookup(&w->cx, tb->index[INDEX_A].tree, (BTreeBytes){key, 8}, &b.b, &more);
    if (st == ST_OK && more) {
        BTreeBound at = {.edge = BTREE_INCLUSIVE, .key = {key, 8}};
        BTreeRange range = {.lower = at, .upper = at};
        st = scan_range(w, tb, INDEX_A, &range);
    } else if (st == ST_OK) {
        st = take_batch(w, tb, INDEX_A, &b);
    }
    if (st != ST_OK) {
        return st;
    }
    unsigned n_own = 0;
    unsigned n_other = 0;
    *out_found = w->found.n > 0;
    model_lock(&w->s->model);
    for (size_t i = 0; i < w->found.n; i++) {
        Expected e;
        compare_one(w, tb, "look-up", &w->found.v[i].row, w->snapshot, &e);
        w->found.v[i].base = e.ts;
        /* An own row may take the key of one that was deleted after our snapshot. */
        if (e.own ? n_own++ > 0 : n_other++ > 0) {
            wrong_row(w, tb, "a second row with the same unique key", &w->found.v[i].row, &e);
        }
        *out = w->found.v[i];
    }
    if (!*out_found) {
        compare_absent(w, tb, a);
    }
    model_unlock(&w->s->model);
    atomic_fetch_add_explicit(&w->s->reads, 1, memory_order_relaxed);
    return ST_OK;
}
