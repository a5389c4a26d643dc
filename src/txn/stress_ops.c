/*
 * txn/stress_ops.c: statements that write: inserts, updates in place and by moving, deletes, row locks; each follows rows that
 * others change meanwhile, as READ COMMITTED asks for, and checks every answer that the engine gives on the way.
 */
#include "txn/stress_int.h"

/* ---- random content ---- */

static uint64_t random_key(Worker *w)
{
    /* Some keys are wanted by all. */
    return rng_below(&w->rng, 3) == 0 ? rng_below(&w->rng, 6) : rng_below(&w->rng, w->s->config.keys);
}

static uint32_t random_length(Worker *w)
{
    uint64_t x = rng_below(&w->rng, 1000);
    if (x < 500) {
        return (uint32_t)rng_below(&w->rng, 40);
    }
    if (x < 900 || !w->s->config.long_values) {
        return (uint32_t)rng_below(&w->rng, 300);
    }
    if (x < 960) {
        return 1000 + (uint32_t)rng_below(&w->rng, 3000);
    }
    return x < 998 ? 4000 + (uint32_t)rng_below(&w->rng, 20000) : 200000;
}

static void random_string(Worker *w, uint32_t *out_seed, uint32_t *out_len)
{
    *out_len = random_length(w);
    *out_seed = *out_len >= 4 ? (uint32_t)rng_next(&w->rng) : 0;
}

static void set_null(StressRow *r, unsigned column, bool null)
{
    r->nulls = (r->nulls & ~(1u << column)) | (null ? 1u << column : 0);
}

static void random_s(Worker *w, StressRow *r)
{
    r->s_seed = r->s_len = 0;
    set_null(r, COL_S, rng_below(&w->rng, 5) == 0);
    if (!row_null(r, COL_S)) {
        random_string(w, &r->s_seed, &r->s_len);
    }
}

static void random_t(Worker *w, StressRow *r)
{
    r->t_seed = r->t_len = 0;
    set_null(r, COL_T, rng_below(&w->rng, 2) == 0);
    if (!row_null(r, COL_T)) {
        random_string(w, &r->t_seed, &r->t_len);
    }
}

static void random_b(Worker *w, StressRow *r)
{
    set_null(r, COL_B, rng_below(&w->rng, 6) == 0);
    r->b = row_null(r, COL_B) ? 0 : (uint32_t)rng_below(&w->rng, 20);
}

static void random_d(Worker *w, StressRow *r)
{
    set_null(r, COL_D, rng_below(&w->rng, 6) == 0);
    r->d = row_null(r, COL_D) ? 0 : rng_below(&w->rng, 100);
}

void random_row(Worker *w, StressRow *out)
{
    *out = (StressRow){.a = random_key(w), .c = (int64_t)rng_below(&w->rng, 1000)};
    out->uid = atomic_fetch_add_explicit(&w->s->next_uid, 1, memory_order_relaxed);
    random_b(w, out);
    random_s(w, out);
    random_d(w, out);
    random_t(w, out);
}

/* Columns that the table's layout lacks have the fill. */
static void fit_layout(const StressTable *tb, StressRow *r)
{
    if (tb->n_layouts < 2) {
        r->d = STRESS_D_FILL;
        set_null(r, COL_D, false);
    }
    if (tb->n_layouts < 3) {
        r->t_seed = r->t_len = 0;
        set_null(r, COL_T, true);
    }
}

/* ---- index entries ---- */

static void check_violation(Worker *w, const StressTable *tb, const StressRow *row)
{
    Model *m = &w->s->model;
    bool ok = false;
    model_lock(m);
    ModelTable *mt = model_table(m, tb->ref.id.v, false);
    for (size_t i = 0; mt != NULL && i < mt->rows.n && !ok; i++) {
        /* Somebody had the key at some time since the statement began. */
        for (const ModelVersion *v = mt->rows.v[i]->newest; v != NULL && !ok; v = v->ts > w->snapshot ? v->older : NULL) {
            ok = !v->deleted && v->row.a == row->a && v->row.uid != row->uid;
        }
    }
    model_unlock(m);
    for (size_t i = 0; i < w->log.n && !ok; i++) {
        const StressWrite *x = &w->log.v[i];
        ok = x->table == tb->ref.id.v && !x->deleted && x->row.a == row->a && own_write(w, x->table, x->row.uid, UINT32_MAX) == x;
    }
    if (!ok) {
        stress_fail(w->s, "a false unique violation: key %llu of table %llu", (unsigned long long)row->a,
                    (unsigned long long)tb->ref.id.v);
    }
}

static Status insert_entries(Worker *w, StressTable *tb, const StressRow *row, Tid tid)
{
    Status st = ST_OK;
    for (unsigned i = 0; i < STRESS_INDEXES && st == ST_OK; i++) {
        uint8_t buf[STRESS_KEY_MAX];
        Tid other;
        if (tb->index[i].tree != NULL) {
            st = txn_index_insert(&w->cx, w->t, tb->index[i].tree, tb->table, row_key(row, i, buf), tid, (BTreeBytes){NULL, 0},
                                  i == INDEX_A, &other);
        }
    }
    if (st == ST_UNIQUE_VIOLATION) {
        check_violation(w, tb, row);
    }
    return st;
}

/* ---- insert ---- */

static Status log_inserts(Worker *w, StressTable *tb, const StressRow *rows, const Tid *tids, unsigned n)
{
    Status st = ST_OK;
    for (unsigned i = 0; i < n; i++) {
        worker_log(w, tb, &(StressWrite){.row = rows[i], .moved = true});
    }
    for (unsigned i = 0; i < n && st == ST_OK; i++) {
        st = insert_entries(w, tb, &rows[i], tids[i]);
    }
    return st;
}

enum { BULK_MAX = 100 };

Status op_insert(Worker *w, StressTable *tb, unsigned n)
{
    StressRow rows[BULK_MAX];
    HeapValue values[BULK_MAX][STRESS_COLUMNS];
    const HeapValue *list[BULK_MAX];
    Tid tids[BULK_MAX];
    const HeapShape *shape = stress_shape(tb->n_layouts);
    uint64_t first = rng_below(&w->rng, 1u << 20) + 1000; /* of many: beyond the keys that all fight for */
    for (unsigned i = 0; i < n; i++) {
        random_row(w, &rows[i]);
        fit_layout(tb, &rows[i]);
        if (n > 1) {
            rows[i].a = (first + i) * 16 + w->number;
            rows[i].s_len = rows[i].s_len > 300 ? 300 : rows[i].s_len;
        }
        if (!row_values(&rows[i], &w->arena, values[i])) {
            return ctx_nomem(&w->cx, rows[i].s_len);
        }
        list[i] = values[i];
    }
    Status st = n == 1 ? txn_insert(&w->cx, w->t, tb->table, shape, values[0], tids)
                       : txn_insert_many(&w->cx, w->t, tb->table, shape, list, n, tids);
    return st == ST_OK ? log_inserts(w, tb, rows, tids, n) : st;
}

/* ---- changing a row that is there ---- */

typedef enum ChangeKind { CHANGE_UPDATE, CHANGE_MOVE, CHANGE_DELETE, CHANGE_LOCK } ChangeKind;

typedef struct Change {
    Worker *w;
    StressTable *tb;
    ChangeKind kind;
    TxnRowLock strength;
    LockWait wait;
    bool key_of_a;  /* the row was chosen by its key: it must still have it */
    unsigned fields; /* bits by column: what changes */
    FoundRow row;   /* as evaluated */
    StressRow next;
    TxnSeen seen;
} Change;

static void mutate(Change *c)
{
    Worker *w = c->w;
    c->next = c->row.row;
    if ((c->fields & 1u << COL_A) != 0) {
        c->next.a = random_key(w);
    }
    if ((c->fields & 1u << COL_B) != 0) {
        random_b(w, &c->next);
    }
    if ((c->fields & 1u << COL_C) != 0) {
        c->next.c = c->row.row.c + (int64_t)rng_below(&w->rng, 21) - 10;
    }
    if ((c->fields & 1u << COL_S) != 0) {
        random_s(w, &c->next);
    }
    if ((c->fields & 1u << COL_D) != 0) {
        random_d(w, &c->next);
    }
    if ((c->fields & 1u << COL_T) != 0) {
        random_t(w, &c->next);
    }
    fit_layout(c->tb, &c->next);
}

static Status attempt_update(Change *c, TxnRowResult *out_result, Tid *out_tid)
{
    Worker *w = c->w;
    HeapValue all[STRESS_COLUMNS];
    HeapValue values[STRESS_COLUMNS];
    uint16_t columns[STRESS_COLUMNS];
    unsigned n = 0;
    bool no_room = false;
    if (!row_values(&c->next, &w->arena, all)) {
        return ctx_nomem(&w->cx, c->next.s_len);
    }
    for (uint16_t i = 0; i < stress_layout(c->tb->n_layouts)->n_columns; i++) {
        if ((c->fields >> i & 1) != 0) {
            values[n] = all[i];
            columns[n++] = i;
        }
    }
    Status st = txn_update(&w->cx, w->t, c->tb->table, stress_shape(c->tb->n_layouts), c->row.tid, columns, values, n, c->seen,
                           out_result, out_tid, &no_room);
    if (st == ST_OK && no_room) {
        c->kind = CHANGE_MOVE;
        *out_result = TXN_ROW_CHANGED;
        *out_tid = c->row.tid;
    }
    return st;
}

static Status attempt_move(Change *c, TxnRowResult *out_result, Tid *out_tid)
{
    Worker *w = c->w;
    HeapValue all[STRESS_COLUMNS];
    if (!row_values(&c->next, &w->arena, all)) {
        return ctx_nomem(&w->cx, c->next.s_len);
    }
    return txn_move(&w->cx, w->t, c->tb->table, stress_shape(c->tb->n_layouts), c->row.tid, all, c->seen, out_result, out_tid);
}

static Status attempt(Change *c, TxnRowResult *out_result, Tid *out_tid)
{
    Worker *w = c->w;
    switch (c->kind) {
    case CHANGE_UPDATE:
        return attempt_update(c, out_result, out_tid);
    case CHANGE_MOVE:
        return attempt_move(c, out_result, out_tid);
    case CHANGE_DELETE:
        return txn_delete(&w->cx, w->t, c->tb->table, c->row.tid, c->seen, out_result, out_tid);
    default:
        return txn_lock_row(&w->cx, w->t, c->tb->table, c->row.tid, c->strength, c->wait, c->seen, out_result, out_tid);
    }
}

/* The newest committed version of the row now; 0: none. */
static uint64_t newest_version(Worker *w, const StressTable *tb, uint64_t uid, bool *out_deleted)
{
    model_lock(&w->s->model);
    const ModelRow *r = model_row(model_table(&w->s->model, tb->ref.id.v, false), uid);
    uint64_t ts = r != NULL && r->newest != NULL ? r->newest->ts : 0;
    *out_deleted = ts != 0 && r->newest->deleted;
    model_unlock(&w->s->model);
    return ts;
}

_Noreturn static void false_answer(const Change *c, const char *answer)
{
    stress_fail(c->w->s, "a false answer (%s): row %llu of table %llu, chosen at %llu, version %llu", answer,
                (unsigned long long)c->row.row.uid, (unsigned long long)c->tb->ref.id.v, (unsigned long long)c->w->snapshot,
                (unsigned long long)c->row.base);
}

static void check_answer(Change *c, Status st, TxnRowResult result)
{
    Worker *w = c->w;
    bool deleted;
    uint64_t uid = c->row.row.uid;
    uint64_t newest = newest_version(w, c->tb, uid, &deleted);
    const StressWrite *own = own_write(w, c->tb->ref.id.v, uid, UINT32_MAX);
    if (st == ST_SERIALIZATION_FAILURE && (newest <= w->snapshot || w->isolation != TXN_REPEATABLE_READ)) {
        false_answer(c, "serialization failure");
    }
    if (st != ST_OK) {
        return;
    }
    if (result == TXN_ROW_GONE && !deleted && (own == NULL || !own->deleted)) {
        false_answer(c, "gone");
    }
    if (result == TXN_ROW_SELF && (own == NULL || own->command < w->t->command)) {
        false_answer(c, "self");
    }
    bool in_place_allowed = c->kind == CHANGE_LOCK && c->strength == TXN_KEY_SHARE;
    if (result == TXN_ROW_OK && own == NULL && newest != c->row.base && !in_place_allowed) {
        false_answer(c, "ok");
    }
}

static Status note_change(Change *c, Tid tid)
{
    Worker *w = c->w;
    StressWrite x = {.row = c->next, .base = c->row.base};
    switch (c->kind) {
    case CHANGE_LOCK:
        worker_locked(w, c->tb, c->row.row.uid, c->strength);
        return ST_OK;
    case CHANGE_UPDATE:
        worker_log(w, c->tb, &x);
        return ST_OK;
    case CHANGE_DELETE:
        x.row = c->row.row;
        x.deleted = x.moved = true;
        worker_log(w, c->tb, &x);
        return ST_OK;
    default:
        x.moved = true;
        worker_log(w, c->tb, &x);
        atomic_fetch_add_explicit(&w->s->moved, 1, memory_order_relaxed);
        return insert_entries(w, c->tb, &c->next, tid);
    }
}

/* Another transaction changed the row: its newest version is evaluated. *out_go_on false: it is not wanted any more. */
static Status follow(Change *c, Tid tid, bool *out_go_on)
{
    Worker *w = c->w;
    StressRow now;
    bool found;
    TxnSeen seen;
    *out_go_on = true;
    if (tid_eq(tid, TID_NONE)) {
        false_answer(c, "changed, but no place");
    }
    c->row.tid = tid;
    Status st = fetch_newest_row(w, c->tb, tid, &now, &found, &seen);
    if (st != ST_OK || !found) {
        return st; /* moved again, or deleted: the next try tells */
    }
    if (now.uid != c->row.row.uid) {
        stress_fail(w->s, "following row %llu led to row %llu", (unsigned long long)c->row.row.uid, (unsigned long long)now.uid);
    }
    model_lock(&w->s->model);
    Expected e;
    expected_row(w, c->tb->ref.id.v, now.uid, seen.ts.v, &e);
    model_unlock(&w->s->model);
    if (!e.exists || !row_eq(&e.row, &now)) {
        stress_fail(w->s, "the newest version of row %llu (seen at %llu, there %d, of %llu) is not as committed: c %lld, model %lld",
                    (unsigned long long)now.uid, (unsigned long long)seen.ts.v, e.exists, (unsigned long long)e.ts,
                    (long long)now.c, (long long)e.row.c);
    }
    *out_go_on = !c->key_of_a || now.a == c->row.row.a;
    c->row.row = now;
    c->row.base = e.ts;
    c->seen = seen;
    return ST_OK;
}

enum { TRIES_MAX = 1000 };

static Status change(Change *c)
{
    Worker *w = c->w;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        TxnRowResult result = TXN_ROW_OK;
        Tid tid = TID_NONE;
        bool go_on = true;
        ChangeKind asked = c->kind;
        mutate(c);
        Status st = attempt(c, &result, &tid);
        if (st == ST_OK && asked != c->kind) {
            continue; /* does not fit in place: it has to move */
        }
        check_answer(c, st, result);
        if (st != ST_OK || result == TXN_ROW_GONE || result == TXN_ROW_SELF) {
            return st;
        }
        if (result == TXN_ROW_OK) {
            return note_change(c, tid);
        }
        if (w->isolation == TXN_REPEATABLE_READ) {
            false_answer(c, "changed");
        }
        atomic_fetch_add_explicit(&w->s->retries, 1, memory_order_relaxed);
        st = follow(c, tid, &go_on);
        if (st != ST_OK || !go_on) {
            return st;
        }
    }
    false_answer(c, "changed, again and again");
}

static void random_change(Worker *w, StressTable *tb, const FoundRow *row, Change *c)
{
    *c = (Change){.w = w, .tb = tb, .row = *row, .wait = LOCK_WAIT};
    bool c_indexed = tb->index[INDEX_C].tree != NULL;
    unsigned in_place = 1u << COL_S | (c_indexed ? 0 : 1u << COL_C) | (tb->n_layouts > 1 ? 1u << COL_D : 0) |
                        (tb->n_layouts > 2 ? 1u << COL_T : 0);
    switch (rng_below(&w->rng, 8)) {
    case 0:
        c->kind = CHANGE_DELETE;
        break;
    case 1:
        c->kind = CHANGE_MOVE;
        c->fields = (unsigned)rng_below(&w->rng, 1u << STRESS_COLUMNS) & ~(1u << COL_UID);
        break;
    case 2:
    case 3:
        c->kind = CHANGE_LOCK;
        c->strength = (TxnRowLock)rng_below(&w->rng, 4);
        c->wait = rng_below(&w->rng, 4) != 0 ? LOCK_WAIT : rng_below(&w->rng, 2) == 0 ? LOCK_NOWAIT : LOCK_TRY;
        break;
    default:
        c->kind = CHANGE_UPDATE;
        c->fields = (unsigned)rng_below(&w->rng, 1u << STRESS_COLUMNS) & in_place;
        c->fields = c->fields != 0 ? c->fields : 1u << COL_S;
        break;
    }
}

Status op_change_one(Worker *w, StressTable *tb)
{
    FoundRow row;
    bool found;
    Change c;
    Status st = find_by_a(w, tb, random_key(w), &row, &found);
    if (st != ST_OK || !found) {
        return st;
    }
    random_change(w, tb, &row, &c);
    c.key_of_a = true;
    return change(&c);
}

/* One statement that changes several rows: it must not see its own changes, nor change a row twice. */
Status op_change_many(Worker *w, StressTable *tb)
{
    enum { ROWS_MAX = 12 };
    FoundRow rows[ROWS_MAX];
    unsigned n = 0;
    Status st = scan_table(w, tb, NULL);
    if (st != ST_OK) {
        return st;
    }
    compare_rows(w, tb, "scan", NULL, true);
    size_t from = w->found.n > 0 ? rng_below(&w->rng, w->found.n) : 0;
    for (size_t i = from; i < w->found.n && n < ROWS_MAX; i++) {
        rows[n++] = w->found.v[i];
    }
    for (unsigned i = 0; i < n && st == ST_OK; i++) {
        Change c;
        random_change(w, tb, &rows[i], &c);
        c.wait = LOCK_WAIT;
        st = change(&c);
    }
    return st == ST_OK ? scan_and_compare(w, tb, false) : st;
}
