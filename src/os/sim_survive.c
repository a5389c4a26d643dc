/*
 * os/sim_survive.c: copies of a disk's state, and what a power cut leaves of one.
 */
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "os/sim_state_int.h"

/* A third of the writes survive, a third are lost, a third are torn; under every fourth seed none is torn. */
bool sim_survives(uint64_t seed, uint64_t effect, uint64_t sector)
{
    if (seed == 0 || seed == UINT64_MAX) {
        return seed != 0;
    }
    uint64_t fate = mix64(seed ^ mix64(effect));
    bool may_tear = mix64(seed) % 4 != 0;
    switch (may_tear ? fate % 3 : fate % 2) {
    case 0: return true;
    case 1: return false;
    default: return (mix64(fate ^ mix64(sector)) & 1) != 0;
    }
}

/* The first k of n metadata changes survive. */
static size_t surviving_prefix(uint64_t seed, uint64_t inode, const SimInode *f)
{
    if (seed == 0 || f->metas.n == 0) {
        return 0;
    }
    if (seed == UINT64_MAX) {
        return f->metas.n;
    }
    uint64_t last = f->metas.v[f->metas.n - 1].effect;
    return (size_t)(mix64(seed ^ mix64(inode + 1) ^ mix64(last)) % (f->metas.n + 1));
}

static bool copy_versions(SimInode *to, const SimInode *from)
{
    if (!VEC_RESERVE(&to->versions, from->versions.n) || !u64map_reserve(&to->newest, from->newest.count)) {
        return false;
    }
    for (size_t i = 0; i < from->versions.n; i++) {
        to->versions.v[i] = from->versions.v[i];
        sim_blob_ref(to->versions.v[i].blob);
    }
    to->versions.n = from->versions.n;
    to->free_version = from->free_version;
    size_t cursor = 0;
    uint64_t sector;
    uint64_t newest;
    while (u64map_next(&from->newest, &cursor, &sector, &newest)) {
        if (!u64map_put(&to->newest, sector, newest)) {
            return false;
        }
    }
    return true;
}

/* Handles and locks are not copied: they belong to the machine, not to the disk. */
static SimInode *copy_inode(Budget *b, const SimInode *from)
{
    SimInode *to = sim_inode_new(b, from->is_dir);
    if (to == NULL) {
        return NULL;
    }
    to->refs = from->refs - from->handles;
    to->links = from->links;
    to->has_orphans = from->has_orphans;
    to->size = from->size;
    to->durable_size = from->durable_size;
    to->visible = sim_tree_copy(&from->visible);
    to->durable = sim_tree_copy(&from->durable);
    bool ok = copy_versions(to, from) && VEC_RESERVE(&to->metas, from->metas.n) &&
              VEC_RESERVE(&to->dir_effects, from->dir_effects.n) && sim_entries_copy(&to->entries, &from->entries) &&
              sim_entries_copy(&to->durable_entries, &from->durable_entries);
    if (!ok) {
        sim_inode_free(b, to);
        return NULL;
    }
    if (from->metas.n > 0) {
        memcpy(to->metas.v, from->metas.v, from->metas.n * sizeof from->metas.v[0]);
        to->metas.n = from->metas.n;
    }
    if (from->dir_effects.n > 0) {
        memcpy(to->dir_effects.v, from->dir_effects.v, from->dir_effects.n * sizeof from->dir_effects.v[0]);
        to->dir_effects.n = from->dir_effects.n;
    }
    return to;
}

/* A state with room for as many inodes, all of them missing. */
static SimState *new_like(const SimState *s)
{
    SimState *to = mem_alloc0(s->budget, sizeof *to);
    if (to == NULL) {
        return NULL;
    }
    to->budget = s->budget;
    to->inodes.budget = s->budget;
    if (!VEC_RESERVE(&to->inodes, s->inodes.n)) {
        sim_state_free(to);
        return NULL;
    }
    to->inodes.n = s->inodes.n;
    memset(to->inodes.v, 0, s->inodes.n * sizeof to->inodes.v[0]);
    return to;
}

SimState *sim_state_copy(const SimState *s)
{
    SimState *to = new_like(s);
    for (size_t i = 0; to != NULL && i < s->inodes.n; i++) {
        const SimInode *f = s->inodes.v[i];
        if (f == NULL || f->refs == f->handles) { /* unlinked everywhere, only open here */
            continue;
        }
        to->inodes.v[i] = copy_inode(s->budget, f);
        if (to->inodes.v[i] == NULL) {
            sim_state_free(to);
            return NULL;
        }
    }
    return to;
}

/* The newest version of the sector that survives; NULL = the durable content. */
static const SimVersion *surviving_version(const SimInode *f, uint64_t seed, uint64_t sector, uint32_t newest)
{
    for (uint32_t i = newest; i != SIM_NO_VERSION; i = f->versions.v[i].older) {
        if (sim_survives(seed, f->versions.v[i].effect, sector)) {
            return &f->versions.v[i];
        }
    }
    return NULL;
}

static bool survive_file(Budget *b, SimInode *to, const SimInode *f, uint64_t seed, uint64_t inode)
{
    SimTree *tree = &to->durable;
    *tree = sim_tree_copy(&f->durable);
    to->durable_size = f->durable_size;
    size_t metas = surviving_prefix(seed, inode, f);
    for (size_t i = 0; i < metas; i++) {
        if (!sim_meta_apply(b, tree, &to->durable_size, &f->metas.v[i])) {
            return false;
        }
    }
    size_t truncating = sim_truncates(f, metas) ? metas : 0;
    size_t cursor = 0;
    uint64_t sector;
    uint64_t newest;
    while (u64map_next(&f->newest, &cursor, &sector, &newest)) {
        const SimVersion *v = surviving_version(f, seed, sector, (uint32_t)newest);
        bool is_inside = sector * SIM_SECTOR < to->durable_size;
        if (v != NULL && is_inside && !sim_version_apply(b, tree, f, truncating, sector, v)) {
            return false;
        }
    }
    /* What lies past the end is gone: a later extension reads zeros there. */
    if (!sim_tree_zero(b, tree, to->durable_size, UINT64_MAX)) {
        return false;
    }
    to->size = to->durable_size;
    to->visible = sim_tree_copy(tree);
    return true;
}

static bool survive_entries(SimInode *to, const SimInode *d, uint64_t seed)
{
    if (!sim_entries_copy(&to->durable_entries, &d->durable_entries)) {
        return false;
    }
    for (size_t i = 0; i < d->dir_effects.n; i++) {
        const SimDirEffect *e = &d->dir_effects.v[i];
        /* The name is hashed in as its sector: the two effects of a rename between directories part. */
        uint64_t place = mix64(e->inode);
        bool survives = seed == UINT64_MAX || (seed != 0 && (mix64(seed ^ mix64(e->effect) ^ place) & 1) != 0);
        if (survives && !sim_entries_apply(&to->durable_entries, e)) {
            return false;
        }
    }
    return sim_entries_copy(&to->entries, &to->durable_entries);
}

/* Makes the inode survive in `to` if it has not yet, and counts one more reference from an entry. */
static bool survive_inode(SimState *to, const SimState *s, uint64_t seed, uint32_t inode)
{
    const SimInode *from = sim_inode(s, inode);
    ASSERT(from != NULL); /* D2 */
    SimInode *f = to->inodes.v[inode];
    if (f == NULL) {
        f = sim_inode_new(s->budget, from->is_dir);
        if (f == NULL) {
            return false;
        }
        to->inodes.v[inode] = f;
        bool ok = from->is_dir ? survive_entries(f, from, seed) : survive_file(s->budget, f, from, seed, inode);
        if (!ok) {
            return false;
        }
    }
    f->refs += 2; /* of the visible and the durable entry */
    f->links++;
    return true;
}

/* From the root down; inodes that no surviving entry names are gone. */
SimState *sim_state_survivor(const SimState *s, uint64_t seed)
{
    SimState *to = new_like(s);
    VEC(uint32_t) dirs = {.budget = s->budget};
    bool ok = to != NULL && survive_inode(to, s, seed, SIM_ROOT) && VEC_PUSH(&dirs, SIM_ROOT);
    while (ok && dirs.n > 0) {
        SimInode *d = to->inodes.v[dirs.v[--dirs.n]];
        for (size_t i = 0; ok && i < d->entries.n; i++) {
            uint32_t inode = d->entries.v[i].inode;
            bool is_new = to->inodes.v[inode] == NULL;
            ok = survive_inode(to, s, seed, inode);
            if (ok && is_new && to->inodes.v[inode]->is_dir) {
                ok = VEC_PUSH(&dirs, inode);
            }
        }
    }
    VEC_DONE(&dirs);
    if (!ok) {
        sim_state_free(to);
        return NULL;
    }
    return to;
}
