/*
 * bind/setop.c: UNION, INTERSECT, EXCEPT and VALUES: bringing columns to one type.
 */
#include "bind/bind_int.h"

/*
 * Columns as the given types. Literals without a type, which the project below carries, are read as of the type.
 * Nothing is added when all columns are right already.
 */
Status bind_rows_as(Binder *b, Rows *io, const Oid *types, const char *what)
{
    bool needed = false;
    for (uint32_t i = 0; i < io->n; i++) {
        needed |= io->columns[i].type.oid != types[i];
    }
    if (!needed) {
        return ST_OK;
    }
    Targets t = {0};
    for (uint32_t i = 0; i < io->n; i++) {
        const LogicalColumn *c = &io->columns[i];
        Target target = {.name = c->name};
        ValueType to = value_type_of(types[i]);
        bool carried = c->type.oid == OID_UNKNOWN && io->root->kind == LOGICAL_PROJECT;
        if (carried) {
            target.expr = io->root->u.project.v[i];
        } else {
            TRY(expr_column(&b->c.b, c->id, &c->type, -1, &target.expr));
        }
        int32_t at = carried ? target.expr->location : -1;
        Status st = coerce_expr(&b->c, target.expr, &to, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, at, &target.expr);
        if (st == ST_NOT_FOUND) {
            return bind_error(b, at, ST_CANNOT_COERCE, "%s could not convert type %s to %s", what, type_text(c->type.oid).s,
                              type_text(types[i]).s);
        }
        TRY(st);
        TRY(PUSH(b, &t, target));
    }
    return bind_project(b, io->root, &t, io);
}

static const char *op_name(AstSetOp op)
{
    return op == AST_SETOP_UNION ? "UNION" : op == AST_SETOP_INTERSECT ? "INTERSECT" : "EXCEPT";
}

static LogicalSetKind op_kind(const AstSelectStmt *q)
{
    switch (q->op) {
    case AST_SETOP_UNION: return q->all ? LOGICAL_UNION_ALL : LOGICAL_UNION;
    case AST_SETOP_INTERSECT: return q->all ? LOGICAL_INTERSECT_ALL : LOGICAL_INTERSECT;
    default: return q->all ? LOGICAL_EXCEPT_ALL : LOGICAL_EXCEPT;
    }
}

/* An output column as an expression for the choice of types; errors point at its text where it is known. */
static Status output_expr(Binder *b, const Rows *rows, uint32_t i, const Expr **out)
{
    const Logical *p = rows->root;
    if (p->kind == LOGICAL_PROJECT && rows->columns[i].id == p->columns.v[i].id) {
        *out = p->u.project.v[i];
        return ST_OK;
    }
    return expr_column(&b->c.b, rows->columns[i].id, &rows->columns[i].type, -1, out);
}

static Status unite(Binder *b, const AstSelectStmt *q, Rows *l, Rows *r)
{
    const char *name = op_name(q->op);
    if (l->n != r->n) {
        const Expr *e = NULL;
        if (r->n > 0) {
            TRY(output_expr(b, r, 0, &e));
        }
        return bind_error(b, e != NULL ? expr_leftmost(e) : -1, ST_SYNTAX_ERROR,
                          "each %s query must have the same number of columns", name);
    }
    Oid *types = ARENA_ARRAY(b->c.b.arena, Oid, l->n + 1u);
    if (types == NULL) {
        return ctx_nomem(b->cx, sizeof *types);
    }
    for (uint32_t i = 0; i < l->n; i++) {
        const Expr *pair[2];
        TRY(output_expr(b, l, i, &pair[0]));
        TRY(output_expr(b, r, i, &pair[1]));
        TRY(coerce_common_type(&b->c, pair, 2, name, &types[i]));
    }
    TRY(bind_rows_as(b, l, types, name));
    return bind_rows_as(b, r, types, name);
}

/* Where an expression begins that is not bound. */
static int32_t ast_leftmost(const AstNode *n)
{
    while (n->tag == AST_OP_EXPR && ((const AstOpExpr *)n)->left != NULL) {
        n = ((const AstOpExpr *)n)->left;
    }
    return n->location;
}

static Status order_by_output(Binder *b, const AstSelectStmt *q, Rows *io)
{
    LogicalSort *keys = ARENA_ARRAY(b->c.b.arena, LogicalSort, q->order_by.count + 1u);
    Logical *l;
    if (keys == NULL) {
        return ctx_nomem(b->cx, sizeof *keys);
    }
    for (uint32_t i = 0; i < q->order_by.count; i++) {
        const AstSortBy *sb = (const AstSortBy *)q->order_by.items[i];
        const LogicalColumn *c = NULL;
        const AstColumnRef *ref = (const AstColumnRef *)sb->expr;
        const AstConst *k = (const AstConst *)sb->expr;
        if (sb->expr->tag == AST_CONST && k->kind == AST_CONST_INT) {
            if (k->ival < 1 || (uint32_t)k->ival > io->n) {
                return bind_error(b, k->node.location, ST_INVALID_COLUMN_REFERENCE,
                                  "ORDER BY position %d is not in select list", k->ival);
            }
            c = &io->columns[k->ival - 1];
        }
        bool bare = sb->expr->tag == AST_COLUMN_REF && ref->names.count == 1 && !ref->star;
        for (uint32_t n = 0; bare && n < io->n && c == NULL; n++) {
            c = strcmp(io->columns[n].name, ref->names.items[0].p) == 0 ? &io->columns[n] : NULL;
        }
        if (c == NULL && bare) {
            return bind_error(b, ref->node.location, ST_UNDEFINED_COLUMN, "column \"%s\" does not exist",
                              ref->names.items[0].p);
        }
        if (c == NULL) {
            Status st = bind_error(b, ast_leftmost(sb->expr), ST_FEATURE_NOT_SUPPORTED,
                                   "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
            err_detail(b->cx->err, "Only result column names can be used, not expressions or functions.");
            err_hint(b->cx->err, "Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
            return st;
        }
        const Expr *key;
        TRY(expr_column(&b->c.b, c->id, &c->type, -1, &key));
        TRY(bind_order_key(b, sb, key, &keys[i]));
    }
    if (q->order_by.count == 0) {
        return ST_OK;
    }
    TRY(bind_logical(b, LOGICAL_SORT, io->root, NULL, &l));
    l->u.sort.keys = keys;
    l->u.sort.n = q->order_by.count;
    io->root = l;
    return ST_OK;
}

Status bind_set_operation(Binder *b, Scope *s, AstSelectStmt *q, Rows *out)
{
    Rows l, r;
    Logical *op;
    TRY(bind_deeper(b));
    TRY(bind_select(b, s, &q->left->node, false, &l));
    TRY(bind_select(b, s, &q->right->node, false, &r));
    TRY(unite(b, q, &l, &r));
    if (q->locking.count > 0) {
        return bind_error(b, -1, ST_FEATURE_NOT_SUPPORTED, "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT");
    }
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, l.n + 1u);
    if (columns == NULL) {
        return ctx_nomem(b->cx, l.n * sizeof *columns);
    }
    for (uint32_t i = 0; i < l.n; i++) {
        columns[i] = (LogicalColumn){.type = expr_common_rep(&l.columns[i].type, &r.columns[i].type), .name = l.columns[i].name};
        TRY(bind_new_column(b, NULL, NULL, columns[i].name, &columns[i].id));
    }
    TRY(bind_logical(b, LOGICAL_SET_OPERATION, l.root, r.root, &op));
    op->columns = (LogicalColumns){columns, l.n};
    op->u.set_operation.kind = op_kind(q);
    *out = (Rows){op, columns, l.n};
    TRY(order_by_output(b, q, out));
    return bind_limit(b, s, q, out);
}

/* ---- VALUES ---- */

static Status values_column(Binder *b, const Expr **cells, uint32_t n_rows, uint32_t n, uint32_t at)
{
    const Expr **v = ARENA_ARRAY(b->c.b.arena, const Expr *, n_rows);
    Oid type;
    if (v == NULL) {
        return ctx_nomem(b->cx, n_rows * sizeof *v);
    }
    for (uint32_t i = 0; i < n_rows; i++) {
        v[i] = cells[i * n + at];
    }
    TRY(coerce_common_type(&b->c, v, n_rows, "VALUES", &type));
    TRY(coerce_all(&b->c, v, n_rows, type, "VALUES"));
    for (uint32_t i = 0; i < n_rows; i++) {
        cells[i * n + at] = v[i];
    }
    return ST_OK;
}

Status bind_values(Binder *b, Scope *s, AstSelectStmt *q, Rows *out)
{
    uint32_t rows = q->values.count;
    uint32_t n = AST_CAST(q->values.items[0], NodeList, NODE_LIST)->items.count;
    const Expr **cells = ARENA_ARRAY(b->c.b.arena, const Expr *, (size_t)rows * n + 1u);
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, n + 1u);
    Logical *l;
    if (cells == NULL || columns == NULL) {
        return ctx_nomem(b->cx, (size_t)rows * n * sizeof *cells);
    }
    for (uint32_t i = 0; i < rows; i++) {
        const AstList *row = &AST_CAST(q->values.items[i], NodeList, NODE_LIST)->items;
        if (row->count != n) {
            return bind_error(b, row->count > 0 ? row->items[0]->location : -1, ST_SYNTAX_ERROR,
                              "VALUES lists must all be the same length");
        }
        for (uint32_t k = 0; k < n; k++) {
            TRY(bind_expr_at(b, s, row->items[k], PLACE_VALUES, &cells[i * n + k]));
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        TRY(values_column(b, cells, rows, n, k));
        const char *name = arena_printf(b->c.b.arena, "column%u", k + 1);
        if (name == NULL) {
            return ctx_nomem(b->cx, 16);
        }
        columns[k] = (LogicalColumn){.type = cells[k]->type, .name = name};
        TRY(bind_new_column(b, NULL, NULL, name, &columns[k].id));
    }
    TRY(bind_logical(b, LOGICAL_VALUES, NULL, NULL, &l));
    l->columns = (LogicalColumns){columns, n};
    l->u.values.rows = cells;
    l->u.values.n_rows = rows;
    *out = (Rows){l, columns, n};
    TRY(order_by_output(b, q, out));
    return bind_limit(b, s, q, out);
}
