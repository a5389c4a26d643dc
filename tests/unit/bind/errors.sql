select x from t
select t.x from t
select z.a from t
select a from t, u
select a from nosuch
select * from no.such
select t.a from t x
select aa from t
select bb, cc from t
select t.dd from u, t
select a from t where u.a = 1
select * from t join u on t.a = u.q
select * from t, (select t.a) x
select * from t right join lateral (select t.a) x on true
select * from t, t
select * from t as x, u as x
select * from (select 1)
select *
select q.* from t
select * from t as x(p,q,r,s)
select * from t join u using (zz)
select * from t join u using (b)
select 'é', nosuch
select 1 + 'a'::text
select a + b from t
select nosuch(a) from t
select abs(b) from t
select '1' + '2'
select 'abc' + 1
select 1 where 1
select 1 where 'x'
select not a from t
select a and true from t
select case when a then 1 end from t
select case when true then 1 else 'x'::text end
select coalesce(1, 'a'::text)
select coalesce(1, 'a')
select array[1, 'a'::text]
select array[]
select greatest(1, b) from t
select a from t order by 2
select a from t order by 0
select a from t order by 1.5
select a from t group by 3
select a, b from t group by b
select b from t group by c
select count(*), a from t
select a from t having count(*) > 0
select count(a) from t where count(a) > 1
select sum(count(a)) from t
select a from t group by count(a)
select * from t join u on count(*) = 1
select a from t where sum(c) over () > 1
select sum(c) over w from t
select rank() from t
select abs(distinct a) from t
select abs(*) from t
select abs(a) over () from t
select count() from t
select sum(b) from t
select max(true)
select distinct a from t order by b
select distinct on (b) a from t order by a
select a as x, b as x from t order by x
select a + 1 as x from t order by x + 1
select a from t union select b from t
select a from t union select a, d from u
select a from t union select a from u order by a + 1
select a from t union select a from u order by zz
values (1), (1, 2)
values (1), ('a')
select a from t limit a
select a from t limit 'x'
select a from t limit true
select (select a, b from t)
select a in (select a, d from u) from t
select (a, b) = (1, 2, 3) from t
select (a, b) in (select a from u) from t
select a = any (1) from t
select a = any (array['x'::text]) from t
select a in (1, 'x'::text) from t
select a between 1 and 'x'::text from t
select a not between 1 and 'x'::text from t
select a like 'x' from t
select b collate nosuch from t
select a collate "C" from t
select a[1] from t
select (array[1])['x'::text]
select a::nosuch from t
select a::int(3) from t
select b::varchar(0) from t
select 1::numeric(2000)
select a::timestamp from t
select 'x'::int
select date '2020-13-01'
select generate_series(1,2) from t where generate_series(1,2) = 1
select 1 limit generate_series(1,2)
select a.b.c.d from t
with w as (select 1), w as (select 2) select * from w
with w(a, b) as (select 1) select * from w
with recursive r as (select 1 union all select 'x'::text from r) select * from r
with recursive r as (select * from r) select * from r
insert into t(a, zz) values (1, 2)
insert into t(a, a) values (1, 2)
insert into t(a) values (1, 2)
insert into t(a, b) values (1)
insert into t values (1, 'x', 2, 3)
insert into t(a) values ('x'::text)
insert into t(a) values ('x')
insert into t(a) select d from u
insert into nosuch values (1)
insert into t values (1), (1, 'x')
insert into t(a) values (count(*))
insert into t(a) values (1) returning zz
update t set zz = 1
update t set a = b
update t set a = 1, a = 2
update t set a = count(*)
update t set b = u.d
update t set (a, b) = (1)
update t set a = 1 from t
update t set a = 1 where 1
delete from t where zz = 1
delete from t using t
delete from t returning count(*)
select a from t for update of zz
select distinct a from t for update
select count(*) from t for update
select a from t group by a for update
select default
select ctid from t, u
select t.nosuch.a from t
select grouping(a) from t
select string_agg(distinct b, ',' order by a) from t
select count(*) filter (where a) from t
select a from t x where t.a = 1
select t.a from public.t x
select public.t.a from t x
