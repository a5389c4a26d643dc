/*
 * expr/eval_int.h: programs and states from inside. Private.
 */
#ifndef RDB_EXPR_EVAL_INT_H
#define RDB_EXPR_EVAL_INT_H

#include "access/heap.h"
#include "expr/eval.h"
#include "expr/expr_int.h"
#include "os/thread.h"

typedef enum StepKind {
    STEP_CONST,
    STEP_COLUMN,
    STEP_PARAM,
    STEP_CALL, /* fn_invoke on all arguments: calls, ARRAY, subscripts, ANY over arrays that vary */
    STEP_AND,
    STEP_OR,
    STEP_NOT,
    STEP_NULL_TEST,
    STEP_BOOL_TEST,
    STEP_DISTINCT,
    STEP_CASE,
    STEP_COALESCE,
    STEP_NULLIF,
    STEP_MIN_MAX,
    STEP_IN, /* ANY or ALL over an array that is the same for all rows */
    STEP_ROW_COMPARE,
    STEP_LIKE, /* with a constant pattern; op: negated; args: the text */
} StepKind;

/* One operation; its arguments are steps before it. */
typedef struct Step {
    uint8_t kind; /* StepKind */
    uint8_t op;   /* Expr.op */
    bool row_free;
    bool has_site;
    ValueType type;
    const Expr *expr; /* payload: value, call, parameter number */
    uint32_t column;  /* STEP_COLUMN: of the chunk */
    const HeapLike *like; /* STEP_LIKE */
    uint32_t nargs;
    uint32_t *args;
} Step;

struct ExprProgram {
    Step *steps;
    uint32_t nsteps;
    uint32_t *roots;
    uint32_t nroots;
    uint32_t args_max;
    uint32_t depth_max; /* of nested scopes */
    uint32_t ncolumns;
};

/* The distinct values of an IN list, open addressing, at most half full. */
typedef struct InSet {
    uint64_t made_for;   /* ExprState.env_serial; 0 = not made */
    bool array_is_null;
    bool has_null;
    bool hashed;
    uint32_t n;          /* elements of the array, nulls among them */
    uint32_t mask;
    uint32_t *slots;     /* index into values + 1; 0 = empty */
    uint64_t *hashes;    /* by index */
    Vector values;       /* the elements in the scalar's representation */
    uint32_t nvalues;
    Arena arena;
} InSet;

typedef struct StepState {
    const Vector *v;  /* the result: own, a column of the chunk, or another step's */
    Vector *own;      /* made when first needed */
    Vector *equal;    /* NULLIF: the answers of "=" */
    uint64_t serial;  /* scope the result was made in; 0 = none */
    uint32_t depth;
    uint64_t batch;   /* when own was last reset */
    uint64_t env;     /* row-free: env_serial it was made for */
    void *site;
    InSet *in;
} StepState;

struct ExprState {
    Ctx *cx;
    const ExprProgram *program;
    const ExprEnv *env;
    uint32_t capacity;
    Arena *arena;
    Arena scratch; /* of the kernels; emptied at each batch */
    FnCtx fx;
    StepState *steps;
    const Chunk *chunk;
    const Vector **argv;
    uint64_t *scopes; /* serials of the open scopes, [0..depth] */
    uint32_t depth;
    uint64_t serial;
    uint64_t batch;
    uint64_t env_serial;
    uint16_t **sels; /* selection buffers, stack-like; made when first needed */
    uint32_t nsels;
    uint32_t sels_max;
    uint64_t *hashes;
    uint32_t error_row;
};

/* Makes the step's result for these rows; n > 0. */
STATUS step_eval(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n, const Vector **out);
/* The rows for which the boolean step is true; out_sel may be sel. */
STATUS step_filter(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n, uint16_t *out_sel, uint32_t *out_n);
/* The step's own vector, FLAT and without nulls. What it held for this batch may still be looked at by others. */
STATUS step_output(ExprState *s, uint32_t id, Vector **out);

/* A buffer for a selection; given back by setting s->nsels to what it was. NULL: no memory (recorded). */
uint16_t *sel_take(ExprState *s);
static inline void scope_open(ExprState *s)
{
    s->depth++;
    ASSERT(s->depth <= s->program->depth_max);
    s->scopes[s->depth] = ++s->serial;
}
static inline void scope_close(ExprState *s) { s->depth--; }

/* Rows of sel (NULL = 0..n-1) that are not in the ascending list `taken`, in order; out may be sel. Returns how many. */
uint32_t sel_without(const uint16_t *sel, uint32_t n, const uint16_t *taken, uint32_t ntaken, uint16_t *out);
/* Copies the rows' values, views of strings as they are, into out. */
void merge_rows(Vector *out, const Vector *from, const uint16_t *sel, uint32_t n);

/* The step kinds, by file. All write s->steps[id].v. */
STATUS eval_and_or(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_not(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_null_test(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_bool_test(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_distinct(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_case(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_coalesce(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_nullif(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_min_max(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_row_compare(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_like(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
STATUS eval_in(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n);
void in_set_free(InSet *set);

/* fn_invoke for step `id` into `out`, its site given, an error's row recorded. */
STATUS step_invoke(ExprState *s, uint32_t id, const FnCall *call, const Vector *const *args, uint32_t nargs,
                   const uint16_t *sel, uint32_t n, Vector *out);

#endif
