/*
 * expr_test.h: what the tests of this folder share: an engine's floor, short ways to write trees, chunks to run on.
 */
#ifndef RDB_TESTS_EXPR_TEST_H
#define RDB_TESTS_EXPR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expr/eval.h"
#include "expr/expr.h"
#include "expr/fold.h"

typedef struct Bench {
    Budget budget;
    MemFault fault;
    Registry registry;
    Arena arena;
    Error err;
    Ctx cx;
    ExprBuilder b;
    FnCtx fx;
    ExprEnv env;
    Status st; /* of the constructors below: the first failure */
} Bench;

void bench_open(Bench *t);
void bench_close(Bench *t);

/* Types. */
ValueType type_of(Oid oid);
ValueType fixed_numeric(int precision, int scale);

/* Trees; NULL, and t->st set, on failure. */
const Expr *lit(Bench *t, Oid oid, const char *text); /* text NULL: NULL */
const Expr *lit_type(Bench *t, const ValueType *type, const char *text);
const Expr *col(Bench *t, ColumnId id, Oid oid);
const Expr *col_type(Bench *t, ColumnId id, const ValueType *type);
const Expr *op(Bench *t, const char *name, const Expr *l, const Expr *r); /* by exact types; l NULL: prefix */
const Expr *fn(Bench *t, Oid oid, Oid result, const Expr *const *args, uint32_t n);
const Expr *cast_to(Bench *t, const Expr *e, Oid oid, int32_t typmod);
const Expr *and_of(Bench *t, const Expr *a, const Expr *b);
const Expr *or_of(Bench *t, const Expr *a, const Expr *b);
const Expr *not_of(Bench *t, const Expr *a);
const Expr *case_of(Bench *t, bool has_value, const Expr *const *args, uint32_t n);
const Expr *fold(Bench *t, const Expr *e);
const OperRow *oper(const char *name, Oid left, Oid right);

/* Chunks. A row's text NULL = NULL. */
Chunk *chunk_of(Bench *t, const ValueType *types, uint32_t ncolumns, uint32_t nrows, const char *const *texts);
/* The value as text in the test's arena; NULL = NULL. */
const char *show(Bench *t, const ValueType *type, const Vector *v, uint32_t row);

/* Evaluates one expression for all rows; results "a|b|NULL" or "!SQLSTATE@row". ids are 1..n of the chunk's columns. */
const char *results(Bench *t, const Expr *e, const Chunk *c, const ValueType *types, uint32_t ncolumns);
/* The same for an expression without columns. */
const char *value_of(Bench *t, const Expr *e);

#endif
