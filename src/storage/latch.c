/*
 * storage/latch.c: the latch word of a frame. Shared and exclusive modes spin briefly and then park; the optimistic mode
 * only reads the word.
 *
 * L1  The exclusive bit is set only when the shared count is 0 and the bit was clear; assert in frame_unlatch.
 * L2  The version grows by one at each exclusive release, so equal versions around a read mean nobody wrote meanwhile.
 * L3  A parked thread has seen the parked bit set by itself after reading `park`, and every release that finds the bit
 *     clears it and bumps `park` before waking: no wake-up is lost.
 */
#include "storage/storage_int.h"

enum { LATCH_SPINS = 64 };

/* Latches take part in the check of lock ranks, which only exists with slow checks: nothing is called in a release. */
static void note_latched(const BufFrame *f)
{
#ifdef RDB_SLOW_CHECKS
    rank_enter(f, RANK_LATCH);
#else
    (void)f;
#endif
}

static void note_unlatched(const BufFrame *f)
{
#ifdef RDB_SLOW_CHECKS
    rank_leave(f);
#else
    (void)f;
#endif
}

static bool try_shared_word(BufFrame *f, uint64_t w)
{
    return (w & LATCH_EXCL) == 0 &&
           atomic_compare_exchange_weak_explicit(&f->latch, &w, w + 1, memory_order_acquire, memory_order_relaxed);
}

static bool try_exclusive_word(BufFrame *f, uint64_t w)
{
    return (w & (LATCH_EXCL | LATCH_SHARED_MASK)) == 0 &&
           atomic_compare_exchange_weak_explicit(&f->latch, &w, w | LATCH_EXCL, memory_order_acquire,
                                                 memory_order_relaxed);
}

static bool try_word(BufFrame *f, LatchMode mode, bool barge)
{
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_relaxed);
    if (mode == LATCH_SHARED) {
        /* Somebody parked behind other readers is a writer: newcomers queue up behind it, or it would starve. */
        if (!barge && (w & LATCH_PARKED) != 0 && (w & LATCH_SHARED_MASK) != 0) {
            return false;
        }
        return try_shared_word(f, w);
    }
    return try_exclusive_word(f, w);
}

static bool try_latch(BufFrame *f, LatchMode mode)
{
    bool ok = try_word(f, mode, true);
    if (ok) {
        note_latched(f);
    }
    return ok;
}

bool frame_try_shared(BufFrame *f)
{
    return try_latch(f, LATCH_SHARED);
}

bool frame_try_exclusive(BufFrame *f)
{
    return try_latch(f, LATCH_EXCLUSIVE);
}

static bool must_wait(uint64_t w, LatchMode mode)
{
    return (w & LATCH_EXCL) != 0 || (mode == LATCH_EXCLUSIVE && (w & LATCH_SHARED_MASK) != 0);
}

static void latch_park(BufFrame *f, LatchMode mode)
{
    uint32_t seq = atomic_load_explicit(&f->park, memory_order_acquire);
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_relaxed);
    if (!must_wait(w, mode) && (w & LATCH_PARKED) == 0) {
        return;
    }
    if ((w & LATCH_PARKED) == 0 && !atomic_compare_exchange_strong_explicit(
                                       &f->latch, &w, w | LATCH_PARKED, memory_order_relaxed, memory_order_relaxed)) {
        return;
    }
    os_park(&f->park, seq, -1);
}

void frame_latch(BufFrame *f, LatchMode mode)
{
    bool waited = false;
    for (;;) {
        int spins = os_sync_armed() ? 1 : LATCH_SPINS;
        for (int i = 0; i < spins; i++) {
            if (try_word(f, mode, waited)) {
                note_latched(f);
                return;
            }
            os_cpu_relax();
        }
        latch_park(f, mode);
        waited = true;
    }
}

static void wake(BufFrame *f)
{
    atomic_fetch_add_explicit(&f->park, 1, memory_order_release);
    os_unpark(&f->park, UINT_MAX);
}

void frame_unlatch(BufFrame *f)
{
    note_unlatched(f);
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_relaxed);
    for (;;) {
        uint64_t n;
        if ((w & LATCH_EXCL) != 0) {
            ASSERT((w & LATCH_SHARED_MASK) == 0);
            n = (w & ~(LATCH_EXCL | LATCH_PARKED)) + LATCH_VERSION_ONE;
        } else {
            ASSERT((w & LATCH_SHARED_MASK) != 0);
            n = w - 1;
            if ((n & LATCH_SHARED_MASK) == 0) {
                n &= ~LATCH_PARKED;
            }
        }
        /* Release: what was done under the latch happens before the next holder. */
        if (atomic_compare_exchange_weak_explicit(&f->latch, &w, n, memory_order_release, memory_order_relaxed)) {
            if ((w & LATCH_PARKED) != 0 && (n & LATCH_PARKED) == 0) {
                wake(f);
            }
            return;
        }
    }
}

bool buf_try_upgrade(BufFrame *f)
{
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_relaxed);
    ASSERT((w & LATCH_EXCL) == 0 && (w & LATCH_SHARED_MASK) != 0);
    while ((w & LATCH_SHARED_MASK) == 1) {
        if (atomic_compare_exchange_weak_explicit(&f->latch, &w, (w - 1) | LATCH_EXCL, memory_order_acquire,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void buf_downgrade(BufFrame *f)
{
    uint64_t w = atomic_load_explicit(&f->latch, memory_order_relaxed);
    uint64_t n;
    do {
        ASSERT((w & LATCH_EXCL) != 0);
        n = (w & ~(LATCH_EXCL | LATCH_PARKED)) + LATCH_VERSION_ONE + 1;
    } while (!atomic_compare_exchange_weak_explicit(&f->latch, &w, n, memory_order_release, memory_order_relaxed));
    if ((w & LATCH_PARKED) != 0) {
        wake(f);
    }
}

LatchMode buf_latch_mode(const BufFrame *f)
{
    return (atomic_load_explicit(&f->latch, memory_order_relaxed) & LATCH_EXCL) != 0 ? LATCH_EXCLUSIVE : LATCH_SHARED;
}
