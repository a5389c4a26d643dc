/*
 * expr/deparse.c: expressions as text (see deparse.h). The rules are those of PostgreSQL's ruleutils.c; where one
 * surprises, its reason is named.
 */
#include "expr/deparse.h"

#include "expr/expr_int.h"
#include "os/thread.h"
#include "parse/keywords.h"

typedef struct Deparse {
    Ctx *cx;
    const ExprNames *names;
    bool pretty;
    int indent;
    StrBuf *out;
    FnCtx fx;
    Arena scratch;
} Deparse;

/* show_implicit: casts that were not written are shown here, because the operator or function chosen depends on them. */
static Status put(Deparse *d, const Expr *e, bool show_implicit);

static const Expr *shown(const Expr *e)
{
    while (e->kind == EXPR_CALL && e->op == EXPR_FORM_REP) {
        e = e->args[0];
    }
    return e;
}

/* ---- where pretty text needs parentheses ---- */

static bool is_cast(const Expr *e)
{
    return e->kind == EXPR_CALL && (e->op == EXPR_FORM_CAST_EXPLICIT || e->op == EXPR_FORM_CAST_IMPLICIT);
}

static bool is_operator(const Expr *e) { return e->kind == EXPR_CALL && e->op == EXPR_FORM_OPERATOR; }

/* 1 for + and -, 2 for * / %, 0 for all others: nobody remembers their precedence. */
static int arithmetic_level(const Expr *e)
{
    const OperRow *o = is_operator(e) ? oper_by_oid(e->u.call->oper) : NULL;
    if (o == NULL || o->name[1] != '\0' || e->nargs != 2) {
        return 0;
    }
    return strchr("+-", o->name[0]) != NULL ? 1 : strchr("*/%", o->name[0]) != NULL ? 2 : 0;
}

static bool operator_is_simple(const Expr *e, const Expr *parent)
{
    int own = arithmetic_level(e);
    int above = arithmetic_level(parent);
    if (own == 0 || above == 0) {
        return false;
    }
    return own > above || (own == above && shown(parent->args[0]) == e);
}

/* A construct that delimits what stands in it. */
static bool delimits(const Expr *parent)
{
    switch (parent->kind) {
    case EXPR_CALL: return !is_cast(parent) && !is_operator(parent);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_ARRAY:
    case EXPR_ROW:
    case EXPR_COALESCE:
    case EXPR_MIN_MAX:
    case EXPR_NULLIF:
    case EXPR_AGGREGATE:
    case EXPR_WINDOW:
    case EXPR_SET:
    case EXPR_CASE: return true;
    default: return false;
    }
}

static bool is_simple(const Expr *e, const Expr *parent)
{
    e = shown(e);
    switch (e->kind) {
    case EXPR_CALL:
        if (is_operator(e)) { /* casts bind tightly, and put what is in them in parentheses */
            return is_operator(parent) ? operator_is_simple(e, parent) : delimits(parent);
        }
        return true;
    case EXPR_AND:
    case EXPR_NOT: return delimits(parent) && parent->kind != EXPR_NOT;
    case EXPR_OR: return delimits(parent) && parent->kind != EXPR_NOT && parent->kind != EXPR_AND;
    case EXPR_DISTINCT:
    case EXPR_NULL_TEST:
    case EXPR_BOOL_TEST:
    case EXPR_ANY_ALL:
    case EXPR_ROW_COMPARE:
    case EXPR_COLLATE: return delimits(parent);
    default: return true;
    }
}

static Status put_operand(Deparse *d, const Expr *e, const Expr *parent, bool show_implicit)
{
    bool parens = d->pretty && !is_simple(e, parent);
    strbuf_puts(d->out, parens ? "(" : "");
    Status st = put(d, e, show_implicit);
    strbuf_puts(d->out, parens ? ")" : "");
    return st;
}

static void open_paren(Deparse *d) { strbuf_puts(d->out, d->pretty ? "" : "("); }
static void close_paren(Deparse *d) { strbuf_puts(d->out, d->pretty ? "" : ")"); }

static Status put_list(Deparse *d, const Expr *const *args, uint32_t n, const char *separator, const char *last_prefix)
{
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        strbuf_puts(d->out, i > 0 ? separator : "");
        strbuf_puts(d->out, i + 1 == n ? last_prefix : "");
        st = put(d, args[i], true);
    }
    return st;
}

/* ---- constants ---- */

static void put_literal(StrBuf *out, const char *p, size_t len)
{
    strbuf_putc(out, '\'');
    for (size_t i = 0; i < len; i++) {
        strbuf_puts(out, p[i] == '\'' ? "'" : "");
        strbuf_putc(out, p[i]);
    }
    strbuf_putc(out, '\'');
}

static void put_type(Deparse *d, const ValueType *t)
{
    strbuf_puts(d->out, "::");
    type_format(t->oid, t->typmod, d->out);
}

/* Does the lexer give the text this type by itself? */
static bool types_itself(const ValueType *t, Str text)
{
    bool digit = text.len > 0 && text.p[0] >= '0' && text.p[0] <= '9';
    if (t->oid == OID_INT4) {
        return digit;
    }
    bool fraction = false;
    for (size_t i = 0; i < text.len; i++) {
        fraction = fraction || text.p[i] == '.' || text.p[i] == 'e' || text.p[i] == 'E';
    }
    return t->oid == OID_NUMERIC && digit && fraction;
}

static Status put_const(Deparse *d, const Expr *e, bool label)
{
    StrBuf text;
    if (e->u.value == NULL) {
        strbuf_puts(d->out, "NULL");
        if (label) {
            put_type(d, &e->type);
        }
        return ST_OK;
    }
    if (e->type.oid == OID_BOOL) {
        strbuf_puts(d->out, e->u.value->b ? "true" : "false");
        return ST_OK;
    }
    strbuf_init(&text, d->cx->budget);
    Status st = type_out(&d->fx, &e->type, e->u.value, &text);
    if (st == ST_OK && text.failed) {
        st = ctx_nomem(d->cx, text.len);
    }
    if (st == ST_OK) {
        bool bare = types_itself(&e->type, strbuf_str(&text));
        if (bare) {
            strbuf_append(d->out, text.p, text.len);
        } else {
            put_literal(d->out, text.p, text.len);
        }
        if (label && e->type.oid != OID_UNKNOWN && (!bare || (e->type.oid == OID_NUMERIC && e->type.typmod >= 0))) {
            put_type(d, &e->type);
        }
    }
    strbuf_done(&text);
    return st;
}

/* ---- calls ---- */

static Status put_cast(Deparse *d, const Expr *e)
{
    const Expr *arg = shown(e->args[0]);
    Status st;
    if (arg->kind == EXPR_CONST && arg->type.oid == e->type.oid && arg->type.typmod == -1) {
        st = put_const(d, arg, false); /* the cast to the length says the type */
    } else {
        open_paren(d);
        st = put_operand(d, arg, e, false);
        close_paren(d);
    }
    put_type(d, &e->type);
    return st;
}

static Status put_operator(Deparse *d, const Expr *e)
{
    const OperRow *o = oper_by_oid(e->u.call->oper);
    Status st = ST_OK;
    open_paren(d);
    if (e->nargs == 2) {
        st = put_operand(d, e->args[0], e, true);
        strbuf_putc(d->out, ' ');
    }
    strbuf_printf(d->out, "%s ", o->name);
    if (st == ST_OK) {
        st = put_operand(d, e->args[e->nargs - 1], e, true);
    }
    close_paren(d);
    return st;
}

/* The word of EXTRACT's field; NULL: not a constant that can stand there. */
static bool put_extract_field(Deparse *d, const Expr *field)
{
    field = shown(field);
    if (!expr_is_const(field) || field->u.value == NULL) {
        return false;
    }
    Str s = strview_str(&field->u.value->str);
    strbuf_append(d->out, s.p, s.len);
    return true;
}

static Status put_parts(Deparse *d, const char *head, const Expr *e, const char *const *words, uint32_t n)
{
    Status st = ST_OK;
    strbuf_puts(d->out, head);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        strbuf_puts(d->out, words[i]);
        st = put(d, e->args[i], false);
    }
    strbuf_putc(d->out, ')');
    return st;
}

static Status put_at_time_zone(Deparse *d, const Expr *e)
{
    strbuf_putc(d->out, '(');
    Status st = put_operand(d, e->args[1], e, false);
    strbuf_puts(d->out, " AT TIME ZONE ");
    if (st == ST_OK) {
        st = put_operand(d, e->args[0], e, false);
    }
    strbuf_putc(d->out, ')');
    return st;
}

static Status put_trim(Deparse *d, const Expr *e, const char *side)
{
    Status st = ST_OK;
    strbuf_printf(d->out, "TRIM(%s", side);
    if (e->nargs == 2) {
        strbuf_putc(d->out, ' ');
        st = put(d, e->args[1], false);
    }
    strbuf_puts(d->out, " FROM ");
    if (st == ST_OK) {
        st = put(d, e->args[0], false);
    }
    strbuf_putc(d->out, ')');
    return st;
}

/* Functions that SQL gives a syntax of their own; *out_done false: printed as a plain call. */
static Status put_sql_syntax(Deparse *d, const Expr *e, bool *out_done)
{
    static const char *const overlay[] = {"", " PLACING ", " FROM ", " FOR "};
    static const char *const substring[] = {"", " FROM ", " FOR "};
    const char *name = e->u.call->call.fn->name;
    *out_done = true;
    if (strcmp(name, "timezone") == 0 && e->nargs == 2) {
        return put_at_time_zone(d, e);
    }
    if (strcmp(name, "extract") == 0 && e->nargs == 2) {
        size_t mark = d->out->len;
        strbuf_puts(d->out, "EXTRACT(");
        if (put_extract_field(d, e->args[0])) {
            strbuf_puts(d->out, " FROM ");
            Status st = put(d, e->args[1], false);
            strbuf_putc(d->out, ')');
            return st;
        }
        d->out->len = mark;
    }
    if (strcmp(name, "overlay") == 0) {
        return put_parts(d, "OVERLAY(", e, overlay, e->nargs);
    }
    if (strcmp(name, "substring") == 0) {
        return put_parts(d, "SUBSTRING(", e, substring, e->nargs);
    }
    if (strcmp(name, "position") == 0) { /* the grammar takes only b_expr here: always in parentheses */
        const Expr *swapped[2] = {e->args[1], e->args[0]};
        strbuf_puts(d->out, "POSITION((");
        Status st = put(d, swapped[0], false);
        strbuf_puts(d->out, ") IN (");
        if (st == ST_OK) {
            st = put(d, swapped[1], false);
        }
        strbuf_puts(d->out, "))");
        return st;
    }
    const char *side = strcmp(name, "btrim") == 0 ? "BOTH" : strcmp(name, "ltrim") == 0 ? "LEADING"
                       : strcmp(name, "rtrim") == 0 ? "TRAILING" : NULL;
    if (side != NULL && e->nargs <= 2) {
        return put_trim(d, e, side);
    }
    *out_done = false;
    return ST_OK;
}

static Status put_call(Deparse *d, const Expr *e)
{
    const FnRow *fn = e->u.call->call.fn;
    bool done = false;
    if (e->op == EXPR_FORM_SQL) {
        Status st = put_sql_syntax(d, e, &done);
        if (st != ST_OK || done) {
            return st;
        }
    }
    strbuf_put_ident(d->out, str_from(fn->name));
    strbuf_putc(d->out, '(');
    Status st = put_list(d, e->args, e->nargs, ", ", e->op == EXPR_FORM_VARIADIC ? "VARIADIC " : "");
    strbuf_putc(d->out, ')');
    return st;
}

/* ---- CASE ---- */

static void put_line(Deparse *d, const char *word, int before, int after)
{
    StrBuf *o = d->out;
    d->indent += before;
    while (o->len > 0 && o->p[o->len - 1] == ' ') {
        o->len--;
    }
    strbuf_printf(o, "\n%*s%s", d->indent, "", word);
    d->indent += after;
}

/* The right side of "case value = x"; NULL: the condition has another form. */
static const Expr *when_value(const Expr *condition)
{
    const Expr *e = shown(condition);
    if (e->kind != EXPR_CALL || e->nargs != 2 || e->u.call->oper == 0) {
        return NULL;
    }
    const Expr *left = shown(e->args[0]);
    while (is_cast(left)) {
        left = shown(left->args[0]);
    }
    return left->kind == EXPR_CASE_VALUE ? e->args[1] : NULL;
}

static Status put_case(Deparse *d, const Expr *e)
{
    Status st = ST_OK;
    put_line(d, "CASE", 0, 4);
    if (e->op == 1) {
        strbuf_putc(d->out, ' ');
        st = put(d, e->args[0], true);
    }
    for (uint32_t i = e->op; i + 1 < e->nargs && st == ST_OK; i += 2) {
        const Expr *value = e->op == 1 ? when_value(e->args[i]) : NULL;
        put_line(d, "WHEN ", 0, 0);
        st = put(d, value != NULL ? value : e->args[i], false);
        strbuf_puts(d->out, " THEN ");
        if (st == ST_OK) {
            st = put(d, e->args[i + 1], true);
        }
    }
    put_line(d, "ELSE ", 0, 0);
    if (st == ST_OK) {
        st = put(d, e->args[e->nargs - 1], true);
    }
    put_line(d, "END", -4, 0);
    return st;
}

/* ---- the rest ---- */

static Status put_nary(Deparse *d, const Expr *e, const char *word)
{
    Status st = ST_OK;
    open_paren(d);
    for (uint32_t i = 0; i < e->nargs && st == ST_OK; i++) {
        strbuf_puts(d->out, i > 0 ? word : "");
        st = put_operand(d, e->args[i], e, false);
    }
    close_paren(d);
    return st;
}

static Status put_test(Deparse *d, const Expr *e, const char *word, bool show_implicit)
{
    open_paren(d);
    Status st = put_operand(d, e->args[0], e, show_implicit);
    strbuf_puts(d->out, word);
    close_paren(d);
    return st;
}

static Status put_between(Deparse *d, const Expr *e, const char *word)
{
    Status st = put_operand(d, e->args[0], e, true);
    strbuf_puts(d->out, word);
    return st == ST_OK ? put_operand(d, e->args[1], e, true) : st;
}

static Status put_distinct(Deparse *d, const Expr *e)
{
    open_paren(d);
    if (e->op) { /* PostgreSQL knows it as NOT ... IS DISTINCT FROM */
        strbuf_puts(d->out, d->pretty ? "NOT " : "NOT (");
    }
    Status st = put_between(d, e, " IS DISTINCT FROM ");
    if (e->op) {
        close_paren(d);
    }
    close_paren(d);
    return st;
}

static Status put_any_all(Deparse *d, const Expr *e)
{
    open_paren(d);
    Status st = put_operand(d, e->args[0], e, true);
    strbuf_printf(d->out, " %s %s (", oper_by_oid(e->u.call->oper)->name, e->op ? "ALL" : "ANY");
    if (st == ST_OK) {
        st = put_operand(d, e->args[1], e, true);
    }
    strbuf_putc(d->out, ')');
    close_paren(d);
    return st;
}

static Status put_function_like(Deparse *d, const char *head, const Expr *const *args, uint32_t n, const char *tail)
{
    strbuf_puts(d->out, head);
    Status st = put_list(d, args, n, ", ", "");
    strbuf_puts(d->out, tail);
    return st;
}

static Status put_row_compare(Deparse *d, const Expr *e)
{
    static const char *const words[] = {" < ROW(", " <= ROW(", " >= ROW(", " > ROW("};
    const uint32_t n = e->nargs / 2;
    strbuf_putc(d->out, '('); /* also when pretty */
    Status st = put_function_like(d, "ROW(", e->args, n, ")");
    if (st == ST_OK) {
        st = put_function_like(d, words[e->op], e->args + n, n, ")");
    }
    strbuf_putc(d->out, ')');
    return st;
}

static Status put_subscript(Deparse *d, const Expr *e)
{
    const Expr *array = shown(e->args[0]);
    bool parens = array->kind != EXPR_COLUMN && array->kind != EXPR_FIELD;
    strbuf_puts(d->out, parens ? "(" : "");
    Status st = put(d, array, true);
    strbuf_puts(d->out, parens ? ")" : "");
    for (uint32_t i = 1; i < e->nargs && st == ST_OK; i++) {
        bool upper = e->op == 1 && i % 2 == 0;
        strbuf_puts(d->out, upper ? ":" : "[");
        if (!(e->op == 1 && expr_is_null_const(e->args[i]))) {
            st = put(d, e->args[i], false);
        }
        strbuf_puts(d->out, e->op == 1 && !upper ? "" : "]");
    }
    return st;
}

static Status put_session(Deparse *d, const Expr *e)
{
    static const char *const words[] = {"CURRENT_DATE",   "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME",
                                        "LOCALTIMESTAMP", "CURRENT_ROLE", "CURRENT_USER",      "USER",
                                        "SESSION_USER",   "CURRENT_CATALOG", "CURRENT_SCHEMA"};
    strbuf_puts(d->out, words[e->op]);
    if (e->u.number > 0) {
        strbuf_printf(d->out, "(%u)", e->u.number - 1);
    }
    return ST_OK;
}

static Status put_order(Deparse *d, const Expr *e, const ExprAggregate *a)
{
    Status st = ST_OK;
    const Expr *const *keys = e->args + a->ndirect + a->nargs;
    for (uint32_t i = 0; i < a->norder && st == ST_OK; i++) {
        bool desc = a->order_flags[i] & 1;
        bool first = a->order_flags[i] & 2;
        strbuf_puts(d->out, i > 0 ? ", " : " ORDER BY ");
        st = put(d, keys[i], true);
        strbuf_puts(d->out, desc ? " DESC" : "");
        strbuf_puts(d->out, first == desc ? "" : first ? " NULLS FIRST" : " NULLS LAST");
    }
    return st;
}

static Status put_aggregate(Deparse *d, const Expr *e)
{
    const ExprAggregate *a = e->u.aggregate;
    strbuf_put_ident(d->out, str_from(a->fn->name));
    strbuf_puts(d->out, a->distinct ? "(DISTINCT " : "(");
    strbuf_puts(d->out, a->star ? "*" : "");
    Status st = put_list(d, e->args, a->star ? 0 : a->ndirect + a->nargs, ", ", "");
    if (st == ST_OK) {
        st = put_order(d, e, a);
    }
    strbuf_putc(d->out, ')');
    if (a->has_filter && st == ST_OK) {
        strbuf_puts(d->out, " FILTER (WHERE ");
        st = put(d, e->args[e->nargs - 1], false);
        strbuf_putc(d->out, ')');
    }
    return st;
}

static Status no_text(Deparse *d, const char *what)
{
    return err_set(d->cx->err, ST_FEATURE_NOT_SUPPORTED, "%s has no text", what);
}

static Status put_sublink(Deparse *d, const Expr *e)
{
    const ExprSublink *s = e->u.sublink;
    Status st = ST_OK;
    if (d->names->sublink == NULL) {
        return no_text(d, "a subquery");
    }
    bool row = e->nargs > 1;
    if (e->op == EXPR_SUBLINK_ANY || e->op == EXPR_SUBLINK_ALL) {
        strbuf_putc(d->out, '(');
        st = put_function_like(d, row ? "ROW(" : "", e->args, e->nargs, row ? ")" : "");
        strbuf_printf(d->out, " %s %s (", s->opers[0]->name, e->op == EXPR_SUBLINK_ANY ? "ANY" : "ALL");
    } else {
        strbuf_puts(d->out, e->op == EXPR_SUBLINK_EXISTS ? "(EXISTS (" : e->op == EXPR_SUBLINK_ARRAY ? "ARRAY(" : "(");
    }
    if (st == ST_OK) {
        st = d->names->sublink(d->names->arg, e, d->out);
    }
    strbuf_puts(d->out, e->op == EXPR_SUBLINK_SCALAR || e->op == EXPR_SUBLINK_ARRAY ? ")" : "))");
    return st;
}

static Status put_array(Deparse *d, const Expr *e)
{
    Status st = put_function_like(d, "ARRAY[", e->args, e->nargs, "]");
    if (e->nargs == 0) {
        put_type(d, &e->type);
    }
    return st;
}

static Status put_call_form(Deparse *d, const Expr *e, bool show_implicit)
{
    switch ((ExprForm)e->op) {
    case EXPR_FORM_OPERATOR: return put_operator(d, e);
    case EXPR_FORM_CAST_IMPLICIT: return show_implicit ? put_cast(d, e) : put_operand(d, e->args[0], e, false);
    case EXPR_FORM_CAST_EXPLICIT: return put_cast(d, e);
    default: return put_call(d, e);
    }
}

static Status put_collate(Deparse *d, const Expr *e)
{
    const CollationRow *c = collation_by_oid(e->type.collation);
    open_paren(d);
    Status st = put_operand(d, e->args[0], e, false);
    strbuf_puts(d->out, " COLLATE ");
    strbuf_put_ident(d->out, str_from(c != NULL ? c->name : "default"));
    close_paren(d);
    return st;
}

static Status put_not(Deparse *d, const Expr *e)
{
    open_paren(d);
    strbuf_puts(d->out, "NOT ");
    Status st = put_operand(d, e->args[0], e, false);
    close_paren(d);
    return st;
}

static Status put(Deparse *d, const Expr *e, bool show_implicit)
{
    static const char *const tests[] = {" IS TRUE",      " IS NOT TRUE", " IS FALSE",
                                        " IS NOT FALSE", " IS UNKNOWN",  " IS NOT UNKNOWN"};
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(d->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    e = shown(e);
    switch ((ExprKind)e->kind) {
    case EXPR_CONST: return put_const(d, e, true);
    case EXPR_COLUMN: return d->names->column(d->names->arg, e, d->out);
    case EXPR_PARAM:
        strbuf_printf(d->out, "$%u", e->u.number);
        return e->op == EXPR_PARAM_EXTERN ? ST_OK : no_text(d, "an executor parameter");
    case EXPR_CASE_VALUE: strbuf_puts(d->out, "CASE_TEST_EXPR"); return ST_OK;
    case EXPR_CALL:
    case EXPR_SET: return put_call_form(d, e, show_implicit);
    case EXPR_AND: return put_nary(d, e, " AND ");
    case EXPR_OR: return put_nary(d, e, " OR ");
    case EXPR_NOT: return put_not(d, e);
    case EXPR_NULL_TEST: return put_test(d, e, e->op ? " IS NOT NULL" : " IS NULL", true);
    case EXPR_BOOL_TEST: return put_test(d, e, tests[e->op], false);
    case EXPR_DISTINCT: return put_distinct(d, e);
    case EXPR_CASE: return put_case(d, e);
    case EXPR_COALESCE: return put_function_like(d, "COALESCE(", e->args, e->nargs, ")");
    case EXPR_NULLIF: return put_function_like(d, "NULLIF(", e->args, 2, ")");
    case EXPR_MIN_MAX: return put_function_like(d, e->op ? "LEAST(" : "GREATEST(", e->args, e->nargs, ")");
    case EXPR_ANY_ALL: return put_any_all(d, e);
    case EXPR_ARRAY: return put_array(d, e);
    case EXPR_ROW: return put_function_like(d, "ROW(", e->args, e->nargs, ")");
    case EXPR_ROW_COMPARE: return put_row_compare(d, e);
    case EXPR_SUBSCRIPT: return put_subscript(d, e);
    case EXPR_SESSION: return put_session(d, e);
    case EXPR_COLLATE: return put_collate(d, e);
    case EXPR_SUBLINK: return put_sublink(d, e);
    case EXPR_AGGREGATE: return put_aggregate(d, e);
    case EXPR_DOMAIN: return put(d, e->args[0], show_implicit);
    case EXPR_FIELD: return no_text(d, "a field of a row");
    case EXPR_WINDOW: return no_text(d, "a window function");
    case EXPR_KIND_COUNT: break;
    }
    UNREACHABLE();
}

Status expr_deparse(Ctx *cx, const Expr *e, const ExprNames *names, bool pretty, StrBuf *out)
{
    SessionFacts facts = session_facts_default; /* a stored text may not depend on the session's settings */
    facts.names = names->hooks;
    Deparse d = {.cx = cx, .names = names, .pretty = pretty, .out = out};
    arena_init(&d.scratch, cx->budget, 4096);
    d.fx = (FnCtx){.cx = cx, .arena = &d.scratch, .facts = &facts, .site_arena = &d.scratch};
    Status st = put(&d, e, false);
    arena_done(&d.scratch);
    if (st == ST_OK && out->failed) {
        st = ctx_nomem(cx, out->len);
    }
    return st;
}
