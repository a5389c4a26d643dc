/*
 * os/sim_file.c: operations on the files of a simulated disk, and what a sync makes of the effects they noted.
 */
#include "os/sim_state_int.h"

#include <string.h>

#include "base/check.h"

/* More versions of one sector than this are not remembered: the oldest is forgotten, as if it could not survive. */
enum { VERSIONS_PER_SECTOR_MAX = 16 };

SimBlob *sim_blob_new(Budget *b, size_t bytes)
{
    SimBlob *blob = mem_alloc(b, sizeof *blob + bytes);
    if (blob != NULL) {
        atomic_init(&blob->refs, 1);
        blob->bytes = bytes;
    }
    return blob;
}

SimBlob *sim_blob_ref(SimBlob *blob)
{
    if (blob != NULL) {
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    }
    return blob;
}

void sim_blob_unref(Budget *b, SimBlob *blob)
{
    /* Acquire and release: whoever frees it must see that all others are done with it. */
    if (blob != NULL && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(b, blob, sizeof *blob + blob->bytes);
    }
}

static uint32_t newest_version(const SimInode *f, uint64_t sector)
{
    uint64_t i;
    return u64map_get(&f->newest, sector, &i) ? (uint32_t)i : SIM_NO_VERSION;
}

static void free_version(Budget *b, SimInode *f, uint32_t i)
{
    SimVersion *v = &f->versions.v[i];
    sim_blob_unref(b, v->blob);
    *v = (SimVersion){.older = f->free_version};
    f->free_version = i;
}

static void free_version_list(Budget *b, SimInode *f, uint32_t i)
{
    while (i != SIM_NO_VERSION) {
        uint32_t older = f->versions.v[i].older;
        free_version(b, f, i);
        i = older;
    }
}

/* Forgets the oldest version when the sector has too many. */
static void trim_versions(Budget *b, SimInode *f, uint32_t newest)
{
    uint32_t i = newest;
    for (int n = 1; i != SIM_NO_VERSION && n < VERSIONS_PER_SECTOR_MAX; n++) {
        i = f->versions.v[i].older;
    }
    if (i != SIM_NO_VERSION) {
        free_version_list(b, f, f->versions.v[i].older);
        f->versions.v[i].older = SIM_NO_VERSION;
    }
}

static bool add_version(Budget *b, SimInode *f, uint64_t sector, SimBlob *blob, uint32_t at, uint64_t effect)
{
    if (!u64map_reserve(&f->newest, f->newest.count + 1)) {
        return false;
    }
    uint32_t i = f->free_version;
    if (i == SIM_NO_VERSION) {
        if (!VEC_RESERVE(&f->versions, 1)) {
            return false;
        }
        i = (uint32_t)f->versions.n++;
    } else {
        f->free_version = f->versions.v[i].older;
    }
    f->versions.v[i] = (SimVersion){sim_blob_ref(blob), at, newest_version(f, sector), effect, false};
    bool put = u64map_put(&f->newest, sector, i); /* room was reserved */
    ASSERT(put);
    trim_versions(b, f, i);
    return true;
}

bool sim_truncates(const SimInode *f, size_t metas)
{
    for (size_t i = 0; i < metas; i++) {
        if (f->metas.v[i].kind == SIM_META_TRUNCATE) {
            return true;
        }
    }
    return false;
}

/* Where the part of the file begins that truncations after `effect` hide from its versions. */
static uint64_t hidden_from(const SimInode *f, size_t metas, uint64_t effect)
{
    uint64_t from = UINT64_MAX;
    for (size_t i = 0; i < metas; i++) {
        const SimMeta *m = &f->metas.v[i];
        if (m->kind == SIM_META_TRUNCATE && m->effect > effect && m->size < from) {
            from = m->size;
        }
    }
    return from;
}

bool sim_version_apply(Budget *b, SimTree *tree, const SimInode *f, size_t metas, uint64_t sector, const SimVersion *v)
{
    uint64_t offset = sector * SIM_SECTOR;
    uint64_t hidden = hidden_from(f, metas, v->effect);
    if (hidden <= offset) {
        return true;
    }
    if (v->blob == NULL) {
        return sim_tree_zero(b, tree, offset, offset + SIM_SECTOR);
    }
    const char *data = v->blob->data + (size_t)v->at * SIM_SECTOR;
    return sim_tree_write(b, tree, offset, data, SIM_SECTOR) &&
           (hidden >= offset + SIM_SECTOR || sim_tree_zero(b, tree, hidden, offset + SIM_SECTOR));
}

static void forget_versions(Budget *b, SimInode *f)
{
    for (size_t i = 0; i < f->versions.n; i++) {
        sim_blob_unref(b, f->versions.v[i].blob);
    }
    f->versions.n = 0;
    f->free_version = SIM_NO_VERSION;
    if (f->newest.capacity > 4096) { /* larger than clearing it at each sync is worth */
        u64map_done(&f->newest);
    } else {
        u64map_clear(&f->newest);
    }
}

bool sim_meta_apply(Budget *b, SimTree *tree, uint64_t *size, const SimMeta *m)
{
    *size = m->size;
    switch (m->kind) {
    case SIM_META_GROW: return true;
    case SIM_META_TRUNCATE: return sim_tree_zero(b, tree, m->size, UINT64_MAX);
    case SIM_META_ALLOCATE: return sim_tree_reserve(b, tree, m->offset, m->len);
    }
    UNREACHABLE();
}

static bool meta(SimState *s, SimInode *f, const SimMeta *m)
{
    if (!VEC_RESERVE(&f->metas, 1) || !sim_meta_apply(s->budget, &f->visible, &f->size, m)) {
        return false;
    }
    f->metas.v[f->metas.n++] = *m;
    return true;
}

SimBlob *sim_write_blob(const SimState *s, uint32_t inode, uint64_t offset, const void *buf, size_t len)
{
    const SimInode *f = sim_inode(s, inode);
    uint64_t first = offset / SIM_SECTOR;
    uint64_t end = (offset + len + SIM_SECTOR - 1) / SIM_SECTOR;
    SimBlob *blob = sim_blob_new(s->budget, (size_t)(end - first) * SIM_SECTOR);
    if (blob != NULL && f != NULL) {
        sim_tree_read(&f->visible, first * SIM_SECTOR, blob->data, blob->bytes);
        memcpy(blob->data + (offset - first * SIM_SECTOR), buf, len);
    }
    return blob;
}

/* Writes the run of sectors [from, to) of the blob. */
static bool write_sectors(SimState *s, SimInode *f, uint64_t effect, uint64_t first, SimBlob *blob, uint32_t from,
                          uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (!add_version(s->budget, f, first + i, blob, i, effect)) {
            return false;
        }
    }
    return sim_tree_write(s->budget, &f->visible, (first + from) * SIM_SECTOR, blob->data + (size_t)from * SIM_SECTOR,
                          (size_t)(to - from) * SIM_SECTOR);
}

bool sim_write(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, size_t len, SimBlob *blob,
               uint64_t torn_seed)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL || len == 0) {
        return true;
    }
    uint64_t first = offset / SIM_SECTOR;
    uint32_t count = (uint32_t)(blob->bytes / SIM_SECTOR);
    uint64_t end = f->size;
    if (torn_seed == 0) {
        if (!write_sectors(s, f, effect, first, blob, 0, count)) {
            return false;
        }
        end = offset + len;
    }
    for (uint32_t i = 0; i < count && torn_seed != 0; i++) {
        if (sim_survives(torn_seed, effect, first + i)) {
            if (!write_sectors(s, f, effect, first, blob, i, i + 1)) {
                return false;
            }
            uint64_t sector_end = (first + i + 1) * SIM_SECTOR;
            end = sector_end < offset + len ? sector_end : offset + len;
        }
    }
    SimMeta grow = {.kind = SIM_META_GROW, .effect = effect, .size = end};
    return end <= f->size || meta(s, f, &grow);
}

bool sim_truncate(SimState *s, uint64_t effect, uint32_t inode, uint64_t size)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL || size == f->size) {
        return true;
    }
    SimMeta m = {.kind = size < f->size ? SIM_META_TRUNCATE : SIM_META_GROW, .effect = effect, .size = size};
    return meta(s, f, &m);
}

bool sim_allocate(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, uint64_t len)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL) {
        return true;
    }
    uint64_t end = offset + len;
    SimMeta m = {SIM_META_ALLOCATE, false, effect, end > f->size ? end : f->size, offset, len};
    return meta(s, f, &m);
}

/* Only sectors that are or may turn out to be data need a version; a page takes space in both cases. */
static bool may_hold_data(const SimInode *f, uint64_t sector)
{
    uint64_t offset = sector * SIM_SECTOR;
    return sim_tree_has_data(&f->visible, offset) || sim_tree_has_data(&f->durable, offset) ||
           newest_version(f, sector) != SIM_NO_VERSION;
}

/* Zeroes what the file holds of the range. Bytes around it in partly punched sectors keep their content. */
static bool punch_edge(SimState *s, SimInode *f, uint64_t effect, uint64_t sector, uint64_t from, uint64_t to)
{
    SimBlob *blob = sim_blob_new(s->budget, SIM_SECTOR);
    if (blob == NULL) {
        return false;
    }
    sim_tree_read(&f->visible, sector * SIM_SECTOR, blob->data, SIM_SECTOR);
    memset(blob->data + (from - sector * SIM_SECTOR), 0, (size_t)(to - from));
    bool ok = add_version(s->budget, f, sector, blob, 0, effect);
    sim_blob_unref(s->budget, blob);
    return ok;
}

bool sim_punch(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, uint64_t len)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL) {
        return true;
    }
    uint64_t end = offset + len < f->size ? offset + len : f->size;
    for (uint64_t at = offset; at < end;) {
        uint64_t sector = at / SIM_SECTOR;
        uint64_t next = (sector + 1) * SIM_SECTOR < end ? (sector + 1) * SIM_SECTOR : end;
        if (may_hold_data(f, sector)) {
            bool whole = at == sector * SIM_SECTOR && next == at + SIM_SECTOR;
            bool ok =
                whole ? add_version(s->budget, f, sector, NULL, 0, effect) : punch_edge(s, f, effect, sector, at, next);
            if (!ok) {
                return false;
            }
        }
        at = next;
    }
    return offset >= end || sim_tree_zero(s->budget, &f->visible, offset, end);
}

/* Everything noted becomes durable: the visible content is the durable one. */
static void sync_all(SimState *s, SimInode *f)
{
    SimTree visible = sim_tree_copy(&f->visible);
    sim_tree_done(s->budget, &f->durable);
    f->durable = visible;
    f->durable_size = f->size;
    f->metas.n = 0;
    forget_versions(s->budget, f);
}

/* The newest version of a list that is no orphan; those before it in the list are. */
static uint32_t first_sound(const SimInode *f, uint32_t i)
{
    while (i != SIM_NO_VERSION && f->versions.v[i].is_orphan) {
        i = f->versions.v[i].older;
    }
    return i;
}

/* Folds the first `count` metadata changes into the durable state; the sectors they truncated have been seen to. */
static void drop_metas(SimInode *f, size_t count)
{
    if (count > 0) {
        memmove(f->metas.v, f->metas.v + count, (f->metas.n - count) * sizeof f->metas.v[0]);
        f->metas.n -= count;
    }
}

/*
 * With orphans about: of each sector the newest sound version becomes durable, orphans newer than it stay noted; of the
 * metadata all up to the last sound change becomes durable (the inode is written as a whole).
 */
static bool sync_around_orphans(SimState *s, SimInode *f)
{
    Budget *b = s->budget;
    size_t sound = f->metas.n;
    while (sound > 0 && f->metas.v[sound - 1].is_orphan) {
        sound--;
    }
    for (size_t i = 0; i < sound; i++) {
        if (!sim_meta_apply(b, &f->durable, &f->durable_size, &f->metas.v[i])) {
            return false;
        }
    }
    size_t truncating = sim_truncates(f, sound) ? sound : 0;
    bool orphans_left = sound < f->metas.n;
    size_t cursor = 0;
    uint64_t sector;
    uint64_t newest;
    while (u64map_next(&f->newest, &cursor, &sector, &newest)) {
        uint32_t base = first_sound(f, (uint32_t)newest);
        orphans_left |= base != (uint32_t)newest;
        if (base == SIM_NO_VERSION) {
            continue;
        }
        if (!sim_version_apply(b, &f->durable, f, truncating, sector, &f->versions.v[base])) {
            return false;
        }
        /* It stays in the list though it is durable now: should it be chosen again, that changes nothing. */
        free_version_list(b, f, f->versions.v[base].older);
        f->versions.v[base].older = SIM_NO_VERSION;
    }
    if (!orphans_left) {
        f->has_orphans = false;
        sync_all(s, f);
        return true;
    }
    drop_metas(f, sound);
    return sim_tree_zero(b, &f->durable, f->durable_size, UINT64_MAX);
}

bool sim_sync(SimState *s, uint32_t inode)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL) {
        return true;
    }
    if (f->has_orphans) {
        return sync_around_orphans(s, f);
    }
    sync_all(s, f);
    return true;
}

void sim_sync_failed(SimState *s, uint32_t inode)
{
    SimInode *f = sim_inode(s, inode);
    if (f == NULL || f->is_dir) {
        return;
    }
    for (size_t i = 0; i < f->versions.n; i++) {
        f->versions.v[i].is_orphan = true;
        f->has_orphans = true;
    }
    for (size_t i = 0; i < f->metas.n; i++) {
        f->metas.v[i].is_orphan = true;
        f->has_orphans = true;
    }
}
