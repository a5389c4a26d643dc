/*
 * bind/coerce.c: see coerce.h.
 */
#include "bind/coerce.h"

#include "os/thread.h"


TypeText type_text(Oid oid)
{
    TypeText t;
    type_name_text(oid, t.s);
    return t;
}

int32_t expr_leftmost(const Expr *e)
{
    int32_t at = e->location;
    bool infix = e->kind == EXPR_CALL || e->kind == EXPR_AND || e->kind == EXPR_OR || e->kind == EXPR_DISTINCT ||
                 e->kind == EXPR_NULLIF || e->kind == EXPR_ANY_ALL || e->kind == EXPR_NULL_TEST ||
                 e->kind == EXPR_BOOL_TEST || e->kind == EXPR_COLLATE || e->kind == EXPR_SUBLINK;
    if (infix && e->nargs > 0 && os_stack_ok(OS_STACK_RESERVE)) {
        int32_t first = expr_leftmost(e->args[0]);
        return first >= 0 && (at < 0 || first < at) ? first : at;
    }
    return at;
}

/* ---- what is possible ---- */

static char category(Oid oid)
{
    const TypeRow *t = type_by_oid(oid);
    return t != NULL ? t->category : 'X';
}

static bool is_array(Oid oid)
{
    Oid elem = type_element(oid);
    const TypeRow *e = elem != 0 ? type_by_oid(elem) : NULL;
    return e != NULL && e->array == oid; /* name, int2vector and oidvector have elements but are no true arrays */
}

/* Does the polymorphic (or other pseudo) type take a value of `from`? Consistency among arguments is overload.c's. */
static bool pseudo_accepts(Oid from, Oid to)
{
    switch (to) {
    case OID_ANY:
    case OID_ANYELEMENT:
    case OID_ANYCOMPATIBLE:
        return true;
    case OID_ANYARRAY:
    case OID_ANYCOMPATIBLEARRAY:
        return is_array(from) || from == OID_ANYARRAY;
    case OID_ANYNONARRAY:
    case OID_ANYCOMPATIBLENONARRAY:
        return !is_array(from);
    case OID_ANYENUM:
        return category(from) == 'E';
    default:
        return false;
    }
}

bool coerce_binary(Oid from, Oid to)
{
    if (from == to || to == OID_ANY || to == OID_ANYELEMENT || to == OID_ANYCOMPATIBLE) {
        return true;
    }
    if ((to == OID_ANYARRAY || to == OID_ANYCOMPATIBLEARRAY) && is_array(from)) {
        return true;
    }
    if ((to == OID_ANYNONARRAY || to == OID_ANYCOMPATIBLENONARRAY) && !is_array(from)) {
        return true;
    }
    const CastRow *row = cast_find(from, to);
    return row != NULL && row->method == 'b' && row->context == 'i';
}

static bool context_allows(char cast_context, CoerceContext context)
{
    return cast_context == 'i' || context == COERCE_EXPLICIT || (cast_context == 'a' && context == COERCE_ASSIGNMENT);
}

/* Without an entry in pg_cast: through the text form, to string types by assignment, from them explicitly. */
static bool text_form_allows(Oid from, Oid to, CoerceContext context)
{
    if (category(to) == 'S' && to != OID_CHAR && context != COERCE_IMPLICIT) {
        return true;
    }
    return category(from) == 'S' && context == COERCE_EXPLICIT;
}

static bool arrays_coerce(Oid from, Oid to, CoerceContext context)
{
    return is_array(from) && is_array(to) && coerce_possible(type_element(from), type_element(to), context);
}

bool coerce_possible(Oid from, Oid to, CoerceContext context)
{
    const TypeRow *target = type_by_oid(to);
    if (from == to || target == NULL) {
        return from == to;
    }
    if (from == OID_UNKNOWN) {
        return to != OID_VOID && to != OID_INTERNAL;
    }
    if (target->kind == 'p') {
        return pseudo_accepts(from, to);
    }
    const CastRow *row = cast_find(from, to);
    if (row != NULL) {
        return context_allows(row->context, context);
    }
    return arrays_coerce(from, to, context) || text_form_allows(from, to, context);
}

/* ---- literals and parameters ---- */

static bool is_unknown_literal(const Expr *e)
{
    return e->kind == EXPR_CONST && e->type.oid == OID_UNKNOWN;
}

/* Reads the literal by the type's input function. Length modifiers are applied by expr_cast, as a cast or assignment. */
static Status read_literal(const Coercer *c, const Expr *e, const ValueType *to, const Expr **out)
{
    if (e->u.value == NULL) {
        return expr_const_null(&c->b, to, out);
    }
    FnCtx fx = {.cx = c->b.cx, .arena = c->b.arena, .facts = c->facts};
    ExprValue v;
    memset(&v, 0, sizeof v);
    Status st = type_in(&fx, to, strview_str(&e->u.value->str), c->b.arena, &v);
    if (st != ST_OK) {
        err_position(c->b.cx->err, e->location + 1); /* in bytes here; the statement turns it into characters */
        return st;
    }
    return expr_const(&c->b, to, &v, e->location, out);
}

static ValueType without_typmod(const ValueType *t)
{
    return t->typmod == -1 ? *t : value_type_of(t->oid);
}

static Status literal_to(const Coercer *c, const Expr *e, const ValueType *to, CoerceContext context, ExprForm form,
                         int32_t location, const Expr **out)
{
    /* interval keeps its modifier: the input function needs it. */
    ValueType plain = to->oid == OID_INTERVAL ? *to : without_typmod(to);
    if (plain.oid != to->oid) {
        return ST_NOT_FOUND;
    }
    plain.collation = to->collation;
    const Expr *value;
    Status st = read_literal(c, e, &plain, &value);
    if (st != ST_OK || plain.typmod == to->typmod) {
        *out = value;
        return st;
    }
    return expr_cast(&c->b, value, to, form, context == COERCE_EXPLICIT, location, out);
}

static Status param_to(const Coercer *c, const Expr *e, const ValueType *to, CoerceContext context, ExprForm form,
                       int32_t location, const Expr **out)
{
    ValueType plain = without_typmod(to);
    Status st = c->param_type(c->param_arg, e->u.number, to->oid, e->location);
    const Expr *param;
    if (st == ST_OK) {
        st = expr_param(&c->b, EXPR_PARAM_EXTERN, e->u.number, &plain, e->location, &param);
    }
    if (st != ST_OK || to->typmod == -1) {
        *out = st == ST_OK ? param : *out;
        return st;
    }
    return expr_cast(&c->b, param, to, form, context == COERCE_EXPLICIT, location, out);
}

/* ---- expressions ---- */

Status coerce_expr(const Coercer *c, const Expr *e, const ValueType *to, CoerceContext context, ExprForm form,
                   int32_t location, const Expr **out)
{
    if (e->type.oid == to->oid && (to->typmod == -1 || to->typmod == e->type.typmod)) {
        *out = e;
        return ST_OK;
    }
    if (!coerce_possible(e->type.oid, to->oid, context)) {
        return ST_NOT_FOUND;
    }
    if (type_by_oid(to->oid)->kind == 'p') {
        *out = e; /* taken as it is by a polymorphic argument */
        return ST_OK;
    }
    if (is_unknown_literal(e)) {
        return literal_to(c, e, to, context, form, location, out);
    }
    if (e->type.oid == OID_UNKNOWN && e->kind == EXPR_PARAM && c->param_type != NULL) {
        return param_to(c, e, to, context, form, location, out);
    }
    return expr_cast(&c->b, e, to, form, context == COERCE_EXPLICIT, location, out);
}

Status coerce_cast(const Coercer *c, const Expr *e, const ValueType *to, int32_t location, const Expr **out)
{
    Status st = coerce_expr(c, e, to, COERCE_EXPLICIT, EXPR_FORM_CAST_EXPLICIT, location, out);
    if (st == ST_NOT_FOUND) {
        st = err_set(c->b.cx->err, ST_CANNOT_COERCE, "cannot cast type %s to %s", type_text(e->type.oid).s,
                     type_text(to->oid).s);
        err_position(c->b.cx->err, (location >= 0 ? location : expr_leftmost(e)) + 1);
    }
    return st;
}

Status coerce_boolean(const Coercer *c, const Expr *e, const char *what, const Expr **out)
{
    ValueType boolean = value_type_of(OID_BOOL);
    if (e->facts & EXPR_HAS_SET) {
        Status st = err_set(c->b.cx->err, ST_DATATYPE_MISMATCH, "argument of %s must not return a set", what);
        err_position(c->b.cx->err, e->location + 1);
        return st;
    }
    Status st = coerce_expr(c, e, &boolean, COERCE_ASSIGNMENT, EXPR_FORM_CAST_IMPLICIT, e->location, out);
    if (st == ST_NOT_FOUND) {
        st = err_set(c->b.cx->err, ST_DATATYPE_MISMATCH, "argument of %s must be type boolean, not type %s", what,
                     type_text(e->type.oid).s);
        err_position(c->b.cx->err, expr_leftmost(e) + 1);
    }
    return st;
}

Status coerce_known(const Coercer *c, const Expr *e, const Expr **out)
{
    ValueType text = value_type_of(OID_TEXT);
    *out = e;
    return e->type.oid == OID_UNKNOWN
               ? coerce_expr(c, e, &text, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, e->location, out)
               : ST_OK;
}

/* ---- lists ---- */

static Status cannot_match(const Coercer *c, const char *what, Oid a, const Expr *b)
{
    Status st = err_set(c->b.cx->err, ST_DATATYPE_MISMATCH, "%s types %s and %s cannot be matched", what,
                        type_text(a).s, type_text(b->type.oid).s);
    err_position(c->b.cx->err, expr_leftmost(b) + 1);
    return st;
}

/*
 * The candidate is the first known type; a later one takes its place when it is preferred (or the candidate is not) and the candidate can
 * be converted to it but not the other way round (select_common_type).
 */
Status coerce_common_type(const Coercer *c, const Expr *const *exprs, uint32_t n, const char *what, Oid *out_type)
{
    Oid type = OID_UNKNOWN;
    for (uint32_t i = 0; i < n; i++) {
        Oid next = exprs[i]->type.oid;
        if (next == OID_UNKNOWN || next == type) {
            continue;
        }
        if (type == OID_UNKNOWN) {
            type = next;
            continue;
        }
        if (category(next) != category(type)) {
            return cannot_match(c, what, type, exprs[i]);
        }
        if (!type_by_oid(type)->preferred && coerce_possible(type, next, COERCE_IMPLICIT) &&
            !coerce_possible(next, type, COERCE_IMPLICIT)) {
            type = next;
        }
    }
    *out_type = type == OID_UNKNOWN ? OID_TEXT : type;
    return ST_OK;
}

Status coerce_all(const Coercer *c, const Expr **exprs, uint32_t n, Oid type, const char *what)
{
    ValueType to = value_type_of(type);
    for (uint32_t i = 0; i < n; i++) {
        Status st = coerce_expr(c, exprs[i], &to, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, exprs[i]->location, &exprs[i]);
        if (st == ST_NOT_FOUND) {
            st = err_set(c->b.cx->err, ST_CANNOT_COERCE, "%s could not convert type %s to %s", what,
                         type_text(exprs[i]->type.oid).s, type_text(type).s);
            err_position(c->b.cx->err, expr_leftmost(exprs[i]) + 1);
        }
        if (st != ST_OK) {
            return st;
        }
    }
    return expr_unify(&c->b, exprs, n);
}
