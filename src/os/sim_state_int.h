/*
 * os/sim_state_int.h: the state of a simulated disk: what programs see, what is durable, and what lies between.
 *
 * Key idea: an operation is applied to the visible state at once and noted as an effect; a sync makes effects durable
 * and forgets them. What a power cut may leave (sim_state_survivor) is the durable state plus a subset of the noted
 * effects. States are values: applying the same operations to a copy gives the same state, which is what lets a
 * recording be replayed to any point.
 *
 * What may survive of the effects, given the survive seed
 *  - data: each write survives wholly, not at all, or sector by sector (512 bytes); a sector holds its newest surviving
 *    version, so any of its unsynced versions, or the durable one, can be found there, whatever other sectors hold;
 *  - a file's metadata (size, truncation, allocation): a prefix of the changes since the last sync, since a file system
 *    writes the inode as a whole; independent of the data. A truncation that survived hides older data for good;
 *  - a directory's entries: each creation, removal or rename by itself. A rename in one directory is one effect, between
 *    two it is two.
 * After a failed sync the effects up to it are orphans: the kernel has dropped them from what it will write, so a later
 * sync does not make them durable, while the visible state still shows them.
 *
 * Invariants
 *  D1  A file without noted effects has its durable content and size equal to the visible ones.
 *  D2  An inode is kept while an entry (visible, durable or in a noted effect) or a handle refers to it.
 */
#ifndef RDB_OS_SIM_STATE_INT_H
#define RDB_OS_SIM_STATE_INT_H

#include "base/map.h"
#include "base/mem.h"
#include "os/sim_tree_int.h"

enum { SIM_DIR_EFFECTS_MAX = 64 }; /* more than these become durable by themselves, the oldest first */
enum { SIM_NAME_BYTES = 64, SIM_SECTOR = 512, SIM_ROOT = 0, SIM_NO_INODE = UINT32_MAX };

/* Bytes that unsynced versions share; counted. Whole sectors. */
typedef struct SimBlob SimBlob;
struct SimBlob {
    _Atomic uint32_t refs;
    size_t bytes;
    char data[];
};
MUST_CHECK SimBlob *sim_blob_new(Budget *b, size_t bytes);
SimBlob *sim_blob_ref(SimBlob *blob);
void sim_blob_unref(Budget *b, SimBlob *blob);

typedef struct SimEntry {
    char name[SIM_NAME_BYTES];
    uint32_t inode;
} SimEntry;
typedef VEC(SimEntry) SimEntries; /* sorted by name */

/* name := inode (SIM_NO_INODE = removed), and for a rename in one directory also `gone` := nothing. */
typedef struct SimDirEffect {
    uint64_t effect;
    uint32_t inode;
    char name[SIM_NAME_BYTES];
    char gone[SIM_NAME_BYTES]; /* "" = none */
} SimDirEffect;

typedef enum SimMetaKind { SIM_META_GROW, SIM_META_TRUNCATE, SIM_META_ALLOCATE } SimMetaKind;
typedef struct SimMeta {
    SimMetaKind kind;
    bool is_orphan;
    uint64_t effect;
    uint64_t size; /* after it */
    uint64_t offset, len; /* SIM_META_ALLOCATE */
} SimMeta;

/* One unsynced version of one sector; a list per sector, newest first. */
typedef struct SimVersion {
    SimBlob *blob; /* NULL = zeros (punched) */
    uint32_t at;   /* sector's place in the blob, in sectors */
    uint32_t older; /* index, or SIM_NO_VERSION */
    uint64_t effect;
    bool is_orphan;
} SimVersion;
enum { SIM_NO_VERSION = UINT32_MAX };

typedef struct SimInode {
    uint32_t refs; /* D2 */
    bool is_dir;
    /* files */
    uint32_t handles;
    uint32_t links; /* visible entries */
    bool is_locked;
    bool has_orphans;
    uint64_t size;
    uint64_t durable_size;
    SimTree visible;
    SimTree durable;
    U64Map newest; /* sector -> index of its newest version */
    VEC(SimVersion) versions;
    uint32_t free_version; /* list by `older` */
    VEC(SimMeta) metas;
    /* directories */
    SimEntries entries;
    SimEntries durable_entries;
    VEC(SimDirEffect) dir_effects;
} SimInode;

typedef struct SimState {
    Budget *budget;
    VEC(SimInode *) inodes; /* by number; NULL = freed. Numbers are not used again */
} SimState;

/* NULL = no memory, everywhere below. */
MUST_CHECK SimState *sim_state_new(Budget *b); /* an empty root directory */
MUST_CHECK SimState *sim_state_copy(const SimState *s);
/* Seed 0: no noted effect survives; UINT64_MAX: all do. All of the result is durable. */
MUST_CHECK SimState *sim_state_survivor(const SimState *s, uint64_t seed);
void sim_state_free(SimState *s);
/* Does the effect survive in this sector, under this seed? Also decides what a failed write leaves. */
bool sim_survives(uint64_t seed, uint64_t effect, uint64_t sector);

/* The inode, or NULL if it is gone. */
SimInode *sim_inode(const SimState *s, uint32_t inode);
/* The entry's inode or SIM_NO_INODE. */
uint32_t sim_find(const SimState *s, uint32_t dir, const char *name);
/*
 * Walks a path to the directory of its last component, which it copies to out_name ("" for the root itself). 0, ENOENT or
 * ENAMETOOLONG.
 */
int sim_walk(const SimState *s, const char *path, uint32_t *out_dir, char out_name[SIM_NAME_BYTES]);
/* The inode of a path, or SIM_NO_INODE. */
uint32_t sim_look_up(const SimState *s, const char *path);
uint64_t sim_used_bytes(const SimState *s);

/* Bytes of memory for a write's sectors, current content around the written bytes included. */
MUST_CHECK SimBlob *sim_write_blob(const SimState *s, uint32_t inode, uint64_t offset, const void *buf, size_t len);

/*
 * The operations; `effect` numbers are unique over the life of a disk and grow. Operations on an inode that is gone do
 * nothing. False = no memory; the visible state may be changed in part.
 */
MUST_CHECK bool sim_create(SimState *s, uint64_t effect, uint32_t dir, const char *name, bool is_dir,
                           uint32_t *out_inode);
MUST_CHECK bool sim_remove(SimState *s, uint64_t effect, uint32_t dir, const char *name);
MUST_CHECK bool sim_rename(SimState *s, uint64_t effect, uint32_t from_dir, const char *from, uint32_t to_dir,
                           const char *to);
/* `torn_seed` not 0: a failing write, of which only the sectors that sim_survives(torn_seed, ...) names are done. */
MUST_CHECK bool sim_write(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, size_t len, SimBlob *blob,
                          uint64_t torn_seed);
MUST_CHECK bool sim_truncate(SimState *s, uint64_t effect, uint32_t inode, uint64_t size);
MUST_CHECK bool sim_allocate(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, uint64_t len);
MUST_CHECK bool sim_punch(SimState *s, uint64_t effect, uint32_t inode, uint64_t offset, uint64_t len);
MUST_CHECK bool sim_sync(SimState *s, uint32_t inode);
void sim_sync_failed(SimState *s, uint32_t inode);
MUST_CHECK bool sim_sync_dir(SimState *s, uint32_t dir);
void sim_handle_opened(SimState *s, uint32_t inode);
void sim_handle_closed(SimState *s, uint32_t inode);

/* Shared between sim_dir.c, sim_file.c (operations) and sim_survive.c (copies and survivors). */
MUST_CHECK SimInode *sim_inode_new(Budget *b, bool is_dir);
void sim_inode_free(Budget *b, SimInode *f);
/* Count a reference to an inode (SIM_NO_INODE: nothing); without any it is freed (D2). */
void sim_inode_ref(SimState *s, uint32_t inode);
void sim_inode_unref(SimState *s, uint32_t inode);
MUST_CHECK bool sim_entries_copy(SimEntries *to, const SimEntries *from);
MUST_CHECK bool sim_entries_apply(SimEntries *entries, const SimDirEffect *e);
uint32_t sim_entries_find(const SimEntries *entries, const char *name);
MUST_CHECK bool sim_meta_apply(Budget *b, SimTree *tree, uint64_t *size, const SimMeta *m);
/* Of the first `metas` changes, does one truncate? */
bool sim_truncates(const SimInode *f, size_t metas);
/*
 * Writes one version's sector into a tree, but for what a later one of the first `metas` changes truncates. Pass 0 where
 * sim_truncates says no.
 */
MUST_CHECK bool sim_version_apply(Budget *b, SimTree *tree, const SimInode *f, size_t metas, uint64_t sector,
                                  const SimVersion *v);

#endif
