/*
 * bind/typename.c: type names with modifiers (parse_type.c).
 */
#include <stdio.h>

#include "bind/bind_int.h"

static void name_text(const AstNames *n, char out[256])
{
    int at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < n->count && at < 200; i++) {
        at += snprintf(out + at, 256 - (size_t)at, "%s%.100s", i > 0 ? "." : "", n->items[i].p);
    }
}

static Status find_type(Binder *b, const AstTypeName *t, Oid *out)
{
    const BindCatalog *c = b->env->catalog;
    const AstNames *n = &t->names;
    Str name = n->items[n->count - 1];
    Str schema = n->count > 1 ? n->items[n->count - 2] : (Str){0};
    char text[256];
    *out = 0;
    if (schema.p == NULL || str_eq(schema, STR_LIT("pg_catalog"))) {
        const TypeRow *row = type_by_name(name);
        *out = row != NULL ? row->oid : 0;
    }
    if (*out == 0 && c->type != NULL) {
        TRY(c->type(c->arg, b->cx, schema, name, out));
    }
    if (*out == 0) {
        name_text(n, text);
        return bind_error(b, t->node.location, ST_UNDEFINED_OBJECT, "type \"%s\" does not exist", text);
    }
    return ST_OK;
}

/* ---- modifiers ---- */

enum { CHAR_LENGTH_MAX = 10485760, NUMERIC_PRECISION_MAX = 1000, TIME_PRECISION_MAX = 6, VARHDR = 4 };

static Status char_typmod(Error *err, const char *name, const int32_t *mods, uint32_t n, int32_t *out)
{
    if (n != 1) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "invalid type modifier");
    }
    if (mods[0] < 1) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "length for type %s must be at least 1", name);
    }
    if (mods[0] > CHAR_LENGTH_MAX) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "length for type %s cannot exceed %d", name, CHAR_LENGTH_MAX);
    }
    *out = mods[0] + VARHDR;
    return ST_OK;
}

static Status numeric_mods(Error *err, const int32_t *mods, uint32_t n, int32_t *out)
{
    if (n > 2) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier");
    }
    if (mods[0] < 1 || mods[0] > NUMERIC_PRECISION_MAX) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "NUMERIC precision %d must be between 1 and %d", mods[0],
                       NUMERIC_PRECISION_MAX);
    }
    if (n == 2 && (mods[1] < -NUMERIC_PRECISION_MAX || mods[1] > NUMERIC_PRECISION_MAX)) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "NUMERIC scale %d must be between %d and %d", mods[1],
                       -NUMERIC_PRECISION_MAX, NUMERIC_PRECISION_MAX);
    }
    *out = numeric_typmod_make(mods[0], n == 2 ? mods[1] : 0);
    return ST_OK;
}

/* Precisions beyond 6 are cut, with a warning in PostgreSQL. */
static Status time_typmod(Error *err, Oid oid, const int32_t *mods, uint32_t n, int32_t *out)
{
    if (n != 1) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "invalid type modifier");
    }
    if (mods[0] < 0) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "%s(%d)%s precision must not be negative",
                       oid == OID_TIME || oid == OID_TIMETZ ? "TIME" : "TIMESTAMP", mods[0],
                       oid == OID_TIMETZ || oid == OID_TIMESTAMPTZ ? " WITH TIME ZONE" : "");
    }
    *out = mods[0] < TIME_PRECISION_MAX ? mods[0] : TIME_PRECISION_MAX;
    return ST_OK;
}

/* PostgreSQL packs the fields (AST_INTERVAL_*) above 16 bits of precision, all ones = not given. */
static Status interval_typmod(Error *err, const int32_t *mods, uint32_t n, int32_t *out)
{
    if (n > 2 || (n == 2 && mods[1] < 0)) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
    }
    int32_t precision = n < 2 ? 0xffff : mods[1] < TIME_PRECISION_MAX ? mods[1] : TIME_PRECISION_MAX;
    *out = n < 2 && mods[0] == AST_INTERVAL_FULL ? -1 : mods[0] << 16 | precision;
    return ST_OK;
}

static Status typmod_of(const TypeRow *row, const int32_t *mods, uint32_t n, Error *err, int32_t *out)
{
    switch (row->oid) {
    case OID_VARCHAR: return char_typmod(err, "varchar", mods, n, out);
    case OID_BPCHAR: return char_typmod(err, "char", mods, n, out);
    case OID_NUMERIC: return numeric_mods(err, mods, n, out);
    case OID_TIME:
    case OID_TIMETZ:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ: return time_typmod(err, row->oid, mods, n, out);
    case OID_INTERVAL: return interval_typmod(err, mods, n, out);
    default: return err_set(err, ST_FEATURE_NOT_SUPPORTED, "modifiers of type %s are not supported", row->name);
    }
}

static Status modifiers(Binder *b, const AstTypeName *t, const TypeRow *row, int32_t *out)
{
    int32_t mods[8];
    uint32_t n = t->typmods.count;
    *out = -1;
    if (n == 0) {
        return ST_OK;
    }
    if (strcmp(row->modin, "-") == 0) {
        return bind_error(b, t->node.location, ST_SYNTAX_ERROR, "type modifier is not allowed for type \"%s\"",
                          type_text(row->oid).s);
    }
    for (uint32_t i = 0; i < n && i < ARRAY_LEN(mods); i++) {
        const AstConst *c = (const AstConst *)t->typmods.items[i];
        if (c->node.tag != AST_CONST || c->kind != AST_CONST_INT) {
            return bind_error(b, t->node.location, ST_SYNTAX_ERROR,
                              "type modifiers must be simple constants or identifiers");
        }
        mods[i] = c->ival;
    }
    Status st = typmod_of(row, mods, n < ARRAY_LEN(mods) ? n : ARRAY_LEN(mods), b->cx->err, out);
    if (st != ST_OK) {
        err_position(b->cx->err, t->node.location + 1);
    }
    return st;
}

Status bind_type_name(Binder *b, const AstTypeName *t, ValueType *out)
{
    Oid oid;
    int32_t typmod;
    if (t->pct_type) {
        return bind_unsupported(b, t->node.location, "%TYPE");
    }
    if (t->setof) {
        return bind_error(b, t->node.location, ST_DATATYPE_MISMATCH, "type name cannot be SETOF");
    }
    TRY(find_type(b, t, &oid));
    const TypeRow *row = type_by_oid(oid);
    if (row == NULL) {
        return bind_unsupported(b, t->node.location, "a type that is not built in");
    }
    TRY(modifiers(b, t, row, &typmod));
    if (t->array_bounds.count > 0) {
        if (row->array == 0) {
            return bind_error(b, t->node.location, ST_UNDEFINED_OBJECT, "could not find array type for data type %s",
                              type_text(oid).s);
        }
        oid = row->array;
    }
    Status st = value_type(oid, typmod, b->cx->err, out);
    if (st != ST_OK) {
        err_position(b->cx->err, t->node.location + 1);
    }
    return st;
}
