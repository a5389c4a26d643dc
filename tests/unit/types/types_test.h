/*
 * What the tests of types share: a context, and calls written as text.
 */
#ifndef TYPES_TEST_H
#define TYPES_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "types/func.h"

typedef struct TypesTest {
    Budget budget;
    MemFault fault;
    Arena arena;
    Error err;
    Ctx cx;
    Registry registry;
    SessionFacts facts;
    FnCtx fx;
    char text[8192]; /* of the last result */
} TypesTest;

void types_test_open(TypesTest *t);
void types_test_close(TypesTest *t); /* asserts that nothing is charged any more */

/* Reads `text` as the type and writes it again: the text, or "SQLSTATE message". */
const char *round_trip(TypesTest *t, Oid type, int32_t typmod, const char *text);
/* The function of the operator or name with these argument types; fails the test when there is none. */
const FnRow *find_fn(const char *name, unsigned nargs, const Oid *args);
const FnRow *find_operator(const char *name, Oid left, Oid right);
/* Calls with constants given as text (NULL = NULL): the result's text, "NULL", or "SQLSTATE message". */
const char *call_text(TypesTest *t, const FnRow *fn, const char *const *texts);

#endif
