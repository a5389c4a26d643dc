/*
 * os/simdisk.c: a simulated disk's controls: making it, cutting its power, placing faults, sampling survivors.
 */
#include "os/simdisk.h"

#include <string.h>

#include "base/check.h"
#include "os/simdisk_int.h"

void simdisk_lock(const SimDisk *d)
{
    /* A disk is never a const object; the functions that take it as const change nothing that can be seen. */
    int rc = pthread_mutex_lock(&((SimDisk *)d)->lock);
    ASSERT(rc == 0);
}

void simdisk_unlock(const SimDisk *d)
{
    int rc = pthread_mutex_unlock(&((SimDisk *)d)->lock);
    ASSERT(rc == 0);
}

/* Takes over the state (may be NULL: no memory). */
static Status new_disk(Budget *budget, SimState *state, Error *err, SimDisk **out_disk)
{
    SimDisk *d = state == NULL ? NULL : mem_alloc0(budget, sizeof *d);
    if (d == NULL) {
        sim_state_free(state);
        return err_set(err, ST_OUT_OF_MEMORY, "no memory for a simulated disk");
    }
    d->budget = budget;
    d->state = state;
    d->alignment = FILE_ALIGN_MAX;
    pthread_mutex_init(&d->lock, NULL);
    *out_disk = d;
    return ST_OK;
}

Status simdisk_new(Budget *budget, Error *err, SimDisk **out_disk)
{
    return new_disk(budget, sim_state_new(budget), err, out_disk);
}

void simdisk_free(SimDisk *d)
{
    if (d != NULL) {
        sim_record_free(d->record);
        sim_state_free(d->state);
        pthread_mutex_destroy(&d->lock);
        mem_free(d->budget, d, sizeof *d);
    }
}

static Status survivor_of(const SimDisk *d, const SimState *s, uint64_t seed, Error *err, SimDisk **out_disk)
{
    SimDisk *copy;
    Status st = new_disk(d->budget, s == NULL ? NULL : sim_state_survivor(s, seed), err, &copy);
    if (st == ST_OK) {
        copy->capacity = d->capacity;
        copy->alignment = d->alignment;
        memcpy(copy->latency_us, d->latency_us, sizeof d->latency_us);
        *out_disk = copy;
    }
    return st;
}

Status simdisk_survivor(const SimDisk *d, uint64_t survive_seed, Error *err, SimDisk **out_disk)
{
    simdisk_lock(d);
    Status st = survivor_of(d, d->state, survive_seed, err, out_disk);
    simdisk_unlock(d);
    return st;
}

Status simdisk_survivor_at(const SimDisk *d, uint64_t after_io, uint64_t survive_seed, Error *err, SimDisk **out_disk)
{
    simdisk_lock(d);
    ASSERT(d->record != NULL && after_io <= d->io);
    Status st = survivor_of(d, sim_record_state_at(d->record, after_io), survive_seed, err, out_disk);
    simdisk_unlock(d);
    return st;
}

Status simdisk_record(SimDisk *d, bool on, Error *err)
{
    simdisk_lock(d);
    Status st = ST_OK;
    if (on && d->record == NULL) {
        ASSERT(d->io == 0); /* effects of before have no place in the recording */
        d->record = sim_record_new(d->state);
        st = d->record == NULL ? err_set(err, ST_OUT_OF_MEMORY, "no memory for a simulated disk's recording") : ST_OK;
    } else if (!on) {
        sim_record_free(d->record);
        d->record = NULL;
    }
    simdisk_unlock(d);
    return st;
}

uint64_t simdisk_io_count(const SimDisk *d)
{
    simdisk_lock(d);
    uint64_t io = d->io;
    simdisk_unlock(d);
    return io;
}

void simdisk_cut_at(SimDisk *d, uint64_t nth_io)
{
    simdisk_lock(d);
    d->cut_countdown = nth_io;
    simdisk_unlock(d);
}

void simdisk_cut_now(SimDisk *d)
{
    simdisk_lock(d);
    d->is_cut = true;
    simdisk_unlock(d);
}

bool simdisk_is_cut(const SimDisk *d)
{
    simdisk_lock(d);
    bool is_cut = d->is_cut;
    simdisk_unlock(d);
    return is_cut;
}

void simdisk_fail_at(SimDisk *d, SimOpClass ops, uint64_t nth_io, bool persistent, Status status)
{
    ASSERT(status == ST_IO_ERROR || status == ST_DISK_FULL);
    simdisk_lock(d);
    d->fault = (SimFault){.ops = ops, .countdown = nth_io, .persistent = persistent, .status = status};
    simdisk_unlock(d);
}

void simdisk_heal(SimDisk *d)
{
    simdisk_lock(d);
    d->fault = (SimFault){0};
    simdisk_unlock(d);
}

uint64_t simdisk_faults_fired(const SimDisk *d)
{
    simdisk_lock(d);
    uint64_t fired = d->faults_fired;
    simdisk_unlock(d);
    return fired;
}

void simdisk_set_capacity(SimDisk *d, uint64_t bytes)
{
    simdisk_lock(d);
    d->capacity = bytes;
    simdisk_unlock(d);
}

uint64_t simdisk_used_bytes(const SimDisk *d)
{
    simdisk_lock(d);
    uint64_t used = sim_used_bytes(d->state);
    simdisk_unlock(d);
    return used;
}

void simdisk_set_alignment(SimDisk *d, uint32_t bytes)
{
    ASSERT(bytes >= SIM_SECTOR && bytes <= FILE_ALIGN_MAX && (bytes & (bytes - 1)) == 0);
    simdisk_lock(d);
    d->alignment = bytes;
    simdisk_unlock(d);
}

void simdisk_set_latency(SimDisk *d, int64_t read_us, int64_t write_us, int64_t sync_us)
{
    simdisk_lock(d);
    d->latency_us[0] = read_us;
    d->latency_us[1] = write_us;
    d->latency_us[2] = sync_us;
    simdisk_unlock(d);
}

static bool flip(Budget *b, SimTree *t, uint64_t offset, size_t len)
{
    unsigned char byte;
    for (size_t i = 0; i < len; i++) {
        sim_tree_read(t, offset + i, &byte, 1);
        byte = (unsigned char)~byte;
        if (!sim_tree_write(b, t, offset + i, &byte, 1)) {
            return false;
        }
    }
    return true;
}

Status simdisk_corrupt(SimDisk *d, const char *path, uint64_t offset, size_t len, Error *err)
{
    simdisk_lock(d);
    uint32_t number = sim_look_up(d->state, path);
    SimInode *f = number == SIM_NO_INODE ? NULL : sim_inode(d->state, number);
    Status st = ST_OK;
    if (f == NULL || f->is_dir) {
        st = err_set(err, ST_FILE_NOT_FOUND, "no file \"%s\" on the simulated disk", path);
    } else if (!flip(d->budget, &f->visible, offset, len) || !flip(d->budget, &f->durable, offset, len)) {
        st = err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    simdisk_unlock(d);
    return st;
}
