/*
 * bind/expr_op.c: operators and what is written like one (transformAExprOp and its kin), row comparisons, sublinks.
 */
#include "bind/bind_int.h"

Status bind_operator_pair(Binder *b, const char *name, const Expr **l, const Expr **r, int32_t location, OperChoice *out)
{
    TRY(overload_operator(&b->c, name, *l, *r, location, out));
    ValueType lt = value_type_of(out->left);
    ValueType rt = value_type_of(out->right);
    TRY(coerce_expr(&b->c, *l, &lt, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, (*l)->location, l));
    return coerce_expr(&b->c, *r, &rt, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, (*r)->location, r);
}

/* ---- rows ---- */

typedef Status PairFn(Binder *b, const char *name, const Expr *l, const Expr *r, int32_t location, const Expr **out);

static Status compare_pair(Binder *b, const char *name, const Expr *l, const Expr *r, int32_t location, const Expr **out)
{
    return bind_operator(&b->c, name, l, r, location, out);
}

static Status distinct_pair(Binder *b, const char *name, const Expr *l, const Expr *r, int32_t location, const Expr **out)
{
    OperChoice choice;
    TRY(bind_operator_pair(b, name, &l, &r, location, &choice));
    return expr_distinct(&b->c.b, choice.oper, l, r, false, location, out);
}

static Status same_length(Binder *b, const Expr *l, const Expr *r, int32_t location)
{
    return l->nargs == r->nargs
               ? ST_OK
               : bind_error(b, location, ST_SYNTAX_ERROR, "unequal number of entries in row expressions");
}

/* Field by field, combined by AND or OR. */
static Status row_pairs(Binder *b, PairFn *fn, const char *name, bool any, const Expr *l, const Expr *r, int32_t location,
                        const Expr **out)
{
    TRY(same_length(b, l, r, location));
    const Expr **v = ARENA_ARRAY(b->c.b.arena, const Expr *, l->nargs + 1u);
    if (v == NULL) {
        return ctx_nomem(b->cx, sizeof *v);
    }
    for (uint32_t i = 0; i < l->nargs; i++) {
        TRY(fn(b, name, l->args[i], r->args[i], location, &v[i]));
    }
    return any ? expr_or(&b->c.b, v, l->nargs, out) : expr_and(&b->c.b, v, l->nargs, out);
}

static Status row_order(Binder *b, ExprRowOp op, const char *name, const Expr *l, const Expr *r, int32_t location,
                        const Expr **out)
{
    TRY(same_length(b, l, r, location));
    const Expr **left = ARENA_ARRAY(b->c.b.arena, const Expr *, 2 * l->nargs + 1u);
    if (left == NULL) {
        return ctx_nomem(b->cx, sizeof *left);
    }
    const Expr **right = left + l->nargs;
    for (uint32_t i = 0; i < l->nargs; i++) {
        const Expr *pair[2] = {l->args[i], r->args[i]};
        OperChoice choice;
        Oid type;
        TRY(overload_operator(&b->c, name, pair[0], pair[1], location, &choice)); /* there must be one */
        TRY(coerce_common_type(&b->c, pair, 2, "ROW", &type));
        TRY(coerce_all(&b->c, pair, 2, type, "ROW"));
        left[i] = pair[0];
        right[i] = pair[1];
    }
    return expr_row_compare(&b->c.b, op, left, right, l->nargs, location, out);
}

static Status row_compare(Binder *b, const char *name, const Expr *l, const Expr *r, int32_t location, const Expr **out)
{
    static const char *const order[] = {"<", "<=", ">=", ">"};
    if (l->nargs == 0 && r->nargs == 0) {
        return bind_unsupported(b, location, "comparison of rows of zero length");
    }
    if (strcmp(name, "=") == 0 || strcmp(name, "<>") == 0) {
        return row_pairs(b, compare_pair, name, name[0] == '<', l, r, location, out);
    }
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        if (strcmp(name, order[i]) == 0) {
            return row_order(b, (ExprRowOp)i, name, l, r, location, out);
        }
    }
    Status st = bind_error(b, location, ST_FEATURE_NOT_SUPPORTED,
                           "could not determine interpretation of row comparison operator %s", name);
    err_hint(b->cx->err, "Row comparison operators must be associated with btree operator families.");
    return st;
}

static Status compare(Binder *b, const char *name, const Expr *l, const Expr *r, int32_t location, const Expr **out)
{
    return l != NULL && l->kind == EXPR_ROW && r->kind == EXPR_ROW ? row_compare(b, name, l, r, location, out)
                                                                   : bind_operator(&b->c, name, l, r, location, out);
}

/* ---- lists ---- */

static Status any_all(Binder *b, const char *name, bool all, const Expr *scalar, const Expr *array, int32_t location,
                      const Expr **out)
{
    Oid element = type_element(array->type.oid);
    if (array->type.oid == OID_UNKNOWN) {
        /* A literal or parameter takes the array type of the left side. */
        const TypeRow *row = type_by_oid(scalar->type.oid == OID_UNKNOWN ? OID_TEXT : scalar->type.oid);
        element = row->array != 0 ? row->oid : 0;
    }
    if (element == 0) {
        return bind_error(b, location, ST_WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side");
    }
    OperChoice choice;
    ValueType of_element = value_type_of(element);
    const Expr *stand_in;
    TRY(expr_case_value(&b->c.b, &of_element, &stand_in));
    TRY(overload_operator(&b->c, name, scalar, stand_in, location, &choice));
    if (choice.result != OID_BOOL) {
        return bind_error(b, location, ST_WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires operator to yield boolean");
    }
    const TypeRow *right = type_by_oid(choice.right);
    ValueType lt = value_type_of(choice.left);
    ValueType rt = value_type_of(right->array != 0 ? right->array : array->type.oid);
    TRY(coerce_expr(&b->c, scalar, &lt, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, location, &scalar));
    TRY(coerce_expr(&b->c, array, &rt, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, location, &array));
    return expr_any_all(&b->c.b, choice.oper, all, scalar, array, location, out);
}

/* Constants of one type become an array; what names columns, or has no common type, is compared one by one. */
static Status in_list(Binder *b, Scope *s, const AstOpExpr *e, const Expr **out)
{
    const AstNodeList *list = AST_CAST(e->right, NodeList, NODE_LIST);
    uint32_t n = list->items.count;
    const char *name = e->name.items[e->name.count - 1].p;
    bool negated = name[0] == '<';
    const Expr **v = ARENA_ARRAY(b->c.b.arena, const Expr *, n + 1u);
    const Expr **tests = ARENA_ARRAY(b->c.b.arena, const Expr *, n + 1u);
    if (v == NULL || tests == NULL) {
        return ctx_nomem(b->cx, n * sizeof *v);
    }
    const Expr *left;
    uint32_t n_free = 0, n_tests = 0;
    TRY(bind_expr(b, s, e->left, &left));
    for (uint32_t i = 0; i < n; i++) {
        const Expr *x;
        TRY(bind_expr(b, s, list->items.items[i], &x));
        bool free_standing = !(x->facts & EXPR_HAS_COLUMN) && x->kind != EXPR_ROW && !(x->facts & EXPR_HAS_SUBLINK);
        if (free_standing) {
            v[n_free++] = x;
        } else {
            TRY(compare(b, name, left, x, e->node.location, &tests[n_tests++]));
        }
    }
    v[n_free] = left;
    Oid type = 0;
    bool as_array = n_free > 1 && coerce_common_type(&b->c, v, n_free + 1, "IN", &type) == ST_OK &&
                    type_by_oid(type)->array != 0;
    if (n_free > 1 && type == 0) {
        err_clear(b->cx->err); /* no common type: each operator says what is wrong */
    }
    if (as_array) {
        const Expr *array;
        TRY(coerce_all(&b->c, v, n_free, type, "IN"));
        TRY(expr_array(&b->c.b, type_by_oid(type)->array, v, n_free, v[0]->location, &array));
        TRY(any_all(b, name, negated, left, array, e->node.location, &tests[n_tests++]));
        n_free = 0;
    }
    for (uint32_t i = 0; i < n_free; i++) {
        TRY(compare(b, name, left, v[i], e->node.location, &tests[n_tests++]));
    }
    return negated ? expr_and(&b->c.b, tests, n_tests, out) : expr_or(&b->c.b, tests, n_tests, out);
}

static Status between(Binder *b, const Expr *x, const Expr *low, const Expr *high, int32_t location, const Expr **out)
{
    const Expr *both[2];
    TRY(compare(b, ">=", x, low, location, &both[0]));
    TRY(compare(b, "<=", x, high, location, &both[1]));
    return expr_and(&b->c.b, both, 2, out);
}

static Status between_expr(Binder *b, Scope *s, const AstOpExpr *e, const Expr **out)
{
    const AstNodeList *bounds = AST_CAST(e->right, NodeList, NODE_LIST);
    bool symmetric = e->kind == AST_OP_BETWEEN_SYMMETRIC || e->kind == AST_OP_NOT_BETWEEN_SYMMETRIC;
    bool negated = e->kind == AST_OP_NOT_BETWEEN || e->kind == AST_OP_NOT_BETWEEN_SYMMETRIC;
    const Expr *x, *low, *high, *ways[2], *yes;
    TRY(bind_expr(b, s, e->left, &x));
    TRY(bind_expr(b, s, bounds->items.items[0], &low));
    TRY(bind_expr(b, s, bounds->items.items[1], &high));
    if (negated && !symmetric) { /* as PostgreSQL writes it: errors name < and > */
        TRY(compare(b, "<", x, low, e->node.location, &ways[0]));
        TRY(compare(b, ">", x, high, e->node.location, &ways[1]));
        return expr_or(&b->c.b, ways, 2, out);
    }
    TRY(between(b, x, low, high, e->node.location, &yes));
    if (symmetric) {
        ways[0] = yes;
        TRY(between(b, x, high, low, e->node.location, &ways[1]));
        TRY(expr_or(&b->c.b, ways, 2, &yes));
    }
    *out = yes;
    return negated ? expr_not(&b->c.b, yes, out) : ST_OK;
}

static Status distinct(Binder *b, const AstOpExpr *e, const Expr *l, const Expr *r, const Expr **out)
{
    bool is_not = e->kind == AST_OP_NOT_DISTINCT;
    OperChoice choice;
    if (expr_is_null_const(l) || expr_is_null_const(r)) {
        return expr_null_test(&b->c.b, expr_is_null_const(l) ? r : l, !is_not, out);
    }
    if (l->kind == EXPR_ROW && r->kind == EXPR_ROW) {
        TRY(row_pairs(b, distinct_pair, "=", true, l, r, e->node.location, out));
        return is_not ? expr_not(&b->c.b, *out, out) : ST_OK;
    }
    TRY(bind_operator_pair(b, "=", &l, &r, e->node.location, &choice));
    if (choice.result != OID_BOOL) {
        return bind_error(b, e->node.location, ST_DATATYPE_MISMATCH, "IS DISTINCT FROM requires = operator to yield boolean");
    }
    return expr_distinct(&b->c.b, choice.oper, l, r, is_not, e->node.location, out);
}

static Status nullif(Binder *b, const AstOpExpr *e, const Expr *l, const Expr *r, const Expr **out)
{
    OperChoice choice;
    const Expr *left = l;
    TRY(bind_operator_pair(b, "=", &l, &r, e->node.location, &choice));
    if (left->type.oid == OID_UNKNOWN) {
        left = l;
    }
    return expr_nullif(&b->c.b, choice.oper, l, r, left, e->node.location, out);
}

Status bind_op_expr(Binder *b, Scope *s, AstOpExpr *e, const Expr **out)
{
    const Expr *l = NULL;
    const Expr *r;
    const char *name = e->name.items[e->name.count - 1].p;
    switch (e->kind) {
    case AST_OP_IN: return in_list(b, s, e, out);
    case AST_OP_BETWEEN:
    case AST_OP_NOT_BETWEEN:
    case AST_OP_BETWEEN_SYMMETRIC:
    case AST_OP_NOT_BETWEEN_SYMMETRIC: return between_expr(b, s, e, out);
    default: break;
    }
    if (e->left != NULL) {
        TRY(bind_expr(b, s, e->left, &l));
    }
    TRY(bind_expr(b, s, e->right, &r));
    switch (e->kind) {
    case AST_OP_ANY:
    case AST_OP_ALL: return any_all(b, name, e->kind == AST_OP_ALL, l, r, e->node.location, out);
    case AST_OP_DISTINCT:
    case AST_OP_NOT_DISTINCT: return distinct(b, e, l, r, out);
    case AST_OP_NULLIF: return nullif(b, e, l, r, out);
    default: return compare(b, name, l, r, e->node.location, out);
    }
}

/* ---- sublinks ---- */

static Status sub_query(Binder *b, Scope *s, AstNode *query, LogicalQuery **out)
{
    Frame frame = {.parent = b->frame};
    Rows rows;
    bool lateral = s->lateral_active;
    b->frame = &frame;
    Status st = bind_select(b, s, query, true, &rows);
    b->frame = frame.parent;
    s->lateral_active = lateral;
    return st != ST_OK ? st : bind_query_of(b, &frame, &rows, out);
}

static Status any_sublink(Binder *b, Scope *s, const AstSubLink *e, LogicalQuery *q, const Expr **out)
{
    const char *name = e->op_name.count > 0 ? e->op_name.items[e->op_name.count - 1].p : "=";
    const Expr *test;
    TRY(bind_expr(b, s, e->test, &test));
    bool row = test->kind == EXPR_ROW;
    uint32_t n = row ? test->nargs : 1;
    if (n != q->output.n) {
        return bind_error(b, e->node.location, ST_SYNTAX_ERROR,
                          n < q->output.n ? "subquery has too many columns" : "subquery has too few columns");
    }
    if (n > 1 && strcmp(name, "=") != 0 && strcmp(name, "<>") != 0) {
        return bind_unsupported(b, e->node.location, "an ordering of rows against a subquery");
    }
    const OperRow **opers = ARENA_ARRAY(b->c.b.arena, const OperRow *, n + 1u);
    const Expr **left = ARENA_ARRAY(b->c.b.arena, const Expr *, n + 1u);
    Oid *types = ARENA_ARRAY(b->c.b.arena, Oid, n + 1u);
    if (opers == NULL || left == NULL || types == NULL) {
        return ctx_nomem(b->cx, n * sizeof *left);
    }
    for (uint32_t i = 0; i < n; i++) {
        OperChoice choice;
        const Expr *r;
        left[i] = row ? test->args[i] : test;
        TRY(expr_column(&b->c.b, q->output.v[i].id, &q->output.v[i].type, -1, &r));
        TRY(bind_operator_pair(b, name, &left[i], &r, e->node.location, &choice));
        if (choice.result != OID_BOOL) {
            return bind_error(b, e->node.location, ST_DATATYPE_MISMATCH,
                              "row comparison operator must yield type boolean, not type %s", type_text(choice.result).s);
        }
        opers[i] = choice.oper;
        types[i] = choice.right;
    }
    Rows rows = {q->root, (LogicalColumn *)(uintptr_t)q->output.v, q->output.n};
    TRY(bind_rows_as(b, &rows, types, "ANY"));
    q->root = rows.root;
    q->output = (LogicalColumns){rows.columns, rows.n};
    ExprSublink link = {.query = q, .opers = opers};
    ValueType boolean = value_type_of(OID_BOOL);
    return expr_sublink(&b->c.b, e->kind == AST_SUBLINK_ALL ? EXPR_SUBLINK_ALL : EXPR_SUBLINK_ANY, &link, left, n, &boolean,
                        e->node.location, out);
}

Status bind_sublink(Binder *b, Scope *s, AstSubLink *e, const Expr **out)
{
    LogicalQuery *q;
    if (s->place == PLACE_CHECK || s->place == PLACE_DEFAULT) {
        return bind_error(b, e->node.location, ST_FEATURE_NOT_SUPPORTED, "cannot use subquery in %s",
                          s->place == PLACE_CHECK ? "check constraint" : "DEFAULT expression");
    }
    TRY(sub_query(b, s, e->query, &q));
    ExprSublink link = {.query = q};
    ValueType type = value_type_of(OID_BOOL);
    switch (e->kind) {
    case AST_SUBLINK_EXISTS:
        return expr_sublink(&b->c.b, EXPR_SUBLINK_EXISTS, &link, NULL, 0, &type, e->node.location, out);
    case AST_SUBLINK_ANY:
    case AST_SUBLINK_ALL:
        return any_sublink(b, s, e, q, out);
    case AST_SUBLINK_EXPR:
    case AST_SUBLINK_ARRAY:
        break;
    default:
        return bind_unsupported(b, e->node.location, "this kind of subquery");
    }
    if (q->output.n != 1) {
        return bind_error(b, e->node.location, ST_SYNTAX_ERROR,
                          q->output.n == 0 ? "subquery must return a column" : "subquery must return only one column");
    }
    type = q->output.v[0].type;
    if (e->kind == AST_SUBLINK_EXPR) {
        return expr_sublink(&b->c.b, EXPR_SUBLINK_SCALAR, &link, NULL, 0, &type, e->node.location, out);
    }
    const TypeRow *row = type_by_oid(type.oid);
    Oid array = row->array != 0 ? row->array : type_element(type.oid) != 0 ? type.oid : 0;
    if (array == 0) {
        return bind_error(b, e->node.location, ST_UNDEFINED_OBJECT, "could not find array type for data type %s",
                          type_text(type.oid).s);
    }
    type = value_type_of(array);
    return expr_sublink(&b->c.b, EXPR_SUBLINK_ARRAY, &link, NULL, 0, &type, e->node.location, out);
}
