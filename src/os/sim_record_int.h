/*
 * os/sim_record_int.h: the operations of a simulated disk as data, and the recording of them that can be replayed to
 * any point.
 *
 * Key idea: a recording keeps the operations, not the states. A cursor state is replayed forward to the point asked for;
 * a sweep over all points in order so applies each operation once. Copies of the cursor are kept along the way, so
 * that going back costs at most SIM_CHECKPOINT_EVERY operations.
 */
#ifndef RDB_OS_SIM_RECORD_INT_H
#define RDB_OS_SIM_RECORD_INT_H

#include "os/sim_state_int.h"

enum { SIM_CHECKPOINT_EVERY = 512 };

typedef enum SimOp {
    SIM_OP_CREATE,
    SIM_OP_MKDIR,
    SIM_OP_REMOVE,
    SIM_OP_RENAME,
    SIM_OP_WRITE,
    SIM_OP_TRUNCATE,
    SIM_OP_ALLOCATE,
    SIM_OP_PUNCH,
    SIM_OP_SYNC,
    SIM_OP_SYNC_FAILED,
    SIM_OP_SYNC_DIR,
} SimOp;

/* One operation. `io` is the number of the I/O call that made it, and the number of its effect. */
typedef struct SimEvent {
    SimOp op;
    uint32_t inode;  /* or the directory */
    uint32_t to_dir; /* rename */
    uint64_t io;
    uint64_t offset; /* or the size */
    uint64_t len;
    uint64_t torn_seed;
    SimBlob *blob; /* writes */
    char name[SIM_NAME_BYTES];
    char to_name[SIM_NAME_BYTES];
} SimEvent;

/* Applies an operation. *out_inode is what a creation made (else untouched); may be NULL. False = no memory. */
MUST_CHECK bool sim_event_apply(SimState *s, const SimEvent *e, uint32_t *out_inode);

typedef struct SimCheckpoint {
    size_t events; /* applied so far */
    uint64_t io;   /* of the last of them */
    SimState *state;
} SimCheckpoint;

typedef struct SimRecord {
    Budget *budget;
    VEC(SimEvent) events;
    VEC(SimCheckpoint) checkpoints; /* by position; the first is the state at the start */
    SimCheckpoint cursor;
} SimRecord;

MUST_CHECK SimRecord *sim_record_new(const SimState *start);
void sim_record_free(SimRecord *r);
/* Makes room for one more event, so that the next sim_record_add cannot fail. */
MUST_CHECK bool sim_record_reserve(SimRecord *r);
void sim_record_add(SimRecord *r, const SimEvent *e);
/* The state after the last event of I/O `io`; owned by the record, valid until the next call. NULL = no memory. */
MUST_CHECK const SimState *sim_record_state_at(SimRecord *r, uint64_t io);

#endif
