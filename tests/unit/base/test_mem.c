/* Budgets, allocation, fault injection, arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

static void a_charge_within_the_limit_is_granted_to_the_byte(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "root", NULL, 1000, 0);
    assert_true(budget_charge(&b, 1000));
    assert_false(budget_charge(&b, 1));
    assert_int_equal(budget_used(&b), 1000);
    budget_release(&b, 1);
    assert_true(budget_charge(&b, 1));
    assert_false(budget_charge(&b, SIZE_MAX));
    budget_release(&b, 1000);
    assert_int_equal(budget_peak(&b), 1000);
    budget_done(&b);
}

static void every_ancestor_limits(void **state)
{
    (void)state;
    Budget root;
    Budget child;
    Budget leaf;
    budget_init(&root, "root", NULL, 5000, 0);
    budget_init(&child, "child", &root, 0, 0);
    budget_init(&leaf, "leaf", &child, 9000, 0);
    assert_true(budget_charge(&leaf, 4000));
    assert_int_equal(budget_used(&root), 4000);
    assert_false(budget_charge(&leaf, 1001));
    assert_int_equal(budget_used(&root), 4000); /* a refused charge leaves nothing behind */
    assert_int_equal(budget_used(&child), 4000);
    assert_true(budget_charge(&leaf, 1000));
    budget_release(&leaf, 5000);
    assert_int_equal(budget_used(&root), 0);
    budget_done(&leaf);
    budget_done(&child);
    budget_done(&root);
}

static void a_leaf_draws_quanta_and_gives_them_back(void **state)
{
    (void)state;
    Budget root;
    Budget leaf;
    budget_init(&root, "root", NULL, 100 * 1024, 0);
    budget_init(&leaf, "leaf", &root, 0, BUDGET_QUANTUM);
    assert_true(budget_charge(&leaf, 10));
    assert_int_equal(budget_used(&leaf), 10);
    assert_int_equal(budget_used(&root), BUDGET_QUANTUM);
    /* The second quantum does not fit, the exact rest does. */
    assert_true(budget_charge(&leaf, 100 * 1024 - 10));
    assert_false(budget_charge(&leaf, 1));
    budget_release(&leaf, 100 * 1024 - 10);
    budget_trim(&leaf);
    assert_int_equal(budget_used(&root), 10);
    budget_release(&leaf, 10);
    budget_done(&leaf);
    assert_int_equal(budget_used(&root), 0);
    budget_done(&root);
}

static void a_lowered_limit_refuses_until_worked_off(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 0, 64);
    assert_true(budget_charge(&b, 100));
    budget_set_limit(&b, 50);
    assert_false(budget_charge(&b, 1));
    budget_release(&b, 60);
    assert_true(budget_charge(&b, 10));
    assert_false(budget_charge(&b, 1));
    budget_release(&b, 50);
    budget_done(&b);
}

typedef struct Hammer {
    Budget *leaf;
    Budget *root;
    uint64_t seed;
    size_t limit;
    uint64_t granted;
    bool broken;
} Hammer;

static void *hammer(void *arg)
{
    Hammer *h = arg;
    Rng rng;
    rng_seed(&rng, h->seed);
    size_t mine[16] = {0};
    for (int i = 0; i < 20000; i++) {
        size_t *slot = &mine[rng_below(&rng, 16)];
        if (*slot > 0) {
            budget_release(h->leaf, *slot);
            *slot = 0;
        } else {
            size_t n = 1 + rng_below(&rng, 3000);
            if (budget_charge(h->leaf, n)) {
                *slot = n;
                h->granted++;
            }
        }
        h->broken |= atomic_load(&h->root->drawn) > h->limit;
    }
    for (int i = 0; i < 16; i++) {
        if (mine[i] > 0) {
            budget_release(h->leaf, mine[i]);
        }
    }
    return NULL;
}

static void concurrent_charges_never_pass_a_limit_nor_lose_a_byte(void **state)
{
    (void)state;
    enum { THREADS = 4, LIMIT = 40000 };
    Budget root;
    Budget leaves[2];
    budget_init(&root, "root", NULL, LIMIT, 0);
    budget_init(&leaves[0], "quantum", &root, 0, 4096);
    budget_init(&leaves[1], "exact", &root, 30000, 0);
    pthread_t threads[THREADS];
    Hammer hammers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        hammers[i] = (Hammer){&leaves[i % 2], &root, i, LIMIT, 0, false};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(hammers[i].broken);
        assert_true(hammers[i].granted > 100);
    }
    budget_done(&leaves[0]);
    budget_done(&leaves[1]);
    assert_true(budget_peak(&root) <= LIMIT);
    budget_done(&root);
}

static void blocks_are_aligned_zeroed_and_keep_their_content(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 0, BUDGET_QUANTUM);
    for (size_t n = 0; n < 100; n++) {
        char *p = mem_alloc0(&b, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], 0);
            p[i] = (char)i;
        }
        p = mem_realloc(&b, p, n, n + 1000);
        assert_non_null(p);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], (char)i);
        }
        p = mem_realloc(&b, p, n + 1000, n / 2 + 1);
        assert_int_equal(budget_used(&b), n / 2 + 1);
        mem_free(&b, p, n / 2 + 1);
    }
    void *p = mem_alloc_aligned(&b, 5000, 4096);
    assert_int_equal((uintptr_t)p % 4096, 0);
    mem_free(&b, p, 5000);
    mem_free(&b, NULL, 0);
    assert_null(mem_alloc(&b, SIZE_MAX));
    budget_done(&b);
}

static void the_nth_allocation_fails_once_or_from_then_on(void **state)
{
    (void)state;
    Budget root;
    Budget leaf;
    MemFault fault = {.countdown = 3};
    budget_init(&root, "root", NULL, 0, 0);
    budget_init(&leaf, "leaf", &root, 0, BUDGET_QUANTUM);
    root.fault = &fault;
    for (int i = 1; i <= 5; i++) {
        void *p = mem_alloc(&leaf, 8);
        assert_int_equal(p == NULL, i == 3);
        mem_free(&leaf, p, p == NULL ? 0 : 8);
    }
    assert_int_equal(fault.fired, 1);
    fault.countdown = 2;
    fault.persistent = true;
    char *p = mem_alloc(&leaf, 8);
    assert_non_null(p);
    assert_null(mem_realloc(&leaf, p, 8, 16)); /* the block stays ours */
    assert_null(mem_alloc0(&leaf, 1));
    assert_null(mem_alloc_aligned(&leaf, 1, 64));
    p = mem_realloc(&leaf, p, 8, 4); /* shrinking takes no memory */
    assert_non_null(p);
    fault.countdown = -1;
    assert_int_equal(fault.fired, 4);
    mem_free(&leaf, p, 4);
    budget_done(&leaf);
    budget_done(&root);
}

static void an_arena_serves_small_and_large_and_frees_all(void **state)
{
    (void)state;
    Budget b;
    Arena a;
    budget_init(&b, "b", NULL, 0, BUDGET_QUANTUM);
    arena_init(&a, &b, 1024);
    for (size_t n = 0; n < 20000; n = n * 3 / 2 + 1) {
        for (int k = 0; k < 5; k++) {
            char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, 0x5a, n);
        }
    }
    assert_true(a.total_bytes >= 5 * 20000);
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 42), "x-42");
    assert_string_equal(arena_strndup(&a, "hello", 4), "hell");
    assert_ptr_not_equal(arena_alloc(&a, 0), arena_alloc(&a, 0));
    int *numbers = ARENA_ARRAY(&a, int, 100);
    assert_int_equal(numbers[99], 0);
    assert_null(arena_alloc(&a, SIZE_MAX - 3));
    assert_null(ARENA_ARRAY(&a, int, SIZE_MAX / 2));
    arena_done(&a);
    budget_done(&b);
}

static void a_reset_arena_starts_over_in_its_first_chunk(void **state)
{
    (void)state;
    Budget b;
    Arena a;
    budget_init(&b, "b", NULL, 0, 0);
    arena_init(&a, &b, 4096);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            assert_non_null(arena_alloc(&a, 100));
        }
        arena_reset(&a);
        assert_true(a.total_bytes <= 4096);
    }
    arena_done(&a);
    assert_int_equal(budget_used(&b), 0);
    budget_done(&b);
}

/* Objects made before a mark survive its rewind, whatever was made after it; checked against the contents. */
static void rewinding_frees_exactly_what_came_after_the_mark(void **state)
{
    (void)state;
    Budget b;
    Arena a;
    Rng rng;
    budget_init(&b, "b", NULL, 0, 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        enum { DEPTH = 8, EACH = 12 };
        ArenaMark marks[DEPTH];
        size_t bytes_at[DEPTH];
        unsigned char *objects[DEPTH][EACH];
        size_t sizes[DEPTH][EACH];
        rng_seed(&rng, seed);
        arena_init(&a, &b, 512);
        for (int d = 0; d < DEPTH; d++) {
            marks[d] = arena_mark(&a);
            bytes_at[d] = a.total_bytes;
            for (int i = 0; i < EACH; i++) {
                sizes[d][i] = rng_below(&rng, rng_below(&rng, 4) == 0 ? 5000 : 64);
                objects[d][i] = arena_alloc(&a, sizes[d][i]);
                assert_non_null(objects[d][i]);
                memset(objects[d][i], d + 1, sizes[d][i]);
            }
        }
        for (int d = DEPTH; d-- > 0;) {
            arena_rewind(&a, marks[d]);
            assert_int_equal(a.total_bytes, bytes_at[d]);
            for (int k = 0; k < d; k++) {
                for (int i = 0; i < EACH; i++) {
                    for (size_t at = 0; at < sizes[k][i]; at++) {
                        assert_int_equal(objects[k][i][at], k + 1);
                    }
                }
            }
        }
        arena_done(&a);
    }
    budget_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_charge_within_the_limit_is_granted_to_the_byte),
        cmocka_unit_test(every_ancestor_limits),
        cmocka_unit_test(a_leaf_draws_quanta_and_gives_them_back),
        cmocka_unit_test(a_lowered_limit_refuses_until_worked_off),
        cmocka_unit_test(concurrent_charges_never_pass_a_limit_nor_lose_a_byte),
        cmocka_unit_test(blocks_are_aligned_zeroed_and_keep_their_content),
        cmocka_unit_test(the_nth_allocation_fails_once_or_from_then_on),
        cmocka_unit_test(an_arena_serves_small_and_large_and_frees_all),
        cmocka_unit_test(a_reset_arena_starts_over_in_its_first_chunk),
        cmocka_unit_test(rewinding_frees_exactly_what_came_after_the_mark),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
