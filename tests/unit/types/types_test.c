#include "types_test.h"

void types_test_open(TypesTest *t)
{
    memset(t, 0, sizeof *t);
    budget_init(&t->budget, "test", NULL, 0, 0);
    atomic_init(&t->fault.countdown, -1);
    t->budget.fault = &t->fault;
    arena_init(&t->arena, &t->budget, 4096);
    err_clear(&t->err);
    ctx_init(&t->cx, &t->err, &t->budget, &t->arena);
    assert_int_equal(registry_init(&t->registry, &t->budget, &t->err), ST_OK);
    t->facts = session_facts_default;
    t->fx = (FnCtx){.cx = &t->cx, .arena = &t->arena, .facts = &t->facts, .site_arena = &t->arena};
}

void types_test_close(TypesTest *t)
{
    registry_done(&t->registry);
    arena_done(&t->arena);
    budget_done(&t->budget);
}

static const char *error_text(TypesTest *t)
{
    (void)snprintf(t->text, sizeof t->text, "%s %s", t->err.sqlstate, t->err.message);
    return t->text;
}

static const char *value_text(TypesTest *t, const ValueType *type, const void *value)
{
    StrBuf sb;
    strbuf_init(&sb, &t->budget);
    Status st = type_out(&t->fx, type, value, &sb);
    if (st == ST_OK) {
        (void)snprintf(t->text, sizeof t->text, "%s", sb.p);
    }
    strbuf_done(&sb);
    return st == ST_OK ? t->text : error_text(t);
}

const char *round_trip(TypesTest *t, Oid oid, int32_t typmod, const char *text)
{
    ValueType type;
    uint64_t value[2] __attribute__((aligned(16))) = {0, 0};
    arena_reset(&t->arena);
    err_clear(&t->err);
    if (value_type(oid, typmod, &t->err, &type) != ST_OK ||
        type_in(&t->fx, &type, str_from(text), &t->arena, value) != ST_OK) {
        return error_text(t);
    }
    return value_text(t, &type, value);
}

const FnRow *find_fn(const char *name, unsigned nargs, const Oid *args)
{
    uint32_t first = 0;
    uint32_t n = fn_by_name(str_from(name), &first);
    for (uint32_t i = 0; i < n; i++) {
        const FnRow *fn = &fn_rows[fn_name_index[first + i]];
        if (fn->nargs == nargs && (nargs == 0 || memcmp(fn->args, args, nargs * sizeof *args) == 0)) {
            return fn;
        }
    }
    fail_msg("no function %s", name);
    return NULL;
}

const FnRow *find_operator(const char *name, Oid left, Oid right)
{
    uint32_t first = 0;
    uint32_t n = oper_by_name(str_from(name), &first);
    for (uint32_t i = 0; i < n; i++) {
        const OperRow *oper = &oper_rows[oper_name_index[first + i]];
        if (oper->left == left && oper->right == right) {
            return fn_by_oid(oper->fn);
        }
    }
    fail_msg("no operator %s", name);
    return NULL;
}

const char *call_text(TypesTest *t, const FnRow *fn, const char *const *texts)
{
    ValueType types[4];
    Vector vectors[5];
    const Vector *args[4];
    FnCall call;
    void *site = NULL;
    arena_reset(&t->arena);
    err_clear(&t->err);
    for (unsigned i = 0; i < fn->nargs; i++) {
        types[i] = value_type_of(fn->args[i]);
    }
    if (fn_resolve(&t->registry, fn, types, fn->nargs, fn->rettype, &t->err, &call) != ST_OK) {
        return error_text(t);
    }
    for (unsigned i = 0; i < fn->nargs; i++) {
        uint64_t value[2] __attribute__((aligned(16))) = {0, 0};
        assert_true(vec_init(&vectors[i], (PhysType)types[i].phys, 1, &t->arena));
        if (texts[i] != NULL && type_in(&t->fx, &types[i], str_from(texts[i]), &t->arena, value) != ST_OK) {
            return error_text(t);
        }
        assert_true(vec_set_constant(&vectors[i], texts[i] != NULL ? value : NULL));
        args[i] = &vectors[i];
    }
    Vector *out = &vectors[4];
    assert_true(vec_init(out, (PhysType)call.result.phys, 1, &t->arena));
    t->fx.site = &site;
    Status st = fn_invoke(&t->fx, &call, args, NULL, 1, out);
    const char *r = st != ST_OK ? error_text(t) : vec_is_null(out, 0) ? "NULL" : value_text(t, &call.result, out->data);
    fn_site_free(&call, &site);
    t->fx.site = NULL;
    for (unsigned i = 0; i < fn->nargs; i++) {
        vec_done(&vectors[i]);
    }
    vec_done(out);
    return r;
}
