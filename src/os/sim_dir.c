/*
 * os/sim_dir.c: the names of a simulated disk: inodes and who refers to them, directories, paths.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "os/sim_state_int.h"

SimInode *sim_inode_new(Budget *b, bool is_dir)
{
    SimInode *f = mem_alloc0(b, sizeof *f);
    if (f != NULL) {
        f->is_dir = is_dir;
        f->free_version = SIM_NO_VERSION;
        u64map_init(&f->newest, b);
        f->versions.budget = f->metas.budget = b;
        f->entries.budget = f->durable_entries.budget = f->dir_effects.budget = b;
    }
    return f;
}

void sim_inode_free(Budget *b, SimInode *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->versions.n; i++) {
        sim_blob_unref(b, f->versions.v[i].blob);
    }
    VEC_DONE(&f->versions);
    VEC_DONE(&f->metas);
    VEC_DONE(&f->entries);
    VEC_DONE(&f->durable_entries);
    VEC_DONE(&f->dir_effects);
    u64map_done(&f->newest);
    sim_tree_done(b, &f->visible);
    sim_tree_done(b, &f->durable);
    mem_free(b, f, sizeof *f);
}

SimInode *sim_inode(const SimState *s, uint32_t inode)
{
    return inode < s->inodes.n ? s->inodes.v[inode] : NULL;
}

void sim_inode_ref(SimState *s, uint32_t inode)
{
    if (inode != SIM_NO_INODE) {
        sim_inode(s, inode)->refs++;
    }
}

void sim_inode_unref(SimState *s, uint32_t inode)
{
    if (inode == SIM_NO_INODE) {
        return;
    }
    SimInode *f = sim_inode(s, inode);
    ASSERT(f != NULL && f->refs > 0); /* D2 */
    if (--f->refs == 0) {
        s->inodes.v[inode] = NULL;
        for (size_t i = 0; i < f->durable_entries.n; i++) {
            sim_inode_unref(s, f->durable_entries.v[i].inode);
        }
        for (size_t i = 0; i < f->entries.n; i++) {
            sim_inode_unref(s, f->entries.v[i].inode);
        }
        for (size_t i = 0; i < f->dir_effects.n; i++) {
            sim_inode_unref(s, f->dir_effects.v[i].inode);
        }
        sim_inode_free(s->budget, f);
    }
}

SimState *sim_state_new(Budget *b)
{
    SimState *s = mem_alloc0(b, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->budget = b;
    s->inodes.budget = b;
    SimInode *root = sim_inode_new(b, true);
    if (root == NULL || !VEC_PUSH(&s->inodes, root)) {
        sim_inode_free(b, root);
        sim_state_free(s);
        return NULL;
    }
    root->refs = 1;
    return s;
}

void sim_state_free(SimState *s)
{
    if (s != NULL) {
        for (size_t i = 0; i < s->inodes.n; i++) {
            sim_inode_free(s->budget, s->inodes.v[i]);
        }
        VEC_DONE(&s->inodes);
        mem_free(s->budget, s, sizeof *s);
    }
}

uint64_t sim_used_bytes(const SimState *s)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < s->inodes.n; i++) {
        const SimInode *f = s->inodes.v[i];
        if (f != NULL && !f->is_dir && f->links + f->handles > 0) {
            pages += sim_tree_pages(&f->visible);
        }
    }
    return pages * SIM_PAGE_BYTES;
}

/* The first entry whose name is not less. */
static size_t lower_bound(const SimEntries *entries, const char *name)
{
    size_t low = 0;
    size_t high = entries->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(entries->v[mid].name, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool has_name(const SimEntries *entries, size_t at, const char *name)
{
    return at < entries->n && strcmp(entries->v[at].name, name) == 0;
}

uint32_t sim_entries_find(const SimEntries *entries, const char *name)
{
    size_t at = lower_bound(entries, name);
    return has_name(entries, at, name) ? entries->v[at].inode : SIM_NO_INODE;
}

uint32_t sim_find(const SimState *s, uint32_t dir, const char *name)
{
    const SimInode *d = sim_inode(s, dir);
    return d == NULL ? SIM_NO_INODE : sim_entries_find(&d->entries, name);
}

/* name := inode. Changes no counts. */
static bool entries_set(SimEntries *entries, const char *name, uint32_t inode)
{
    size_t at = lower_bound(entries, name);
    bool found = has_name(entries, at, name);
    if (inode == SIM_NO_INODE) {
        if (found) {
            memmove(&entries->v[at], &entries->v[at + 1], (entries->n - at - 1) * sizeof entries->v[0]);
            entries->n--;
        }
        return true;
    }
    if (!found) {
        if (!VEC_RESERVE(entries, 1)) {
            return false;
        }
        memmove(&entries->v[at + 1], &entries->v[at], (entries->n - at) * sizeof entries->v[0]);
        entries->n++;
        strcpy(entries->v[at].name, name);
    }
    entries->v[at].inode = inode;
    return true;
}

bool sim_entries_apply(SimEntries *entries, const SimDirEffect *e)
{
    if (e->gone[0] != 0 && !entries_set(entries, e->gone, SIM_NO_INODE)) {
        return false;
    }
    return entries_set(entries, e->name, e->inode);
}

bool sim_entries_copy(SimEntries *to, const SimEntries *from)
{
    if (!VEC_RESERVE(to, from->n)) {
        return false;
    }
    if (from->n > 0) {
        memcpy(to->v, from->v, from->n * sizeof from->v[0]);
    }
    to->n = from->n;
    return true;
}

/* Directory operations. An operation is one or two effects; each is applied to the visible entries and noted. */

static void link_changed(SimState *s, uint32_t inode, int by)
{
    if (inode != SIM_NO_INODE) {
        SimInode *f = sim_inode(s, inode);
        f->links = (uint32_t)((int)f->links + by);
    }
}

/*
 * Makes the oldest noted effect durable, as a file system does in the background after a while: else the effects of a
 * directory that is never synced, and the files they keep, would pile up.
 */
static bool fold_oldest(SimState *s, SimInode *d)
{
    if (!VEC_RESERVE(&d->durable_entries, 1)) {
        return false;
    }
    SimDirEffect e = d->dir_effects.v[0];
    uint32_t replaced = sim_entries_find(&d->durable_entries, e.name);
    uint32_t gone = e.gone[0] == 0 ? SIM_NO_INODE : sim_entries_find(&d->durable_entries, e.gone);
    bool applied =
        sim_entries_apply(&d->durable_entries, &e); /* room was reserved; takes over the effect's reference */
    ASSERT(applied);
    d->dir_effects.n--;
    memmove(&d->dir_effects.v[0], &d->dir_effects.v[1], d->dir_effects.n * sizeof d->dir_effects.v[0]);
    sim_inode_unref(s, replaced);
    sim_inode_unref(s, gone);
    return true;
}

static bool dir_effect(SimState *s, uint32_t dir, const SimDirEffect *e)
{
    SimInode *d = sim_inode(s, dir);
    if (d == NULL) {
        return true;
    }
    if (d->dir_effects.n >= SIM_DIR_EFFECTS_MAX && !fold_oldest(s, d)) {
        return false;
    }
    if (!VEC_RESERVE(&d->dir_effects, 1) || !VEC_RESERVE(&d->entries, 1)) {
        return false;
    }
    uint32_t replaced = sim_entries_find(&d->entries, e->name);
    uint32_t gone = e->gone[0] == 0 ? SIM_NO_INODE : sim_entries_find(&d->entries, e->gone);
    sim_inode_ref(s, e->inode); /* of the entry */
    sim_inode_ref(s, e->inode); /* of the effect */
    link_changed(s, e->inode, 1);
    link_changed(s, replaced, -1);
    link_changed(s, gone, -1);
    bool applied = sim_entries_apply(&d->entries, e); /* room was reserved */
    ASSERT(applied);
    d->dir_effects.v[d->dir_effects.n++] = *e;
    sim_inode_unref(s, replaced);
    sim_inode_unref(s, gone);
    return true;
}

static SimDirEffect make_effect(uint64_t effect, uint32_t inode, const char *name)
{
    SimDirEffect e = {.effect = effect, .inode = inode};
    ASSERT(strlen(name) < SIM_NAME_BYTES);
    strcpy(e.name, name);
    return e;
}

bool sim_create(SimState *s, uint64_t effect, uint32_t dir, const char *name, bool is_dir, uint32_t *out_inode)
{
    uint32_t inode = (uint32_t)s->inodes.n;
    SimInode *f = sim_inode_new(s->budget, is_dir);
    if (f == NULL || !VEC_PUSH(&s->inodes, f)) {
        sim_inode_free(s->budget, f);
        return false;
    }
    f->refs = 1; /* ours for the moment */
    SimDirEffect e = make_effect(effect, inode, name);
    bool ok = dir_effect(s, dir, &e);
    sim_inode_unref(s, inode);
    if (ok) {
        *out_inode = inode;
    }
    return ok;
}

bool sim_remove(SimState *s, uint64_t effect, uint32_t dir, const char *name)
{
    SimDirEffect e = make_effect(effect, SIM_NO_INODE, name);
    return dir_effect(s, dir, &e);
}

bool sim_rename(SimState *s, uint64_t effect, uint32_t from_dir, const char *from, uint32_t to_dir, const char *to)
{
    uint32_t inode = sim_find(s, from_dir, from);
    if (inode == SIM_NO_INODE || (from_dir == to_dir && strcmp(from, to) == 0)) {
        return true;
    }
    SimDirEffect e = make_effect(effect, inode, to);
    if (from_dir == to_dir) {
        strcpy(e.gone, from);
        return dir_effect(s, to_dir, &e);
    }
    return dir_effect(s, to_dir, &e) && sim_remove(s, effect, from_dir, from);
}

bool sim_sync_dir(SimState *s, uint32_t dir)
{
    SimInode *d = sim_inode(s, dir);
    if (d == NULL || d->dir_effects.n == 0) {
        return true;
    }
    SimEntries before = d->durable_entries;
    SimEntries now = {.budget = s->budget};
    if (!sim_entries_copy(&now, &d->entries)) {
        return false;
    }
    for (size_t i = 0; i < now.n; i++) {
        sim_inode_ref(s, now.v[i].inode);
    }
    d->durable_entries = now;
    for (size_t i = 0; i < before.n; i++) {
        sim_inode_unref(s, before.v[i].inode);
    }
    VEC_DONE(&before);
    size_t n = d->dir_effects.n;
    d->dir_effects.n = 0;
    for (size_t i = 0; i < n; i++) {
        sim_inode_unref(s, d->dir_effects.v[i].inode);
    }
    return true;
}

int sim_walk(const SimState *s, const char *path, uint32_t *out_dir, char out_name[SIM_NAME_BYTES])
{
    uint32_t dir = SIM_ROOT;
    out_name[0] = 0;
    while (*path != 0) {
        size_t n = strcspn(path, "/");
        if (n >= SIM_NAME_BYTES) {
            return ENAMETOOLONG;
        }
        memcpy(out_name, path, n);
        out_name[n] = 0;
        path += n;
        if (*path == 0) {
            break;
        }
        path++;
        dir = sim_find(s, dir, out_name);
        if (dir == SIM_NO_INODE || !sim_inode(s, dir)->is_dir) {
            return ENOENT;
        }
    }
    *out_dir = dir;
    return 0;
}

uint32_t sim_look_up(const SimState *s, const char *path)
{
    uint32_t dir = SIM_ROOT;
    char name[SIM_NAME_BYTES];
    if (sim_walk(s, path, &dir, name) != 0) {
        return SIM_NO_INODE;
    }
    return name[0] == 0 ? dir : sim_find(s, dir, name);
}

void sim_handle_opened(SimState *s, uint32_t inode)
{
    sim_inode(s, inode)->handles++;
    sim_inode_ref(s, inode);
}

void sim_handle_closed(SimState *s, uint32_t inode)
{
    sim_inode(s, inode)->handles--;
    sim_inode_unref(s, inode);
}
