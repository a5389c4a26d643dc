/*
 * bind/overload.h: which function or operator a call means (PostgreSQL 15 documentation 10.2 and 10.3; parse_func.c and
 * parse_oper.c are the behaviour that counts).
 *
 * Candidates are rows of types' registry (user functions will join them here). Arguments of type unknown fit every type; polymorphic
 * parameters take their type from the arguments.
 */
#ifndef RDB_BIND_OVERLOAD_H
#define RDB_BIND_OVERLOAD_H

#include "bind/coerce.h"

enum { OVERLOAD_ARGS_MAX = 100 };

/* A call as it stands in the text. */
typedef struct CallArgs {
    const Expr *args[OVERLOAD_ARGS_MAX];
    const char *names[OVERLOAD_ARGS_MAX]; /* name => value; NULL = by position */
    uint32_t n;
    bool variadic; /* VARIADIC before the last argument */
    int32_t location;
} CallArgs;

/* What was chosen. */
typedef struct Overload {
    const FnRow *fn;
    Oid params[OVERLOAD_ARGS_MAX]; /* actual type of each argument, polymorphic ones resolved */
    uint32_t n;                    /* with defaults */
    uint32_t n_given;              /* arguments given; the rest are defaults, from params[n_given] on */
    bool spread;                   /* the arguments from n_fixed on are elements of the variadic array */
    uint32_t n_fixed;
    Oid result;                    /* actual */
    Oid cast_to;                   /* not 0: the "function" is a cast to that type, fn is NULL */
} Overload;

/*
 * 42883 "function f(integer) does not exist" with PostgreSQL's hint, 42725 "function f(unknown) is not unique". With named
 * arguments `call` is put into parameter order.
 */
STATUS overload_function(const Coercer *c, const char *name, CallArgs *call, Overload *out);

/* left NULL: prefix. 42883 "operator does not exist: integer + text", 42725. */
typedef struct OperChoice {
    const OperRow *oper;
    Oid left, right; /* actual types of the operands */
    Oid result;
} OperChoice;
STATUS overload_operator(const Coercer *c, const char *name, const Expr *left, const Expr *right, int32_t location,
                         OperChoice *out);
/* The same for types alone; ST_NOT_FOUND without an error: none. */
STATUS overload_operator_types(const char *name, Oid left, Oid right, Error *err, OperChoice *out);

/* Builds the call: operands coerced, operator applied. */
STATUS bind_operator(const Coercer *c, const char *name, const Expr *left, const Expr *right, int32_t location,
                     const Expr **out);
/* Collation of a call from its arguments (documentation 24.2.1): explicit beats implicit; two different implicit ones give 0 with
 * *out_conflict. */
Oid bind_collation(const Expr *const *args, uint32_t n, Oid result_type, bool *out_conflict);

#endif
