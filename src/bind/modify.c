/*
 * bind/modify.c: INSERT, UPDATE, DELETE with RETURNING, defaults and CHECK constraints (parse_target.c, analyze.c).
 *
 * LOGICAL_MODIFY itself produces `row_columns`: the new row (DELETE: the old), which CHECK and RETURNING name.
 */
#include "bind/bind_int.h"

typedef struct Modify {
    Binder *b;
    Scope *s; /* of the statement: target and FROM items */
    const CatRelation *rel;
    RangeItem *target;
    Logical *l;
    BIND_VEC(LogicalModifyColumn) set;
} Modify;

static const CatColumn *find_column(const CatRelation *rel, Str name)
{
    for (uint32_t i = 0; i < rel->n_columns; i++) {
        const CatColumn *c = &rel->columns[i];
        if (!c->dropped && strlen(c->name) == name.len && memcmp(c->name, name.p, name.len) == 0) {
            return c;
        }
    }
    return NULL;
}

static Status target_column(Modify *m, const AstResTarget *t, const CatColumn **out)
{
    Binder *b = m->b;
    *out = find_column(m->rel, t->name);
    if (*out == NULL) {
        return bind_error(b, t->node.location, ST_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                          t->name.p, m->rel->name);
    }
    return t->path.count > 0 ? bind_unsupported(b, t->node.location, "assignment to a part of a column") : ST_OK;
}

/* A value for a column: by assignment, so that strings that are too long are refused. */
static Status assign_at(Modify *m, const CatColumn *c, const Expr *e, int32_t at, const Expr **out)
{
    Binder *b = m->b;
    Oid given = e->type.oid;
    Status st = coerce_expr(&b->c, e, &c->value_type, COERCE_ASSIGNMENT, EXPR_FORM_CAST_IMPLICIT, at, out);
    if (st == ST_NOT_FOUND) {
        st = bind_error(b, at, ST_DATATYPE_MISMATCH, "column \"%s\" is of type %s but expression is of type %s", c->name,
                        type_text(c->type).s, type_text(given).s);
        err_hint(b->cx->err, "You will need to rewrite or cast the expression.");
    }
    return st != ST_OK ? st : expr_rep(&b->c.b, *out, &c->value_type, out);
}

static Status assign(Modify *m, const CatColumn *c, const Expr *e, const Expr **out)
{
    return assign_at(m, c, e, expr_leftmost(e), out);
}

/* Stored text: errors in it do not point into the statement. */
static Status stored_expr(Binder *b, Scope *s, const char *text, BindPlace place, const Expr **out)
{
    AstNode *node;
    TRY(parse_expr(NULL, b->cx, text, strlen(text), &node));
    return bind_expr_at(b, s, node, place, out);
}

static Status default_of(Modify *m, const CatColumn *c, const Expr **out)
{
    if (c->default_text == NULL) {
        return expr_const_null(&m->b->c.b, &c->value_type, out);
    }
    Scope *none = scope_new(m->b, NULL);
    if (none == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    const Expr *e;
    TRY(stored_expr(m->b, none, c->default_text, PLACE_DEFAULT, &e));
    return assign(m, c, e, out);
}

static Status put(Modify *m, const CatColumn *c, const Expr *value)
{
    LogicalModifyColumn set = {.attribute = c->attnum, .value = value};
    return PUSH(m->b, &m->set, set);
}

/* ---- the row, its checks, RETURNING ---- */

static Status row_columns(Modify *m, RangeItem **out_item)
{
    Binder *b = m->b;
    ColumnId *ids = ARENA_ARRAY(b->c.b.arena, ColumnId, m->rel->n_columns + 1u);
    RangeItem *item = ARENA_NEW(b->c.b.arena, RangeItem);
    RangeColumn *columns = ARENA_ARRAY(b->c.b.arena, RangeColumn, m->rel->n_columns + 1u);
    if (ids == NULL || item == NULL || columns == NULL) {
        return ctx_nomem(b->cx, sizeof *item);
    }
    *item = *m->target;
    item->columns = columns;
    item->scan = NULL;
    item->n_columns = 0;
    for (uint32_t i = 0; i < m->rel->n_columns; i++) {
        const CatColumn *c = &m->rel->columns[i];
        TRY(bind_new_column(b, m->s, item, c->name, &ids[i]));
        if (!c->dropped) {
            RangeColumn *r = &columns[item->n_columns++];
            *r = (RangeColumn){.name = c->name, .table = m->rel->oid, .attribute = c->attnum};
            TRY(expr_column(&b->c.b, ids[i], &c->value_type, -1, &r->expr));
        }
    }
    m->l->u.modify.row_columns = ids;
    *out_item = item;
    return ST_OK;
}

static Status bind_checks(Modify *m, RangeItem *row)
{
    Binder *b = m->b;
    struct LogicalCheck *checks = ARENA_ARRAY(b->c.b.arena, struct LogicalCheck, m->rel->n_constraints + 1u);
    Scope *s = scope_new(b, NULL);
    uint32_t n = 0;
    if (checks == NULL || s == NULL) {
        return ctx_nomem(b->cx, sizeof *checks);
    }
    ScopeEntry e = {.item = row, .table_visible = true, .columns_visible = true};
    TRY(PUSH(b, &s->names, e));
    for (uint32_t i = 0; i < m->rel->n_constraints; i++) {
        const CatConstraint *k = &m->rel->constraints[i];
        if (k->type == 'c') {
            checks[n].name = k->name;
            TRY(stored_expr(b, s, k->text, PLACE_CHECK, &checks[n].condition));
            TRY(coerce_boolean(&b->c, checks[n].condition, "CHECK", &checks[n].condition));
            n++;
        }
    }
    m->l->u.modify.checks = checks;
    m->l->u.modify.n_checks = n;
    return ST_OK;
}

static Status bind_returning(Modify *m, RangeItem *row, const AstList *list, Rows *out)
{
    Binder *b = m->b;
    Targets t = {0};
    for (uint32_t i = 0; i < m->s->names.n; i++) {
        if (m->s->names.v[i].item == m->target) {
            m->s->names.v[i].item = row;
        }
    }
    TRY(bind_targets(b, m->s, list, PLACE_RETURNING, &t));
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, t.n + 1u);
    const Expr **exprs = ARENA_ARRAY(b->c.b.arena, const Expr *, t.n + 1u);
    if (columns == NULL || exprs == NULL) {
        return ctx_nomem(b->cx, t.n * sizeof *columns);
    }
    for (uint32_t i = 0; i < t.n; i++) {
        TRY(coerce_known(&b->c, t.v[i].expr, &exprs[i]));
        columns[i] = (LogicalColumn){.type = exprs[i]->type, .name = t.v[i].name, .table = t.v[i].table,
                                     .attribute = t.v[i].attribute};
        TRY(bind_new_column(b, NULL, NULL, t.v[i].name, &columns[i].id));
    }
    m->l->columns = (LogicalColumns){columns, t.n};
    m->l->u.modify.returning = (LogicalExprs){exprs, t.n};
    *out = (Rows){m->l, columns, t.n};
    return ST_OK;
}

static Status finish(Modify *m, LogicalModifyKind kind, const AstList *returning, Rows *out)
{
    RangeItem *row = NULL;
    m->l->u.modify.kind = kind;
    m->l->u.modify.relation = m->rel;
    m->l->u.modify.set = m->set.v;
    m->l->u.modify.n_set = m->set.n;
    TRY(row_columns(m, &row));
    if (kind != LOGICAL_DELETE) {
        TRY(bind_checks(m, row));
    }
    return bind_returning(m, row, returning, out);
}

static Status start(Modify *m, Binder *b, Scope *parent, const AstWithClause *with, const AstRangeVar *rv, Logical **out_scan)
{
    *m = (Modify){.b = b, .s = scope_new(b, parent)};
    if (m->s == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    b->writes = true;
    TRY(bind_with(b, m->s, with));
    TRY(bind_logical(b, LOGICAL_MODIFY, NULL, NULL, &m->l));
    TRY(bind_table(b, m->s, rv, LOCK_ROW_EXCLUSIVE, &m->target, out_scan));
    m->rel = m->target->rel;
    if (m->rel->kind != 'r') {
        return bind_error(b, -1, ST_FEATURE_NOT_SUPPORTED, "cannot change view \"%s\"", m->rel->name);
    }
    return ST_OK;
}

/* ---- INSERT ---- */

typedef BIND_VEC(const CatColumn *) ColumnList;

static Status insert_columns(Modify *m, const AstInsertStmt *q, ColumnList *out)
{
    for (uint32_t i = 0; i < q->columns.count; i++) {
        const AstResTarget *t = AST_CAST(q->columns.items[i], ResTarget, RES_TARGET);
        const CatColumn *c;
        TRY(target_column(m, t, &c));
        for (uint32_t k = 0; k < out->n; k++) {
            if (out->v[k] == c) {
                return bind_error(m->b, t->node.location, ST_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                                  c->name);
            }
        }
        TRY(PUSH(m->b, out, c));
    }
    for (uint32_t i = 0; q->columns.count == 0 && i < m->rel->n_columns; i++) {
        if (!m->rel->columns[i].dropped) {
            TRY(PUSH(m->b, out, &m->rel->columns[i]));
        }
    }
    return ST_OK;
}

static Status check_width(Modify *m, const AstInsertStmt *q, const ColumnList *columns, uint32_t n, int32_t at)
{
    if (n > columns->n) {
        return bind_error(m->b, at, ST_SYNTAX_ERROR, "INSERT has more expressions than target columns");
    }
    return n < columns->n && q->columns.count > 0
               ? bind_error(m->b, q->columns.items[n]->location, ST_SYNTAX_ERROR,
                            "INSERT has more target columns than expressions")
               : ST_OK;
}

/* Each cell is read as of its column; DEFAULT is the column's. */
static Status insert_values(Modify *m, const AstInsertStmt *q, const AstSelectStmt *values, ColumnList *columns)
{
    Binder *b = m->b;
    uint32_t rows = values->values.count;
    uint32_t n = AST_CAST(values->values.items[0], NodeList, NODE_LIST)->items.count;
    Scope *s = scope_new(b, m->s->parent);
    const Expr **cells = ARENA_ARRAY(b->c.b.arena, const Expr *, (size_t)rows * n + 1u);
    LogicalColumn *produced = ARENA_ARRAY(b->c.b.arena, LogicalColumn, n + 1u);
    if (s == NULL || cells == NULL || produced == NULL) {
        return ctx_nomem(b->cx, (size_t)rows * n * sizeof *cells);
    }
    s->ctes = m->s->ctes;
    for (uint32_t i = 0; i < rows; i++) {
        const AstList *row = &AST_CAST(values->values.items[i], NodeList, NODE_LIST)->items;
        if (row->count != n) {
            return bind_error(b, row->count > 0 ? row->items[0]->location : -1, ST_SYNTAX_ERROR,
                              "VALUES lists must all be the same length");
        }
        if (n > columns->n) {
            const Expr *extra;
            TRY(bind_expr_at(b, s, row->items[columns->n], PLACE_VALUES, &extra));
            return check_width(m, q, columns, n, expr_leftmost(extra));
        }
        TRY(check_width(m, q, columns, n, -1));
        for (uint32_t k = 0; k < n; k++) {
            const Expr *e;
            if (row->items[k]->tag == AST_SET_TO_DEFAULT) {
                TRY(default_of(m, columns->v[k], &cells[i * n + k]));
                continue;
            }
            TRY(bind_expr_at(b, s, row->items[k], PLACE_VALUES, &e));
            TRY(assign(m, columns->v[k], e, &cells[i * n + k]));
        }
    }
    Logical *l;
    TRY(bind_logical(b, LOGICAL_VALUES, NULL, NULL, &l));
    for (uint32_t k = 0; k < n; k++) {
        const Expr *e;
        produced[k] = (LogicalColumn){.type = columns->v[k]->value_type, .name = columns->v[k]->name};
        TRY(bind_new_column(b, NULL, NULL, produced[k].name, &produced[k].id));
        TRY(expr_column(&b->c.b, produced[k].id, &produced[k].type, -1, &e));
        TRY(put(m, columns->v[k], e));
    }
    l->columns = (LogicalColumns){produced, n};
    l->u.values.rows = cells;
    l->u.values.n_rows = rows;
    m->l->left = l;
    return ST_OK;
}

static Status insert_select(Modify *m, const AstInsertStmt *q, ColumnList *columns)
{
    Binder *b = m->b;
    Rows rows;
    Scope *s = scope_new(b, m->s->parent);
    if (s == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    s->ctes = m->s->ctes;
    if (q->source->tag != AST_SELECT_STMT) {
        return bind_unsupported(b, q->source->location, "this source of INSERT");
    }
    TRY(bind_select_in(b, s, (AstSelectStmt *)q->source, false, &rows));
    TRY(check_width(m, q, columns, rows.n, -1));
    for (uint32_t i = 0; i < rows.n; i++) {
        const LogicalColumn *c = &rows.columns[i];
        const Expr *e;
        if (c->type.oid == OID_UNKNOWN && rows.root->kind == LOGICAL_PROJECT) {
            e = rows.root->u.project.v[i];
        } else {
            TRY(expr_column(&b->c.b, c->id, &c->type, -1, &e));
        }
        int32_t at = rows.root->kind == LOGICAL_PROJECT ? expr_leftmost(rows.root->u.project.v[i]) : -1;
        TRY(assign_at(m, columns->v[i], e, at, &e));
        TRY(put(m, columns->v[i], e));
    }
    m->l->left = rows.root;
    return ST_OK;
}

static Status missing_defaults(Modify *m)
{
    for (uint32_t i = 0; i < m->rel->n_columns; i++) {
        const CatColumn *c = &m->rel->columns[i];
        bool have = c->dropped || c->default_text == NULL;
        for (uint32_t k = 0; k < m->set.n; k++) {
            have |= m->set.v[k].attribute == c->attnum;
        }
        if (!have) {
            const Expr *e;
            TRY(default_of(m, c, &e));
            TRY(put(m, c, e));
        }
    }
    return ST_OK;
}

static Status insert(Binder *b, Scope *parent, const AstInsertStmt *q, Rows *out)
{
    Modify m;
    Logical *unused_scan = NULL;
    ColumnList columns = {0};
    TRY(start(&m, b, parent, q->with, q->relation, &unused_scan));
    if (q->on_conflict != NULL) {
        return bind_unsupported(b, q->on_conflict->node.location, "ON CONFLICT");
    }
    TRY(insert_columns(&m, q, &columns));
    const AstSelectStmt *values = (const AstSelectStmt *)q->source;
    bool plain = values != NULL && values->node.tag == AST_SELECT_STMT && values->values.count > 0 &&
                 values->order_by.count == 0 && values->limit == NULL && values->offset == NULL && values->with == NULL;
    if (q->source == NULL) {
        TRY(bind_logical(b, LOGICAL_VALUES, NULL, NULL, &m.l->left));
        m.l->left->u.values.n_rows = 1;
    } else {
        TRY(plain ? insert_values(&m, q, values, &columns) : insert_select(&m, q, &columns));
    }
    TRY(missing_defaults(&m));
    ScopeEntry e = {.item = m.target, .table_visible = true, .columns_visible = true};
    TRY(PUSH(b, &m.s->names, e)); /* for RETURNING alone */
    return finish(&m, LOGICAL_INSERT, &q->returning, out);
}

/* ---- UPDATE and DELETE ---- */

/* Target and FROM items joined, filtered; the target's TID beside them. */
static Status rows_to_change(Modify *m, Logical *scan, const AstList *from, AstNode *where)
{
    Binder *b = m->b;
    const Expr *condition, *tid;
    Logical *others = NULL, *l = scan;
    bool found;
    ScopeEntry e = {.item = m->target, .table_visible = true, .columns_visible = true};
    TRY(PUSH(b, &m->s->names, e));
    TRY(bind_from(b, m->s, from, &others));
    if (others != NULL) {
        TRY(bind_logical(b, LOGICAL_JOIN, scan, others, &l));
        l->u.join.kind = LOGICAL_INNER;
    }
    TRY(bind_condition(b, m->s, where, PLACE_WHERE, "WHERE", &condition));
    if (condition != NULL) {
        TRY(bind_logical(b, LOGICAL_FILTER, l, NULL, &l));
        l->u.filter.condition = condition;
    }
    TRY(scope_system_column(b, m->s, m->target, "ctid", -1, &tid, &found));
    m->l->u.modify.row = tid->u.column;
    m->l->left = l;
    return ST_OK;
}

/* SET (a, b) = (x, y) or ROW(x, y); one column may also take its part of nothing else. */
static Status set_source(Modify *m, AstNode *value, AstNode **out)
{
    *out = value;
    if (value->tag != AST_MULTI_ASSIGN) {
        return ST_OK;
    }
    const AstMultiAssign *a = (const AstMultiAssign *)value;
    if (a->source->tag != AST_ROW_EXPR) {
        return a->source->tag == AST_SUB_LINK
                   ? bind_unsupported(m->b, a->source->location, "a multiple-column assignment from a subquery")
                   : bind_error(m->b, a->source->location, ST_FEATURE_NOT_SUPPORTED,
                                "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
    }
    const AstRowExpr *row = (const AstRowExpr *)a->source;
    if (row->args.count != (uint32_t)a->columns) {
        return bind_error(m->b, row->node.location, ST_SYNTAX_ERROR, "number of columns does not match number of values");
    }
    *out = row->args.items[a->column - 1];
    return ST_OK;
}

static Status update(Binder *b, Scope *parent, const AstUpdateStmt *q, Rows *out)
{
    Modify m;
    Logical *scan = NULL;
    TRY(start(&m, b, parent, q->with, q->relation, &scan));
    TRY(rows_to_change(&m, scan, &q->from, q->where));
    for (uint32_t i = 0; i < q->targets.count; i++) {
        const AstResTarget *t = AST_CAST(q->targets.items[i], ResTarget, RES_TARGET);
        AstNode *source;
        const CatColumn *c;
        const Expr *e;
        TRY(set_source(&m, t->value, &source));
        bool as_default = source->tag == AST_SET_TO_DEFAULT;
        if (!as_default) {
            TRY(bind_expr_at(b, m.s, source, PLACE_UPDATE, &e));
        }
        TRY(target_column(&m, t, &c));
        TRY(as_default ? default_of(&m, c, &e) : assign(&m, c, e, &e));
        for (uint32_t k = 0; k < m.set.n; k++) {
            if (m.set.v[k].attribute == c->attnum) {
                return bind_error(b, -1, ST_SYNTAX_ERROR, "multiple assignments to same column \"%s\"", c->name);
            }
        }
        TRY(put(&m, c, e));
    }
    return finish(&m, LOGICAL_UPDATE, &q->returning, out);
}

static Status delete(Binder *b, Scope *parent, const AstDeleteStmt *q, Rows *out)
{
    Modify m;
    Logical *scan = NULL;
    TRY(start(&m, b, parent, q->with, q->relation, &scan));
    TRY(rows_to_change(&m, scan, &q->using, q->where));
    return finish(&m, LOGICAL_DELETE, &q->returning, out);
}

Status bind_modify(Binder *b, Scope *parent, AstNode *node, Rows *out)
{
    switch (node->tag) {
    case AST_INSERT_STMT: return insert(b, parent, (AstInsertStmt *)node, out);
    case AST_UPDATE_STMT: return update(b, parent, (AstUpdateStmt *)node, out);
    case AST_DELETE_STMT: return delete(b, parent, (AstDeleteStmt *)node, out);
    default: return bind_unsupported(b, node->location, ast_tag_name((AstTag)node->tag));
    }
}
