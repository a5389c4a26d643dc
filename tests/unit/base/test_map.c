/* The cold paths' map and array, against plain models; and the random generator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/ids.h"
#include "base/map.h"
#include "base/rng.h"

enum { KEYS = 500 };

/* Random operations on a small key space, so that clusters form and break up; the model is an array. */
static void the_map_does_what_an_array_does(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 0, BUDGET_QUANTUM);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        U64Map m;
        Rng rng;
        uint64_t model[KEYS];
        bool present[KEYS] = {false};
        size_t count = 0;
        u64map_init(&m, &b);
        rng_seed(&rng, seed);
        for (int i = 0; i < 20000; i++) {
            uint64_t key = rng_below(&rng, KEYS);
            uint64_t value = rng_next(&rng);
            uint64_t got = 0;
            switch (rng_below(&rng, 3)) {
            case 0:
                assert_true(u64map_put(&m, key, value));
                count += !present[key];
                present[key] = true;
                model[key] = value;
                break;
            case 1:
                assert_int_equal(u64map_remove(&m, key, &got), present[key]);
                assert_true(!present[key] || got == model[key]);
                count -= present[key];
                present[key] = false;
                break;
            default:
                assert_int_equal(u64map_get(&m, key, &got), present[key]);
                assert_true(!present[key] || got == model[key]);
                break;
            }
            assert_int_equal(m.count, count);
        }
        size_t cursor = 0;
        size_t seen = 0;
        uint64_t key;
        uint64_t value;
        while (u64map_next(&m, &cursor, &key, &value)) {
            assert_true(present[key] && model[key] == value);
            seen++;
        }
        assert_int_equal(seen, count);
        u64map_clear(&m);
        assert_false(u64map_get(&m, 1, &value));
        u64map_done(&m);
    }
    budget_done(&b);
}

static void a_reserved_map_cannot_fail(void **state)
{
    (void)state;
    Budget b;
    MemFault fault = {.countdown = -1};
    U64Map m;
    budget_init(&b, "b", NULL, 0, 0);
    b.fault = &fault;
    u64map_init(&m, &b);
    for (size_t n = 1; n < 2000; n = n * 2 + 1) {
        assert_true(u64map_reserve(&m, n));
        fault.countdown = 1;
        fault.persistent = true;
        for (uint64_t i = 0; i < n; i++) {
            assert_true(u64map_put(&m, i, i));
        }
        fault.countdown = -1;
    }
    fault.countdown = 0;
    uint64_t refused = 2000000;
    while (u64map_put(&m, refused, 1)) {
        refused++;
    }
    uint64_t value;
    assert_true(u64map_get(&m, 5, &value)); /* a refused put changes nothing */
    assert_false(u64map_get(&m, refused, &value));
    u64map_done(&m);
    budget_done(&b);
}

static void an_array_grows_and_reports_no_memory(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 100000, 0);
    VEC(Tid) v = {.budget = &b};
    size_t n = 0;
    while (VEC_PUSH(&v, tid_make(page_id(SPACE_MAIN, n), (unsigned)n & 2047, 1))) {
        n++;
    }
    assert_true(n > 1000 && n == v.n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(page_number(tid_page(v.v[i])), i);
    }
    VEC_DONE(&v);
    budget_done(&b);
}

static void ids_keep_their_parts(void **state)
{
    (void)state;
    Tid t = tid_make(page_id(SPACE_TEMP, PAGE_NO_MAX), 0xffff, 0xff);
    assert_int_equal(page_space(tid_page(t)), SPACE_TEMP);
    assert_true(page_number(tid_page(t)) == PAGE_NO_MAX);
    assert_int_equal(tid_slot(t), 0xffff);
    assert_int_equal(tid_generation(t), 0xff);
}

static void the_generator_is_reproducible_and_even(void **state)
{
    (void)state;
    Rng a;
    Rng b;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    unsigned counts[10] = {0};
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        assert_true(rng_next(&a) == rng_next(&b));
        counts[rng_below(&a, 10)]++;
        rng_below(&b, 10);
        double u = rng_unit(&a);
        rng_unit(&b);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    assert_true(sum > 49500 && sum < 50500);
    assert_int_equal(rng_below(&a, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_does_what_an_array_does),        cmocka_unit_test(a_reserved_map_cannot_fail),
        cmocka_unit_test(an_array_grows_and_reports_no_memory),   cmocka_unit_test(ids_keep_their_parts),
        cmocka_unit_test(the_generator_is_reproducible_and_even),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
