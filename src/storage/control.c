/*
 * storage/control.c: the control file: where recovery starts, what this directory is.
 *
 * Two slots of 4,096 bytes are written in turn; the valid one with the higher sequence counts. A torn write thus costs
 * at most the newest checkpoint, never the store. A write that failed is repeated in its own slot: the other one may be
 * the only good one.
 */
#include "storage/storage_int.h"
#include "storage/wal_format.h"

#define CONTROL_MAGIC UINT64_C(0x314c5254434e5452) /* "RTNCTRL1" */

STATIC_ASSERT(sizeof(Control) <= CONTROL_SLOT_BYTES, "on-disk format");

static bool slot_valid(const Control *c)
{
    return c->magic == CONTROL_MAGIC && c->checksum == wal_hash(c, offsetof(Control, checksum));
}

Status control_read(Ctx *cx, Store *s)
{
    uint8_t slots[2 * CONTROL_SLOT_BYTES];
    Status st = file_read(s->control_file, slots, sizeof slots, 0, cx->err);
    if (st == ST_END) {
        err_clear(cx->err);
        return err_set(cx->err, ST_CORRUPTED, "the control file is too short");
    }
    if (st != ST_OK) {
        return st;
    }
    const Control *best = NULL;
    for (int i = 0; i < 2; i++) {
        const Control *c = (const Control *)(const void *)(slots + i * CONTROL_SLOT_BYTES);
        if (slot_valid(c) && (best == NULL || c->sequence > best->sequence)) {
            best = c;
        }
    }
    if (best == NULL) {
        return err_set(cx->err, ST_CORRUPTED, "the control file is corrupted: neither of its two copies is valid");
    }
    if (best->format != STORE_FORMAT || best->page_bytes != PAGE_BYTES) {
        return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED,
                       "the data directory has format version %u, this program supports version %u", best->format,
                       (unsigned)STORE_FORMAT);
    }
    s->control = *best;
    return ST_OK;
}

Status control_write(Ctx *cx, Store *s)
{
    uint8_t slot[CONTROL_SLOT_BYTES] = {0};
    Control *c = &s->control;
    c->magic = CONTROL_MAGIC;
    c->format = STORE_FORMAT;
    c->page_bytes = PAGE_BYTES;
    c->sequence++;
    c->checksum = wal_hash(c, offsetof(Control, checksum));
    memcpy(slot, c, sizeof *c);
    Status st = file_write(s->control_file, slot, sizeof slot, (c->sequence & 1) * CONTROL_SLOT_BYTES, cx->err);
    if (st == ST_OK) {
        st = file_sync(s->control_file, cx->err);
    }
    if (st != ST_OK) {
        c->sequence--;
    }
    return st;
}
