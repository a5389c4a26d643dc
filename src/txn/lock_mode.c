/*
 * txn/lock_mode.c: lock modes, what conflicts with what, and how locks are called in messages.
 *
 * The table is PostgreSQL's (documentation, "Explicit Locking", table 13.2); it is symmetric.
 */
#include <inttypes.h>
#include <stdio.h>

#include "txn/lock_int.h"

#define BIT(mode) (1u << (mode))

static const LockMask CONFLICTS[LOCK_MODE_END] = {
    [LOCK_ACCESS_SHARE] = BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ROW_SHARE] = BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ROW_EXCLUSIVE] =
        BIT(LOCK_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_SHARE_UPDATE_EXCLUSIVE] = BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                                    BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_SHARE] = BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                   BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_SHARE_ROW_EXCLUSIVE] = BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_SHARE) |
                                 BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_EXCLUSIVE] = BIT(LOCK_ROW_SHARE) | BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) |
                       BIT(LOCK_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) |
                       BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ACCESS_EXCLUSIVE] = BIT(LOCK_ACCESS_SHARE) | BIT(LOCK_ROW_SHARE) | BIT(LOCK_ROW_EXCLUSIVE) |
                              BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                              BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
};

static const char *const MODE_NAMES[LOCK_MODE_END] = {
    [LOCK_ACCESS_SHARE] = "AccessShareLock",
    [LOCK_ROW_SHARE] = "RowShareLock",
    [LOCK_ROW_EXCLUSIVE] = "RowExclusiveLock",
    [LOCK_SHARE_UPDATE_EXCLUSIVE] = "ShareUpdateExclusiveLock",
    [LOCK_SHARE] = "ShareLock",
    [LOCK_SHARE_ROW_EXCLUSIVE] = "ShareRowExclusiveLock",
    [LOCK_EXCLUSIVE] = "ExclusiveLock",
    [LOCK_ACCESS_EXCLUSIVE] = "AccessExclusiveLock",
};

LockMask lock_conflicts(LockMode mode)
{
    ASSERT(mode >= LOCK_ACCESS_SHARE && mode < LOCK_MODE_END);
    return CONFLICTS[mode];
}

const char *lock_mode_name(LockMode mode)
{
    ASSERT(mode >= LOCK_ACCESS_SHARE && mode < LOCK_MODE_END);
    return MODE_NAMES[mode];
}

const char *lock_kind_name(LockKind kind)
{
    switch (kind) {
    case LOCK_KIND_TABLE: return "relation";
    case LOCK_KIND_ROW: return "tuple";
    case LOCK_KIND_TRANSACTION: return "transactionid";
    case LOCK_KIND_OBJECT: return "object";
    case LOCK_KIND_ADVISORY: return "advisory";
    }
    UNREACHABLE();
}

/* The wording of PostgreSQL's DescribeLockTag; a row's address as ctid shows it. */
const char *lock_tag_text(const LockTag *tag, char *buf, size_t bytes)
{
    const uint64_t *f = tag->field;
    Tid tid = {f[2]};
    switch (tag->kind) {
    case LOCK_KIND_TABLE: snprintf(buf, bytes, "relation %" PRIu64 " of database %" PRIu64, f[1], f[0]); return buf;
    case LOCK_KIND_ROW:
        snprintf(buf, bytes, "tuple (%" PRIu64 ",%u) of relation %" PRIu64 " of database %" PRIu64, tid_page(tid).v,
                 tid_slot(tid) + 1, f[1], f[0]);
        return buf;
    case LOCK_KIND_TRANSACTION: snprintf(buf, bytes, "transaction %" PRIu64, f[0]); return buf;
    case LOCK_KIND_OBJECT:
        snprintf(buf, bytes, "object %" PRIu64 " of class %" PRIu64 " of database %" PRIu64, f[2], f[1], f[0]);
        return buf;
    case LOCK_KIND_ADVISORY:
        snprintf(buf, bytes, "advisory lock [%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", f[0], f[1] >> 32,
                 f[1] & UINT32_MAX, f[2]);
        return buf;
    }
    UNREACHABLE();
}
