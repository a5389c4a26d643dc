/*
 * types/srf.h: set-returning functions, batch by batch: generate_series, unnest, generate_subscripts, string_to_table.
 *
 * srf_start copies what it needs of the arguments into the arena; srf_next fills the next rows (0 rows = the end). A
 * state may be kept over any time (a suspended portal) and dropped with its arena. One output column each.
 */
#ifndef RDB_TYPES_SRF_H
#define RDB_TYPES_SRF_H

#include "types/func.h"

typedef struct SrfState SrfState;
typedef struct SrfDef {
    Oid fn;
    /* Prepares *state (zeroed, 128 bytes of work); values are pointers to physical values, NULL = NULL. */
    Status (*start)(FnCtx *fx, SrfState *state, const void *const *values);
    Status (*next)(FnCtx *fx, SrfState *state, Vector *out, uint32_t capacity, uint32_t *out_n);
} SrfDef;

const SrfDef *srf_find(Oid fn); /* NULL = not implemented here */
/* Types the call: numeric arguments and results in variable form. */
void srf_call(const SrfDef *def, const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid,
              FnCall *out_call);
/* A strict function with a NULL argument yields no rows. The call must outlive the state. */
STATUS srf_start(FnCtx *fx, const FnCall *call, const SrfDef *def, const void *const *values, Arena *arena,
                 SrfState **out_state);
/* Fills rows 0..*out_n-1 of out (vec_reset by the caller); *out_n == 0 at the end. capacity > 0. */
STATUS srf_next(FnCtx *fx, SrfState *state, Vector *out, uint32_t capacity, uint32_t *out_n);

#endif
