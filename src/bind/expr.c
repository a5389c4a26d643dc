/*
 * bind/expr.c: expressions (parse_expr.c): literals, names, logic, CASE and its kin, casts, rows and arrays. Operators are
 * in expr_op.c, calls in expr_call.c.
 */
#include "bind/bind_int.h"

const char *bind_place_name(BindPlace place)
{
    static const char *const names[] = {
        [PLACE_SELECT] = "SELECT",       [PLACE_FROM_FUNCTION] = "functions in FROM", [PLACE_JOIN_ON] = "JOIN conditions",
        [PLACE_WHERE] = "WHERE",         [PLACE_HAVING] = "HAVING",                   [PLACE_FILTER] = "FILTER",
        [PLACE_GROUP_BY] = "GROUP BY",   [PLACE_ORDER_BY] = "ORDER BY",               [PLACE_DISTINCT_ON] = "DISTINCT ON",
        [PLACE_WINDOW] = "window definitions", [PLACE_LIMIT] = "LIMIT",               [PLACE_OFFSET] = "OFFSET",
        [PLACE_VALUES] = "VALUES",       [PLACE_RETURNING] = "RETURNING",             [PLACE_UPDATE] = "UPDATE",
        [PLACE_CHECK] = "check constraints", [PLACE_DEFAULT] = "DEFAULT expressions",
    };
    return names[place];
}

Status bind_expr_at(Binder *b, Scope *s, AstNode *node, BindPlace place, const Expr **out)
{
    BindPlace was = s->place;
    s->place = place;
    Status st = bind_expr(b, s, node, out);
    s->place = was;
    return st;
}

Status bind_condition(Binder *b, Scope *s, AstNode *node, BindPlace place, const char *what, const Expr **out)
{
    const Expr *e;
    *out = NULL;
    if (node == NULL) {
        return ST_OK;
    }
    TRY(bind_expr_at(b, s, node, place, &e));
    return coerce_boolean(&b->c, e, what, out);
}

static Status bind_list(Binder *b, Scope *s, const AstList *list, const Expr ***out)
{
    const Expr **v = ARENA_ARRAY(b->c.b.arena, const Expr *, list->count + 1u);
    if (v == NULL) {
        return ctx_nomem(b->cx, list->count * sizeof *v);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(bind_expr(b, s, list->items[i], &v[i]));
    }
    *out = v;
    return ST_OK;
}

/* ---- literals and parameters ---- */

/* Integers beyond 32 bits are bigint, beyond 64 numeric; up to 18 digits numeric is fixed point. */
static Status number(Binder *b, const AstConst *c, const Expr **out)
{
    ExprValue v;
    ValueType t = value_type_of(OID_NUMERIC);
    int digits = 0, scale = 0;
    bool point = false, plain = true;
    memset(&v, 0, sizeof v);
    for (size_t i = 0; i < c->text.len; i++) {
        char ch = c->text.p[i];
        bool digit = ch >= '0' && ch <= '9';
        plain = plain && (digit || (ch == '.' && !point) || (ch == '-' && i == 0));
        point = point || ch == '.';
        digits += digit;
        scale += digit && point;
    }
    if (plain && !point && digits <= 19) {
        Int128 wide = 0;
        for (size_t i = c->text.p[0] == '-'; i < c->text.len; i++) {
            wide = wide * 10 + (c->text.p[i] - '0');
        }
        wide = c->text.p[0] == '-' ? -wide : wide;
        if (wide >= INT64_MIN && wide <= INT64_MAX) {
            t = value_type_of(OID_INT8);
            v.i64 = (int64_t)wide;
            return expr_const(&b->c.b, &t, &v, c->node.location, out);
        }
    }
    if (plain && digits <= 18) {
        t.phys = P_I64;
        t.precision = (uint8_t)(digits > 0 ? digits : 1);
        t.scale = (int16_t)scale;
    }
    FnCtx fx = {.cx = b->cx, .arena = b->c.b.arena, .facts = b->c.facts};
    Status st = type_in(&fx, &t, c->text, b->c.b.arena, &v);
    if (st != ST_OK) {
        err_position(b->cx->err, c->node.location + 1);
        return st;
    }
    return expr_const(&b->c.b, &t, &v, c->node.location, out);
}

static Status literal(Binder *b, const AstConst *c, const Expr **out)
{
    ExprValue v;
    memset(&v, 0, sizeof v);
    ValueType t = value_type_of(c->kind == AST_CONST_INT ? OID_INT4 : c->kind == AST_CONST_BOOL ? OID_BOOL : OID_UNKNOWN);
    switch (c->kind) {
    case AST_CONST_NULL:
        return expr_const(&b->c.b, &t, NULL, c->node.location, out);
    case AST_CONST_INT:
        v.i32 = c->ival;
        break;
    case AST_CONST_BOOL:
        v.b = c->ival != 0;
        break;
    case AST_CONST_STRING:
        v.str = strview_make(c->text.p, (uint32_t)c->text.len);
        break;
    case AST_CONST_FLOAT:
        return number(b, c, out);
    case AST_CONST_BIT:
        return bind_unsupported(b, c->node.location, "a bit string literal");
    }
    return expr_const(&b->c.b, &t, &v, c->node.location, out);
}

static Status parameter(Binder *b, const AstParamRef *p, const Expr **out)
{
    if (p->number < 1 || p->number > UINT16_MAX) {
        return bind_error(b, p->node.location, ST_UNDEFINED_PARAMETER, "there is no parameter $%d", p->number);
    }
    while (b->params.n < (uint32_t)p->number) {
        TRY(PUSH(b, &b->params, value_type_of(OID_UNKNOWN)));
    }
    return expr_param(&b->c.b, EXPR_PARAM_EXTERN, (uint32_t)p->number, &b->params.v[p->number - 1], p->node.location, out);
}

/* ---- logic ---- */

static Status boolean(Binder *b, Scope *s, const AstBoolExpr *e, const Expr **out)
{
    static const char *const names[] = {"AND", "OR", "NOT"};
    const Expr **args;
    TRY(bind_list(b, s, &e->args, &args));
    for (uint32_t i = 0; i < e->args.count; i++) {
        TRY(coerce_boolean(&b->c, args[i], names[e->op], &args[i]));
    }
    return e->op == AST_BOOL_NOT   ? expr_not(&b->c.b, args[0], out)
           : e->op == AST_BOOL_AND ? expr_and(&b->c.b, args, e->args.count, out)
                                   : expr_or(&b->c.b, args, e->args.count, out);
}

/* A row is (not) null when all its fields are; so neither may hold. */
static Status null_test(Binder *b, Scope *s, const AstNullTest *e, const Expr **out)
{
    const Expr *arg;
    bool is_not = e->kind == AST_IS_NOT_NULL;
    TRY(bind_expr(b, s, e->arg, &arg));
    if (arg->kind != EXPR_ROW) {
        return expr_null_test(&b->c.b, arg, is_not, out);
    }
    const Expr **tests = ARENA_ARRAY(b->c.b.arena, const Expr *, arg->nargs + 1u);
    if (tests == NULL) {
        return ctx_nomem(b->cx, sizeof *tests);
    }
    for (uint32_t i = 0; i < arg->nargs; i++) {
        TRY(expr_null_test(&b->c.b, arg->args[i], is_not, &tests[i]));
    }
    return expr_and(&b->c.b, tests, arg->nargs, out);
}

static Status boolean_test(Binder *b, Scope *s, const AstBooleanTest *e, const Expr **out)
{
    static const char *const names[] = {"IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"};
    const Expr *arg;
    TRY(bind_expr(b, s, e->arg, &arg));
    TRY(coerce_boolean(&b->c, arg, names[e->kind], &arg));
    return expr_bool_test(&b->c.b, arg, (ExprBoolTest)e->kind, out);
}

/* ---- choices ---- */

/* The results of CASE: ELSE counts first (transformCaseExpr). */
static Status case_results(Binder *b, const Expr **args, uint32_t first, uint32_t n)
{
    uint32_t k = 0;
    Oid type;
    const Expr **results = ARENA_ARRAY(b->c.b.arena, const Expr *, n);
    if (results == NULL) {
        return ctx_nomem(b->cx, n * sizeof *results);
    }
    results[k++] = args[n - 1];
    for (uint32_t i = first + 1; i < n - 1; i += 2) {
        results[k++] = args[i];
    }
    TRY(coerce_common_type(&b->c, results, k, "CASE", &type));
    TRY(coerce_all(&b->c, results, k, type, "CASE"));
    args[n - 1] = results[0];
    k = 1;
    for (uint32_t i = first + 1; i < n - 1; i += 2) {
        args[i] = results[k++];
    }
    return ST_OK;
}

static Status case_expr(Binder *b, Scope *s, const AstCaseExpr *e, const Expr **out)
{
    uint32_t first = e->arg != NULL;
    uint32_t n = first + 2 * e->whens.count + 1;
    const Expr **args = ARENA_ARRAY(b->c.b.arena, const Expr *, n);
    const Expr *value = NULL;
    if (args == NULL) {
        return ctx_nomem(b->cx, n * sizeof *args);
    }
    if (first) {
        TRY(bind_expr(b, s, e->arg, &args[0]));
        TRY(coerce_known(&b->c, args[0], &args[0]));
        TRY(expr_case_value(&b->c.b, &args[0]->type, &value));
    }
    for (uint32_t i = 0; i < e->whens.count; i++) {
        const AstCaseWhen *w = AST_CAST(e->whens.items[i], CaseWhen, CASE_WHEN);
        const Expr *condition;
        TRY(bind_expr(b, s, w->condition, &condition));
        if (value != NULL) {
            TRY(bind_operator(&b->c, "=", value, condition, w->node.location, &condition));
        }
        TRY(coerce_boolean(&b->c, condition, "CASE/WHEN", &args[first + 2 * i]));
        TRY(bind_expr(b, s, w->result, &args[first + 2 * i + 1]));
    }
    if (e->default_result != NULL) {
        TRY(bind_expr(b, s, e->default_result, &args[n - 1]));
    } else {
        ValueType unknown = value_type_of(OID_UNKNOWN);
        TRY(expr_const_null(&b->c.b, &unknown, &args[n - 1]));
    }
    TRY(case_results(b, args, first, n));
    return expr_case(&b->c.b, first != 0, args, n, e->node.location, out);
}

static Status unified(Binder *b, Scope *s, const AstList *list, const char *what, const Expr ***out)
{
    Oid type;
    TRY(bind_list(b, s, list, out));
    TRY(coerce_common_type(&b->c, *out, list->count, what, &type));
    return coerce_all(&b->c, *out, list->count, type, what);
}

/* ---- arrays, rows, casts ---- */

/* `want` 0: the common type of the elements; otherwise an array type, of a cast around the constructor. */
static Status array(Binder *b, Scope *s, const AstArrayExpr *e, Oid want, const Expr **out)
{
    uint32_t n = e->elements.count;
    const Expr **v = ARENA_ARRAY(b->c.b.arena, const Expr *, n + 1u);
    if (v == NULL) {
        return ctx_nomem(b->cx, n * sizeof *v);
    }
    bool nested = false;
    for (uint32_t i = 0; i < n; i++) {
        AstNode *el = e->elements.items[i];
        nested |= el->tag == AST_ARRAY_EXPR;
        TRY(el->tag == AST_ARRAY_EXPR ? array(b, s, (AstArrayExpr *)el, want, &v[i]) : bind_expr(b, s, el, &v[i]));
    }
    Oid type = nested ? want : type_element(want);
    if (want == 0) {
        if (n == 0) {
            Status st = bind_error(b, e->node.location, ST_INDETERMINATE_DATATYPE, "cannot determine type of empty array");
            err_hint(b->cx->err, "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
            return st;
        }
        TRY(coerce_common_type(&b->c, v, n, "ARRAY", &type));
        TRY(coerce_all(&b->c, v, n, type, "ARRAY"));
        const TypeRow *row = type_by_oid(type);
        bool of_arrays = row->array == 0 && type_element(type) != 0;
        want = of_arrays ? type : row->array;
        if (want == 0) {
            return bind_error(b, e->node.location, ST_UNDEFINED_OBJECT, "could not find array type for data type %s",
                              type_text(type).s);
        }
    } else {
        ValueType to = value_type_of(type);
        for (uint32_t i = 0; i < n; i++) {
            TRY(coerce_cast(&b->c, v[i], &to, -1, &v[i]));
        }
    }
    return expr_array(&b->c.b, want, v, n, e->node.location, out);
}

static Status cast(Binder *b, Scope *s, const AstTypeCast *e, const Expr **out)
{
    ValueType to;
    const Expr *arg;
    TRY(bind_type_name(b, e->type, &to));
    Oid element = type_element(to.oid);
    if (e->arg->tag == AST_ARRAY_EXPR && element != 0) {
        TRY(array(b, s, (AstArrayExpr *)e->arg, to.oid, &arg));
    } else {
        TRY(bind_expr(b, s, e->arg, &arg));
    }
    int32_t at = e->node.location >= 0 ? e->node.location : e->type->node.location;
    return coerce_cast(&b->c, arg, &to, at, out);
}

static Status collate(Binder *b, Scope *s, const AstCollateClause *e, const Expr **out)
{
    const Expr *arg;
    Str name = e->name.items[e->name.count - 1];
    const CollationRow *row = collation_by_name(name);
    TRY(bind_expr(b, s, e->arg, &arg));
    if (type_by_oid(arg->type.oid)->collation == 0 && arg->type.oid != OID_UNKNOWN) {
        return bind_error(b, e->node.location, ST_DATATYPE_MISMATCH, "collations are not supported by type %s",
                          type_text(arg->type.oid).s);
    }
    if (row == NULL) {
        return bind_error(b, e->node.location, ST_UNDEFINED_OBJECT, "collation \"%s\" for encoding \"UTF8\" does not exist",
                          name.p);
    }
    TRY(coerce_known(&b->c, arg, &arg));
    return expr_collate(&b->c.b, arg, row->oid, e->node.location, out);
}

static Status subscripts(Binder *b, Scope *s, const Expr *base, const AstList *path, uint32_t *io_at, const Expr **out)
{
    const Expr *subs[2 * FN_CALL_ARGS + 2];
    ValueType int4 = value_type_of(OID_INT4);
    uint32_t end = *io_at, n = 0;
    bool slice = false;
    for (; end < path->count && path->items[end]->tag == AST_INDICES; end++) {
        slice |= ((const AstIndices *)path->items[end])->is_slice;
    }
    if (type_element(base->type.oid) == 0) {
        return bind_error(b, expr_leftmost(base), ST_DATATYPE_MISMATCH,
                          "cannot subscript type %s because it does not support subscripting", type_text(base->type.oid).s);
    }
    if (end - *io_at > 6) {
        return bind_error(b, -1, ST_PROGRAM_LIMIT_EXCEEDED,
                          "number of array dimensions (%u) exceeds the maximum allowed (6)", end - *io_at);
    }
    for (uint32_t i = *io_at; i < end; i++) {
        const AstIndices *x = (const AstIndices *)path->items[i];
        AstNode *bounds[2] = {x->lower, x->upper};
        for (unsigned k = slice ? 0 : 1; k < 2; k++) {
            const Expr *e;
            if (bounds[k] == NULL && k == 0 && !x->is_slice) { /* [n] beside a slice means [1:n] */
                int32_t one = 1;
                TRY(expr_const(&b->c.b, &int4, &one, -1, &e));
            } else if (bounds[k] == NULL) {
                TRY(expr_const_null(&b->c.b, &int4, &e));
            } else {
                TRY(bind_expr(b, s, bounds[k], &e));
                int32_t at = expr_leftmost(e);
                Status st = coerce_expr(&b->c, e, &int4, COERCE_ASSIGNMENT, EXPR_FORM_CAST_IMPLICIT, at, &e);
                if (st == ST_NOT_FOUND) {
                    return bind_error(b, at, ST_DATATYPE_MISMATCH, "array subscript must have type integer");
                }
                TRY(st);
            }
            subs[n++] = e;
        }
    }
    *io_at = end;
    return expr_subscript(&b->c.b, base, slice, subs, n, base->location, out);
}

static Status indirection(Binder *b, Scope *s, const AstIndirection *e, const Expr **out)
{
    const Expr *x;
    const RangeItem *item = NULL;
    if (e->arg->tag == AST_COLUMN_REF && ((const AstColumnRef *)e->arg)->names.count == 1) {
        item = scope_find_item(b, s, (Str){0}, ((const AstColumnRef *)e->arg)->names.items[0]);
    }
    TRY(bind_expr(b, s, e->arg, &x));
    for (uint32_t i = 0; i < e->path.count;) {
        AstNode *step = e->path.items[i];
        if (step->tag == AST_INDICES) {
            TRY(subscripts(b, s, x, &e->path, &i, &x));
            continue;
        }
        const char *name = step->tag == AST_STRING ? ((const AstString *)step)->text.p : NULL;
        const Expr *field = NULL;
        for (uint32_t k = 0; x->kind == EXPR_ROW && item != NULL && name != NULL && k < item->n_columns; k++) {
            field = strcmp(item->columns[k].name, name) == 0 ? x->args[k] : field;
        }
        if (field == NULL && x->type.oid == OID_RECORD) {
            return name == NULL ? bind_unsupported(b, expr_leftmost(x), "row expansion via \"*\" here")
                                : bind_error(b, expr_leftmost(x), ST_UNDEFINED_COLUMN,
                                             "could not identify column \"%s\" in record data type", name);
        }
        if (field == NULL) {
            return bind_error(b, expr_leftmost(x), ST_WRONG_OBJECT_TYPE,
                              "column notation .%s applied to type %s, which is not a composite type",
                              name != NULL ? name : "*", type_text(x->type.oid).s);
        }
        x = field;
        i++;
    }
    *out = x;
    return ST_OK;
}

/* ---- values of the session ---- */

static Status session_value(Binder *b, const AstSqlValueFunction *e, const Expr **out)
{
    static const struct {
        ExprSessionOp op;
        const char *fn;
        Oid type;
    } kinds[] = {
        [AST_CURRENT_DATE] = {EXPR_CURRENT_DATE, "now", OID_DATE},
        [AST_CURRENT_TIME] = {EXPR_CURRENT_TIME, "now", OID_TIMETZ},
        [AST_CURRENT_TIME_N] = {EXPR_CURRENT_TIME, "now", OID_TIMETZ},
        [AST_CURRENT_TIMESTAMP] = {EXPR_CURRENT_TIMESTAMP, "now", OID_TIMESTAMPTZ},
        [AST_CURRENT_TIMESTAMP_N] = {EXPR_CURRENT_TIMESTAMP, "now", OID_TIMESTAMPTZ},
        [AST_LOCALTIME] = {EXPR_LOCALTIME, "now", OID_TIME},
        [AST_LOCALTIME_N] = {EXPR_LOCALTIME, "now", OID_TIME},
        [AST_LOCALTIMESTAMP] = {EXPR_LOCALTIMESTAMP, "now", OID_TIMESTAMP},
        [AST_LOCALTIMESTAMP_N] = {EXPR_LOCALTIMESTAMP, "now", OID_TIMESTAMP},
        [AST_CURRENT_ROLE] = {EXPR_CURRENT_ROLE, "current_user", OID_NAME},
        [AST_CURRENT_USER] = {EXPR_CURRENT_USER, "current_user", OID_NAME},
        [AST_USER] = {EXPR_USER, "current_user", OID_NAME},
        [AST_SESSION_USER] = {EXPR_SESSION_USER, "session_user", OID_NAME},
        [AST_CURRENT_CATALOG] = {EXPR_CURRENT_CATALOG, "current_database", OID_NAME},
        [AST_CURRENT_SCHEMA] = {EXPR_CURRENT_SCHEMA, "current_schema", OID_NAME},
    };
    const Expr *body;
    ValueType to = value_type_of(kinds[e->op].type);
    TRY(bind_call(b, kinds[e->op].fn, NULL, 0, e->node.location, &body));
    to.typmod = e->typmod;
    TRY(coerce_cast(&b->c, body, &to, e->node.location, &body));
    return expr_session(&b->c.b, kinds[e->op].op, e->typmod, body, e->node.location, out);
}

Status bind_expr(Binder *b, Scope *s, AstNode *node, const Expr **out)
{
    const Expr **v;
    TRY(bind_deeper(b));
    switch (node->tag) {
    case AST_CONST: return literal(b, (AstConst *)node, out);
    case AST_COLUMN_REF:
        return ((AstColumnRef *)node)->star
                   ? bind_unsupported(b, node->location, "row expansion via \"*\" here")
                   : scope_column_ref(b, s, (AstColumnRef *)node, out, NULL);
    case AST_PARAM_REF: return parameter(b, (AstParamRef *)node, out);
    case AST_OP_EXPR: return bind_op_expr(b, s, (AstOpExpr *)node, out);
    case AST_BOOL_EXPR: return boolean(b, s, (AstBoolExpr *)node, out);
    case AST_NULL_TEST: return null_test(b, s, (AstNullTest *)node, out);
    case AST_BOOLEAN_TEST: return boolean_test(b, s, (AstBooleanTest *)node, out);
    case AST_SUB_LINK: return bind_sublink(b, s, (AstSubLink *)node, out);
    case AST_CASE_EXPR: return case_expr(b, s, (AstCaseExpr *)node, out);
    case AST_COALESCE_EXPR:
        TRY(unified(b, s, &((AstCoalesceExpr *)node)->args, "COALESCE", &v));
        return expr_coalesce(&b->c.b, v, ((AstCoalesceExpr *)node)->args.count, node->location, out);
    case AST_MIN_MAX_EXPR: {
        const AstMinMaxExpr *m = (const AstMinMaxExpr *)node;
        TRY(unified(b, s, &m->args, m->op == AST_LEAST ? "LEAST" : "GREATEST", &v));
        return expr_min_max(&b->c.b, m->op == AST_LEAST, v, m->args.count, node->location, out);
    }
    case AST_ROW_EXPR:
        TRY(bind_list(b, s, &((AstRowExpr *)node)->args, &v));
        return expr_row(&b->c.b, v, ((AstRowExpr *)node)->args.count, node->location, out);
    case AST_ARRAY_EXPR: return array(b, s, (AstArrayExpr *)node, 0, out);
    case AST_INDIRECTION: return indirection(b, s, (AstIndirection *)node, out);
    case AST_TYPE_CAST: return cast(b, s, (AstTypeCast *)node, out);
    case AST_COLLATE_CLAUSE: return collate(b, s, (AstCollateClause *)node, out);
    case AST_FUNC_CALL: return bind_func_call(b, s, (AstFuncCall *)node, out);
    case AST_SQL_VALUE_FUNCTION: return session_value(b, (AstSqlValueFunction *)node, out);
    case AST_SET_TO_DEFAULT:
        return bind_error(b, node->location, ST_SYNTAX_ERROR, "DEFAULT is not allowed in this context");
    case AST_GROUPING_FUNC: return bind_unsupported(b, node->location, "GROUPING");
    case AST_CURRENT_OF: return bind_unsupported(b, node->location, "WHERE CURRENT OF");
    case AST_UNSUPPORTED: return bind_unsupported(b, node->location, ((AstUnsupported *)node)->feature.p);
    default: return bind_unsupported(b, node->location, ast_tag_name((AstTag)node->tag));
    }
}
