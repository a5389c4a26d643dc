/*
 * base/mem.c: budgets and the blocks charged to them. How a charge works stands in mem.h; arenas are in arena.c.
 *
 * All counters are relaxed: they order nothing but themselves. The one rule that M2 rests on is that a byte is in one
 * place at a time: it leaves the parent's balance before it enters `unused`, and leaves `unused` before it is charged.
 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t load(const _Atomic size_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

void budget_init(Budget *b, const char *name, Budget *parent, size_t limit, size_t quantum)
{
    b->name = name;
    b->parent = parent;
    b->root = parent == NULL ? b : parent->root;
    b->quantum = quantum;
    atomic_init(&b->limit, limit == 0 ? SIZE_MAX : limit);
    atomic_init(&b->drawn, 0);
    atomic_init(&b->unused, 0);
    atomic_init(&b->peak, 0);
    b->fault = NULL;
}

void budget_done(Budget *b)
{
    budget_trim(b);
    ASSERT(load(&b->drawn) == 0 && load(&b->unused) == 0); /* M3 */
}

/* Takes `bytes` from the balance if it covers them. */
static bool take_unused(Budget *b, size_t bytes)
{
    size_t unused = load(&b->unused);
    while (unused >= bytes) {
        if (atomic_compare_exchange_weak_explicit(&b->unused, &unused, unused - bytes, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Raises drawn by `bytes` unless that passes the limit (M2). */
static bool raise_drawn(Budget *b, size_t bytes)
{
    size_t drawn = load(&b->drawn);
    do {
        size_t limit = load(&b->limit);
        if (drawn > limit || bytes > limit - drawn) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->drawn, &drawn, drawn + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void lower_drawn(Budget *b, size_t bytes)
{
    size_t before = atomic_fetch_sub_explicit(&b->drawn, bytes, memory_order_relaxed);
    ASSERT(before >= bytes); /* more released than charged */
}

/* Adds exactly `bytes` to the balance, taken from the parent. */
static bool draw(Budget *b, size_t bytes)
{
    if (!raise_drawn(b, bytes)) {
        return false;
    }
    if (b->parent != NULL && !budget_charge(b->parent, bytes)) {
        lower_drawn(b, bytes);
        return false;
    }
    atomic_fetch_add_explicit(&b->unused, bytes, memory_order_relaxed);
    return true;
}

static void note_peak(Budget *b)
{
    size_t used = budget_used(b);
    size_t peak = load(&b->peak);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&b->peak, &peak, used, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Gives `bytes` of drawn back to the parent; they are in nobody's balance any more. */
static void give_back(Budget *b, size_t bytes)
{
    lower_drawn(b, bytes);
    if (b->parent != NULL) {
        budget_release(b->parent, bytes);
    }
}

void budget_trim(Budget *b)
{
    note_peak(b);
    size_t unused = atomic_exchange_explicit(&b->unused, 0, memory_order_relaxed);
    if (unused > 0) {
        give_back(b, unused);
    }
}

static bool over_limit(const Budget *b)
{
    return load(&b->drawn) > load(&b->limit);
}

/*
 * The balance does not cover the charge, or the limit was lowered. Each turn either draws or fails; another thread may
 * take what was drawn, but then that thread got on.
 */
static bool charge_slow(Budget *b, size_t bytes)
{
    for (;;) {
        if (over_limit(b)) {
            budget_trim(b);
            if (over_limit(b)) {
                return false;
            }
        }
        if (take_unused(b, bytes)) {
            return true;
        }
        size_t unused = load(&b->unused);
        if (unused >= bytes) {
            continue;
        }
        size_t missing = bytes - unused;
        bool drew = missing < b->quantum && draw(b, b->quantum);
        if (!drew && !draw(b, missing) && load(&b->unused) < bytes) {
            return false;
        }
    }
}

bool budget_charge(Budget *b, size_t bytes)
{
    if (LIKELY(!over_limit(b) && take_unused(b, bytes))) {
        return true;
    }
    return charge_slow(b, bytes);
}

/* Keeps at most two quanta: one to serve what comes next, one so that a charge-release pair does not flutter. */
void budget_release(Budget *b, size_t bytes)
{
    note_peak(b);
    size_t unused = atomic_fetch_add_explicit(&b->unused, bytes, memory_order_relaxed) + bytes;
    if (UNLIKELY(over_limit(b))) {
        budget_trim(b);
    } else if (unused > 2 * b->quantum && take_unused(b, unused - b->quantum)) {
        give_back(b, unused - b->quantum);
    }
}

void budget_set_limit(Budget *b, size_t limit)
{
    atomic_store_explicit(&b->limit, limit == 0 ? SIZE_MAX : limit, memory_order_relaxed);
    if (over_limit(b)) {
        budget_trim(b);
    }
}

size_t budget_peak(const Budget *b)
{
    size_t used = budget_used(b);
    size_t peak = load(&b->peak);
    return used > peak ? used : peak;
}

/* The countdown stands at 0 once it has fired; negative means off. */
static bool fault_fires(MemFault *f)
{
    int64_t left = atomic_load_explicit(&f->countdown, memory_order_relaxed);
    bool fires;
    do {
        if (left < 0 || (left == 0 && !f->persistent)) {
            return false;
        }
        fires = left <= 1;
    } while (left > 0 && !atomic_compare_exchange_weak_explicit(&f->countdown, &left, left - 1, memory_order_relaxed,
                                                                memory_order_relaxed));
    if (fires) {
        atomic_fetch_add_explicit(&f->fired, 1, memory_order_relaxed);
    }
    return fires;
}

bool mem_fault_fires(const Budget *b)
{
    MemFault *f = b->root->fault;
    return UNLIKELY(f != NULL) && fault_fires(f);
}

/*
 * jemalloc aligns blocks under 16 bytes to 8 only, so they are asked for as 16. With a sanitizer's malloc, which aligns
 * all, the size stays true to catch overruns.
 */
static size_t block_bytes(size_t bytes)
{
#ifdef RDB_ARENA_MALLOC
    return bytes == 0 ? 1 : bytes;
#else
    return bytes < 16 ? 16 : bytes;
#endif
}

/* No block is larger: such a size is a damaged number, and the sanitizers' malloc aborts on it. */
static const size_t BLOCK_MAX = (size_t)1 << 39;

static bool admit(Budget *b, size_t bytes)
{
    return bytes <= BLOCK_MAX && !mem_fault_fires(b) && budget_charge(b, bytes);
}

static void *or_release(Budget *b, void *p, size_t bytes)
{
    if (UNLIKELY(p == NULL)) {
        budget_release(b, bytes);
    }
    return p;
}

void *mem_alloc(Budget *b, size_t bytes)
{
    return admit(b, bytes) ? or_release(b, malloc(block_bytes(bytes)), bytes) : NULL;
}

void *mem_alloc0(Budget *b, size_t bytes)
{
    return admit(b, bytes) ? or_release(b, calloc(1, block_bytes(bytes)), bytes) : NULL;
}

void *mem_alloc_aligned(Budget *b, size_t bytes, size_t align)
{
    ASSERT(align >= sizeof(void *) && (align & (align - 1)) == 0);
    if (!admit(b, bytes)) {
        return NULL;
    }
    void *p = NULL;
    int rc = posix_memalign(&p, align < 16 ? 16 : align, block_bytes(bytes));
    return or_release(b, rc == 0 ? p : NULL, bytes);
}

void *mem_realloc(Budget *b, void *p, size_t old_bytes, size_t new_bytes)
{
    if (p == NULL) {
        ASSERT(old_bytes == 0);
        return mem_alloc(b, new_bytes);
    }
    if (new_bytes > old_bytes) {
        size_t more = new_bytes - old_bytes;
        return admit(b, more) ? or_release(b, realloc(p, block_bytes(new_bytes)), more) : NULL;
    }
    void *smaller = realloc(p, block_bytes(new_bytes));
    budget_release(b, old_bytes - new_bytes);
    return smaller == NULL ? p : smaller;
}

void mem_free(Budget *b, void *p, size_t bytes)
{
    if (p != NULL) {
        free(p);
        budget_release(b, bytes);
    } else {
        ASSERT(bytes == 0);
    }
}
