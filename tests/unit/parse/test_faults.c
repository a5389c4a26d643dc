/*
 * Every allocation of conversion, copy and deparse fails once, and from then on always: the answer is 53200, nothing is
 * lost, and the next statement parses.
 */
#include "parse_fixture.h"

static const char sql[] =
    "with recursive c (a) as (select 1 union all select a + 1 from c where a < 10) search depth first by a set b "
    "select distinct on (a) x.a[1:2].b, count(*) filter (where a in (1, 2.5, 'x', b'01')) over (partition by a order "
    "by b "
    "rows between 1 preceding and current row), case when a then b else null end, cast($1 as numeric(3, 2)[]), "
    "a like b escape c, (select 1), exists (select 1), row(1, 2), current_date "
    "from t as x (y) left join u using (a), lateral f(1) with ordinality as g (h), rows from (i(1) as (j int)) "
    "where a = any (array[1, 2]) group by rollup (a, b) order by 1 limit 2 for update of t skip locked; "
    "insert into t (a, b.c) values (1, default) on conflict (a) do update set (a, b) = (select 1, 2) returning *; "
    "create table t (a int primary key references u (b) on delete cascade, check (a > 0), exclude using gist (a with "
    "=)) "
    "partition by range (a); grant select (a) on t to public; drop function f(int), g; set search_path to a, 'b'; "
    "create publication p; copy t (a) from stdin with (format csv, force_quote (a))";

static Status everything(Fixture *f)
{
    AstStmtList *list;
    Status st = try_parse(f, sql, &list);
    for (size_t i = 0; st == ST_OK && i < list->count; i++) {
        AstNode *copy;
        st = ast_copy(&f->cx, &f->arena, list->items[i].stmt, &copy);
        if (st != ST_OK) {
            break;
        }
        StrBuf text;
        strbuf_init(&text, &f->budget);
        st = ast_deparse(copy, &f->err, &text);
        strbuf_done(&text);
        if (st == ST_FEATURE_NOT_SUPPORTED) { /* has no text */
            st = ST_OK;
            err_clear(&f->err);
        }
    }
    return st;
}

static void fail_each_allocation(bool persistent)
{
    Fixture f;
    fixture_init(&f);
    f.fault.persistent = persistent;
    int64_t n = 0;
    for (bool fired = true; fired;) {
        arena_done(&f.arena);
        arena_init(&f.arena, &f.budget, 64);
        uint64_t before = f.fault.fired;
        atomic_store(&f.fault.countdown, ++n);
        Status st = everything(&f);
        fired = f.fault.fired > before;
        atomic_store(&f.fault.countdown, -1);
        if (fired) {
            assert_int_equal(st, ST_OUT_OF_MEMORY);
            assert_string_equal(f.err.sqlstate, "53200");
        } else {
            assert_int_equal(st, ST_OK);
        }
        (void)must_parse(&f, "select 1");
    }
    assert_true(n > 5); /* hundreds where each object is an allocation of its own (RDB_ARENA_MALLOC) */
    fixture_done(&f);
}

static void allocations_fail_once(void **state)
{
    (void)state;
    fail_each_allocation(false);
}

static void allocations_fail_for_good(void **state)
{
    (void)state;
    fail_each_allocation(true);
}

static void interrupts_are_seen(void **state)
{
    Fixture *f = *state;
    _Atomic uint32_t intr = INTR_CANCEL;
    f->cx.intr = &intr;
    AstStmtList *list;
    assert_int_equal(try_parse(f, "select 1", &list), ST_QUERY_CANCELED);
    f->cx.intr = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_fail_once),
        cmocka_unit_test(allocations_fail_for_good),
        TEST(interrupts_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
