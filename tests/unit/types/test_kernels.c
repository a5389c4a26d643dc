/*
 * The kernel ABI: null masks, selections, constants, errors by row; numeric forms; aggregates; memcmp keys; the registry.
 */
#include "types_test.h"

#include "base/rng.h"
#include "types/agg.h"
#include "types/num_kernels.h"
#include "types/numeric.h"

static TypesTest t;

static int setup(void **state)
{
    (void)state;
    types_test_open(&t);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    types_test_close(&t);
    return 0;
}

static const FnCall *int4_add(FnCall *call)
{
    ValueType types[2] = {value_type_of(OID_INT4), value_type_of(OID_INT4)};
    assert_int_equal(fn_resolve(&t.registry, fn_by_oid(177), types, 2, OID_INT4, &t.err, call), ST_OK);
    return call;
}

static void nulls_unite_and_garbage_under_them_raises_nothing(void **state)
{
    (void)state;
    FnCall call;
    Vector a, b, out;
    assert_true(vec_init(&a, P_I32, 100, &t.arena) && vec_init(&b, P_I32, 100, &t.arena) &&
                vec_init(&out, P_I32, 100, &t.arena));
    for (int32_t i = 0; i < 100; i++) {
        ((int32_t *)a.data)[i] = i == 7 ? INT32_MAX : i;
        ((int32_t *)b.data)[i] = i == 7 ? INT32_MAX : 1;
    }
    vec_set_null(&a, 7);
    vec_set_null(&b, 99);
    const Vector *args[2] = {&a, &b};
    assert_int_equal(fn_invoke(&t.fx, int4_add(&call), args, NULL, 100, &out), ST_OK);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(vec_is_null(&out, i), i == 7 || i == 99);
        assert_true(vec_is_null(&out, i) || ((int32_t *)out.data)[i] == (int32_t)i + 1);
    }
    vec_done(&a), vec_done(&b), vec_done(&out);
}

static void rows_outside_the_selection_are_not_evaluated(void **state)
{
    (void)state;
    FnCall call;
    Vector a, b, out;
    const uint16_t sel[2] = {1, 3};
    assert_true(vec_init(&a, P_I32, 4, &t.arena) && vec_init(&b, P_I32, 4, &t.arena) &&
                vec_init(&out, P_I32, 4, &t.arena));
    for (int i = 0; i < 4; i++) {
        ((int32_t *)a.data)[i] = i % 2 == 0 ? INT32_MAX : i;
        ((int32_t *)b.data)[i] = 1;
        ((int32_t *)out.data)[i] = -7;
    }
    const Vector *args[2] = {&a, &b};
    assert_int_equal(fn_invoke(&t.fx, int4_add(&call), args, sel, 2, &out), ST_OK);
    assert_int_equal(((int32_t *)out.data)[0], -7);
    assert_int_equal(((int32_t *)out.data)[3], 4);
    vec_reset(&out);
    ((int32_t *)a.data)[3] = INT32_MAX;
    assert_int_equal(fn_invoke(&t.fx, &call, args, sel, 2, &out), ST_NUMERIC_VALUE_OUT_OF_RANGE);
    assert_int_equal(t.fx.error_row, 3);
    err_clear(&t.err);
    vec_done(&a), vec_done(&b), vec_done(&out);
}

static void constants_give_a_constant(void **state)
{
    (void)state;
    FnCall call;
    Vector a, b, out;
    int32_t two = 2;
    assert_true(vec_init(&a, P_I32, 1, &t.arena) && vec_init(&b, P_I32, 1, &t.arena) &&
                vec_init(&out, P_I32, 1, &t.arena));
    assert_true(vec_set_constant(&a, &two) && vec_set_constant(&b, &two));
    const Vector *args[2] = {&a, &b};
    assert_int_equal(fn_invoke(&t.fx, int4_add(&call), args, NULL, 1000, &out), ST_OK);
    assert_int_equal(out.kind, VEC_CONSTANT);
    assert_int_equal(*(int32_t *)vec_at(&out, 999), 4);
    vec_reset(&out);
    assert_true(vec_set_constant(&b, NULL));
    assert_int_equal(fn_invoke(&t.fx, &call, args, NULL, 1000, &out), ST_OK);
    assert_true(out.kind == VEC_CONSTANT && vec_is_null(&out, 500));
    vec_done(&a), vec_done(&b), vec_done(&out);
}

static void numeric_bounds_choose_the_form(void **state)
{
    (void)state;
    const FnRow *add = find_operator("+", OID_NUMERIC, OID_NUMERIC);
    const FnRow *mul = find_operator("*", OID_NUMERIC, OID_NUMERIC);
    ValueType types[2];
    FnCall call;
    assert_int_equal(value_type(OID_NUMERIC, numeric_typmod_make(15, 2), &t.err, &types[0]), ST_OK);
    types[1] = types[0];
    assert_int_equal(types[0].phys, P_I64);
    assert_int_equal(fn_resolve(&t.registry, add, types, 2, OID_NUMERIC, &t.err, &call), ST_OK);
    assert_true(call.result.phys == P_I64 && call.result.precision == 16 && call.result.scale == 2);
    assert_int_equal(fn_resolve(&t.registry, mul, types, 2, OID_NUMERIC, &t.err, &call), ST_OK);
    assert_true(call.result.phys == P_I128 && call.result.precision == 30 && call.result.scale == 4);
    types[0] = call.result;
    assert_int_equal(fn_resolve(&t.registry, mul, types, 2, OID_NUMERIC, &t.err, &call), ST_OK);
    assert_int_equal(call.result.phys, P_STR);
}

static void random_number(Rng *rng, char *out)
{
    static const char *const special[] = {"NaN",  "Infinity", "-Infinity", "0",   "0.00",
                                          "-0.0", "1.10",     "1.1",       "100", "1e2"};
    if (rng_below(rng, 4) == 0) {
        strcpy(out, special[rng_below(rng, ARRAY_LEN(special))]);
        return;
    }
    size_t n = 0;
    if (rng_below(rng, 2)) {
        out[n++] = '-';
    }
    size_t digits = 1 + rng_below(rng, 40);
    for (size_t i = 0; i < digits; i++) {
        out[n++] = (char)('0' + rng_below(rng, 10) * (rng_below(rng, 3) > 0));
        if (i + 1 < digits && i == digits / 2) {
            out[n++] = '.';
        }
    }
    out[n] = '\0';
}

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

/* Keys order like values and end before any that extends them; equal values hash equal. */
static void check_pair(const ValueType *type, const void *a, const void *b, const char *ta, const char *tb)
{
    StrBuf ka, kb;
    uint64_t ha, hb;
    Vector va = {.phys = type->phys, .capacity = 1, .data = (void *)(uintptr_t)a};
    Vector vb = {.phys = type->phys, .capacity = 1, .data = (void *)(uintptr_t)b};
    strbuf_init(&ka, &t.budget);
    strbuf_init(&kb, &t.budget);
    type_key(type, a, &ka);
    type_key(type, b, &kb);
    int by_key = sign(str_cmp(strbuf_str(&ka), strbuf_str(&kb)));
    int by_value = sign(type_cmp(type, a, b));
    if (by_key != by_value) {
        fail_msg("%s and %s: key %d, value %d", ta, tb, by_key, by_value);
    }
    if (by_value != 0) {
        size_t shorter = ka.len < kb.len ? ka.len : kb.len;
        assert_memory_not_equal(ka.p, kb.p, shorter);
    }
    type_hash(type, &va, NULL, 1, false, &ha);
    type_hash(type, &vb, NULL, 1, false, &hb);
    if (by_value == 0) {
        assert_int_equal(ha, hb);
    }
    strbuf_done(&ka);
    strbuf_done(&kb);
}

static void keys_order_like_values(void **state)
{
    static const char *const floats[] = {"NaN", "-Infinity", "Infinity", "0",      "-0",
                                         "1",   "-1",        "1e300",    "1e-300", "-1e-300"};
    static const char *const texts[] = {
        "", "a", "ab", "a ", "a  b", "b", "\x01", "\x01\x01", "abcdefghijklm", "abcdefghijkl"};
    static const char *const bytes[] = {"\\x", "\\x00", "\\x0000", "\\x00ff", "\\x0001", "\\x01", "\\xff", "\\x0100"};
    static const char *const arrays[] = {"{}",  "{1}",  "{1,2}", "{NULL}",   "{1,NULL}",
                                         "{2}", "{-1}", "{{1}}", "[0:0]={1}"};
    static const struct {
        Oid type;
        const char *const *texts;
        size_t n;
    } groups[] = {{OID_FLOAT8, floats, ARRAY_LEN(floats)},       {OID_FLOAT4, floats, 7},
                  {OID_TEXT, texts, ARRAY_LEN(texts)},           {OID_BPCHAR, texts, ARRAY_LEN(texts)},
                  {OID_BYTEA, bytes, ARRAY_LEN(bytes)},          {OID_INT4_ARRAY, arrays, ARRAY_LEN(arrays)},
                  {OID_NUMERIC_ARRAY, arrays, ARRAY_LEN(arrays)}};
    uint64_t a[2] __attribute__((aligned(16)));
    uint64_t b[2] __attribute__((aligned(16)));
    (void)state;
    for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
        ValueType type = value_type_of(groups[g].type);
        for (size_t i = 0; i < groups[g].n * groups[g].n; i++) {
            const char *ta = groups[g].texts[i / groups[g].n];
            const char *tb = groups[g].texts[i % groups[g].n];
            assert_int_equal(type_in(&t.fx, &type, str_from(ta), &t.arena, a), ST_OK);
            assert_int_equal(type_in(&t.fx, &type, str_from(tb), &t.arena, b), ST_OK);
            check_pair(&type, a, b, ta, tb);
        }
    }
}

static void numeric_keys_order_and_hash_in_every_form(void **state)
{
    (void)state;
    Rng rng;
    uint64_t seed = 20240607;
    ValueType type = value_type_of(OID_NUMERIC);
    print_message("# seed %llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        char ta[64], tb[64];
        uint64_t a[2] __attribute__((aligned(16)));
        uint64_t b[2] __attribute__((aligned(16)));
        random_number(&rng, ta);
        random_number(&rng, tb);
        arena_reset(&t.arena);
        assert_int_equal(type_in(&t.fx, &type, str_from(ta), &t.arena, a), ST_OK);
        assert_int_equal(type_in(&t.fx, &type, str_from(tb), &t.arena, b), ST_OK);
        check_pair(&type, a, b, ta, tb);
        /* The same value in fixed form: same hash, same key. */
        ValueType fixed = num_literal_type(str_from(ta));
        if (fixed.precision != 0 && ta[0] != 'N' && strchr(ta, 'I') == NULL && strchr(ta, 'e') == NULL) {
            uint64_t f[2] __attribute__((aligned(16)));
            uint64_t h1, h2;
            StrBuf k1, k2;
            Vector v1 = {.phys = type.phys, .capacity = 1, .data = a};
            Vector v2 = {.phys = fixed.phys, .capacity = 1, .data = f};
            assert_int_equal(type_in(&t.fx, &fixed, str_from(ta), &t.arena, f), ST_OK);
            type_hash(&type, &v1, NULL, 1, false, &h1);
            type_hash(&fixed, &v2, NULL, 1, false, &h2);
            assert_int_equal(h1, h2);
            strbuf_init(&k1, &t.budget);
            strbuf_init(&k2, &t.budget);
            type_key(&type, a, &k1);
            type_key(&fixed, f, &k2);
            assert_true(str_eq(strbuf_str(&k1), strbuf_str(&k2)));
            strbuf_done(&k1);
            strbuf_done(&k2);
        }
    }
}

/* Two groups, saved and loaded in between, then combined: the text of the result. */
static const char *aggregate(const char *name, Oid type, const char *const *texts, size_t n)
{
    AggCall call;
    ValueType arg = value_type_of(type);
    Oid args[1] = {type};
    const FnRow *fn = find_fn(name, 1, args);
    char states[3][256] __attribute__((aligned(16)));
    Vector v, out;
    Arena kept;
    StrBuf sb;
    assert_int_equal(agg_resolve(fn, &arg, 1, fn->rettype, &t.err, &call), ST_OK);
    arena_init(&kept, &t.budget, 256);
    agg_init(&call, states[0], sizeof states[0], 3);
    assert_true(vec_init(&v, (PhysType)arg.phys, 64, &t.arena) &&
                vec_init(&out, (PhysType)call.result.phys, 4, &t.arena));
    uint32_t group[64];
    for (size_t i = 0; i < n; i++) {
        group[i] = i % 2;
        if (texts[i] == NULL) {
            vec_set_null(&v, (uint32_t)i);
        } else {
            assert_int_equal(type_in(&t.fx, &arg, str_from(texts[i]), &v.heap, vec_at(&v, (uint32_t)i)), ST_OK);
        }
    }
    const Vector *vectors[1] = {&v};
    assert_int_equal(agg_update(&t.fx, &call, &kept, states[0], sizeof states[0], group, vectors, NULL, (uint32_t)n),
                     ST_OK);
    strbuf_init(&sb, &t.budget);
    agg_save(&call, states[0], &sb);
    assert_int_equal(agg_load(&t.fx, &call, &kept, strbuf_str(&sb), states[2]), ST_OK);
    assert_int_equal(agg_combine(&t.fx, &call, &kept, states[2], states[1]), ST_OK);
    assert_int_equal(agg_finalize(&t.fx, &call, states[2], sizeof states[0], 1, &out), ST_OK);
    strbuf_reset(&sb);
    if (vec_is_null(&out, 0)) {
        strbuf_puts(&sb, "NULL");
    } else {
        assert_int_equal(type_out(&t.fx, &call.result, out.data, &sb), ST_OK);
    }
    (void)snprintf(t.text, sizeof t.text, "%s", sb.p);
    strbuf_done(&sb);
    vec_done(&v);
    vec_done(&out);
    arena_done(&kept);
    return t.text;
}

static void aggregates_answer_as_postgresql(void **state)
{
    static const char *const ints[] = {"1", "2", NULL, "4"};
    static const char *const numbers[] = {"1.10", "2.2", "3.333", NULL, "1e20"};
    static const char *const floats[] = {"1", "2", "4", "8"};
    static const char *const words[] = {"pear", "a rather long string indeed", NULL, "apple"};
    static const char *const spans[] = {"1 day", "2 days 01:00", "1 mon"};
    (void)state;
    assert_string_equal(aggregate("sum", OID_INT4, ints, 4), "7");
    assert_string_equal(aggregate("avg", OID_INT4, ints, 4), "2.3333333333333333");
    assert_string_equal(aggregate("variance", OID_INT4, ints, 4), "2.3333333333333333");
    assert_string_equal(aggregate("stddev", OID_INT4, ints, 4), "1.5275252316519467");
    assert_string_equal(aggregate("sum", OID_INT4, ints, 0), "NULL");
    assert_string_equal(aggregate("sum", OID_NUMERIC, numbers, 5), "100000000000000000006.633");
    assert_string_equal(aggregate("avg", OID_NUMERIC, numbers, 3), "2.2110000000000000");
    assert_string_equal(aggregate("sum", OID_FLOAT8, floats, 4), "15");
    assert_string_equal(aggregate("var_pop", OID_FLOAT8, floats, 4), "7.1875");
    assert_string_equal(aggregate("min", OID_TEXT, words, 4), "a rather long string indeed");
    assert_string_equal(aggregate("max", OID_TEXT, words, 4), "pear");
    assert_string_equal(aggregate("sum", OID_INTERVAL, spans, 3), "1 mon 3 days 01:00:00");
    assert_string_equal(aggregate("avg", OID_INTERVAL, spans, 3), "11 days 00:20:00");
    assert_string_equal(aggregate("bit_xor", OID_INT4, ints, 4), "7");
}

static void plain_sums_equal_sums_by_group(void **state)
{
    (void)state;
    Rng rng;
    const Oid types[] = {OID_INT2, OID_INT4, OID_INT8};
    rng_seed(&rng, 5);
    for (size_t k = 0; k < ARRAY_LEN(types); k++) {
        AggCall call;
        ValueType arg = value_type_of(types[k]);
        const FnRow *fn = find_fn("sum", 1, &types[k]);
        char one[128] __attribute__((aligned(16)));
        char two[128] __attribute__((aligned(16)));
        uint32_t group[VECTOR_SIZE] = {0};
        Vector v;
        assert_int_equal(agg_resolve(fn, &arg, 1, fn->rettype, &t.err, &call), ST_OK);
        assert_true(vec_init(&v, (PhysType)arg.phys, VECTOR_SIZE, &t.arena));
        for (size_t i = 0; i < phys_bytes((PhysType)arg.phys) * VECTOR_SIZE; i++) {
            ((uint8_t *)v.data)[i] = (uint8_t)rng_next(&rng);
        }
        const Vector *args[1] = {&v};
        agg_init(&call, one, sizeof one, 1);
        agg_init(&call, two, sizeof two, 1);
        assert_int_equal(agg_update(&t.fx, &call, &t.arena, one, 128, NULL, args, NULL, VECTOR_SIZE), ST_OK);
        assert_int_equal(agg_update(&t.fx, &call, &t.arena, two, 128, group, args, NULL, VECTOR_SIZE), ST_OK);
        assert_memory_equal(one, two, call.state_bytes);
        vec_done(&v);
    }
}

static void fact_tables_are_sorted_and_consistent(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < fn_row_count; i++) {
        assert_true(fn_rows[i - 1].oid < fn_rows[i].oid);
        int c = strcmp(fn_rows[fn_name_index[i - 1]].name, fn_rows[fn_name_index[i]].name);
        assert_true(c < 0 || (c == 0 && fn_name_index[i - 1] < fn_name_index[i]));
    }
    for (uint32_t i = 0; i < oper_row_count; i++) {
        assert_true(i == 0 || oper_rows[i - 1].oid < oper_rows[i].oid);
        assert_non_null(fn_by_oid(oper_rows[i].fn));
    }
    for (uint32_t i = 1; i < cast_row_count; i++) {
        const CastRow *a = &cast_rows[i - 1];
        const CastRow *b = &cast_rows[i];
        assert_true(a->source < b->source || (a->source == b->source && a->target < b->target));
    }
    for (uint32_t i = 0; i < type_row_count; i++) {
        assert_true(i == 0 || type_rows[i - 1].oid < type_rows[i].oid);
        assert_ptr_equal(type_by_oid(type_rows[i].oid), &type_rows[i]);
        assert_ptr_equal(type_by_name(str_from(type_rows[i].name)), &type_rows[i]);
    }
    assert_string_equal(fn_by_oid(177)->name, "int4pl");
    assert_int_equal(opclass_default(OID_INT4, METHOD_BTREE)->type, OID_INT4);
    assert_int_equal(amop_operator(opclass_default(OID_INT4, METHOD_BTREE)->family, OID_INT4, OID_INT4, 1), 97);
    assert_int_equal(cast_find(OID_INT4, OID_INT8)->context, 'i');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nulls_unite_and_garbage_under_them_raises_nothing),
        cmocka_unit_test(rows_outside_the_selection_are_not_evaluated),
        cmocka_unit_test(constants_give_a_constant),
        cmocka_unit_test(numeric_bounds_choose_the_form),
        cmocka_unit_test(keys_order_like_values),
        cmocka_unit_test(numeric_keys_order_and_hash_in_every_form),
        cmocka_unit_test(aggregates_answer_as_postgresql),
        cmocka_unit_test(plain_sums_equal_sums_by_group),
        cmocka_unit_test(fact_tables_are_sorted_and_consistent),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
