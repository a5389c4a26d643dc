#include "expr_test.h"

#include <string.h>

void bench_open(Bench *t)
{
    memset(t, 0, sizeof *t);
    budget_init(&t->budget, "expr", NULL, 0, 0);
    t->fault.countdown = -1;
    t->budget.fault = &t->fault;
    arena_init(&t->arena, &t->budget, 65536);
    ctx_init(&t->cx, &t->err, &t->budget, &t->arena);
    if (registry_init(&t->registry, &t->budget, &t->err) != ST_OK) {
        abort();
    }
    t->b = (ExprBuilder){&t->cx, &t->arena, &t->registry};
    t->fx = (FnCtx){.cx = &t->cx, .arena = &t->arena, .facts = &session_facts_default, .site_arena = &t->arena};
    t->env.facts = &session_facts_default;
}

void bench_close(Bench *t)
{
    t->fault.countdown = -1;
    registry_done(&t->registry);
    arena_done(&t->arena);
    budget_done(&t->budget);
}

ValueType type_of(Oid oid) { return value_type_of(oid); }

ValueType fixed_numeric(int precision, int scale)
{
    ValueType t;
    if (value_type(OID_NUMERIC, numeric_typmod_make(precision, scale), NULL, &t) != ST_OK) {
        abort();
    }
    return t;
}

/* Keeps the first failure; later constructors then do nothing. */
#define MAKE(call)                                                                                                     \
    const Expr *made = NULL;                                                                                           \
    if (t->st == ST_OK) {                                                                                              \
        t->st = (call);                                                                                                \
    }                                                                                                                  \
    return t->st == ST_OK ? made : NULL

const Expr *lit_type(Bench *t, const ValueType *type, const char *text)
{
    ExprValue v;
    if (t->st == ST_OK && text != NULL) {
        t->st = type_in(&t->fx, type, str_from(text), &t->arena, &v);
    }
    MAKE(expr_const(&t->b, type, text != NULL ? &v : NULL, -1, &made));
}

const Expr *lit(Bench *t, Oid oid, const char *text)
{
    ValueType type = type_of(oid);
    return lit_type(t, &type, text);
}

const Expr *col_type(Bench *t, ColumnId id, const ValueType *type) { MAKE(expr_column(&t->b, id, type, -1, &made)); }

const Expr *col(Bench *t, ColumnId id, Oid oid)
{
    ValueType type = type_of(oid);
    return col_type(t, id, &type);
}

const OperRow *oper(const char *name, Oid left, Oid right)
{
    uint32_t first;
    uint32_t n = oper_by_name(str_from(name), &first);
    for (uint32_t i = 0; i < n; i++) {
        const OperRow *o = &oper_rows[oper_name_index[first + i]];
        if (o->left == left && o->right == right) {
            return o;
        }
    }
    return NULL;
}

const Expr *op(Bench *t, const char *name, const Expr *l, const Expr *r)
{
    if (t->st != ST_OK) {
        return NULL;
    }
    const OperRow *o = oper(name, l != NULL ? l->type.oid : 0, r->type.oid);
    if (o == NULL) {
        fprintf(stderr, "no operator %s (%u, %u)\n", name, l != NULL ? l->type.oid : 0, r->type.oid);
        abort();
    }
    MAKE(expr_operator(&t->b, o, l, r, o->result, 0, -1, &made));
}

const Expr *fn(Bench *t, Oid oid, Oid result, const Expr *const *args, uint32_t n)
{
    MAKE(expr_function(&t->b, fn_by_oid(oid), EXPR_FORM_FUNCTION, args, n, result, 0, -1, &made));
}

const Expr *cast_to(Bench *t, const Expr *e, Oid oid, int32_t typmod)
{
    ValueType to = type_of(oid);
    if (t->st == ST_OK) {
        t->st = value_type(oid, typmod, &t->err, &to);
    }
    MAKE(expr_cast(&t->b, e, &to, EXPR_FORM_CAST_EXPLICIT, true, -1, &made));
}

const Expr *and_of(Bench *t, const Expr *a, const Expr *b)
{
    const Expr *args[2] = {a, b};
    MAKE(expr_and(&t->b, args, 2, &made));
}

const Expr *or_of(Bench *t, const Expr *a, const Expr *b)
{
    const Expr *args[2] = {a, b};
    MAKE(expr_or(&t->b, args, 2, &made));
}

const Expr *not_of(Bench *t, const Expr *a) { MAKE(expr_not(&t->b, a, &made)); }

const Expr *case_of(Bench *t, bool has_value, const Expr *const *args, uint32_t n)
{
    MAKE(expr_case(&t->b, has_value, args, n, -1, &made));
}

const Expr *fold(Bench *t, const Expr *e) { MAKE(expr_fold(&t->b, NULL, e, &made)); }

Chunk *chunk_of(Bench *t, const ValueType *types, uint32_t ncolumns, uint32_t nrows, const char *const *texts)
{
    Chunk *c = ARENA_NEW(&t->arena, Chunk);
    if (!chunk_init(c, types, ncolumns, nrows, &t->arena)) {
        abort();
    }
    c->count = nrows;
    for (uint32_t i = 0; i < nrows * ncolumns; i++) {
        Vector *v = &c->columns[i % ncolumns];
        uint32_t row = i / ncolumns;
        if (texts[i] == NULL) {
            memset(vec_at(v, row), 0x5a, phys_bytes((PhysType)v->phys)); /* never to be looked at */
            vec_set_null(v, row);
        } else if (type_in(&t->fx, &types[i % ncolumns], str_from(texts[i]), &t->arena, vec_at(v, row)) != ST_OK) {
            abort();
        }
    }
    return c;
}

const char *show(Bench *t, const ValueType *type, const Vector *v, uint32_t row)
{
    StrBuf sb;
    if (vec_is_null(v, row)) {
        return NULL;
    }
    strbuf_init(&sb, &t->budget);
    Status st = type_out(&t->fx, type, vec_at(v, row), &sb);
    const char *text = st == ST_OK ? arena_strdup(&t->arena, sb.p) : "?";
    strbuf_done(&sb);
    return text;
}

const char *results(Bench *t, const Expr *e, const Chunk *c, const ValueType *types, uint32_t ncolumns)
{
    ColumnId ids[16];
    const ExprProgram *p;
    ExprState *s = NULL;
    const Vector *v;
    const char *text = "";
    for (uint32_t i = 0; i < ncolumns; i++) {
        ids[i] = i + 1;
    }
    ExprLayout layout = {ids, types, ncolumns};
    uint32_t n = c != NULL ? c->count : 1;
    Status st = t->st;
    if (st == ST_OK) {
        st = expr_check(e, &t->err);
    }
    if (st == ST_OK) {
        st = expr_compile(&t->cx, &t->arena, &e, 1, &layout, &p);
    }
    if (st == ST_OK) {
        st = expr_state_new(&t->cx, p, &t->env, n, &t->arena, &s);
    }
    if (st == ST_OK) {
        st = expr_eval(s, c, NULL, n, &v);
    }
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        const char *value = show(t, &e->type, v, i);
        text = arena_printf(&t->arena, "%s%s%s", text, i > 0 ? "|" : "", value != NULL ? value : "NULL");
    }
    if (st != ST_OK) {
        text = s != NULL ? arena_printf(&t->arena, "!%s@%u", status_sqlstate(st), expr_error_row(s))
                         : arena_printf(&t->arena, "!%s", status_sqlstate(st));
        err_clear(&t->err);
        t->st = ST_OK;
    }
    expr_state_free(s);
    return text;
}

const char *value_of(Bench *t, const Expr *e) { return results(t, e, NULL, NULL, 0); }
