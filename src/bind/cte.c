/*
 * bind/cte.c: WITH, recursive too (parse_cte.c).
 */
#include "bind/bind_int.h"

CteEntry *bind_find_cte(Scope *s, const AstRangeVar *rv)
{
    for (CteEntry *e = s->ctes; e != NULL && rv->schema.p == NULL; e = e->next) {
        if (strcmp(e->name, rv->name.p) == 0) {
            return e;
        }
    }
    return NULL;
}

Status bind_cte_scan(Binder *b, Scope *s, CteEntry *cte, const AstRangeVar *rv, RangeItem **out_item, Logical **out)
{
    RangeItem *item = ARENA_NEW(b->c.b.arena, RangeItem);
    uint32_t n = cte->columns.n;
    RangeColumn *names = ARENA_ARRAY(b->c.b.arena, RangeColumn, n + 1u);
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, n + 1u);
    ColumnId *attributes = ARENA_ARRAY(b->c.b.arena, ColumnId, n + 1u);
    if (item == NULL || names == NULL || columns == NULL || attributes == NULL) {
        return ctx_nomem(b->cx, n * sizeof *columns);
    }
    *item = (RangeItem){.name = cte->name, .columns = names, .n_columns = n, .range = b->next_range++};
    TRY(bind_logical(b, LOGICAL_CTE_SCAN, NULL, NULL, out));
    for (uint32_t i = 0; i < n; i++) {
        columns[i] = cte->columns.v[i];
        columns[i].table = 0;
        columns[i].attribute = 0;
        attributes[i] = cte->columns.v[i].id;
        TRY(bind_new_column(b, s, item, columns[i].name, &columns[i].id));
        names[i] = (RangeColumn){.name = columns[i].name};
        TRY(expr_column(&b->c.b, columns[i].id, &columns[i].type, -1, &names[i].expr));
    }
    (*out)->columns = (LogicalColumns){columns, n};
    (*out)->u.cte_scan.number = cte->number;
    (*out)->u.cte_scan.attributes = attributes;
    TRY(bind_alias(b, item, rv->alias, -1));
    TRY(PUSH(b, &cte->scans, *out));
    *out_item = item;
    return scope_add(b, s, item);
}

static Status name_columns(Binder *b, CteEntry *e, const AstCommonTableExpr *c, const Rows *rows)
{
    if (c->columns.count > rows->n) {
        return bind_error(b, c->node.location, ST_INVALID_COLUMN_REFERENCE,
                          "WITH query \"%s\" has %u columns available but %u columns specified", e->name, rows->n,
                          c->columns.count);
    }
    for (uint32_t i = 0; i < rows->n; i++) {
        LogicalColumn column = rows->columns[i];
        column.name = i < c->columns.count ? c->columns.items[i].p : column.name;
        TRY(PUSH(b, &e->columns, column));
    }
    return ST_OK;
}

static Status named_in(void *arg, AstNode *node)
{
    const char *name = *(const char **)arg;
    if (node->tag == AST_RANGE_VAR && ((AstRangeVar *)node)->schema.p == NULL &&
        strcmp(((AstRangeVar *)node)->name.p, name) == 0) {
        return ST_END;
    }
    return ast_each_child(node, named_in, arg);
}

static Status check_step(Binder *b, const CteEntry *e, const AstCommonTableExpr *c, const Rows *base, const Rows *step)
{
    if (base->n != step->n) {
        return bind_error(b, c->node.location, ST_SYNTAX_ERROR, "each UNION query must have the same number of columns");
    }
    for (uint32_t i = 0; i < base->n; i++) {
        const Expr *pair[2];
        Oid type;
        TRY(expr_column(&b->c.b, base->columns[i].id, &base->columns[i].type, -1, &pair[0]));
        TRY(expr_column(&b->c.b, step->columns[i].id, &step->columns[i].type, -1, &pair[1]));
        TRY(coerce_common_type(&b->c, pair, 2, "UNION", &type));
        if (type != base->columns[i].type.oid) {
            Status st = bind_error(b, -1, ST_DATATYPE_MISMATCH,
                                   "recursive query \"%s\" column %u has type %s in non-recursive term but type %s overall",
                                   e->name, i + 1, type_text(base->columns[i].type.oid).s, type_text(type).s);
            err_hint(b->cx->err, "Cast the output of the non-recursive term to the correct type.");
            return st;
        }
    }
    return ST_OK;
}

static Status recursive(Binder *b, Scope *s, CteEntry *e, const AstCommonTableExpr *c, Rows *out)
{
    AstSelectStmt *q = (AstSelectStmt *)c->query;
    Rows base, step;
    Logical *l;
    if (q->order_by.count > 0 || q->limit != NULL || q->offset != NULL || q->with != NULL) {
        return bind_unsupported(b, c->node.location, "ORDER BY, LIMIT or WITH in a recursive query");
    }
    TRY(bind_select(b, s, &q->left->node, true, &base));
    TRY(name_columns(b, e, c, &base));
    e->next = s->ctes;
    s->ctes = e;
    TRY(bind_select(b, s, &q->right->node, false, &step));
    TRY(check_step(b, e, c, &base, &step));
    Oid *types = ARENA_ARRAY(b->c.b.arena, Oid, base.n + 1u);
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, base.n + 1u);
    if (types == NULL || columns == NULL) {
        return ctx_nomem(b->cx, base.n * sizeof *columns);
    }
    for (uint32_t i = 0; i < base.n; i++) {
        types[i] = base.columns[i].type.oid;
        columns[i] = base.columns[i];
        TRY(bind_new_column(b, NULL, NULL, e->columns.v[i].name, &columns[i].id));
    }
    TRY(bind_rows_as(b, &step, types, "UNION"));
    TRY(bind_logical(b, LOGICAL_RECURSIVE, base.root, step.root, &l));
    l->columns = (LogicalColumns){columns, base.n};
    l->u.recursive.cte = e->number;
    l->u.recursive.distinct = !q->all;
    /* Scans made so far read the work table, under the base's ids; all name columns by position from now on. */
    for (uint32_t k = 0; k < e->scans.n; k++) {
        ColumnId *a = (ColumnId *)(uintptr_t)e->scans.v[k]->u.cte_scan.attributes;
        for (uint32_t i = 0; i < base.n; i++) {
            a[i] = columns[i].id;
        }
    }
    for (uint32_t i = 0; i < base.n; i++) {
        e->columns.v[i].id = columns[i].id;
    }
    *out = (Rows){l, columns, base.n};
    return ST_OK;
}

static Status one(Binder *b, Scope *s, const AstWithClause *with, const AstCommonTableExpr *c)
{
    CteEntry *e = ARENA_NEW(b->c.b.arena, CteEntry);
    Rows rows;
    Frame none = {0};
    if (e == NULL) {
        return ctx_nomem(b->cx, sizeof *e);
    }
    if (c->search != NULL || c->cycle != NULL) {
        return bind_unsupported(b, c->node.location, c->search != NULL ? "SEARCH" : "CYCLE");
    }
    e->name = c->name.p;
    e->number = b->next_cte++;
    AstSelectStmt *q = (AstSelectStmt *)c->query;
    const char *name = e->name;
    e->recursive = with->recursive && ast_each_child(c->query, named_in, &name) == ST_END;
    if (e->recursive) {
        if (q->node.tag != AST_SELECT_STMT || q->op != AST_SETOP_UNION) {
            return bind_error(b, c->node.location, ST_INVALID_RECURSION,
                              "recursive query \"%s\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                              e->name);
        }
        TRY(recursive(b, s, e, c, &rows));
    } else {
        bool select = c->query->tag == AST_SELECT_STMT;
        TRY(select ? bind_select(b, s, c->query, true, &rows) : bind_modify(b, s, c->query, &rows));
        TRY(name_columns(b, e, c, &rows));
        e->once = select && c->materialize != AST_MATERIALIZE_ALWAYS;
        e->next = s->ctes;
        s->ctes = e;
    }
    TRY(bind_query_of(b, &none, &rows, &e->query));
    return PUSH(b, &b->frame->ctes, e);
}

Status bind_with(Binder *b, Scope *s, const AstWithClause *with)
{
    for (uint32_t i = 0; with != NULL && i < with->ctes.count; i++) {
        const AstCommonTableExpr *c = AST_CAST(with->ctes.items[i], CommonTableExpr, COMMON_TABLE_EXPR);
        for (uint32_t k = 0; k < i; k++) {
            if (str_eq(((AstCommonTableExpr *)with->ctes.items[k])->name, c->name)) {
                return bind_error(b, c->node.location, ST_DUPLICATE_ALIAS,
                                  "WITH query name \"%s\" specified more than once", c->name.p);
            }
        }
    }
    for (uint32_t i = 0; with != NULL && i < with->ctes.count; i++) {
        TRY(one(b, s, with, (AstCommonTableExpr *)with->ctes.items[i]));
    }
    return ST_OK;
}
