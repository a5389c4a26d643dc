/*
 * tests/unit/bind/bind_fixture.h: a catalog of a few tables in memory, and SQL text to a bound statement.
 */
#ifndef RDB_TESTS_BIND_FIXTURE_H
#define RDB_TESTS_BIND_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bind/bind.h"
#include "parse/parse.h"

/*
 * create table t(a int primary key, b text not null default 'x', c numeric(10,2), check (a > 0));
 * create table u(a int, d varchar(3), e timestamp);
 */
static CatColumn columns_t[] = {
    {.name = (char *)"a", .type = OID_INT4, .typmod = -1, .attnum = 1, .not_null = true},
    {.name = (char *)"b", .type = OID_TEXT, .typmod = -1, .attnum = 2, .not_null = true, .default_text = (char *)"'x'::text"},
    {.name = (char *)"c", .type = OID_NUMERIC, .typmod = (10 << 16 | 2) + 4, .attnum = 3},
};
static CatColumn columns_u[] = {
    {.name = (char *)"a", .type = OID_INT4, .typmod = -1, .attnum = 1},
    {.name = (char *)"d", .type = OID_VARCHAR, .typmod = 7, .attnum = 2},
    {.name = (char *)"e", .type = OID_TIMESTAMP, .typmod = -1, .attnum = 3},
};
static int16_t key_t_a[] = {1};
static CatConstraint constraints_t[] = {
    {.name = (char *)"t_pkey", .type = 'p', .n_keys = 1, .keys = key_t_a},
    {.name = (char *)"t_a_check", .type = 'c', .text = (char *)"(a > 0)"},
};
static CatRelation tables[] = {
    {.oid = 20001, .name = (char *)"t", .kind = 'r', .n_columns = 3, .columns = columns_t, .n_constraints = 2,
     .constraints = constraints_t},
    {.oid = 20002, .name = (char *)"u", .kind = 'r', .n_columns = 3, .columns = columns_u},
};

typedef struct Fixture {
    Budget root;
    Error err;
    Ctx cx;
    Arena arena;
    Registry registry;
    int held;
} Fixture;

static Status fake_relation(void *arg, Ctx *cx, Str schema, Str name, LockMode mode, const CatRelation **out)
{
    (void)mode;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (str_eq(name, str_from(tables[i].name)) && (schema.p == NULL || str_eq(schema, STR_LIT("public")))) {
            ((Fixture *)arg)->held++;
            *out = &tables[i];
            return ST_OK;
        }
    }
    return schema.p == NULL
               ? err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%s\" does not exist", name.p)
               : err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", schema.p, name.p);
}

static void fake_release(void *arg, const CatRelation *rel)
{
    (void)rel;
    ((Fixture *)arg)->held--;
}

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    budget_init(&f->root, "test", NULL, 0, 0);
    arena_init(&f->arena, &f->root, 65536);
    ctx_init(&f->cx, &f->err, &f->root, &f->arena);
    if (registry_init(&f->registry, &f->root, &f->err) != ST_OK) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (uint16_t k = 0; k < tables[i].n_columns; k++) {
            CatColumn *c = &tables[i].columns[k];
            c->physical = k;
            if (value_type(c->type, c->typmod, &f->err, &c->value_type) != ST_OK) {
                return -1;
            }
            c->collation = c->value_type.collation;
        }
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    registry_done(&f->registry);
    arena_done(&f->arena);
    budget_done(&f->root);
    free(f);
    return 0;
}

/* Parses and binds one statement; *out is dumped into sb when it binds and sb is given. */
static Status bind_text(Fixture *f, const char *sql, StrBuf *sb)
{
    AstStmtList *list;
    LogicalStatement *s;
    err_clear(&f->err);
    arena_reset(&f->arena);
    BindCatalog catalog = {.arg = f, .relation = fake_relation, .release = fake_release};
    Status st = parse_sql(NULL, &f->cx, sql, strlen(sql), &list);
    if (st != ST_OK) {
        return st;
    }
    BindEnv env = {.catalog = &catalog, .registry = &f->registry, .facts = &session_facts_default, .text = sql,
                   .text_len = strlen(sql)};
    st = bind_statement(&f->cx, &env, list->items[0].stmt, &s);
    if (st == ST_OK && sb != NULL) {
        st = logical_check(&f->cx, s);
        st = st != ST_OK ? st : logical_dump(&f->cx, s, sb);
    }
    if (st == ST_OK) {
        logical_release(&catalog, s);
    }
    return st;
}

#endif
