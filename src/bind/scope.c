/*
 * bind/scope.c: what names mean (parse_relation.c, transformColumnRef). Errors are in scope_error.c's words.
 */
#include "bind/scope_error.h"

Scope *scope_new(Binder *b, Scope *parent)
{
    Scope *s = ARENA_NEW(b->c.b.arena, Scope);
    if (s == NULL) {
        (void)ctx_nomem(b->cx, sizeof *s);
        return NULL;
    }
    s->parent = parent;
    s->ctes = parent != NULL ? parent->ctes : NULL;
    return s;
}

Status scope_add(Binder *b, Scope *s, RangeItem *item)
{
    return PUSH(b, &s->all, item);
}

static bool seen(const Scope *s, const ScopeEntry *e)
{
    return !e->lateral_only || s->lateral_active;
}

static bool name_is(const char *a, Str b)
{
    return a != NULL && strlen(a) == b.len && memcmp(a, b.p, b.len) == 0;
}

static Status lateral_check(Binder *b, const ScopeEntry *e, int32_t location)
{
    if (!e->lateral_only || e->lateral_ok) {
        return ST_OK;
    }
    Status st = bind_error(b, location, ST_INVALID_COLUMN_REFERENCE,
                           "invalid reference to FROM-clause entry for table \"%s\"", e->item->name);
    err_detail(b->cx->err, "The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
    return st;
}

/* ---- tables ---- */

static bool item_matches(const RangeItem *item, Str schema, Str name)
{
    if (schema.p == NULL) {
        return name_is(item->name, name);
    }
    /* Qualified: the relation itself, not an alias. */
    return item->rel != NULL && item->schema != NULL && name_is(item->schema, schema) && name_is(item->rel->name, name) &&
           name_is(item->name, name);
}

static Status find_item(Binder *b, Scope *s, Str schema, Str name, int32_t location, RangeItem **out)
{
    *out = NULL;
    for (Scope *at = s; at != NULL && *out == NULL; at = at->parent) {
        const ScopeEntry *found = NULL;
        for (uint32_t i = 0; i < at->names.n; i++) {
            const ScopeEntry *e = &at->names.v[i];
            if (!e->table_visible || !seen(at, e) || !item_matches(e->item, schema, name)) {
                continue;
            }
            if (found != NULL) {
                return bind_error(b, location, ST_AMBIGUOUS_ALIAS, "table reference \"%s\" is ambiguous", name.p);
            }
            found = e;
        }
        if (found != NULL) {
            TRY(lateral_check(b, found, location));
            *out = found->item;
        }
    }
    return ST_OK;
}

RangeItem *scope_find_item(Binder *b, Scope *s, Str schema, Str name)
{
    (void)b;
    for (uint32_t i = 0; i < s->names.n; i++) {
        if (s->names.v[i].table_visible && item_matches(s->names.v[i].item, schema, name)) {
            return s->names.v[i].item;
        }
    }
    return NULL;
}

/* ---- columns ---- */

static Status item_column(Binder *b, RangeItem *item, Str name, int32_t location, const RangeColumn **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < item->n_columns; i++) {
        if (!name_is(item->columns[i].name, name)) {
            continue;
        }
        if (*out != NULL) {
            return bind_error(b, location, ST_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name.p);
        }
        *out = &item->columns[i];
    }
    return ST_OK;
}

static const struct SystemColumn {
    const char *name;
    int16_t attribute;
    Oid type;
} system_columns[] = {
    {"ctid", ATTRIBUTE_CTID, OID_TID}, {"xmin", ATTRIBUTE_XMIN, OID_XID}, {"cmin", ATTRIBUTE_CMIN, OID_CID},
    {"xmax", ATTRIBUTE_XMAX, OID_XID}, {"cmax", ATTRIBUTE_CMAX, OID_CID}, {"tableoid", ATTRIBUTE_TABLEOID, OID_OID},
};

Status scope_system_column(Binder *b, Scope *s, RangeItem *item, const char *name, int32_t location, const Expr **out,
                           bool *out_found)
{
    *out_found = false;
    for (size_t i = 0; i < ARRAY_LEN(system_columns) && item->scan != NULL; i++) {
        const struct SystemColumn *sys = &system_columns[i];
        if (strcmp(sys->name, name) != 0) {
            continue;
        }
        *out_found = true;
        Logical *scan = item->scan;
        ValueType t = value_type_of(sys->type);
        for (uint32_t k = 0; k < scan->columns.n; k++) {
            if (scan->u.scan.attributes[k] == sys->attribute) {
                return expr_column(&b->c.b, scan->columns.v[k].id, &t, location, out);
            }
        }
        /* The arrays were made with room for all of them (bind_table). */
        LogicalColumn *columns = (LogicalColumn *)(uintptr_t)scan->columns.v;
        int16_t *attributes = (int16_t *)(uintptr_t)scan->u.scan.attributes;
        ColumnId id;
        TRY(bind_new_column(b, s, item, sys->name, &id));
        attributes[scan->columns.n] = sys->attribute;
        columns[scan->columns.n++] = (LogicalColumn){.id = id, .type = t, .name = sys->name, .table = item->rel->oid,
                                                     .attribute = sys->attribute};
        return expr_column(&b->c.b, id, &t, location, out);
    }
    return ST_OK;
}

/* The level whose FROM item it is: the owner of a system column must be that. */
static Scope *level_of(Scope *s, const RangeItem *item)
{
    for (Scope *at = s; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->all.n; i++) {
            if (at->all.v[i] == item) {
                return at;
            }
        }
    }
    return s;
}

static Status found_column(Binder *b, const RangeColumn *c, int32_t location, const Expr **out, Target *out_target)
{
    if (out_target != NULL) {
        out_target->table = c->table;
        out_target->attribute = c->attribute;
    }
    if (c->expr->kind == EXPR_COLUMN) {
        return expr_column(&b->c.b, c->expr->u.column, &c->expr->type, location, out);
    }
    *out = c->expr;
    return ST_OK;
}

Status scope_whole_row(Binder *b, RangeItem *item, int32_t location, const Expr **out)
{
    if (item->scalar && item->n_columns == 1) {
        return found_column(b, &item->columns[0], location, out, NULL);
    }
    const Expr **fields = ARENA_ARRAY(b->c.b.arena, const Expr *, item->n_columns + 1u);
    if (fields == NULL) {
        return ctx_nomem(b->cx, sizeof *fields);
    }
    for (uint32_t i = 0; i < item->n_columns; i++) {
        fields[i] = item->columns[i].expr;
    }
    return expr_row(&b->c.b, fields, item->n_columns, location, out);
}

static Status bare_column(Binder *b, Scope *s, const AstColumnRef *ref, const Expr **out, Target *out_target)
{
    Str name = ref->names.items[0];
    int32_t location = ref->node.location;
    for (Scope *at = s; at != NULL; at = at->parent) {
        const RangeColumn *found = NULL;
        const Expr *system = NULL;
        for (uint32_t i = 0; i < at->names.n; i++) {
            const ScopeEntry *e = &at->names.v[i];
            const RangeColumn *c;
            bool is_system = false;
            if (!e->columns_visible || !seen(at, e)) {
                continue;
            }
            TRY(item_column(b, e->item, name, location, &c));
            if (c == NULL) {
                const Expr *x = NULL;
                TRY(scope_system_column(b, at, e->item, name.p, location, &x, &is_system));
                if (!is_system) {
                    continue;
                }
                if (found != NULL || system != NULL) {
                    return bind_error(b, location, ST_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name.p);
                }
                system = x;
                continue;
            }
            if (found != NULL || system != NULL) {
                return bind_error(b, location, ST_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name.p);
            }
            TRY(lateral_check(b, e, location));
            found = c;
        }
        if (found != NULL) {
            return found_column(b, found, location, out, out_target);
        }
        if (system != NULL) {
            *out = system;
            return ST_OK;
        }
    }
    RangeItem *item;
    TRY(find_item(b, s, (Str){0}, name, location, &item));
    return item != NULL ? scope_whole_row(b, item, location, out) : scope_missing_column(b, s, NULL, name.p, location);
}

Status scope_column_ref(Binder *b, Scope *s, const AstColumnRef *ref, const Expr **out, Target *out_target)
{
    const AstNames *n = &ref->names;
    int32_t location = ref->node.location;
    if (n->count == 1) {
        return bare_column(b, s, ref, out, out_target);
    }
    if (n->count > 3) {
        return bind_error(b, location, ST_FEATURE_NOT_SUPPORTED, "cross-database references are not implemented: %s.%s.%s.%s",
                          n->items[0].p, n->items[1].p, n->items[2].p, n->items[3].p);
    }
    Str schema = n->count == 3 ? n->items[0] : (Str){0};
    Str table = n->items[n->count - 2];
    Str column = n->items[n->count - 1];
    RangeItem *item;
    const RangeColumn *c;
    bool is_system;
    TRY(find_item(b, s, schema, table, location, &item));
    if (item == NULL) {
        return scope_missing_table(b, s, schema, table, location);
    }
    TRY(item_column(b, item, column, location, &c));
    if (c != NULL) {
        return found_column(b, c, location, out, out_target);
    }
    TRY(scope_system_column(b, level_of(s, item), item, column.p, location, out, &is_system));
    return is_system ? ST_OK : scope_missing_column(b, s, table.p, column.p, location);
}

static Status item_targets(Binder *b, const RangeItem *item, int32_t location, Targets *out)
{
    for (uint32_t i = 0; i < item->n_columns; i++) {
        Target t = {.name = item->columns[i].name};
        TRY(found_column(b, &item->columns[i], location, &t.expr, &t));
        TRY(PUSH(b, out, t));
    }
    return ST_OK;
}

Status scope_star(Binder *b, Scope *s, const AstColumnRef *ref, Targets *out)
{
    const AstNames *n = &ref->names;
    int32_t location = ref->node.location;
    if (n->count > 0) {
        RangeItem *item;
        Str schema = n->count > 1 ? n->items[n->count - 2] : (Str){0};
        TRY(find_item(b, s, schema, n->items[n->count - 1], location, &item));
        return item != NULL ? item_targets(b, item, location, out)
                            : scope_missing_table(b, s, schema, n->items[n->count - 1], location);
    }
    bool some = false;
    for (uint32_t i = 0; i < s->names.n; i++) {
        if (s->names.v[i].columns_visible && seen(s, &s->names.v[i])) {
            some = true;
            TRY(item_targets(b, s->names.v[i].item, location, out));
        }
    }
    return some ? ST_OK : bind_error(b, location, ST_SYNTAX_ERROR, "SELECT * with no tables specified is not valid");
}
