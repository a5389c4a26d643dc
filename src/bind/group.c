/*
 * bind/group.c: GROUP BY, grouping sets, aggregates and windows: what stands above their operators is rewritten to name
 * the columns that they compute (parse_agg.c).
 */
#include "bind/bind_int.h"

/* ---- replacing from the top down ---- */

/* Answers the replacement in *out, or leaves it NULL to go on with the children. `depth`: sublinks around e. */
typedef Status MapFn(void *arg, const Expr *e, uint32_t depth, const Expr **out);

typedef struct Map {
    Binder *b;
    MapFn *fn;
    void *arg;
    uint32_t depth;
} Map;

static Status map_expr(Map *m, const Expr *e, const Expr **out);

static Status map_in_query(void *arg, const Expr **io)
{
    return map_expr(arg, *io, io);
}

static Status map_query(Map *m, const LogicalQuery *q)
{
    m->depth++;
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        TRY(map_query(m, q->ctes[i].query));
    }
    TRY(logical_each_expr(m->b, q->root, map_in_query, m));
    m->depth--;
    return ST_OK;
}

static Status map_expr(Map *m, const Expr *e, const Expr **out)
{
    const Expr *found = NULL;
    const Expr *args[FN_CALL_ARGS];
    const Expr **v = args;
    TRY(bind_deeper(m->b));
    TRY(m->fn(m->arg, e, m->depth, &found));
    if (found != NULL) {
        *out = found;
        return ST_OK;
    }
    if (e->kind == EXPR_SUBLINK) {
        TRY(map_query(m, e->u.sublink->query));
    }
    if (e->nargs > ARRAY_LEN(args) && (v = ARENA_ARRAY(m->b->c.b.arena, const Expr *, e->nargs)) == NULL) {
        return ctx_nomem(m->b->cx, e->nargs * sizeof *v);
    }
    for (uint32_t i = 0; i < e->nargs; i++) {
        TRY(map_expr(m, e->args[i], &v[i]));
    }
    return expr_with_args(&m->b->c.b, e, v, out);
}

static Status each(LogicalExprFn *fn, void *arg, const Expr *const *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const Expr **slot = (const Expr **)(uintptr_t)&v[i]; /* the arrays are the binder's own */
        if (*slot != NULL) {
            TRY(fn(arg, slot));
        }
    }
    return ST_OK;
}

static Status each_sort(LogicalExprFn *fn, void *arg, const LogicalSort *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        TRY(each(fn, arg, &v[i].key, 1));
    }
    return ST_OK;
}

static Status each_set(LogicalExprFn *fn, void *arg, const LogicalModifyColumn *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        TRY(each(fn, arg, &v[i].value, 1));
    }
    return ST_OK;
}

static Status each_of_modify(LogicalModify *m, LogicalExprFn *fn, void *arg)
{
    TRY(each_set(fn, arg, m->set, m->n_set));
    for (uint32_t i = 0; i < m->n_checks; i++) {
        TRY(each(fn, arg, &m->checks[i].condition, 1));
    }
    if (m->conflict != NULL) {
        TRY(each_set(fn, arg, m->conflict->set, m->conflict->n_set));
        TRY(each(fn, arg, &m->conflict->condition, 1));
    }
    return each(fn, arg, m->returning.v, m->returning.n);
}

Status logical_each_expr(Binder *b, Logical *l, LogicalExprFn *fn, void *arg)
{
    if (l == NULL) {
        return ST_OK;
    }
    if (b != NULL) {
        TRY(bind_deeper(b));
    }
    TRY(logical_each_expr(b, l->left, fn, arg));
    TRY(logical_each_expr(b, l->right, fn, arg));
    switch (l->kind) {
    case LOGICAL_VALUES: return each(fn, arg, l->u.values.rows, l->u.values.n_rows * l->columns.n);
    case LOGICAL_FUNCTIONS: return each(fn, arg, l->u.functions.calls.v, l->u.functions.calls.n);
    case LOGICAL_FILTER: return each(fn, arg, &l->u.filter.condition, 1);
    case LOGICAL_PROJECT:
    case LOGICAL_SET_PROJECT: return each(fn, arg, l->u.project.v, l->u.project.n);
    case LOGICAL_JOIN: return each(fn, arg, &l->u.join.condition, 1);
    case LOGICAL_AGGREGATE:
        TRY(each(fn, arg, l->u.aggregate.keys.v, l->u.aggregate.keys.n));
        return each(fn, arg, l->u.aggregate.aggregates.v, l->u.aggregate.aggregates.n);
    case LOGICAL_WINDOW:
        TRY(each(fn, arg, l->u.window.calls.v, l->u.window.calls.n));
        TRY(each(fn, arg, l->u.window.partition.v, l->u.window.partition.n));
        TRY(each_sort(fn, arg, l->u.window.order, l->u.window.n_order));
        TRY(each(fn, arg, &l->u.window.start_offset, 1));
        return each(fn, arg, &l->u.window.end_offset, 1);
    case LOGICAL_DISTINCT: return each(fn, arg, l->u.distinct.on.v, l->u.distinct.on.n);
    case LOGICAL_SORT: return each_sort(fn, arg, l->u.sort.keys, l->u.sort.n);
    case LOGICAL_LIMIT:
        TRY(each(fn, arg, &l->u.limit.count, 1));
        return each(fn, arg, &l->u.limit.offset, 1);
    case LOGICAL_MODIFY: return each_of_modify(&l->u.modify, fn, arg);
    default: return ST_OK;
    }
}

/* ---- grouping ---- */

typedef struct Grouping {
    Binder *b;
    Scope *s;
    ExprVec keys;
    ExprVec aggregates;
    ColumnVec key_columns;
    ColumnVec aggregate_columns;
    bool sets;
} Grouping;

static Status add_key(Grouping *g, const Expr *key, uint32_t *out)
{
    Binder *b = g->b;
    for (uint32_t i = 0; i < g->keys.n; i++) {
        bool same;
        TRY(expr_equal(g->keys.v[i], key, b->cx->err, &same));
        if (same) {
            *out = i;
            return ST_OK;
        }
    }
    if (type_compare(&key->type) == NULL) {
        return bind_error(b, expr_leftmost(key), ST_UNDEFINED_FUNCTION,
                          "could not identify an equality operator for type %s", type_text(key->type.oid).s);
    }
    LogicalColumn c = {.type = key->type, .name = "?column?"};
    if (key->kind == EXPR_COLUMN && b->owners.v[key->u.column].name != NULL) {
        c.name = b->owners.v[key->u.column].name;
    }
    TRY(bind_new_column(b, NULL, NULL, c.name, &c.id));
    *out = g->keys.n;
    TRY(PUSH(b, &g->keys, key));
    return PUSH(b, &g->key_columns, c);
}

/* The columns of a primary key are keys: then so may be all columns of its table. */
static bool determined(const Grouping *g, const ColumnOwner *o)
{
    const CatRelation *rel = o->item != NULL ? o->item->rel : NULL;
    for (uint32_t c = 0; rel != NULL && c < rel->n_constraints; c++) {
        const CatConstraint *k = &rel->constraints[c];
        uint32_t have = 0;
        for (uint32_t i = 0; k->type == 'p' && i < k->n_keys; i++) {
            bool found = false;
            for (uint32_t n = 0; n < o->item->n_columns; n++) {
                for (uint32_t key = 0; key < g->keys.n && o->item->columns[n].attribute == k->keys[i]; key++) {
                    found |= g->keys.v[key]->kind == EXPR_COLUMN &&
                             g->keys.v[key]->u.column == o->item->columns[n].expr->u.column;
                }
            }
            have += found;
        }
        if (k->type == 'p' && !k->deferrable && have == k->n_keys) {
            return true;
        }
    }
    return false;
}

static Status ungrouped(Grouping *g, const Expr *e, uint32_t depth, const Expr **out)
{
    Binder *b = g->b;
    const ColumnOwner *o = &b->owners.v[e->u.column];
    if (!g->sets && determined(g, o)) {
        uint32_t at;
        TRY(add_key(g, e, &at));
        return expr_column(&b->c.b, g->key_columns.v[at].id, &g->key_columns.v[at].type, e->location, out);
    }
    const char *table = o->item != NULL && o->item->name != NULL ? o->item->name : "unnamed_join";
    return bind_error(b, e->location, ST_GROUPING_ERROR,
                      depth > 0 ? "subquery uses ungrouped column \"%s.%s\" from outer query"
                                : "column \"%s.%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                      table, o->name);
}

static Status aggregate_column(Grouping *g, const Expr *e, const Expr **out)
{
    Binder *b = g->b;
    for (uint32_t i = 0; i < g->aggregates.n; i++) {
        bool same;
        TRY(expr_equal(g->aggregates.v[i], e, b->cx->err, &same));
        if (same && !(e->facts & EXPR_HAS_VOLATILE)) {
            const LogicalColumn *c = &g->aggregate_columns.v[i];
            return expr_column(&b->c.b, c->id, &c->type, e->location, out);
        }
    }
    LogicalColumn c = {.type = e->type, .name = e->u.aggregate->fn->name};
    TRY(bind_new_column(b, NULL, NULL, c.name, &c.id));
    TRY(PUSH(b, &g->aggregates, e));
    TRY(PUSH(b, &g->aggregate_columns, c));
    return expr_column(&b->c.b, c.id, &c.type, e->location, out);
}

static Status above_group(void *arg, const Expr *e, uint32_t depth, const Expr **out)
{
    Grouping *g = arg;
    bool same = false;
    for (uint32_t i = 0; i < g->keys.n && e->kind != EXPR_CONST; i++) {
        TRY(expr_equal(g->keys.v[i], e, g->b->cx->err, &same));
        if (same) {
            const LogicalColumn *c = &g->key_columns.v[i];
            return expr_column(&g->b->c.b, c->id, &c->type, e->location, out);
        }
    }
    if (e->kind == EXPR_AGGREGATE) {
        for (uint32_t i = 0; i < g->s->aggregates.n; i++) {
            TRY(expr_equal(g->s->aggregates.v[i], e, g->b->cx->err, &same));
            if (same) {
                return aggregate_column(g, e, out);
            }
        }
    }
    bool ours = e->kind == EXPR_COLUMN && g->b->owners.v[e->u.column].scope == g->s;
    return ours ? ungrouped(g, e, depth, out) : ST_OK;
}

/* What a GROUP BY item means: a column of FROM before an output name. */
static Status group_item(Grouping *g, AstNode *node, const Targets *t, const Expr **out)
{
    Binder *b = g->b;
    const AstColumnRef *ref = (const AstColumnRef *)node;
    const AstConst *c = (const AstConst *)node;
    uint32_t visible = 0;
    if (node->tag == AST_CONST) {
        if (c->kind != AST_CONST_INT) {
            return bind_error(b, node->location, ST_SYNTAX_ERROR, "non-integer constant in GROUP BY");
        }
        for (uint32_t i = 0; i < t->n; i++) {
            if (!t->v[i].hidden && (int32_t)++visible == c->ival) {
                *out = t->v[i].expr;
                return ST_OK;
            }
        }
        return bind_error(b, node->location, ST_INVALID_COLUMN_REFERENCE, "GROUP BY position %d is not in select list",
                          c->ival);
    }
    bool bare = node->tag == AST_COLUMN_REF && ref->names.count == 1 && !ref->star;
    bool in_from = false;
    for (uint32_t i = 0; bare && i < g->s->names.n; i++) {
        const RangeItem *item = g->s->names.v[i].item;
        for (uint32_t k = 0; g->s->names.v[i].columns_visible && k < item->n_columns; k++) {
            in_from |= strcmp(item->columns[k].name, ref->names.items[0].p) == 0;
        }
    }
    for (uint32_t i = 0; bare && !in_from && i < t->n; i++) {
        if (!t->v[i].hidden && strcmp(t->v[i].name, ref->names.items[0].p) == 0) {
            *out = t->v[i].expr;
            return ST_OK;
        }
    }
    TRY(bind_expr_at(b, g->s, node, PLACE_GROUP_BY, out));
    return coerce_known(&b->c, *out, out);
}

typedef BIND_VEC(uint64_t) SetVec;

enum { GROUPING_SETS_MAX = 4096, GROUPING_KEYS_MAX = 64 };

static Status bits_of(Grouping *g, AstNode *node, const Targets *t, uint64_t *out)
{
    AstNode *one[1] = {node};
    AstList list = {one, 1};
    if (node->tag == AST_ROW_EXPR) {
        list = ((AstRowExpr *)node)->args;
    }
    *out = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        const Expr *e;
        uint32_t key;
        TRY(group_item(g, list.items[i], t, &e));
        TRY(add_key(g, e, &key));
        if (g->sets && key >= GROUPING_KEYS_MAX) {
            return bind_unsupported(g->b, node->location, "more than 64 grouping columns");
        }
        *out |= g->sets ? UINT64_C(1) << key : 0;
    }
    return ST_OK;
}

/* The sets that one element stands for. */
static Status expand(Grouping *g, AstNode *node, const Targets *t, SetVec *out)
{
    uint64_t bits = 0;
    Binder *b = g->b;
    if (node->tag != AST_GROUPING_SET) {
        TRY(bits_of(g, node, t, &bits));
        return PUSH(b, out, bits);
    }
    const AstGroupingSet *set = (const AstGroupingSet *)node;
    uint64_t part[16];
    uint32_t n = set->content.count;
    if (set->kind == AST_GROUPING_EMPTY) {
        return PUSH(b, out, bits);
    }
    if (set->kind == AST_GROUPING_SETS) {
        for (uint32_t i = 0; i < n; i++) {
            TRY(expand(g, set->content.items[i], t, out));
        }
        return ST_OK;
    }
    if (n > (set->kind == AST_GROUPING_CUBE ? 12 : ARRAY_LEN(part))) {
        return bind_error(b, node->location, ST_TOO_MANY_COLUMNS, "CUBE is limited to 12 elements");
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(bits_of(g, set->content.items[i], t, &part[i]));
    }
    uint32_t count = set->kind == AST_GROUPING_CUBE ? 1u << n : n + 1;
    for (uint32_t k = 0; k < count; k++) {
        bits = 0;
        for (uint32_t i = 0; i < n; i++) {
            bool in = set->kind == AST_GROUPING_CUBE ? !(k >> (n - 1 - i) & 1) : i < n - k;
            bits |= in ? part[i] : 0;
        }
        TRY(PUSH(b, out, bits));
    }
    return ST_OK;
}

/* GROUP BY a, ROLLUP (b), ...: the product of its elements. */
static Status group_keys(Grouping *g, const AstSelectStmt *q, const Targets *t, SetVec *out)
{
    for (uint32_t i = 0; i < q->group_by.count; i++) {
        g->sets |= q->group_by.items[i]->tag == AST_GROUPING_SET;
    }
    TRY(PUSH(g->b, out, UINT64_C(0)));
    for (uint32_t i = 0; i < q->group_by.count; i++) {
        SetVec more = {0}, product = {0};
        TRY(expand(g, q->group_by.items[i], t, &more));
        if ((uint64_t)out->n * more.n > GROUPING_SETS_MAX) {
            return bind_error(g->b, -1, ST_STATEMENT_TOO_COMPLEX, "too many grouping sets present (maximum 4096)");
        }
        for (uint32_t x = 0; x < out->n; x++) {
            for (uint32_t y = 0; y < more.n; y++) {
                TRY(PUSH(g->b, &product, out->v[x] | more.v[y]));
            }
        }
        *out = product;
    }
    return ST_OK;
}

static Status map_windows(Map *m, Scope *s)
{
    for (uint32_t i = 0; i < s->windows.n; i++) {
        WindowClause *w = &s->windows.v[i];
        for (uint32_t k = 0; k < w->partition.n; k++) {
            TRY(map_expr(m, w->partition.v[k], &w->partition.v[k]));
        }
        for (uint32_t k = 0; k < w->n_order; k++) {
            TRY(map_expr(m, w->order[k].key, &w->order[k].key));
        }
    }
    return ST_OK;
}

static Status make_aggregate(Grouping *g, const SetVec *sets, Logical *child, Logical **out)
{
    Binder *b = g->b;
    uint32_t n = g->keys.n + g->aggregates.n;
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, n + 1u);
    Logical *l;
    if (columns == NULL) {
        return ctx_nomem(b->cx, n * sizeof *columns);
    }
    for (uint32_t i = 0; i < n; i++) {
        columns[i] = i < g->keys.n ? g->key_columns.v[i] : g->aggregate_columns.v[i - g->keys.n];
    }
    TRY(bind_logical(b, LOGICAL_AGGREGATE, child, NULL, &l));
    l->columns = (LogicalColumns){columns, n};
    l->u.aggregate = (LogicalAggregate){.keys = {g->keys.v, g->keys.n}, .aggregates = {g->aggregates.v, g->aggregates.n},
                                        .grouping_sets = g->sets ? sets->v : NULL, .n_grouping_sets = g->sets ? sets->n : 0};
    *out = l;
    return ST_OK;
}

Status bind_grouping(Binder *b, Scope *s, AstSelectStmt *q, Logical *child, Targets *targets, const Expr **having,
                     Logical **out)
{
    Grouping g = {.b = b, .s = s};
    SetVec sets = {0};
    Map m = {.b = b, .fn = above_group, .arg = &g};
    *out = child;
    if (q->group_by.count == 0 && s->aggregates.n == 0 && *having == NULL) {
        return ST_OK;
    }
    if (q->group_distinct) {
        return bind_unsupported(b, -1, "GROUP BY DISTINCT");
    }
    TRY(group_keys(&g, q, targets, &sets));
    for (uint32_t i = 0; i < g.keys.n; i++) {
        if (g.keys.v[i]->facts & (EXPR_HAS_AGGREGATE | EXPR_HAS_WINDOW)) {
            bool aggregate = (g.keys.v[i]->facts & EXPR_HAS_AGGREGATE) != 0;
            return bind_error(b, expr_leftmost(g.keys.v[i]), aggregate ? ST_GROUPING_ERROR : ST_WINDOWING_ERROR,
                              "%s functions are not allowed in GROUP BY", aggregate ? "aggregate" : "window");
        }
    }
    for (uint32_t i = 0; i < targets->n; i++) {
        TRY(map_expr(&m, targets->v[i].expr, &targets->v[i].expr));
    }
    if (*having != NULL) {
        TRY(map_expr(&m, *having, having));
    }
    TRY(map_windows(&m, s));
    return make_aggregate(&g, &sets, child, out);
}

/* ---- windows ---- */

static Status frame_offset(Binder *b, Scope *s, AstNode *node, int32_t frame, const Expr **out)
{
    ValueType int8 = value_type_of(OID_INT8);
    const char *mode = frame & AST_FRAME_ROWS ? "ROWS" : "GROUPS";
    *out = NULL;
    if (node == NULL) {
        return ST_OK;
    }
    if (frame & AST_FRAME_RANGE) {
        return bind_unsupported(b, node->location, "RANGE with an offset");
    }
    TRY(bind_expr_at(b, s, node, PLACE_WINDOW, out));
    int32_t at = expr_leftmost(*out);
    if ((*out)->facts & EXPR_HAS_COLUMN) {
        return bind_error(b, at, ST_INVALID_COLUMN_REFERENCE, "argument of %s must not contain variables", mode);
    }
    Oid given = (*out)->type.oid;
    Status st = coerce_expr(&b->c, *out, &int8, COERCE_ASSIGNMENT, EXPR_FORM_CAST_IMPLICIT, at, out);
    return st != ST_NOT_FOUND ? st
                              : bind_error(b, at, ST_DATATYPE_MISMATCH, "argument of %s must be type bigint, not type %s",
                                           mode, type_text(given).s);
}

static const AstWindowDef *named_window(const Scope *s, const char *name)
{
    for (uint32_t i = 0; s->window_defs != NULL && i < s->window_defs->count; i++) {
        const AstWindowDef *d = (const AstWindowDef *)s->window_defs->items[i];
        if (d->name.p != NULL && strcmp(d->name.p, name) == 0) {
            return d;
        }
    }
    return NULL;
}

Status bind_window_clause(Binder *b, Scope *s, const AstWindowDef *def, uint32_t *out_number)
{
    WindowClause w = {.frame = def->frame};
    const AstWindowDef *base = NULL;
    const char *name = def->name.p != NULL ? def->name.p : def->ref_name.p;
    if (name != NULL) {
        base = named_window(s, name);
        if (base == NULL) {
            return bind_error(b, def->node.location, ST_UNDEFINED_OBJECT, "window \"%s\" does not exist", name);
        }
        if (base->ref_name.p != NULL) {
            return bind_unsupported(b, def->node.location, "a window that refers to another one");
        }
    }
    if (def->name.p != NULL) {
        def = base;
        base = NULL;
        w.frame = def->frame;
    }
    if (base != NULL && def->partition_by.count > 0) {
        return bind_error(b, def->node.location, ST_WINDOWING_ERROR, "cannot override PARTITION BY clause of window \"%s\"",
                          name);
    }
    const AstList *partition = base != NULL ? &base->partition_by : &def->partition_by;
    const AstList *order = base != NULL && base->order_by.count > 0 ? &base->order_by : &def->order_by;
    for (uint32_t i = 0; i < partition->count; i++) {
        const Expr *e;
        TRY(bind_expr_at(b, s, partition->items[i], PLACE_WINDOW, &e));
        TRY(coerce_known(&b->c, e, &e));
        TRY(PUSH(b, &w.partition, e));
    }
    w.order = ARENA_ARRAY(b->c.b.arena, LogicalSort, order->count + 1u);
    if (w.order == NULL) {
        return ctx_nomem(b->cx, sizeof *w.order);
    }
    for (uint32_t i = 0; i < order->count; i++) {
        const AstSortBy *sb = (const AstSortBy *)order->items[i];
        const Expr *e;
        TRY(bind_expr_at(b, s, sb->expr, PLACE_WINDOW, &e));
        TRY(coerce_known(&b->c, e, &e));
        TRY(bind_order_key(b, sb, e, &w.order[w.n_order++]));
    }
    TRY(frame_offset(b, s, def->start_offset, w.frame, &w.start_offset));
    TRY(frame_offset(b, s, def->end_offset, w.frame, &w.end_offset));
    *out_number = s->windows.n;
    return PUSH(b, &s->windows, w);
}

typedef struct WindowCalls {
    Binder *b;
    ExprVec calls;
    ColumnVec columns;
    uint32_t number;
} WindowCalls;

static Status above_window(void *arg, const Expr *e, uint32_t depth, const Expr **out)
{
    WindowCalls *w = arg;
    if (e->kind != EXPR_WINDOW || depth > 0 || e->u.aggregate->window != w->number) {
        return ST_OK;
    }
    LogicalColumn c = {.type = e->type, .name = e->u.aggregate->fn->name};
    TRY(bind_new_column(w->b, NULL, NULL, c.name, &c.id));
    TRY(PUSH(w->b, &w->calls, e));
    TRY(PUSH(w->b, &w->columns, c));
    return expr_column(&w->b->c.b, c.id, &c.type, e->location, out);
}

Status bind_windows(Binder *b, Scope *s, Logical *child, Targets *targets, Logical **out)
{
    *out = child;
    for (uint32_t i = 0; i < s->windows.n; i++) {
        WindowCalls calls = {.b = b, .number = i};
        Map m = {.b = b, .fn = above_window, .arg = &calls};
        const WindowClause *w = &s->windows.v[i];
        for (uint32_t k = 0; k < targets->n; k++) {
            if (targets->v[k].expr->facts & EXPR_HAS_WINDOW) {
                TRY(map_expr(&m, targets->v[k].expr, &targets->v[k].expr));
            }
        }
        if (calls.calls.n == 0) {
            continue;
        }
        TRY(bind_logical(b, LOGICAL_WINDOW, *out, NULL, out));
        (*out)->columns = (LogicalColumns){calls.columns.v, calls.columns.n}; /* the child's come before, in finish.c */
        (*out)->u.window = (LogicalWindow){.calls = {calls.calls.v, calls.calls.n},
                                           .partition = {w->partition.v, w->partition.n},
                                           .order = w->order, .n_order = w->n_order, .frame = w->frame,
                                           .start_offset = w->start_offset, .end_offset = w->end_offset};
    }
    return ST_OK;
}
