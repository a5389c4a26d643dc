/*
 * bind/finish.c: what can be said only when the whole statement is bound: which columns scans must read, what operators
 * that pass columns through produce, and what sublinks take from outside. And logical_check.
 */
#include "bind/bind_int.h"
#include "os/thread.h"

typedef struct Finish {
    Binder *b;
    uint8_t *used;     /* by ColumnId */
    uint8_t *produced; /* by ColumnId: inside the query that is looked at */
    BIND_VEC(ColumnId) outer;
    Status failed; /* what stopped a walk: a visitor can only say that it stops */
} Finish;

/* The status of a walk whose visitor stops for errors. */
static Status walked(const Finish *f, Status st)
{
    return st != ST_OK ? st : f->failed;
}

/* ---- which columns are used ---- */

static Status use_query(Finish *f, const LogicalQuery *q);

static ExprVisit use_node(void *arg, const Expr *e)
{
    Finish *f = arg;
    if (e->kind == EXPR_COLUMN) {
        f->used[e->u.column] = 1;
    }
    if (e->kind == EXPR_SUBLINK) {
        f->failed = use_query(f, e->u.sublink->query);
    }
    return f->failed != ST_OK ? EXPR_STOP : EXPR_DESCEND;
}

static Status use_expr(void *arg, const Expr **e)
{
    Finish *f = arg;
    return walked(f, expr_walk(*e, use_node, f, f->b->cx->err));
}

static void use_lists(Finish *f, const Logical *l)
{
    if (l == NULL || !os_stack_ok(OS_STACK_RESERVE)) {
        return;
    }
    for (uint32_t i = 0; l->kind == LOGICAL_LOCK && i < l->u.lock.n; i++) {
        f->used[l->u.lock.rows[i]] = 1;
    }
    if (l->kind == LOGICAL_MODIFY && l->u.modify.kind != LOGICAL_INSERT) {
        f->used[l->u.modify.row] = 1;
    }
    use_lists(f, l->left);
    use_lists(f, l->right);
}

static Status use_query(Finish *f, const LogicalQuery *q)
{
    TRY(bind_deeper(f->b));
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        TRY(use_query(f, q->ctes[i].query));
    }
    for (uint32_t i = 0; i < q->output.n; i++) {
        f->used[q->output.v[i].id] = 1;
    }
    use_lists(f, q->root);
    return logical_each_expr(f->b, q->root, use_expr, f);
}

/* ---- what operators produce ---- */

static void prune_scan(const Finish *f, Logical *l)
{
    LogicalColumn *columns = (LogicalColumn *)(uintptr_t)l->columns.v;
    int16_t *attributes = (int16_t *)(uintptr_t)l->u.scan.attributes;
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->columns.n; i++) {
        if (f->used[columns[i].id]) {
            attributes[n] = attributes[i];
            columns[n++] = columns[i];
        }
    }
    l->columns.n = n;
}

static Status concat(Finish *f, const LogicalColumns *a, const LogicalColumns *c, LogicalColumns *out)
{
    LogicalColumn *v = ARENA_ARRAY(f->b->c.b.arena, LogicalColumn, a->n + c->n + 1u);
    if (v == NULL) {
        return ctx_nomem(f->b->cx, (a->n + c->n) * sizeof *v);
    }
    for (uint32_t i = 0; i < a->n + c->n; i++) {
        v[i] = i < a->n ? a->v[i] : c->v[i - a->n];
    }
    *out = (LogicalColumns){v, a->n + c->n};
    return ST_OK;
}

static Status produce(Finish *f, Logical *l)
{
    if (l == NULL) {
        return ST_OK;
    }
    TRY(bind_deeper(f->b));
    TRY(produce(f, l->left));
    TRY(produce(f, l->right));
    switch (l->kind) {
    case LOGICAL_SCAN:
        prune_scan(f, l);
        break;
    case LOGICAL_FILTER:
    case LOGICAL_SORT:
    case LOGICAL_LIMIT:
    case LOGICAL_DISTINCT:
    case LOGICAL_LOCK:
        l->columns = l->left->columns;
        break;
    case LOGICAL_JOIN:
        return concat(f, &l->left->columns, &l->right->columns, &l->columns);
    case LOGICAL_WINDOW:
        return concat(f, &l->left->columns, &l->columns, &l->columns);
    default:
        break;
    }
    return ST_OK;
}

static Status produce_query(Finish *f, const LogicalQuery *q);

static ExprVisit produce_node(void *arg, const Expr *e)
{
    Finish *f = arg;
    if (e->kind == EXPR_SUBLINK) {
        f->failed = produce_query(f, e->u.sublink->query);
    }
    return f->failed != ST_OK ? EXPR_STOP : EXPR_DESCEND;
}

static Status produce_expr(void *arg, const Expr **e)
{
    Finish *f = arg;
    return (*e)->facts & EXPR_HAS_SUBLINK ? walked(f, expr_walk(*e, produce_node, f, f->b->cx->err)) : ST_OK;
}

/* ---- what comes from outside ---- */

static void mark(Finish *f, const Logical *l)
{
    if (l == NULL || !os_stack_ok(OS_STACK_RESERVE)) {
        return;
    }
    for (uint32_t i = 0; i < l->columns.n; i++) {
        f->produced[l->columns.v[i].id] = 1;
    }
    if (l->kind == LOGICAL_MODIFY) {
        const LogicalModify *m = &l->u.modify;
        for (uint32_t i = 0; i < m->relation->n_columns; i++) {
            f->produced[m->row_columns[i]] = 1;
            if (m->conflict != NULL && m->conflict->existing != NULL) {
                f->produced[m->conflict->existing[i]] = 1;
            }
        }
    }
    mark(f, l->left);
    mark(f, l->right);
}

static ExprVisit outer_node(void *arg, const Expr *e)
{
    Finish *f = arg;
    if (e->kind == EXPR_COLUMN && !f->produced[e->u.column]) {
        f->produced[e->u.column] = 1; /* once */
        f->failed = PUSH(f->b, &f->outer, e->u.column);
    }
    if (e->kind == EXPR_SUBLINK) {
        const LogicalQuery *q = e->u.sublink->query;
        for (uint32_t i = 0; i < q->n_outer && f->failed == ST_OK; i++) {
            if (!f->produced[q->outer[i]]) {
                f->produced[q->outer[i]] = 1;
                f->failed = PUSH(f->b, &f->outer, q->outer[i]);
            }
        }
    }
    return f->failed != ST_OK ? EXPR_STOP : EXPR_DESCEND;
}

static Status outer_expr(void *arg, const Expr **e)
{
    Finish *f = arg;
    return walked(f, expr_walk(*e, outer_node, f, f->b->cx->err));
}

static Status produce_query(Finish *f, const LogicalQuery *query)
{
    LogicalQuery *q = (LogicalQuery *)(uintptr_t)query;
    TRY(bind_deeper(f->b));
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        TRY(produce_query(f, q->ctes[i].query));
    }
    TRY(produce(f, q->root));
    TRY(logical_each_expr(f->b, q->root, produce_expr, f)); /* sublinks first */
    Finish mine = {.b = f->b, .used = f->used, .produced = ARENA_ARRAY(f->b->c.b.arena, uint8_t, f->b->owners.n + 1u)};
    if (mine.produced == NULL) {
        return ctx_nomem(f->b->cx, f->b->owners.n);
    }
    mark(&mine, q->root);
    TRY(logical_each_expr(f->b, q->root, outer_expr, &mine));
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        for (uint32_t k = 0; k < q->ctes[i].query->n_outer; k++) {
            ColumnId id = q->ctes[i].query->outer[k];
            if (!mine.produced[id]) {
                mine.produced[id] = 1;
                TRY(PUSH(f->b, &mine.outer, id));
            }
        }
    }
    q->outer = mine.outer.v;
    q->n_outer = mine.outer.n;
    return ST_OK;
}

Status bind_finish(Binder *b, LogicalStatement *s)
{
    Finish f = {.b = b, .used = ARENA_ARRAY(b->c.b.arena, uint8_t, b->owners.n + 1u)};
    if (f.used == NULL) {
        return ctx_nomem(b->cx, b->owners.n);
    }
    TRY(use_query(&f, s->query));
    return produce_query(&f, s->query);
}

/* ---- checking ---- */

typedef struct Check {
    Ctx *cx;
    uint8_t *seen; /* L2: produced so far */
    uint32_t n;
} Check;

static bool passes_through(LogicalKind k)
{
    return k == LOGICAL_FILTER || k == LOGICAL_SORT || k == LOGICAL_LIMIT || k == LOGICAL_DISTINCT || k == LOGICAL_LOCK ||
           k == LOGICAL_JOIN;
}

static Status check_node(Check *c, const Logical *l)
{
    if (l == NULL) {
        return ST_OK;
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(c->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    TRY(check_node(c, l->left));
    TRY(check_node(c, l->right));
    uint32_t first = l->kind == LOGICAL_WINDOW ? l->left->columns.n : 0;
    for (uint32_t i = first; i < l->columns.n && !passes_through(l->kind); i++) {
        ASSERT(l->columns.v[i].id < c->n && !c->seen[l->columns.v[i].id]);
        c->seen[l->columns.v[i].id] = 1;
    }
    const Expr *condition = l->kind == LOGICAL_FILTER ? l->u.filter.condition
                            : l->kind == LOGICAL_JOIN ? l->u.join.condition : NULL;
    ASSERT(condition == NULL || condition->type.oid == OID_BOOL);
    for (uint32_t i = 0; l->kind == LOGICAL_SET_OPERATION && i < l->columns.n; i++) {
        ASSERT(l->left->columns.v[i].type.oid == l->columns.v[i].type.oid);
        ASSERT(l->right->columns.v[i].type.oid == l->columns.v[i].type.oid);
    }
    return ST_OK;
}

Status logical_check(Ctx *cx, const LogicalStatement *s)
{
    Check c = {.cx = cx, .seen = ARENA_ARRAY(cx->arena, uint8_t, s->next_column + 1u), .n = s->next_column};
    if (c.seen == NULL) {
        return ctx_nomem(cx, s->next_column);
    }
    ASSERT(s->query->n_outer == 0);
    for (uint32_t i = 0; i < s->query->n_ctes; i++) {
        TRY(check_node(&c, s->query->ctes[i].query->root));
    }
    return check_node(&c, s->query->root);
}
