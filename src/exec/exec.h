/*
 * exec/exec.h: running a physical plan: vectorized, resumable.
 *
 * Key idea: an operator is a small state machine over chunks. It is given input and asked for output, and answers what it needs
 * next. Between two answers it holds no latch, no pin and no thread: its state is all there is, so an execution can stop after
 * any chunk (row limit, full output queue, waiting for COPY data) and go on later on another thread.
 *
 *   answer         meaning
 *   EXEC_OUTPUT    a chunk was produced; ask again
 *   EXEC_INPUT     give me the next chunk (or say that there is none)
 *   EXEC_BLOCKED   waiting for something outside (COPY data): ask again later
 *   EXEC_DONE      no more output, now or ever; input is not wanted either
 *
 * A pipeline is a source, operators that stream, and a sink that collects (hash build, aggregation, sort, modify) or the portal.
 * Collecting sinks become sources of later pipelines. Memory of each collecting operator is a budget of its own; past
 * work_mem it spills to temporary files.
 *
 * Invariants
 *  Z1  A chunk given to an operator is valid until the operator answers EXEC_INPUT or is given the next one.
 *  Z2  No operator is entered by two threads at a time; parallel execution gives each thread its own pipeline state.
 */
#ifndef RDB_EXEC_EXEC_H
#define RDB_EXEC_EXEC_H

#include "plan/physical.h"

typedef enum ExecAnswer { EXEC_OUTPUT, EXEC_INPUT, EXEC_BLOCKED, EXEC_DONE } ExecAnswer;

/* What an execution is given. Lives as long as the Exec. */
typedef struct ExecEnv {
    Ctx *cx;
    Txn *txn;
    const Registry *registry;
    const SessionFacts *facts;
    const Vector *params; /* $1.., CONSTANT vectors */
    uint32_t n_params;
    size_t work_mem_bytes;
    uint32_t vector_size; /* VECTOR_SIZE; 2 in hostile tests */
    bool all_hashes_equal, spill_always; /* hostile tests */
    Vfs *temp;            /* for spill files */
    /* Answers the catalog's table and index handles; kept until the end of the transaction. */
    Status (*open_table)(void *arg, Ctx *cx, const CatRelation *r, TxnTable **out_table);
    Status (*open_index)(void *arg, Ctx *cx, const CatRelation *r, uint32_t index, BTree **out_index);
    void *arg;
} ExecEnv;

typedef struct Exec Exec;
STATUS exec_start(const ExecEnv *env, PhysicalPlan *plan, Exec **out_exec); /* holds the plan */
/* The next chunk of output rows (valid until the next call), or EXEC_DONE, or EXEC_BLOCKED. */
STATUS exec_next(Exec *e, Chunk **out_chunk, ExecAnswer *out_answer);
/* Rows changed by INSERT, UPDATE, DELETE so far. */
uint64_t exec_rows_changed(const Exec *e);
void exec_free(Exec *e); /* at any point */

/* EXPLAIN (ANALYZE): per node of the plan. */
typedef struct ExecNodeStats {
    uint64_t rows, loops, pages_hit, pages_read, spilled_bytes;
    int64_t startup_us, total_us;
} ExecNodeStats;
const ExecNodeStats *exec_node_stats(const Exec *e, uint32_t node);

#endif
