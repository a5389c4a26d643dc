/*
 * bind/expr_call.c: function calls: plain, set-returning, aggregate, window (ParseFuncOrColumn, parse_agg.c).
 *
 * An aggregate belongs to the innermost level whose columns its arguments name, or to its own when they name none; that
 * level's grouping (group.c) replaces it by a column.
 */
#include "bind/bind_int.h"

/* ---- arguments ---- */

static Status default_args(Binder *b, const FnRow *fn, uint32_t given, const Expr **args)
{
    StrBuf sb;
    AstNode *node = NULL;
    Scope *none = scope_new(b, NULL);
    if (none == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    strbuf_init(&sb, b->cx->budget);
    strbuf_printf(&sb, "ROW(%s)", fn->defaults);
    Status st = sb.failed ? ctx_nomem(b->cx, sb.len) : parse_expr(NULL, b->cx, sb.p, sb.len, &node);
    strbuf_done(&sb);
    TRY(st);
    const AstList *list = &AST_CAST(node, RowExpr, ROW_EXPR)->args;
    for (uint32_t i = given; i < fn->nargs; i++) {
        TRY(bind_expr(b, none, list->items[list->count - (fn->nargs - i)], &args[i]));
    }
    return ST_OK;
}

/* Brings the arguments to the chosen parameter types; what a variadic parameter takes becomes one array. */
static Status coerce_args(Binder *b, const CallArgs *call, Overload *o, const Expr **args, uint32_t *out_n)
{
    memcpy(args, call->args, call->n * sizeof *args);
    if (o->n > o->n_given && !o->spread) {
        TRY(default_args(b, o->fn, o->n_given, args));
    }
    for (uint32_t i = 0; i < o->n; i++) {
        const TypeRow *row = type_by_oid(o->params[i]);
        if (row == NULL || row->kind == 'p') {
            continue; /* "any" and what stayed polymorphic is taken as it is */
        }
        ValueType to;
        TRY(value_type(o->params[i], -1, b->cx->err, &to));
        TRY(coerce_expr(&b->c, args[i], &to, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, args[i]->location, &args[i]));
    }
    *out_n = o->n;
    if (o->spread && o->fn->variadic != OID_ANY) {
        Oid element = o->params[o->n_fixed];
        const TypeRow *row = type_by_oid(element);
        if (row == NULL || row->array == 0) {
            return bind_unsupported(b, call->location, "this variadic call");
        }
        TRY(coerce_all(&b->c, args + o->n_fixed, o->n - o->n_fixed, element, "VARIADIC"));
        TRY(expr_array(&b->c.b, row->array, args + o->n_fixed, o->n - o->n_fixed, -1, &args[o->n_fixed]));
        *out_n = o->n_fixed + 1;
    }
    return ST_OK;
}

static Status gather(Binder *b, Scope *s, const AstFuncCall *e, CallArgs *call)
{
    *call = (CallArgs){.variadic = e->variadic, .location = e->node.location};
    uint32_t extra = e->within_group ? e->order_by.count : 0;
    if (e->args.count + extra > OVERLOAD_ARGS_MAX) {
        return bind_error(b, e->node.location, ST_TOO_MANY_ARGUMENTS, "cannot pass more than %d arguments to a function",
                          OVERLOAD_ARGS_MAX);
    }
    for (uint32_t i = 0; i < e->args.count; i++) {
        AstNode *arg = e->args.items[i];
        if (arg->tag == AST_NAMED_ARG) {
            call->names[i] = ((AstNamedArg *)arg)->name.p;
            arg = ((AstNamedArg *)arg)->arg;
        }
        TRY(bind_expr(b, s, arg, &call->args[i]));
        call->n++;
    }
    for (uint32_t i = 0; i < extra; i++) {
        TRY(bind_expr(b, s, ((AstSortBy *)e->order_by.items[i])->expr, &call->args[call->n++]));
    }
    return ST_OK;
}

/* ---- levels ---- */

typedef struct LevelOf {
    Binder *b;
    Scope *s;
    Scope *found; /* innermost level that is named */
} LevelOf;

static void note_level(void *arg, const Expr *column)
{
    LevelOf *l = arg;
    Scope *owner = l->b->owners.v[column->u.column].scope;
    for (Scope *at = l->s; at != NULL && at != l->found; at = at->parent) {
        if (at == owner) {
            l->found = at;
        }
    }
}

static Status level_of_args(Binder *b, Scope *s, const Expr *const *args, uint32_t n, Scope **out)
{
    LevelOf l = {.b = b, .s = s};
    bool sublink = false;
    for (uint32_t i = 0; i < n; i++) {
        TRY(expr_columns(args[i], note_level, &l, b->cx->err));
        sublink |= (args[i]->facts & EXPR_HAS_SUBLINK) != 0;
    }
    *out = l.found == NULL || sublink ? s : l.found;
    return ST_OK;
}

typedef struct Locate {
    ExprKind kind;
    int32_t location;
} Locate;

static ExprVisit locate_kind(void *arg, const Expr *e)
{
    Locate *l = arg;
    if (e->kind == l->kind) {
        l->location = e->location;
        return EXPR_STOP;
    }
    return EXPR_DESCEND;
}

static Status refuse_inside(Binder *b, const Expr *const *args, uint32_t n, ExprKind kind, Status status, const char *text)
{
    unsigned fact = kind == EXPR_WINDOW ? EXPR_HAS_WINDOW : kind == EXPR_AGGREGATE ? EXPR_HAS_AGGREGATE : EXPR_HAS_SET;
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->facts & fact) {
            Locate l = {kind, -1};
            TRY(expr_walk(args[i], locate_kind, &l, b->cx->err));
            return bind_error(b, l.location, status, "%s", text);
        }
    }
    return ST_OK;
}

static bool place_takes_aggregate(BindPlace p)
{
    return p == PLACE_SELECT || p == PLACE_HAVING || p == PLACE_ORDER_BY || p == PLACE_DISTINCT_ON || p == PLACE_WINDOW;
}

static bool place_takes_window(BindPlace p)
{
    return p == PLACE_SELECT || p == PLACE_ORDER_BY || p == PLACE_DISTINCT_ON;
}

static bool place_takes_set(BindPlace p)
{
    return p == PLACE_SELECT || p == PLACE_ORDER_BY || p == PLACE_FROM_FUNCTION || p == PLACE_GROUP_BY ||
           p == PLACE_DISTINCT_ON;
}

/* ---- aggregates and windows ---- */

static Status filter_of(Binder *b, Scope *s, const AstFuncCall *e, const Expr **out)
{
    return bind_condition(b, s, e->filter, PLACE_FILTER, "FILTER", out);
}

static Status order_of(Binder *b, Scope *s, const AstFuncCall *e, const Expr **keys, uint8_t *flags)
{
    for (uint32_t i = 0; i < e->order_by.count; i++) {
        const AstSortBy *sb = AST_CAST(e->order_by.items[i], SortBy, SORT_BY);
        LogicalSort sort;
        if (keys[i] == NULL) {
            TRY(bind_expr(b, s, sb->expr, &keys[i]));
        }
        TRY(coerce_known(&b->c, keys[i], &keys[i]));
        TRY(bind_order_key(b, sb, keys[i], &sort));
        flags[i] = (uint8_t)(sort.descending | sort.nulls_first << 1);
    }
    return ST_OK;
}

/* DISTINCT aggregates are sorted by their arguments, so other keys would not do. */
static Status check_distinct_order(Binder *b, const AstFuncCall *e, const Expr *const *args, uint32_t n,
                                   const Expr *const *keys)
{
    for (uint32_t i = 0; e->distinct && i < e->order_by.count; i++) {
        bool same = false;
        for (uint32_t k = 0; k < n && !same; k++) {
            TRY(expr_equal(keys[i], args[k], b->cx->err, &same));
        }
        if (!same) {
            return bind_error(b, expr_leftmost(keys[i]), ST_INVALID_COLUMN_REFERENCE,
                              "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        }
    }
    return ST_OK;
}

static Status check_aggregate(Binder *b, Scope *owner, const AstFuncCall *e, const Expr *const *args, uint32_t n)
{
    TRY(refuse_inside(b, args, n, EXPR_AGGREGATE, ST_GROUPING_ERROR, "aggregate function calls cannot be nested"));
    TRY(refuse_inside(b, args, n, EXPR_WINDOW, ST_GROUPING_ERROR,
                      "aggregate function calls cannot contain window function calls"));
    TRY(refuse_inside(b, args, n, EXPR_SET, ST_FEATURE_NOT_SUPPORTED,
                      "aggregate function calls cannot contain set-returning function calls"));
    if (!place_takes_aggregate(owner->place)) {
        return bind_error(b, e->node.location, ST_GROUPING_ERROR, "aggregate functions are not allowed in %s",
                          bind_place_name(owner->place));
    }
    return ST_OK;
}

static Status aggregate(Binder *b, Scope *s, const AstFuncCall *e, const Overload *o, const Expr *const *args, uint32_t n,
                        const Expr **out)
{
    uint32_t norder = e->order_by.count;
    const Expr **all = ARENA_ARRAY(b->c.b.arena, const Expr *, n + norder + 2u);
    uint8_t *flags = ARENA_ARRAY(b->c.b.arena, uint8_t, norder + 1u);
    const Expr *filter;
    const AggRow *row = agg_row(o->fn->oid);
    if (all == NULL || flags == NULL) {
        return ctx_nomem(b->cx, n * sizeof *all);
    }
    bool ordered_set = row != NULL && row->kind != 'n';
    if (ordered_set != e->within_group && (ordered_set || row != NULL)) {
        return bind_error(b, e->node.location, ST_WRONG_OBJECT_TYPE,
                          ordered_set ? "WITHIN GROUP is required for ordered-set aggregate %s"
                                      : "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                          o->fn->name);
    }
    ExprAggregate agg = {.fn = o->fn, .agg = row, .nargs = n, .norder = norder, .order_flags = flags,
                         .distinct = e->distinct, .star = e->star};
    memcpy(all, args, n * sizeof *all);
    if (ordered_set) {
        agg.ndirect = n - norder;
        agg.nargs = norder;
        memcpy(all + n, args + agg.ndirect, norder * sizeof *all);
    }
    TRY(order_of(b, s, e, all + n, flags));
    TRY(check_distinct_order(b, e, args, n, all + n));
    TRY(filter_of(b, s, e, &filter));
    agg.has_filter = filter != NULL;
    all[n + norder] = filter;
    ValueType type;
    TRY(value_type(o->result, -1, b->cx->err, &type));
    bool conflict;
    type.collation = bind_collation(args, n, o->result, &conflict);
    if (e->over != NULL) {
        if (e->distinct || norder > 0) {
            return bind_error(b, e->node.location, ST_FEATURE_NOT_SUPPORTED,
                              e->distinct ? "DISTINCT is not implemented for window functions"
                                          : "aggregate ORDER BY is not implemented for window functions");
        }
        TRY(refuse_inside(b, args, n, EXPR_WINDOW, ST_WINDOWING_ERROR, "window function calls cannot be nested"));
        if (!place_takes_window(s->place)) {
            return bind_error(b, e->node.location, ST_WINDOWING_ERROR, "window functions are not allowed in %s",
                              bind_place_name(s->place));
        }
        TRY(bind_window_clause(b, s, e->over, &agg.window));
        return expr_aggregate(&b->c.b, EXPR_WINDOW, &agg, all, &type, e->node.location, out);
    }
    Scope *owner;
    uint32_t total = n + norder + agg.has_filter;
    TRY(level_of_args(b, s, all, total, &owner));
    TRY(check_aggregate(b, owner, e, all, total));
    TRY(expr_aggregate(&b->c.b, EXPR_AGGREGATE, &agg, all, &type, e->node.location, out));
    return PUSH(b, &owner->aggregates, *out);
}

/* ---- the call ---- */

static Status misuse(Binder *b, const AstFuncCall *e, const char *name, const FnRow *fn)
{
    int32_t at = e->node.location;
    if (fn->kind == 'w' && e->over == NULL) {
        return bind_error(b, at, ST_WRONG_OBJECT_TYPE, "window function %s requires an OVER clause", name);
    }
    if (fn->kind == 'p') {
        Status st = bind_error(b, at, ST_WRONG_OBJECT_TYPE, "%s(%s) is a procedure", name, "");
        err_hint(b->cx->err, "To call a procedure, use CALL.");
        return st;
    }
    if (fn->kind != 'f') {
        return ST_OK;
    }
    const char *what = e->distinct             ? "DISTINCT"
                       : e->within_group       ? "WITHIN GROUP"
                       : e->order_by.count > 0 ? "ORDER BY"
                       : e->filter != NULL     ? "FILTER"
                                               : NULL;
    if (e->star) {
        return bind_error(b, at, ST_WRONG_OBJECT_TYPE, "%s(*) specified, but %s is not an aggregate function", name, name);
    }
    if (what != NULL) {
        return bind_error(b, at, ST_WRONG_OBJECT_TYPE, "%s specified, but %s is not an aggregate function", what, name);
    }
    return e->over == NULL ? ST_OK
                           : bind_error(b, at, ST_WRONG_OBJECT_TYPE,
                                        "OVER specified, but %s is not a window function nor an aggregate function", name);
}

static Status plain_call(Binder *b, Scope *s, ExprForm form, CallArgs *call, Overload *o, const Expr **out)
{
    const Expr *args[OVERLOAD_ARGS_MAX];
    uint32_t n;
    bool conflict;
    TRY(coerce_args(b, call, o, args, &n));
    if (o->fn->flags & FN_RETSET) {
        if (s != NULL && !place_takes_set(s->place)) {
            return bind_error(b, call->location, ST_FEATURE_NOT_SUPPORTED, "set-returning functions are not allowed in %s",
                              bind_place_name(s->place));
        }
        if (s != NULL) {
            s->has_set |= s->place != PLACE_FROM_FUNCTION;
        }
    }
    Oid collation = bind_collation(args, n, o->result, &conflict);
    return expr_function(&b->c.b, o->fn, form, args, n, o->result, collation, call->location, out);
}

Status bind_call(Binder *b, const char *name, const Expr *const *args, uint32_t n, int32_t location, const Expr **out)
{
    CallArgs call = {.n = n, .location = location};
    Overload o;
    if (n > 0) {
        memcpy(call.args, args, n * sizeof *args);
    }
    TRY(overload_function(&b->c, name, &call, &o));
    return plain_call(b, NULL, EXPR_FORM_SQL, &call, &o, out);
}

static const char *call_name(Binder *b, const AstFuncCall *e)
{
    Str last = e->name.items[e->name.count - 1];
    if (e->name.count == 1 || str_eq(e->name.items[e->name.count - 2], STR_LIT("pg_catalog"))) {
        return last.p;
    }
    return arena_printf(b->c.b.arena, "%s.%s", e->name.items[e->name.count - 2].p, last.p);
}

Status bind_func_call(Binder *b, Scope *s, AstFuncCall *e, const Expr **out)
{
    CallArgs call;
    Overload o;
    const char *name = call_name(b, e);
    if (name == NULL) {
        return ctx_nomem(b->cx, 0);
    }
    TRY(gather(b, s, e, &call));
    TRY(overload_function(&b->c, name, &call, &o));
    if (o.cast_to != 0) {
        ValueType to = value_type_of(o.cast_to);
        return coerce_cast(&b->c, call.args[0], &to, e->node.location, out);
    }
    TRY(misuse(b, e, name, o.fn));
    Status st;
    if (o.fn->kind == 'f') {
        ExprForm form = e->variadic ? EXPR_FORM_VARIADIC
                        : e->format == AST_CALL_SQL_SYNTAX ? EXPR_FORM_SQL : EXPR_FORM_FUNCTION;
        st = plain_call(b, s, form, &call, &o, out);
    } else {
        const Expr *args[OVERLOAD_ARGS_MAX];
        uint32_t n;
        if (call.n == 0 && !e->star && o.fn->kind == 'a' && !e->within_group) {
            return bind_error(b, e->node.location, ST_WRONG_OBJECT_TYPE,
                              "%s(*) must be used to call a parameterless aggregate function", name);
        }
        st = coerce_args(b, &call, &o, args, &n);
        st = st != ST_OK ? st : aggregate(b, s, e, &o, args, n, out);
    }
    if (st != ST_OK) {
        err_position(b->cx->err, e->node.location + 1);
    }
    return st;
}
