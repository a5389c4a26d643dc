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
    Status st = type_typmod_in(row, mods, n < ARRAY_LEN(mods) ? n : ARRAY_LEN(mods), b->cx->err, out);
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
