/*
 * bind/select.c: one SELECT: clauses in the order in which PostgreSQL looks at them, so that the first error is its.
 *
 * The tree, bottom up: FROM, filter, aggregate, filter (HAVING), windows, project (with hidden sort keys behind), sort,
 * distinct, limit, lock.
 */
#include "bind/bind_int.h"

/* ---- ORDER BY, GROUP BY, DISTINCT ON: what an item means ---- */

static Status by_position(Binder *b, const Targets *t, const AstConst *c, const char *clause, uint32_t *out)
{
    uint32_t visible = 0;
    if (c->kind != AST_CONST_INT) {
        return bind_error(b, c->node.location, ST_SYNTAX_ERROR, "non-integer constant in %s", clause);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->v[i].hidden && ++visible == (uint32_t)c->ival && c->ival > 0) {
            *out = i;
            return ST_OK;
        }
    }
    return bind_error(b, c->node.location, ST_INVALID_COLUMN_REFERENCE, "%s position %d is not in select list", clause,
                      c->ival);
}

static Status by_name(Binder *b, const Targets *t, const AstColumnRef *ref, const char *clause, uint32_t *out, bool *out_found)
{
    *out_found = false;
    for (uint32_t i = 0; i < t->n; i++) {
        bool same = false;
        if (t->v[i].hidden || strcmp(t->v[i].name, ref->names.items[0].p) != 0) {
            continue;
        }
        if (*out_found) {
            TRY(expr_equal(t->v[i].expr, t->v[*out].expr, b->cx->err, &same));
            if (!same) {
                return bind_error(b, ref->node.location, ST_AMBIGUOUS_COLUMN, "%s \"%s\" is ambiguous", clause,
                                  ref->names.items[0].p);
            }
            continue;
        }
        *out_found = true;
        *out = i;
    }
    return ST_OK;
}

/* The number of the target that an item means; a new hidden one when there is none. */
static Status find_target(Binder *b, Scope *s, AstNode *node, Targets *t, BindPlace place, uint32_t *out)
{
    const char *clause = bind_place_name(place);
    const Expr *e;
    if (node->tag == AST_CONST) {
        return by_position(b, t, (AstConst *)node, clause, out);
    }
    if (node->tag == AST_COLUMN_REF && ((AstColumnRef *)node)->names.count == 1 && !((AstColumnRef *)node)->star) {
        bool found;
        TRY(by_name(b, t, (AstColumnRef *)node, clause, out, &found));
        if (found) {
            return ST_OK;
        }
    }
    TRY(bind_expr_at(b, s, node, place, &e));
    TRY(coerce_known(&b->c, e, &e));
    for (uint32_t i = 0; i < t->n; i++) {
        bool same;
        TRY(expr_equal(t->v[i].expr, e, b->cx->err, &same));
        if (same) {
            *out = i;
            return ST_OK;
        }
    }
    Target hidden = {.expr = e, .name = "?column?", .hidden = true};
    *out = t->n;
    return PUSH(b, t, hidden);
}

Status bind_order_key(Binder *b, const AstSortBy *sb, const Expr *key, LogicalSort *out)
{
    if (sb->dir == AST_SORT_USING) {
        return bind_unsupported(b, sb->node.location, "ORDER BY ... USING");
    }
    if (type_compare(&key->type) == NULL && key->type.oid != OID_UNKNOWN) {
        Status st = bind_error(b, expr_leftmost(key), ST_UNDEFINED_FUNCTION,
                               "could not identify an ordering operator for type %s", type_text(key->type.oid).s);
        err_hint(b->cx->err, "Use an explicit ordering operator or modify the query.");
        return st;
    }
    bool descending = sb->dir == AST_SORT_DESC;
    *out = (LogicalSort){.key = key, .descending = descending,
                         .nulls_first = sb->nulls == AST_NULLS_DEFAULT ? descending : sb->nulls == AST_NULLS_FIRST};
    return ST_OK;
}

typedef struct SortItem {
    uint32_t target;
    LogicalSort sort;
} SortItem;
typedef BIND_VEC(SortItem) SortItems;

static Status bind_order(Binder *b, Scope *s, const AstList *list, Targets *t, SortItems *out)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const AstSortBy *sb = AST_CAST(list->items[i], SortBy, SORT_BY);
        SortItem item;
        TRY(find_target(b, s, sb->expr, t, PLACE_ORDER_BY, &item.target));
        TRY(bind_order_key(b, sb, t->v[item.target].expr, &item.sort));
        TRY(PUSH(b, out, item));
    }
    return ST_OK;
}

/* Keys as columns of the project. */
static Status add_sort(Binder *b, const SortItems *items, Rows *io)
{
    Logical *l;
    LogicalSort *keys = ARENA_ARRAY(b->c.b.arena, LogicalSort, items->n + 1u);
    if (keys == NULL) {
        return ctx_nomem(b->cx, sizeof *keys);
    }
    if (items->n == 0) {
        return ST_OK;
    }
    for (uint32_t i = 0; i < items->n; i++) {
        const LogicalColumn *c = &io->columns[items->v[i].target];
        keys[i] = items->v[i].sort;
        TRY(expr_column(&b->c.b, c->id, &c->type, -1, &keys[i].key));
    }
    TRY(bind_logical(b, LOGICAL_SORT, io->root, NULL, &l));
    l->u.sort.keys = keys;
    l->u.sort.n = items->n;
    io->root = l;
    return ST_OK;
}

/* ---- DISTINCT ---- */

static Status distinct_on(Binder *b, Scope *s, const AstSelectStmt *q, Targets *t, const SortItems *order, ExprVec *out)
{
    bool on = q->distinct.count > 0 && q->distinct.items[0] != NULL;
    for (uint32_t i = 0; on && i < q->distinct.count; i++) {
        uint32_t target;
        TRY(find_target(b, s, q->distinct.items[i], t, PLACE_DISTINCT_ON, &target));
        bool matched = order->n == 0;
        for (uint32_t k = 0; k < order->n && k < q->distinct.count; k++) {
            matched |= order->v[k].target == target;
        }
        if (!matched) {
            return bind_error(b, expr_leftmost(t->v[target].expr), ST_INVALID_COLUMN_REFERENCE,
                              "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
        }
        ValueType int4 = value_type_of(OID_INT4);
        const Expr *number; /* of the target, until the project gives it a column */
        TRY(expr_param(&b->c.b, EXPR_PARAM_EXEC, target, &int4, -1, &number));
        TRY(PUSH(b, out, number));
    }
    for (uint32_t k = 0; q->distinct.count > 0 && !on && k < order->n; k++) {
        const Target *x = &t->v[order->v[k].target];
        if (x->hidden) {
            return bind_error(b, expr_leftmost(x->expr), ST_INVALID_COLUMN_REFERENCE,
                              "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
        }
    }
    return ST_OK;
}

static Status add_distinct(Binder *b, const AstSelectStmt *q, const ExprVec *on, Rows *io)
{
    Logical *l;
    if (q->distinct.count == 0) {
        return ST_OK;
    }
    for (uint32_t i = 0; on->n == 0 && i < io->n; i++) {
        if (type_compare(&io->columns[i].type) == NULL) {
            return bind_error(b, -1, ST_UNDEFINED_FUNCTION, "could not identify an equality operator for type %s",
                              type_text(io->columns[i].type.oid).s);
        }
    }
    TRY(bind_logical(b, LOGICAL_DISTINCT, io->root, NULL, &l));
    for (uint32_t i = 0; i < on->n; i++) {
        const LogicalColumn *c = &io->columns[on->v[i]->u.number];
        TRY(expr_column(&b->c.b, c->id, &c->type, -1, &on->v[i]));
    }
    l->u.distinct.on = (LogicalExprs){on->v, on->n};
    io->root = l;
    return ST_OK;
}

/* ---- LIMIT ---- */

static Status limit_expr(Binder *b, Scope *s, AstNode *node, BindPlace place, const Expr **out)
{
    const char *what = bind_place_name(place);
    ValueType int8 = value_type_of(OID_INT8);
    if (node == NULL || (node->tag == AST_CONST && ((AstConst *)node)->kind == AST_CONST_NULL)) {
        *out = NULL;
        return ST_OK;
    }
    const Expr *e;
    TRY(bind_expr_at(b, s, node, place, &e));
    int32_t at = expr_leftmost(e);
    Status st = coerce_expr(&b->c, e, &int8, COERCE_ASSIGNMENT, EXPR_FORM_CAST_IMPLICIT, at, out);
    if (st == ST_NOT_FOUND) {
        return bind_error(b, at, ST_DATATYPE_MISMATCH, "argument of %s must be type bigint, not type %s", what,
                          type_text(e->type.oid).s);
    }
    TRY(st);
    if ((*out)->facts & EXPR_HAS_COLUMN) {
        return bind_error(b, at, ST_INVALID_COLUMN_REFERENCE, "argument of %s must not contain variables", what);
    }
    return ST_OK;
}

Status bind_limit(Binder *b, Scope *s, AstSelectStmt *q, Rows *io)
{
    const Expr *count, *offset;
    Logical *l;
    TRY(limit_expr(b, s, q->offset, PLACE_OFFSET, &offset));
    TRY(limit_expr(b, s, q->limit, PLACE_LIMIT, &count));
    if (count == NULL && offset == NULL) {
        return ST_OK;
    }
    TRY(bind_logical(b, LOGICAL_LIMIT, io->root, NULL, &l));
    l->u.limit.count = count;
    l->u.limit.offset = offset;
    l->u.limit.with_ties = q->limit_kind == AST_LIMIT_WITH_TIES;
    if (l->u.limit.with_ties && q->order_by.count == 0) {
        return bind_error(b, -1, ST_SYNTAX_ERROR, "WITH TIES cannot be specified without ORDER BY clause");
    }
    io->root = l;
    return ST_OK;
}

/* ---- FOR UPDATE ---- */

static const char *const lock_words[] = {[AST_LOCK_FOR_KEY_SHARE] = "FOR KEY SHARE", [AST_LOCK_FOR_SHARE] = "FOR SHARE",
                                         [AST_LOCK_FOR_NO_KEY_UPDATE] = "FOR NO KEY UPDATE",
                                         [AST_LOCK_FOR_UPDATE] = "FOR UPDATE"};

static Status check_locking(Binder *b, const Scope *s, const AstSelectStmt *q)
{
    const AstLockingClause *c = (const AstLockingClause *)q->locking.items[0];
    const char *with = q->op != AST_SETOP_NONE       ? "UNION/INTERSECT/EXCEPT"
                       : q->distinct.count > 0       ? "DISTINCT clause"
                       : q->group_by.count > 0       ? "GROUP BY clause"
                       : q->having != NULL           ? "HAVING clause"
                       : s->aggregates.n > 0         ? "aggregate functions"
                       : s->windows.n > 0            ? "window functions"
                       : s->has_set                  ? "set-returning functions in the target list"
                                                     : NULL;
    return with == NULL ? ST_OK
                        : bind_error(b, -1, ST_FEATURE_NOT_SUPPORTED, "%s is not allowed with %s",
                                     lock_words[c->strength], with);
}

static Status locked_item(Binder *b, const AstLockingClause *c, const RangeItem *item, bool *out_yes)
{
    *out_yes = c->relations.count == 0 && item->scan != NULL;
    for (uint32_t i = 0; i < c->relations.count; i++) {
        const AstRangeVar *rv = (const AstRangeVar *)c->relations.items[i];
        if (item->name != NULL && strcmp(item->name, rv->name.p) == 0) {
            *out_yes = true;
            if (item->scan == NULL) {
                return bind_error(b, rv->node.location, ST_FEATURE_NOT_SUPPORTED, "%s cannot be applied to this FROM item",
                                  lock_words[c->strength]);
            }
        }
    }
    return ST_OK;
}

static Status unknown_locked(Binder *b, const Scope *s, const AstLockingClause *c)
{
    for (uint32_t i = 0; i < c->relations.count; i++) {
        const AstRangeVar *rv = (const AstRangeVar *)c->relations.items[i];
        bool found = false;
        for (uint32_t k = 0; k < s->names.n; k++) {
            const char *name = s->names.v[k].item->name;
            found |= name != NULL && strcmp(name, rv->name.p) == 0;
        }
        if (!found) {
            return bind_error(b, rv->node.location, ST_UNDEFINED_TABLE,
                              "relation \"%s\" in %s clause not found in FROM clause", rv->name.p, lock_words[c->strength]);
        }
    }
    return ST_OK;
}

typedef struct LockWanted {
    const CatRelation *rel;
    uint32_t target; /* hidden, the TID */
} LockWanted;
typedef BIND_VEC(LockWanted) LocksWanted;

static Status lock_targets(Binder *b, Scope *s, const AstSelectStmt *q, Targets *t, LocksWanted *out)
{
    const AstLockingClause *c = q->locking.count > 0 ? (const AstLockingClause *)q->locking.items[0] : NULL;
    if (c == NULL) {
        return ST_OK;
    }
    TRY(check_locking(b, s, q));
    if (q->locking.count > 1) {
        return bind_unsupported(b, -1, "more than one locking clause");
    }
    TRY(unknown_locked(b, s, c));
    for (uint32_t i = 0; i < s->names.n; i++) {
        bool yes, found;
        RangeItem *item = s->names.v[i].item;
        TRY(locked_item(b, c, item, &yes));
        if (!yes) {
            continue;
        }
        Target hidden = {.name = "ctid", .hidden = true};
        LockWanted w = {item->rel, t->n};
        TRY(scope_system_column(b, s, item, "ctid", -1, &hidden.expr, &found));
        TRY(PUSH(b, t, hidden));
        TRY(PUSH(b, out, w));
        for (uint32_t k = 0; k < b->relations.n; k++) {
            if (b->relations.v[k] == item->rel && b->lock_modes.v[k] < LOCK_ROW_SHARE) {
                b->lock_modes.v[k] = LOCK_ROW_SHARE;
            }
        }
        b->writes = true;
    }
    return ST_OK;
}

static Status add_lock(Binder *b, const AstSelectStmt *q, const LocksWanted *wanted, Rows *io)
{
    static const TxnRowLock strengths[] = {[AST_LOCK_FOR_KEY_SHARE] = TXN_KEY_SHARE, [AST_LOCK_FOR_SHARE] = TXN_SHARE,
                                           [AST_LOCK_FOR_NO_KEY_UPDATE] = TXN_NO_KEY_UPDATE,
                                           [AST_LOCK_FOR_UPDATE] = TXN_UPDATE};
    static const LockWait waits[] = {[AST_LOCK_WAIT] = LOCK_WAIT, [AST_LOCK_SKIP] = LOCK_TRY, [AST_LOCK_NOWAIT] = LOCK_NOWAIT};
    Logical *l;
    if (wanted->n == 0) {
        return ST_OK;
    }
    const AstLockingClause *c = (const AstLockingClause *)q->locking.items[0];
    ColumnId *rows = ARENA_ARRAY(b->c.b.arena, ColumnId, wanted->n);
    const CatRelation **relations = ARENA_ARRAY(b->c.b.arena, const CatRelation *, wanted->n);
    if (rows == NULL || relations == NULL) {
        return ctx_nomem(b->cx, sizeof *rows);
    }
    for (uint32_t i = 0; i < wanted->n; i++) {
        rows[i] = io->columns[wanted->v[i].target].id;
        relations[i] = wanted->v[i].rel;
    }
    TRY(bind_logical(b, LOGICAL_LOCK, io->root, NULL, &l));
    l->u.lock.strength = strengths[c->strength];
    l->u.lock.wait = waits[c->wait];
    l->u.lock.rows = rows;
    l->u.lock.relations = relations;
    l->u.lock.n = wanted->n;
    io->root = l;
    return ST_OK;
}

/* ---- the whole ---- */

static Status add_filter(Binder *b, const Expr *condition, Logical **io)
{
    if (condition == NULL) {
        return ST_OK;
    }
    TRY(bind_logical(b, LOGICAL_FILTER, *io, NULL, io));
    (*io)->u.filter.condition = condition;
    return ST_OK;
}

static Status one_row(Binder *b, Logical **out)
{
    TRY(bind_logical(b, LOGICAL_VALUES, NULL, NULL, out));
    (*out)->u.values.n_rows = 1;
    return ST_OK;
}

static Status resolve_unknowns(Binder *b, Targets *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        TRY(coerce_known(&b->c, t->v[i].expr, &t->v[i].expr));
    }
    return ST_OK;
}

static Status bind_plain(Binder *b, Scope *s, AstSelectStmt *q, bool resolve_unknown, Rows *out)
{
    Targets targets = {0};
    SortItems order = {0};
    ExprVec on = {0};
    LocksWanted locks = {0};
    Logical *l = NULL;
    const Expr *where, *having;
    if (q->into != NULL) {
        return bind_unsupported(b, -1, "SELECT INTO");
    }
    s->window_defs = &q->windows;
    TRY(bind_from(b, s, &q->from, &l));
    if (l == NULL) {
        TRY(one_row(b, &l));
    }
    TRY(bind_targets(b, s, &q->targets, PLACE_SELECT, &targets));
    TRY(bind_condition(b, s, q->where, PLACE_WHERE, "WHERE", &where));
    TRY(bind_condition(b, s, q->having, PLACE_HAVING, "HAVING", &having));
    TRY(bind_order(b, s, &q->order_by, &targets, &order));
    if (resolve_unknown || q->distinct.count > 0) {
        TRY(resolve_unknowns(b, &targets));
    }
    for (uint32_t i = 0; i < order.n; i++) {
        TRY(coerce_known(&b->c, targets.v[order.v[i].target].expr, &targets.v[order.v[i].target].expr));
    }
    TRY(distinct_on(b, s, q, &targets, &order, &on));
    TRY(add_filter(b, where, &l));
    TRY(bind_grouping(b, s, q, l, &targets, &having, &l));
    TRY(add_filter(b, having, &l));
    TRY(bind_windows(b, s, l, &targets, &l));
    TRY(lock_targets(b, s, q, &targets, &locks));
    TRY(bind_project(b, l, &targets, out));
    if (q->distinct.count > 0 && on.n == 0) {
        TRY(add_distinct(b, q, &on, out));
        TRY(add_sort(b, &order, out));
    } else {
        TRY(add_sort(b, &order, out));
        TRY(add_distinct(b, q, &on, out));
    }
    TRY(add_lock(b, q, &locks, out));
    return bind_limit(b, s, q, out);
}

Status bind_select_in(Binder *b, Scope *s, AstSelectStmt *q, bool resolve_unknown, Rows *out)
{
    TRY(bind_with(b, s, q->with));
    if (q->op != AST_SETOP_NONE) {
        return bind_set_operation(b, s, q, out);
    }
    return q->values.count > 0 ? bind_values(b, s, q, out) : bind_plain(b, s, q, resolve_unknown, out);
}

Status bind_select(Binder *b, Scope *parent, AstNode *node, bool resolve_unknown, Rows *out)
{
    Scope *s = scope_new(b, parent);
    TRY(bind_deeper(b));
    if (s == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    if (node->tag != AST_SELECT_STMT) {
        return bind_unsupported(b, node->location, "a data-modifying statement here");
    }
    return bind_select_in(b, s, (AstSelectStmt *)node, resolve_unknown, out);
}
