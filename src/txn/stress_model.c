/*
 * txn/stress_model.c: what must be in the tables at every commit timestamp.
 *
 * Commits are linked into a list under the engine's commit lock and applied later, in that order, by whoever wants to know
 * something: so the model's order is the engine's, and the workload is not serialised.
 *
 * M1  A snapshot's commits are in the list before the snapshot can be taken (the hook runs before publication).
 * M2  Timestamps of the list ascend strictly, and so do the places of the records in the log.
 * M3  A version's base is the version before it: no update was lost. No two live rows share a unique key.
 */
#include <stdio.h>
#include <stdlib.h>

#include "txn/stress_int.h"

void *model_alloc(Model *m, size_t bytes)
{
    void *p = mem_alloc0(&m->budget, bytes);
    if (p == NULL) {
        stress_fail(m->stress, "no memory for the model");
    }
    return p;
}

/* ---- commits ---- */

static size_t commit_bytes(size_t n)
{
    return sizeof(StressCommit) + n * sizeof(StressWrite);
}

StressCommit *model_commit_new(Model *m, const StressWrite *writes, size_t n)
{
    StressCommit *c = model_alloc(m, commit_bytes(n));
    c->model = m;
    c->n = n;
    if (n > 0) {
        memcpy(c->writes, writes, n * sizeof *writes);
    }
    return c;
}

void model_commit_drop(Model *m, StressCommit *c)
{
    mem_free(&m->budget, c, commit_bytes(c->n));
}

void model_commit_hook(void *note, uint64_t ts, Lsn end)
{
    StressCommit *c = note;
    if (c == NULL) {
        return;
    }
    c->ts = ts;
    c->lsn = end.v;
    Model *m = c->model;
    StressCommit *last = atomic_load_explicit(&m->last, memory_order_relaxed);
    atomic_store_explicit(&m->last, c, memory_order_relaxed);
    /* Release: who follows the link sees the commit whole. */
    atomic_store_explicit(&last->next, c, memory_order_release);
}

ModelTable *model_table(Model *m, uint64_t id, bool create)
{
    uint64_t p;
    if (u64map_get(&m->tables, id, &p)) {
        return (ModelTable *)(uintptr_t)p;
    }
    if (!create) {
        return NULL;
    }
    ModelTable *t = model_alloc(m, sizeof *t);
    t->id = id;
    t->rows.budget = &m->budget;
    u64map_init(&t->by_uid, &m->budget);
    u64map_init(&t->live_a, &m->budget);
    if (!u64map_put(&m->tables, id, (uintptr_t)t)) {
        stress_fail(m->stress, "no memory for the model");
    }
    return t;
}

ModelRow *model_row(ModelTable *t, uint64_t uid)
{
    uint64_t p;
    return t != NULL && u64map_get(&t->by_uid, uid, &p) ? (ModelRow *)(uintptr_t)p : NULL;
}

const ModelVersion *model_version(const ModelRow *r, uint64_t ts)
{
    const ModelVersion *v = r != NULL ? r->newest : NULL;
    while (v != NULL && v->ts > ts) {
        v = v->older;
    }
    return v;
}

static ModelRow *row_new(Model *m, ModelTable *t, uint64_t uid)
{
    ModelRow *r = model_alloc(m, sizeof *r);
    r->uid = uid;
    if (!u64map_put(&t->by_uid, uid, (uintptr_t)r) || !VEC_PUSH(&t->rows, r)) {
        stress_fail(m->stress, "no memory for the model");
    }
    return r;
}

static void key_gone(ModelTable *t, const ModelVersion *v, uint64_t uid)
{
    uint64_t owner;
    if (v != NULL && !v->deleted && u64map_get(&t->live_a, v->row.a, &owner) && owner == uid) {
        (void)u64map_remove(&t->live_a, v->row.a, NULL);
    }
}

static void key_taken(Model *m, ModelTable *t, const ModelVersion *v)
{
    uint64_t owner;
    if (v->deleted) {
        return;
    }
    if (u64map_get(&t->live_a, v->row.a, &owner) && owner != v->row.uid) {
        stress_fail(m->stress, "the commit at %llu makes rows %llu and %llu of table %llu share the unique key %llu",
                    (unsigned long long)v->ts, (unsigned long long)owner, (unsigned long long)v->row.uid,
                    (unsigned long long)t->id, (unsigned long long)v->row.a);
    }
    if (!u64map_put(&t->live_a, v->row.a, v->row.uid)) {
        stress_fail(m->stress, "no memory for the model");
    }
}

static void apply_write(Model *m, const StressCommit *c, const StressWrite *w)
{
    ModelTable *t = model_table(m, w->table, true);
    ModelRow *r = model_row(t, w->row.uid);
    if (r == NULL) {
        r = row_new(m, t, w->row.uid);
    }
    ModelVersion *head = r->newest;
    if (head != NULL && head->ts != c->ts && head->ts != w->base) {
        stress_fail(m->stress, "lost update: row %llu of table %llu: the commit at %llu replaces the version of %llu, the newest was %llu",
                    (unsigned long long)r->uid, (unsigned long long)t->id, (unsigned long long)c->ts,
                    (unsigned long long)w->base, (unsigned long long)head->ts);
    }
    key_gone(t, head, r->uid);
    if (head == NULL || head->ts != c->ts) {
        ModelVersion *v = model_alloc(m, sizeof *v);
        v->older = head;
        v->ts = c->ts;
        v->lsn = c->lsn;
        r->newest = head = v;
    }
    head->deleted = w->deleted;
    head->moved |= w->moved;
    head->row = w->row;
}

static void apply(Model *m, const StressCommit *c, const StressCommit *before)
{
    if (c->ts <= before->ts || c->lsn <= before->lsn) {
        stress_fail(m->stress, "commits out of order: %llu at %llu after %llu at %llu", (unsigned long long)c->ts,
                    (unsigned long long)c->lsn, (unsigned long long)before->ts, (unsigned long long)before->lsn);
    }
    for (size_t i = 0; i < c->n; i++) {
        apply_write(m, c, &c->writes[i]);
    }
    /* Keys last: within a transaction one row may let go of what another takes, in any order of statements. */
    for (size_t i = 0; i < c->n; i++) {
        ModelTable *t = model_table(m, c->writes[i].table, true);
        if (t->id != m->stress->catalog_ref.id.v) {
            key_taken(m, t, model_row(t, c->writes[i].row.uid)->newest);
        }
    }
}

void model_lock(Model *m)
{
    mutex_lock(&m->mutex);
    StressCommit *c;
    /* Acquire: with the link comes the commit. */
    while ((c = atomic_load_explicit(&m->applied->next, memory_order_acquire)) != NULL) {
        apply(m, c, m->applied);
        m->applied = c;
    }
}

void model_unlock(Model *m)
{
    mutex_unlock(&m->mutex);
}

/* ---- acknowledgements ---- */

void model_ack(Model *m, uint64_t when, uint64_t ts)
{
    mutex_lock(&m->mutex);
    if (m->n_acks == m->cap_acks) {
        size_t cap = m->cap_acks == 0 ? 256 : m->cap_acks * 2;
        void *p = mem_realloc(&m->budget, m->acks, m->cap_acks * sizeof *m->acks, cap * sizeof *m->acks);
        if (p == NULL) {
            stress_fail(m->stress, "no memory for the model");
        }
        m->acks = p;
        m->cap_acks = cap;
    }
    m->acks[m->n_acks].when = when;
    m->acks[m->n_acks++].ts = ts;
    mutex_unlock(&m->mutex);
}

uint64_t stress_acknowledged(Stress *s, uint64_t until)
{
    uint64_t newest = 0;
    mutex_lock(&s->model.mutex);
    for (size_t i = 0; i < s->model.n_acks; i++) {
        if (s->model.acks[i].when <= until && s->model.acks[i].ts > newest) {
            newest = s->model.acks[i].ts;
        }
    }
    mutex_unlock(&s->model.mutex);
    return newest;
}

/* ---- forgetting ---- */

static void cut_table(Model *m, ModelTable *t, uint64_t ts)
{
    u64map_clear(&t->live_a);
    for (size_t i = 0; i < t->rows.n; i++) {
        ModelRow *r = t->rows.v[i];
        while (r->newest != NULL && r->newest->ts > ts) {
            ModelVersion *v = r->newest;
            r->newest = v->older;
            mem_free(&m->budget, v, sizeof *v);
        }
    }
    for (size_t i = 0; i < t->rows.n && t->id != m->stress->catalog_ref.id.v; i++) {
        if (t->rows.v[i]->newest != NULL) {
            key_taken(m, t, t->rows.v[i]->newest);
        }
    }
}

void model_cut(Model *m, uint64_t ts)
{
    size_t cursor = 0;
    uint64_t id;
    uint64_t p;
    model_lock(m);
    while (u64map_next(&m->tables, &cursor, &id, &p)) {
        cut_table(m, (ModelTable *)(uintptr_t)p, ts);
    }
    /* What is kept was durable: it raises nobody's gate. LSNs start again where the log was found to end. */
    cursor = 0;
    while (u64map_next(&m->tables, &cursor, &id, &p)) {
        ModelTable *t = (ModelTable *)(uintptr_t)p;
        for (size_t i = 0; i < t->rows.n; i++) {
            for (ModelVersion *v = t->rows.v[i]->newest; v != NULL; v = v->older) {
                v->lsn = 0;
            }
        }
    }
    m->applied->ts = ts;
    m->applied->lsn = 0;
    m->n_acks = 0;
    model_unlock(m);
}

/* ---- life ---- */

Status model_init(Model *m, Stress *s)
{
    m->stress = s;
    budget_init(&m->budget, "stress model", NULL, 0, BUDGET_QUANTUM);
    mutex_init(&m->mutex, RANK_NONE);
    u64map_init(&m->tables, &m->budget);
    m->first = mem_alloc0(&m->budget, commit_bytes(0));
    if (m->first == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    m->applied = m->first;
    atomic_init(&m->last, m->first);
    return ST_OK;
}

static void free_table(Model *m, ModelTable *t)
{
    for (size_t i = 0; i < t->rows.n; i++) {
        for (ModelVersion *v = t->rows.v[i]->newest; v != NULL;) {
            ModelVersion *older = v->older;
            mem_free(&m->budget, v, sizeof *v);
            v = older;
        }
        mem_free(&m->budget, t->rows.v[i], sizeof(ModelRow));
    }
    VEC_DONE(&t->rows);
    u64map_done(&t->by_uid);
    u64map_done(&t->live_a);
    mem_free(&m->budget, t, sizeof *t);
}

void model_done(Model *m)
{
    size_t cursor = 0;
    uint64_t id;
    uint64_t p;
    while (u64map_next(&m->tables, &cursor, &id, &p)) {
        free_table(m, (ModelTable *)(uintptr_t)p);
    }
    u64map_done(&m->tables);
    for (StressCommit *c = m->first; c != NULL;) {
        StressCommit *next = atomic_load_explicit(&c->next, memory_order_relaxed);
        model_commit_drop(m, c);
        c = next;
    }
    mem_free(&m->budget, m->acks, m->cap_acks * sizeof *m->acks);
    mutex_done(&m->mutex);
    budget_done(&m->budget);
}
