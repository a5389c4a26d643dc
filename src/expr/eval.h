/*
 * expr/eval.h: vectorized evaluation of expressions.
 *
 * Key idea: a list of expressions is compiled once into an ExprProgram: a graph of steps in which equal subexpressions
 * are one step. An ExprState runs it, batch after batch. Steps are evaluated on demand, each for the rows that are
 * asked for: AND, OR, CASE and COALESCE ask their parts only for the rows that need them, so nothing is evaluated that
 * SQL says is not. A step's result is kept while the rows it was made for include those that are asked for: the
 * narrowing constructs open a *scope* each time they narrow the selection, and a result is good in the scope it was
 * made in and in all scopes opened inside it. While a scope is the innermost one its selection only shrinks.
 *
 * What is the same for all rows (constants, parameters, functions of them) is computed once per execution, when it is
 * first needed, and is a CONSTANT vector.
 *
 * Invariants
 *  V1  An ExprProgram is immutable: any number of threads may run it. An ExprState belongs to one thread at a time.
 *  V2  A step is evaluated for a row only if SQL evaluates it for that row; a volatile one once for each place it
 *      stands in, and row.
 *  V3  The scope a kept result was made in is open (its serial stands in the scope stack); see step_is_fresh.
 *  V4  A batch that needs no memory for strings allocates nothing after the first batch.
 *
 * Errors: the statement's error is in cx->err, the row it happened in is expr_error_row.
 */
#ifndef RDB_EXPR_EVAL_H
#define RDB_EXPR_EVAL_H

#include "expr/expr.h"

typedef struct ExprProgram ExprProgram;
typedef struct ExprState ExprState;

/* Where columns are in the chunks that will come: column i of a chunk has ids[i] and is of types[i]. */
typedef struct ExprLayout {
    const ColumnId *ids;
    const ValueType *types;
    uint32_t n;
} ExprLayout;

/*
 * Compiles n expressions into a program in `arena`, which must outlive it, as must the expressions. Statuses:
 * ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX, ST_FEATURE_NOT_SUPPORTED (composite values), ST_INTERNAL (a column that
 * the layout lacks, or something only the planner can replace: sublinks, aggregates, set-returning calls).
 */
STATUS expr_compile(Ctx *cx, Arena *arena, const Expr *const *exprs, uint32_t n, const ExprLayout *layout,
                    const ExprProgram **out);
uint32_t expr_program_steps(const ExprProgram *p);

typedef struct ExprParam {
    ExprValue value; /* strings must live as long as the execution */
    bool is_null;
} ExprParam;

/* What an execution depends on. The arrays may change between batches: say so by expr_params_changed. */
typedef struct ExprEnv {
    const SessionFacts *facts;
    const ExprParam *params; /* $1 is params[0]; of the types that the expressions give them */
    uint32_t nparams;
    const ExprParam *exec;   /* by number */
    uint32_t nexec;
} ExprEnv;

/*
 * A state for chunks of up to `capacity` rows (one for single-row work: vectors are made that long). Lives in `arena`
 * with its vectors; strings and scratch are charged to the arena's budget and given back by expr_state_free.
 * The program and what env points to must outlive it.
 */
STATUS expr_state_new(Ctx *cx, const ExprProgram *p, const ExprEnv *env, uint32_t capacity, Arena *arena,
                      ExprState **out);
void expr_state_free(ExprState *s); /* NULL is fine */
/* Parameters or session facts have other values now. */
void expr_params_changed(ExprState *s);

/*
 * Evaluates expression 0, for the rows of sel (vector.h). *out is a view of the result, valid at these rows until the
 * next call with this state and while the chunk lives. n may be 0 (*out is then not to be looked at).
 */
STATUS expr_eval(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, const Vector **out);
/* The same for all expressions: out has room for as many pointers. */
STATUS expr_project(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, const Vector **out);
/*
 * The rows for which expression 0, a boolean, is true, ascending, to out_sel (room for n; may be sel). Of an AND each
 * part sees only the rows that passed those before it.
 */
STATUS expr_filter(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, uint16_t *out_sel,
                   uint32_t *out_n);
/* After a failed call: the row that failed. */
uint32_t expr_error_row(const ExprState *s);

#endif
