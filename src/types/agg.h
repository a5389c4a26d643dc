/*
 * types/agg.h: aggregate functions over groups.
 *
 * Key idea: a hash aggregate keeps, for each of its aggregates, fixed-size states at `base + group * stride` and hands over
 * batches: group[row] is the group of a row. States are plain bytes that may be moved (memcpy) as tables grow; what is of
 * variable size hangs off them in the arena given to every call, which lives as long as the states. Ordering, DISTINCT
 * and FILTER are the caller's. Null rows are skipped here where the aggregate is strict in PostgreSQL.
 */
#ifndef RDB_TYPES_AGG_H
#define RDB_TYPES_AGG_H

#include "types/func.h"

typedef struct AggDef AggDef;
typedef struct AggCall {
    const FnRow *fn;
    const AggDef *def;
    CompareFn *compare; /* min, max */
    uint16_t nargs;
    uint16_t state_bytes; /* a multiple of 16; states must be 16-byte aligned */
    ValueType args[3];    /* wanted representations */
    ValueType result;
} AggCall;

/* As fn_resolve. Not implemented: 0A000. */
STATUS agg_resolve(const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid, Error *err,
                   AggCall *out_call);
/* Makes n empty states. */
void agg_init(const AggCall *call, char *base, size_t stride, uint32_t n);
/* group NULL: all rows belong to group 0 (and simple sums run as plain loops). group is indexed by row number. */
STATUS agg_update(FnCtx *fx, const AggCall *call, Arena *arena, char *base, size_t stride, const uint32_t *group,
                  const Vector *const *args, const uint16_t *sel, uint32_t n);
/* Adds the state `from` to `into`; from may live on another arena that outlives the call. */
STATUS agg_combine(FnCtx *fx, const AggCall *call, Arena *arena, void *into, const void *from);
/* Writes the results of n states to rows 0..n-1 of out (vec_reset by the caller). */
STATUS agg_finalize(FnCtx *fx, const AggCall *call, const char *base, size_t stride, uint32_t n, Vector *out);
/* For spilling: appends the state's bytes; reading makes a state on the arena. Only for files of this process. */
void agg_save(const AggCall *call, const void *state, StrBuf *out);
STATUS agg_load(FnCtx *fx, const AggCall *call, Arena *arena, Str bytes, void *out_state);

#endif
