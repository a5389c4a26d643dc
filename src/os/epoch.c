/*
 * os/epoch.c: epoch-based reclamation.
 *
 * Key idea (Fraser, "Practical lock-freedom", 2004, section 5.2.3): a global epoch; readers count themselves in under the
 * epoch they found; the epoch moves from e to e + 1 only when no reader is counted under e - 1. A node retired in epoch
 * r can be freed once the epoch is r + 2: every reader counted under r or earlier, the only ones that can have found
 * it, has left.
 *
 * The counts are striped by thread, three per stripe (epoch modulo 3), so that entering writes no line that another
 * stripe writes. Retired nodes wait in a queue per stripe in order of their epochs.
 *
 * Invariants
 *  E1  A reader is counted under the current epoch or the one before.
 *  E2  In each stripe's queue epochs do not decrease.
 *  E3  A node runs its fn only when epoch >= node->epoch + 2.
 */
#include <string.h>

#include "base/check.h"
#include "os/os_int.h"

enum { LINE = 64, STRIPES = 64, PHASES = 3, RETIRES_PER_POLL = 64 };

/* `active` is written by readers, the rest by those who retire: two lines. */
typedef struct Stripe {
    _Alignas(LINE) _Atomic uint64_t active[PHASES];
    _Alignas(LINE) SpinLock lock; /* guards the queue */
    EpochNode *first;
    EpochNode *last;
    unsigned since_poll;
} Stripe;

struct Epoch {
    Budget *budget;
    _Alignas(LINE) _Atomic uint64_t epoch; /* starts at PHASES, so that epoch - 1 and - 2 exist */
    Stripe stripes[STRIPES];
};

/*
 * Where the calling thread is inside. Thread-local because leaving must find what entering counted; a thread is inside
 * the epochs of at most a few engines at a time.
 */
enum { INSIDE_MAX = 4 };
typedef struct Inside {
    Epoch *epoch; /* meaningful while depth > 0 */
    unsigned depth;
    unsigned phase;
    unsigned stripe;
} Inside;
static _Thread_local Inside inside[INSIDE_MAX];

Status epoch_new(Budget *budget, Error *err, Epoch **out_epoch)
{
    Epoch *e = mem_alloc_aligned(budget, sizeof *e, LINE);
    if (e == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    memset(e, 0, sizeof *e);
    e->budget = budget;
    atomic_init(&e->epoch, PHASES);
    for (unsigned i = 0; i < STRIPES; i++) {
        spin_init(&e->stripes[i].lock, RANK_EPOCH);
    }
    *out_epoch = e;
    return ST_OK;
}

static Inside *find_inside(const Epoch *e)
{
    for (unsigned i = 0; i < INSIDE_MAX; i++) {
        if (inside[i].depth > 0 && inside[i].epoch == e) {
            return &inside[i];
        }
    }
    return NULL;
}

static Inside *free_inside(void)
{
    for (unsigned i = 0; i < INSIDE_MAX; i++) {
        if (inside[i].depth == 0) {
            return &inside[i];
        }
    }
    UNREACHABLE(); /* inside more than INSIDE_MAX engines' epochs */
}

/*
 * Counts in, then looks whether the epoch still stands. Both sequentially consistent, as are the store and the loads in
 * advance(): either advance() sees the count, or the reader sees the new epoch and counts in again (E1).
 */
void epoch_enter(Epoch *e)
{
    Inside *in = find_inside(e);
    if (in != NULL) {
        in->depth++;
        return;
    }
    in = free_inside();
    in->epoch = e;
    in->stripe = os_thread_index() % STRIPES;
    Stripe *s = &e->stripes[in->stripe];
    uint64_t seen = atomic_load(&e->epoch);
    for (;;) {
        in->phase = (unsigned)(seen % PHASES);
        atomic_fetch_add(&s->active[in->phase], 1);
        uint64_t now = atomic_load(&e->epoch);
        if (LIKELY(now == seen)) {
            break;
        }
        atomic_fetch_sub(&s->active[in->phase], 1);
        seen = now;
    }
    in->depth = 1;
}

void epoch_leave(Epoch *e)
{
    Inside *in = find_inside(e);
    ASSERT(in != NULL);
    if (--in->depth == 0) {
        /* Release: what was read inside was read before advance() sees the count gone. */
        atomic_fetch_sub_explicit(&e->stripes[in->stripe].active[in->phase], 1, memory_order_release);
    }
}

/* Moves the epoch on by one if no reader is counted under the one before. */
static void advance(Epoch *e)
{
    uint64_t now = atomic_load(&e->epoch);
    unsigned phase = (unsigned)((now - 1) % PHASES);
    for (unsigned i = 0; i < STRIPES; i++) {
        if (atomic_load(&e->stripes[i].active[phase]) != 0) {
            return;
        }
    }
    atomic_compare_exchange_strong(&e->epoch, &now, now + 1);
}

/* Takes what may be freed from the head of the stripe's queue. */
static EpochNode *take_ripe(Stripe *s, uint64_t epoch)
{
    spin_lock(&s->lock);
    EpochNode *ripe = s->first;
    EpochNode *last = NULL;
    while (s->first != NULL && s->first->epoch + 2 <= epoch) { /* E3 */
        last = s->first;
        s->first = last->next;
    }
    if (last == NULL) {
        ripe = NULL;
    } else {
        last->next = NULL;
    }
    if (s->first == NULL) {
        s->last = NULL;
    }
    spin_unlock(&s->lock);
    return ripe;
}

static void run_all(EpochNode *node)
{
    while (node != NULL) {
        EpochNode *next = node->next; /* fn frees the node */
        node->fn(node->arg, node);
        node = next;
    }
}

void epoch_retire(Epoch *e, EpochNode *node, void (*fn)(void *arg, EpochNode *node), void *arg)
{
    Stripe *s = &e->stripes[os_thread_index() % STRIPES];
    node->next = NULL;
    node->fn = fn;
    node->arg = arg;
    spin_lock(&s->lock);
    /*
     * A read-modify-write, not a load: it stands in the epoch's modification order, so a reader that finds a later epoch
     * has synchronised with this thread and cannot find the node any more.
     */
    node->epoch = atomic_fetch_add(&e->epoch, 0);
    ASSERT(s->last == NULL || s->last->epoch <= node->epoch); /* E2 */
    if (s->last == NULL) {
        s->first = node;
    } else {
        s->last->next = node;
    }
    s->last = node;
    bool poll = ++s->since_poll >= RETIRES_PER_POLL;
    if (poll) {
        s->since_poll = 0;
    }
    spin_unlock(&s->lock);
    if (poll) {
        advance(e);
        run_all(take_ripe(s, atomic_load(&e->epoch)));
    }
}

void epoch_poll(Epoch *e)
{
    advance(e);
    advance(e);
    uint64_t epoch = atomic_load(&e->epoch);
    for (unsigned i = 0; i < STRIPES; i++) {
        run_all(take_ripe(&e->stripes[i], epoch));
    }
}

static bool is_empty(Epoch *e)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        if (e->stripes[i].first != NULL) {
            return false;
        }
    }
    return true;
}

void epoch_free(Epoch *e)
{
    if (e == NULL) {
        return;
    }
    for (unsigned i = 0; i < STRIPES; i++) {
        for (unsigned phase = 0; phase < PHASES; phase++) {
            ASSERT(atomic_load(&e->stripes[i].active[phase]) == 0); /* a reader is inside */
        }
    }
    while (!is_empty(e)) { /* what is freed may retire more */
        epoch_poll(e);
    }
    mem_free(e->budget, e, sizeof *e);
}
