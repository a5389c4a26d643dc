/*
 * os/sim_record.c: recording and replaying the operations of a simulated disk.
 */
#include "os/sim_record_int.h"

#include <string.h>

#include "base/check.h"

bool sim_event_apply(SimState *s, const SimEvent *e, uint32_t *out_inode)
{
    uint32_t made = SIM_NO_INODE;
    bool ok = true;
    switch (e->op) {
    case SIM_OP_CREATE:
    case SIM_OP_MKDIR: ok = sim_create(s, e->io, e->inode, e->name, e->op == SIM_OP_MKDIR, &made); break;
    case SIM_OP_REMOVE: ok = sim_remove(s, e->io, e->inode, e->name); break;
    case SIM_OP_RENAME: ok = sim_rename(s, e->io, e->inode, e->name, e->to_dir, e->to_name); break;
    case SIM_OP_WRITE: ok = sim_write(s, e->io, e->inode, e->offset, (size_t)e->len, e->blob, e->torn_seed); break;
    case SIM_OP_TRUNCATE: ok = sim_truncate(s, e->io, e->inode, e->offset); break;
    case SIM_OP_ALLOCATE: ok = sim_allocate(s, e->io, e->inode, e->offset, e->len); break;
    case SIM_OP_PUNCH: ok = sim_punch(s, e->io, e->inode, e->offset, e->len); break;
    case SIM_OP_SYNC: ok = sim_sync(s, e->inode); break;
    case SIM_OP_SYNC_FAILED: sim_sync_failed(s, e->inode); break;
    case SIM_OP_SYNC_DIR: ok = sim_sync_dir(s, e->inode); break;
    }
    if (ok && made != SIM_NO_INODE && out_inode != NULL) {
        *out_inode = made;
    }
    return ok;
}

SimRecord *sim_record_new(const SimState *start)
{
    SimRecord *r = mem_alloc0(start->budget, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->budget = start->budget;
    r->events.budget = r->checkpoints.budget = start->budget;
    SimCheckpoint first = {.state = sim_state_copy(start)};
    r->cursor.state = sim_state_copy(start);
    if (first.state == NULL || r->cursor.state == NULL || !VEC_PUSH(&r->checkpoints, first)) {
        sim_state_free(first.state);
        sim_record_free(r);
        return NULL;
    }
    return r;
}

void sim_record_free(SimRecord *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->events.n; i++) {
        sim_blob_unref(r->budget, r->events.v[i].blob);
    }
    for (size_t i = 0; i < r->checkpoints.n; i++) {
        sim_state_free(r->checkpoints.v[i].state);
    }
    sim_state_free(r->cursor.state);
    VEC_DONE(&r->events);
    VEC_DONE(&r->checkpoints);
    mem_free(r->budget, r, sizeof *r);
}

bool sim_record_reserve(SimRecord *r)
{
    return VEC_RESERVE(&r->events, 1);
}

void sim_record_add(SimRecord *r, const SimEvent *e)
{
    ASSERT(r->events.n < r->events.cap);
    SimEvent *kept = &r->events.v[r->events.n++];
    *kept = *e;
    sim_blob_ref(kept->blob);
}

/* The last checkpoint not after `io`. */
static const SimCheckpoint *checkpoint_before(const SimRecord *r, uint64_t io)
{
    size_t low = 0; /* the first always qualifies */
    size_t high = r->checkpoints.n;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (r->checkpoints.v[mid].io <= io) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return &r->checkpoints.v[low];
}

/* Puts the cursor at a place not after `io`, and not further before it than needed. */
static bool seek(SimRecord *r, uint64_t io)
{
    const SimCheckpoint *c = checkpoint_before(r, io);
    if (r->cursor.io <= io && r->cursor.events >= c->events) {
        return true;
    }
    SimState *state = sim_state_copy(c->state);
    if (state == NULL) {
        return false;
    }
    sim_state_free(r->cursor.state);
    r->cursor = (SimCheckpoint){c->events, c->io, state};
    return true;
}

static bool keep_checkpoint(SimRecord *r)
{
    if (r->cursor.events % SIM_CHECKPOINT_EVERY != 0 ||
        r->cursor.events <= r->checkpoints.v[r->checkpoints.n - 1].events) {
        return true;
    }
    SimCheckpoint c = r->cursor;
    c.state = sim_state_copy(r->cursor.state);
    if (c.state == NULL || !VEC_PUSH(&r->checkpoints, c)) {
        sim_state_free(c.state);
        return false;
    }
    return true;
}

const SimState *sim_record_state_at(SimRecord *r, uint64_t io)
{
    if (!seek(r, io)) {
        return NULL;
    }
    while (r->cursor.events < r->events.n && r->events.v[r->cursor.events].io <= io) {
        const SimEvent *e = &r->events.v[r->cursor.events];
        if (!sim_event_apply(r->cursor.state, e, NULL)) {
            r->cursor.io = UINT64_MAX; /* half applied: start again from a checkpoint */
            return NULL;
        }
        r->cursor.events++;
        r->cursor.io = e->io;
        if (!keep_checkpoint(r)) {
            return NULL;
        }
    }
    return r->cursor.state;
}
