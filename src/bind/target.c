/*
 * bind/target.c: select lists: expressions, output names (FigureColname), stars, and the project that computes them.
 */
#include "bind/bind_int.h"

/* How good a name is: 2 beats a cast's type name, 1 does not. */
static int figure(const AstNode *node, const char **out);

static int figure_select(const AstNode *node, const char **out)
{
    const AstSelectStmt *q = (const AstSelectStmt *)node;
    while (q->node.tag == AST_SELECT_STMT && q->op != AST_SETOP_NONE) {
        q = q->left;
    }
    if (q->node.tag != AST_SELECT_STMT || (q->targets.count == 0 && q->values.count == 0)) {
        return 0;
    }
    if (q->values.count > 0) {
        *out = "column1";
        return 2;
    }
    const AstResTarget *t = (const AstResTarget *)q->targets.items[0];
    *out = t->name.p != NULL ? t->name.p : "?column?";
    if (t->name.p == NULL) {
        (void)figure(t->value, out);
    }
    return 2;
}

static int named(const char *name, const char **out)
{
    *out = name;
    return 2;
}

static int figure_path(const AstIndirection *n, const char **out)
{
    for (uint32_t i = n->path.count; i > 0; i--) {
        if (n->path.items[i - 1]->tag == AST_STRING) {
            return named(((const AstString *)n->path.items[i - 1])->text.p, out);
        }
    }
    return figure(n->arg, out);
}

static int figure(const AstNode *node, const char **out)
{
    static const char *const session[] = {"current_date", "current_time", "current_time", "current_timestamp",
        "current_timestamp", "localtime", "localtime", "localtimestamp", "localtimestamp", "current_role", "current_user",
        "user", "session_user", "current_catalog", "current_schema"};
    int strength;
    if (node == NULL) {
        return 0;
    }
    switch (node->tag) {
    case AST_COLUMN_REF: {
        const AstNames *n = &((const AstColumnRef *)node)->names;
        return n->count > 0 ? named(n->items[n->count - 1].p, out) : 0;
    }
    case AST_INDIRECTION: return figure_path((const AstIndirection *)node, out);
    case AST_FUNC_CALL: {
        const AstNames *n = &((const AstFuncCall *)node)->name;
        return named(n->items[n->count - 1].p, out);
    }
    case AST_OP_EXPR: return ((const AstOpExpr *)node)->kind == AST_OP_NULLIF ? named("nullif", out) : 0;
    case AST_TYPE_CAST: {
        const AstTypeCast *c = (const AstTypeCast *)node;
        strength = figure(c->arg, out);
        if (strength <= 1) {
            *out = c->type->names.items[c->type->names.count - 1].p;
            return 1;
        }
        return strength;
    }
    case AST_CONST:
        if (((const AstConst *)node)->kind == AST_CONST_BOOL) {
            *out = "bool";
            return 1;
        }
        return 0;
    case AST_COLLATE_CLAUSE: return figure(((const AstCollateClause *)node)->arg, out);
    case AST_GROUPING_FUNC: return named("grouping", out);
    case AST_SUB_LINK:
        switch (((const AstSubLink *)node)->kind) {
        case AST_SUBLINK_EXISTS: return named("exists", out);
        case AST_SUBLINK_ARRAY: return named("array", out);
        case AST_SUBLINK_EXPR: return figure_select(((const AstSubLink *)node)->query, out);
        default: return 0;
        }
    case AST_CASE_EXPR:
        strength = figure(((const AstCaseExpr *)node)->default_result, out);
        if (strength <= 1) {
            *out = "case";
            return 1;
        }
        return strength;
    case AST_ARRAY_EXPR: return named("array", out);
    case AST_ROW_EXPR: return named("row", out);
    case AST_COALESCE_EXPR: return named("coalesce", out);
    case AST_MIN_MAX_EXPR: return named(((const AstMinMaxExpr *)node)->op == AST_LEAST ? "least" : "greatest", out);
    case AST_SQL_VALUE_FUNCTION: return named(session[((const AstSqlValueFunction *)node)->op], out);
    default: return 0;
    }
}

Status bind_targets(Binder *b, Scope *s, const AstList *list, BindPlace place, Targets *out)
{
    BindPlace was = s->place;
    s->place = place;
    for (uint32_t i = 0; i < list->count; i++) {
        const AstResTarget *t = AST_CAST(list->items[i], ResTarget, RES_TARGET);
        Target target = {.name = "?column?"};
        if (t->value->tag == AST_COLUMN_REF && ((AstColumnRef *)t->value)->star) {
            TRY(scope_star(b, s, (AstColumnRef *)t->value, out));
            continue;
        }
        if (t->value->tag == AST_COLUMN_REF) {
            TRY(scope_column_ref(b, s, (AstColumnRef *)t->value, &target.expr, &target));
        } else {
            TRY(bind_expr(b, s, t->value, &target.expr));
        }
        (void)figure(t->value, &target.name);
        target.name = t->name.p != NULL ? t->name.p : target.name;
        TRY(PUSH(b, out, target));
    }
    s->place = was;
    return ST_OK;
}

Status bind_project(Binder *b, Logical *child, const Targets *targets, Rows *out)
{
    Logical *l;
    bool sets = false;
    uint32_t visible = 0;
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, targets->n + 1u);
    const Expr **exprs = ARENA_ARRAY(b->c.b.arena, const Expr *, targets->n + 1u);
    if (columns == NULL || exprs == NULL) {
        return ctx_nomem(b->cx, targets->n * sizeof *columns);
    }
    for (uint32_t i = 0; i < targets->n; i++) {
        const Target *t = &targets->v[i];
        exprs[i] = t->expr;
        sets |= (t->expr->facts & EXPR_HAS_SET) != 0;
        visible += !t->hidden;
        columns[i] = (LogicalColumn){.type = t->expr->type, .name = t->name, .table = t->table, .attribute = t->attribute};
        TRY(bind_new_column(b, NULL, NULL, t->name, &columns[i].id));
    }
    TRY(bind_logical(b, sets ? LOGICAL_SET_PROJECT : LOGICAL_PROJECT, child, NULL, &l));
    l->columns = (LogicalColumns){columns, targets->n};
    l->u.project = (LogicalExprs){exprs, targets->n};
    *out = (Rows){l, columns, visible};
    return ST_OK;
}
