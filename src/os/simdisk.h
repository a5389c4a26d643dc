/*
 * os/simdisk.h: a disk in memory that misbehaves as real ones do.
 *
 * Key idea: each file is its durable image plus an ordered log of what was done since the last sync (writes, size
 * changes); each directory likewise for its entries. A power cut freezes the disk; the survivor is built from the
 * durable image and an arbitrary subset of the unsynced effects, in units of 512-byte sectors, sizes and entries,
 * chosen by a seed. Thus lost, torn and reordered writes are all the same mechanism. What exactly may survive, and what
 * a failed sync means, stands in README.md.
 *
 * Give the disk a budget with a root of its own: it is hardware, its memory is neither the engine's to limit nor to fail.
 * Survivors share memory with the disk they come from and are charged to its budget; they may outlive it, and different
 * disks may be used by different threads.
 *
 * I/O calls are counted (every read, write, sync, allocate, punch, truncate, open, rename, unlink, sync_dir); faults
 * and cuts are placed by that count. The disk runs under the deterministic scheduler or free-running (internally locked).
 */
#ifndef RDB_OS_SIMDISK_H
#define RDB_OS_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/file.h"

typedef struct SimDisk SimDisk;

STATUS simdisk_new(Budget *budget, Error *err, SimDisk **out_disk);
void simdisk_free(SimDisk *d);

/* A Vfs on the disk; several may exist one after another (before and after a cut), one at a time is the rule. */
STATUS simdisk_vfs(SimDisk *d, Error *err, Vfs **out_vfs);

uint64_t simdisk_io_count(const SimDisk *d);

/* The power fails at the n-th I/O from now (1 = the next): it and all later ones fail with ST_IO_ERROR. 0 = never. */
void simdisk_cut_at(SimDisk *d, uint64_t nth_io);
void simdisk_cut_now(SimDisk *d);
bool simdisk_is_cut(const SimDisk *d);

/*
 * The disk as a machine would find it after the cut: an independent disk (copy), the subset of unsynced effects chosen
 * from `survive_seed`. Seed 0: none survives; UINT64_MAX: all survive. The original stays cut and can be sampled again.
 */
STATUS simdisk_survivor(const SimDisk *d, uint64_t survive_seed, Error *err, SimDisk **out_disk);

/*
 * Recording for "a cut after each I/O of one run": with recording on, every effect is kept with its I/O number, and
 * simdisk_survivor_at builds the survivor of a cut after I/O number n (of 1..simdisk_io_count) without re-running.
 */
STATUS simdisk_record(SimDisk *d, bool on, Error *err); /* on: before the disk's first I/O */
STATUS simdisk_survivor_at(const SimDisk *d, uint64_t after_io, uint64_t survive_seed, Error *err, SimDisk **out_disk);

/* The n-th I/O from now that matches fails with ST_IO_ERROR (or ST_DISK_FULL); if persistent all later ones too. */
typedef enum SimOpClass { SIM_ANY, SIM_READS, SIM_WRITES, SIM_SYNCS, SIM_ALLOCS } SimOpClass;
void simdisk_fail_at(SimDisk *d, SimOpClass ops, uint64_t nth_io, bool persistent, Status status);
void simdisk_heal(SimDisk *d);
uint64_t simdisk_faults_fired(const SimDisk *d);
/* Capacity in bytes for allocated blocks of all files; 0 = unlimited. Beyond it writes and allocations get ST_DISK_FULL. */
void simdisk_set_capacity(SimDisk *d, uint64_t bytes);
uint64_t simdisk_used_bytes(const SimDisk *d);
/* Flips bits in a durable range (a misdirected or rotted sector), for corruption tests. */
STATUS simdisk_corrupt(SimDisk *d, const char *path, uint64_t offset, size_t len, Error *err);
/* Alignment that files opened FILE_DIRECT ask for: 512 to FILE_ALIGN_MAX, which is the default. For files opened later. */
void simdisk_set_alignment(SimDisk *d, uint32_t bytes);
/* Delay per I/O class in virtual (scheduler) or real microseconds, to widen windows; 0 = none. */
void simdisk_set_latency(SimDisk *d, int64_t read_us, int64_t write_us, int64_t sync_us);

#endif
