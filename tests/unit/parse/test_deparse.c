/*
 * parse(deparse(parse(x))) equals parse(x), for each form of the grammar; the corpus does the same in test_corpus.c.
 */
#include "parse_fixture.h"

static void expect_round_trip(Fixture *f, const char *sql)
{
    AstNode *node = must_parse_one(f, sql);
    const char *text = text_of(f, node);
    AstDiff diff;
    assert_int_equal(ast_compare(node, must_parse_one(f, text), &f->err, &diff), ST_OK);
    if (diff.node != AST_NONE) {
        fail_msg("%s became %s: %s.%s", sql, text, ast_tag_name(diff.node), diff.field != NULL ? diff.field : "tag");
    }
}

static void expressions(void **state)
{
    static const char *const exprs[] = {
        "-1",
        "- -1",
        "-a",
        "+1",
        "@ -5",
        "a - -1",
        "a::int",
        "-1::int",
        "'x'::text collate \"C\" || 'y'",
        "date '2020-01-01'",
        "interval '1' day to second(3)",
        "interval(3) '1'",
        "cast(a as pg_catalog.bpchar)",
        "a::char",
        "a::char(3)",
        "a::bit",
        "a::bit(3)",
        "a::time(3) with time zone[3][]",
        "a[1]",
        "a[1][2:3]",
        "a[:2]",
        "a[1:]",
        "a[:]",
        "(a).b",
        "(a).*",
        "(a.b[1]).c",
        "$1",
        "($1).b[2]",
        "(select a).b",
        "(row(1, 2)).f1",
        "(f(a)).b",
        "array[1, 2]",
        "array[[1], [2]]",
        "array[]::int[]",
        "array(select 1)",
        "row()",
        "row(1)",
        "(1, 2)",
        "(1, 2) = (3, 4)",
        "(a, b) in (select 1, 2)",
        "(a, b) < all (select 1, 2)",
        "a = any (array[1])",
        "a like any (b)",
        "a not ilike all (b)",
        "a not in (1, 2)",
        "a not in (select 1)",
        "not a in (1)",
        "a like 'b' escape 'c'",
        "a not similar to 'b' escape 'c'",
        "a similar to 'b'",
        "a ilike b",
        "a between symmetric 1 and 2",
        "a not between (b and c) and d",
        "a is distinct from b",
        "a is not distinct from null",
        "a is null is not null",
        "a isnull",
        "a is true",
        "a is not unknown",
        "not not a",
        "(a and b) or not (c or d)",
        "a and (b and c)",
        "a or (b or c)",
        "case when a then 1 else 2 end",
        "case a when 1 then 2 when 3 then 4 end",
        "coalesce(a)",
        "greatest(1, 2)",
        "nullif(a, b)",
        "exists (select 1)",
        "f()",
        "f(*)",
        "f(distinct a, b)",
        "f(a order by b desc nulls first, c using <)",
        "f(variadic a)",
        "f(a, b => 1, c := 2)",
        "f(variadic a => b)",
        "s.f(a) filter (where b)",
        "f(a) over w",
        "f(a) over ()",
        "f(a) over (w order by b)",
        "percentile_cont(0.5) within group (order by a)",
        "f() over (range between unbounded preceding and unbounded following exclude group)",

        "f() over (rows between 1 + 1 preceding and 2 following exclude current row)",
        "f() over (rows current row)",
        "f() over (partition by a, b range unbounded preceding)",
        "\"left\"(a)",
        "left(a, 1)",
        "\"Über\"(a)",
        "\"cube\"(a)",
        "a operator(pg_catalog.+) b",
        "operator(s.-) a",
        "a at time zone 'utc'",
        "(a at time zone b) + c",
        "extract(year from a)",
        "extract('y' from a)",
        "position(a in b)",
        "substring(a from 1 for 2)",
        "substring(a for 2)",
        "substring(a similar b escape c)",
        "substring(a, 1)",
        "overlay(a placing b from 1)",
        "overlay(a placing b from 1 for 2)",
        "trim(a)",
        "trim(leading 'x' from a)",
        "trim(trailing from a)",
        "trim(both from a, b)",
        "normalize(a)",
        "normalize(a, nfkc)",
        "a is normalized",
        "a is not nfd normalized",
        "(a, b) overlaps (c, d)",
        "collation for (a)",
        "treat(a as int)",
        "current_date",
        "current_time(3)",
        "localtimestamp",
        "current_user",
        "session_user",
        "current_schema",
        "user",
        "grouping(a, b)",
        "\"select\"",
        "a.\"B c\"",
        "U&\"\\0041\"",
        "b'01'",
        "x'1f'",
        "1e10",
        "12345678901234567890",
        "E'a\\nb'",
        "'it''s \\ '",
        "a collate s.\"C\"",
        "true and false",
        "null",
    };
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(exprs); i++) {
        char sql[400];
        (void)snprintf(sql, sizeof sql, "select %s", exprs[i]);
        AstStmtList *list;
        if (try_parse(f, sql, &list) == ST_OK) {
            expect_round_trip(f, sql);
            arena_reset(&f->arena);
        } else {
            fail_msg("%s: %s", sql, f->err.message);
        }
    }
}

static void queries(void **state)
{
    static const char *const sqls[] = {
        "select distinct a, b as \"select\" from t",
        "select distinct on (a, b) * from only t, s.u v, (values (1)) as w (x) where a",
        "select all 1 into temp x from t",
        "table t",
        "values (1, default), (2, 3) order by 1 limit 1",
        "select 1 group by distinct a, rollup (a, (b, c)), cube (d), grouping sets ((a), (), cube (b)), ()",
        "select 1 group by \"cube\"(a)",
        "select 1 from a join b on c left outer join d using (e) as f natural full join g cross join h",
        "select 1 from a join (b right join c on d) on e",
        "select 1 from (a join b using (c)) as x (y)",
        "select 1 from lateral (select 1) x, lateral f(1) with ordinality as g (h), f() as (a int, b text collate "
        "\"C\")",
        "select 1 from f() as x (a int), rows from (f(1), g() as (a int, b text)) with ordinality as y",
        "select 1 from t tablesample system(1) repeatable (2), current_date, cast(1 as int) as x",
        "with a as (select 1), b (c) as not materialized (select 2) select 3",
        "with recursive a as (select 1 union select 2) search breadth first by b, c set d cycle e set f using g select "
        "1",
        "with recursive a as (select 1) cycle b set c to 'x' default 'y' using d select 1",
        "with recursive a as (select 1) cycle b set c to date '2020-01-01' default 1.5 using d select 1",
        "with x as (insert into t values (1) returning a), y as (delete from u) select 1",
        "(select 1 order by 1 limit 1) union all (select 2 intersect select 3) except select 4 order by 1",
        "(with a as (select 1) select 2) union select 3",
        "select 1 window w as (partition by a), v as (w order by b rows 1 preceding)",
        "select 1 offset 1 rows fetch next row only",

        "select 1 for update of a, b nowait for key share skip locked",
        "select 1 from t for no key update for share",
        "insert into t default values",
        "insert into s.t as x (a, b.c, d[1], e.f[2].g) overriding user value values (1, 2, 3, 4) returning *, a as b",
        "insert into t select 1 on conflict do nothing",
        "insert into t values (1) on conflict (a, lower(b) collate \"C\" s.ops, (c + 1)) where d do update set a = "
        "excluded.a where e",
        "insert into t values (1) on conflict on constraint c do update set (a, b) = (1, 2), c = default",
        "with a as (select 1) insert into t table a",
        "update only t as x set a = 1, b.c[1] = default, (d, e) = (select 1, 2), (f) = row(1) from u where current of "
        "c",
        "delete from t using u, v where a returning b",
        "merge into t as x using (select 1) as s on a when matched and b then update set c = 1 when matched then "
        "delete when not "
        "matched and d then insert (e, f) overriding system value values (1, default) when not matched then do nothing",
        "merge into t using s on a when not matched then insert default values",
        "explain (analyze, costs off, format json) select 1",
        "explain analyze verbose update t set a = 1",
        "prepare p (int, text[]) as select $1",
        "execute p (1, 'a')",
        "deallocate all",
        "declare c binary no scroll cursor with hold for select 1",
        "fetch backward 5 from c",
        "move absolute -1 in c",
        "fetch all c",
        "close all",
        "copy t (a, b) from 'x' with (format csv, header, delimiter ',', force_not_null (a)) where a > 1",
        "copy (select 1) to stdout csv header force quote *",
        "copy t from program 'x' delimiter '|' null ''",
        "create or replace temp view v (a) as select 1 with local check option",
        "create table if not exists t (a) on commit drop as select 1 with no data",
        "create materialized view v tablespace x as select 1",
        "create unique index concurrently if not exists i on only t using gist (a desc nulls last, (b + 1) s.ops) "
        "include (c) "
        "nulls not distinct tablespace x where d",
        "refresh materialized view concurrently v with no data",
        "truncate only a, b restart identity cascade",
        "savepoint s",
        "rollback and chain",
        "rollback to s",
        "prepare transaction 'x'",
        "call f(1, a => 2)",
        "create publication p for table t",
    };
    for (size_t i = 0; i < ARRAY_LEN(sqls); i++) {
        expect_round_trip(*state, sqls[i]);
    }
}

static void what_has_no_text_is_named(void **state)
{
    Fixture *f = *state;
    StrBuf b;
    strbuf_init(&b, &f->budget);
    err_clear(&f->err);
    assert_int_equal(ast_deparse(must_parse_one(f, "grant select on t to u"), &f->err, &b), ST_FEATURE_NOT_SUPPORTED);
    assert_string_equal(f->err.message, "cannot write AST_GRANT_STMT as SQL");
    err_clear(&f->err);
    assert_int_equal(ast_deparse(must_parse_one(f, "select xmlparse(content 'x')"), &f->err, &b),
                     ST_FEATURE_NOT_SUPPORTED);
    strbuf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(expressions), TEST(queries), TEST(what_has_no_text_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
