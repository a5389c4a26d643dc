/*
 * txn/versions.c: the version table of a page: slot -> newest undo record of the row.
 *
 * V1  A slot without an entry has one version, visible to all. A page without a table has only such slots, all durable.
 * V2  Entries change only under the page's exclusive latch; sorted by slot while sparse.
 */
#include "txn/txn_int.h"

enum { SPARSE_MAX = 256, SPARSE_FIRST = 4 };

/* Index of the slot, or of where it belongs. */
static unsigned sparse_find(const PageVersions *v, unsigned slot, bool *out_found)
{
    unsigned lo = 0;
    unsigned hi = v->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (v->slots[mid] < slot) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *out_found = lo < v->n && v->slots[lo] == slot;
    return lo;
}

UndoPtr versions_head(const PageVersions *v, unsigned slot)
{
    if (v == NULL) {
        return 0;
    }
    if (v->dense != NULL) {
        return v->dense[slot];
    }
    bool found;
    unsigned i = sparse_find(v, slot, &found);
    return found ? v->heads[i] : 0;
}

static bool sparse_grow(TxnSystem *ts, PageVersions *v, unsigned cap)
{
    uint16_t *slots = mem_alloc(&ts->versions_budget, cap * sizeof *slots);
    UndoPtr *heads = slots != NULL ? mem_alloc(&ts->versions_budget, cap * sizeof *heads) : NULL;
    if (heads == NULL) {
        mem_free(&ts->versions_budget, slots, slots != NULL ? cap * sizeof *slots : 0);
        return false;
    }
    if (v->n > 0) {
        memcpy(slots, v->slots, v->n * sizeof *slots);
        memcpy(heads, v->heads, v->n * sizeof *heads);
    }
    mem_free(&ts->versions_budget, v->slots, v->cap * sizeof *slots);
    mem_free(&ts->versions_budget, v->heads, v->cap * sizeof *heads);
    v->slots = slots;
    v->heads = heads;
    v->cap = (uint16_t)cap;
    return true;
}

static bool make_dense(TxnSystem *ts, PageVersions *v)
{
    UndoPtr *dense = mem_alloc0(&ts->versions_budget, HEAP_SLOTS_MAX * sizeof *dense);
    if (dense == NULL) {
        return false;
    }
    for (unsigned i = 0; i < v->n; i++) {
        dense[v->slots[i]] = v->heads[i];
    }
    mem_free(&ts->versions_budget, v->slots, v->cap * sizeof *v->slots);
    mem_free(&ts->versions_budget, v->heads, v->cap * sizeof *v->heads);
    v->slots = NULL;
    v->heads = NULL;
    v->cap = 0;
    v->dense = dense;
    return true;
}

Status versions_reserve(Ctx *cx, TxnSystem *ts, BufFrame *f, ObjectRef object, unsigned n)
{
    PageVersions *v = page_versions(f);
    if (v == NULL) {
        v = mem_alloc0(&ts->versions_budget, sizeof *v);
        if (v == NULL) {
            return ctx_nomem(cx, sizeof *v);
        }
        v->object = object;
        buf_set_versions(f, &v->base);
        atomic_fetch_add_explicit(&ts->version_tables, 1, memory_order_relaxed);
    }
    if (v->dense != NULL || v->n + n <= v->cap) {
        return ST_OK;
    }
    bool ok;
    if (v->n + n > SPARSE_MAX) {
        ok = make_dense(ts, v);
    } else {
        unsigned cap = v->cap == 0 ? SPARSE_FIRST : v->cap;
        while (cap < v->n + n) {
            cap *= 2;
        }
        ok = sparse_grow(ts, v, cap);
    }
    return ok ? ST_OK : ctx_nomem(cx, HEAP_SLOTS_MAX * sizeof(UndoPtr));
}

void versions_set(PageVersions *v, unsigned slot, UndoPtr head)
{
    ASSERT(head != 0 && slot < HEAP_SLOTS_MAX);
    if (v->dense != NULL) {
        v->n = (uint16_t)(v->n + (v->dense[slot] == 0));
        v->dense[slot] = head;
        return;
    }
    bool found;
    unsigned i = sparse_find(v, slot, &found);
    if (!found) {
        ASSERT(v->n < v->cap);
        memmove(v->slots + i + 1, v->slots + i, (v->n - i) * sizeof *v->slots);
        memmove(v->heads + i + 1, v->heads + i, (v->n - i) * sizeof *v->heads);
        v->slots[i] = (uint16_t)slot;
        v->n++;
    }
    v->heads[i] = head;
}

void versions_remove(PageVersions *v, unsigned slot)
{
    if (v->dense != NULL) {
        ASSERT(v->dense[slot] != 0);
        v->dense[slot] = 0;
        v->n--;
        return;
    }
    bool found;
    unsigned i = sparse_find(v, slot, &found);
    ASSERT(found);
    memmove(v->slots + i, v->slots + i + 1, (v->n - i - 1u) * sizeof *v->slots);
    memmove(v->heads + i, v->heads + i + 1, (v->n - i - 1u) * sizeof *v->heads);
    v->n--;
}

void versions_free(TxnSystem *ts, PageVersions *v)
{
    mem_free(&ts->versions_budget, v->slots, v->cap * sizeof *v->slots);
    mem_free(&ts->versions_budget, v->heads, v->cap * sizeof *v->heads);
    mem_free(&ts->versions_budget, v->dense, v->dense != NULL ? HEAP_SLOTS_MAX * sizeof *v->dense : 0);
    mem_free(&ts->versions_budget, v, sizeof *v);
    atomic_fetch_sub_explicit(&ts->version_tables, 1, memory_order_relaxed);
}

void versions_trim(TxnSystem *ts, BufFrame *f)
{
    PageVersions *v = page_versions(f);
    if (v != NULL && v->n == 0 && v->reserved == 0) {
        ASSERT(v->n_deletes == 0);
        buf_set_versions(f, NULL);
        versions_free(ts, v);
    }
}

/* ---- pages with deletes to purge ---- */

void versions_add_delete(TxnSystem *ts, PageVersions *v)
{
    if (v->n_deletes++ == 0) {
        spin_lock(&ts->marks_lock);
        v->mark_next = ts->marks;
        v->mark_prev = NULL;
        if (ts->marks != NULL) {
            ts->marks->mark_prev = v;
        }
        ts->marks = v;
        spin_unlock(&ts->marks_lock);
    }
}

void versions_sub_delete(TxnSystem *ts, PageVersions *v)
{
    ASSERT(v->n_deletes > 0);
    if (--v->n_deletes == 0) {
        spin_lock(&ts->marks_lock);
        if (v->mark_prev != NULL) {
            v->mark_prev->mark_next = v->mark_next;
        } else {
            ts->marks = v->mark_next;
        }
        if (v->mark_next != NULL) {
            v->mark_next->mark_prev = v->mark_prev;
        }
        spin_unlock(&ts->marks_lock);
    }
}
