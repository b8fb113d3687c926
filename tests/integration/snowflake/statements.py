"""Statements typical of dbt projects and of Airbyte, and what Snowflake's documentation says they return.

`test_statements.py` holds the emulator to them. `python -m tests.integration.snowflake.statements` prints the table of
docs/snowflake.md that is made from them.
"""
# ruff: noqa: E501, DTZ001 - a line a statement; TIMESTAMP_NTZ has no zone

from datetime import UTC, date, datetime, time
from decimal import Decimal

from tests.integration.snowflake.documented import (
    CONVERT,
    DONE,
    FORMATS,
    FUNCTION,
    NAMES,
    NUMBERS,
    SQL,
    TEXTS,
    TIMES,
    Case,
    one,
)
from tests.integration.snowflake.snowpark_functions import SNOWPARK_CASES

SETUP = (
    "create or replace table t (a int, b number(10, 2), c float, d varchar(3), e timestamp_tz, f timestamp_ntz, g date, "
    "v variant)",
    "insert into t select 7, 2.50, 1.5, 'abc', '2013-01-02 03:04:05.678 +0000'::timestamp_tz, "
    "'2013-01-02 03:04:05.678'::timestamp_ntz, '2013-01-05'::date, "
    """parse_json('{"a": 1, "b": [1, "x"], "c": 1.5, "d": null}')""",
)
CASES = [
    # names
    Case('select "A" from t', one(7), NAMES),
    Case('select "a" from t', "invalid identifier '\"a\"'", NAMES),
    Case('select * from "t"', "does not exist or not authorized", NAMES),
    Case('select x."a" from t as x', "invalid identifier '\"a\"'", NAMES),
    Case('select "low" from (select 1 as "low")', one(1), NAMES),
    Case('select low from (select 1 as "low")', "invalid identifier 'LOW'", NAMES),
    Case('with q as (select a from t) select "a" from q', "invalid identifier '\"a\"'", NAMES),
    Case('update t set a = 1 where "a" = 1', "invalid identifier '\"a\"'", NAMES),
    Case('drop table "t"', "does not exist or not authorized", NAMES),
    Case('create or replace table "t" (x int)', "differ only by case", NAMES, "a second table"),
    # numbers
    Case("select 7 / 2, 1 / 3, -2 / 3", one(Decimal("3.500000"), Decimal("0.333333"), Decimal("-0.666667")), NUMBERS),
    Case("select 10.00 / 3, 2.5 / 2", one(Decimal("3.33333333"), Decimal("1.2500000")), NUMBERS),
    Case("select a / 2, b / 3, b / a, a / b from t", one(Decimal("3.500000"), Decimal("0.83333333"), Decimal("0.35714286"), Decimal("2.800000")), NUMBERS),
    Case("select c / 2, a / c from t", one(0.75, 7 / 1.5), NUMBERS),
    Case("select a / 2 as half, half / 3 as sixth from t", one(Decimal("3.500000"), Decimal("1.166666666667")), NUMBERS),
    Case("with q as (select * from t) select b / 3 from q", one(Decimal("0.83333333")), NUMBERS),
    Case("select x / 3 from (select a as x from t union all select b from t) order by 1", [(Decimal("0.83333333"),), (Decimal("2.33333333"),)], NUMBERS),
    Case("select (7 / 2)::varchar", one("3.500000"), NUMBERS),
    Case("select 1 / 0", "Division by zero", NUMBERS),
    Case("select 1.0::float / 0", "Division by zero", NUMBERS),
    Case("select a / 0 from t", "Division by zero", NUMBERS),
    Case("select 7 % 0", "Division by zero", NUMBERS),
    Case("select div0(1, 0), div0(7, 2)", one(Decimal("0.000000"), Decimal("3.500000")), FUNCTION + "div0"),
    Case("select 1.123456789 * 1.123456789", one(Decimal("1.262155156750")), NUMBERS),
    Case("select avg(a), avg(b), avg(c) from t", one(Decimal("7.000000"), Decimal("2.50000000"), 1.5), FUNCTION + "avg"),
    Case("select avg(a) over (partition by d) from t", one(Decimal("7.000000")), FUNCTION + "avg"),
    Case("select avg(x) from values (1), (2), (2) as q(x)", one(Decimal("1.666667")), FUNCTION + "avg"),
    Case("select avg(x) from (select a as x from t where false)", one(None), FUNCTION + "avg"),
    Case("select sum(a), sum(b), sum(c) from t", one(7, Decimal("2.50"), 1.5), FUNCTION + "sum"),
    Case("select sum(coalesce(array_size(v:b), 0)) from t", one(2), FUNCTION + "sum"),
    Case("select sum(d) from (select '1.5' as d)", "add explicit type casts", FUNCTION + "sum", "1.5"),
    Case("select 2.5::float::int, 3.5::float::int, -2.5::float::int", one(3, 4, -3), CONVERT),
    Case("select 2.5::int, '2.5'::int", one(3, 3), CONVERT),
    Case("select 'abc'::int", "abc", CONVERT),
    Case("create or replace table n (i int); insert into n select 2.5::float; select i from n", one(3), CONVERT),
    Case("select 99999999999999999999::number(38, 0)", "out of range", "sql-reference/data-types-numeric", "99999999999999999999"),
    Case("select to_number('1.5'), to_number('1.5', 10, 1), try_to_number('x')", one(2, Decimal("1.5"), None), FUNCTION + "to_decimal"),
    Case("select hash(1)", "HASH", FUNCTION + "hash", "a number of Snowflake's own"),
    # text
    Case("select 1.0::float::varchar, 1.5::float::varchar, 1e20::float::varchar", one("1", "1.5", "1e+20"), CONVERT),
    Case("select (0.1::float + 0.2::float)::varchar", "more than 15 digits", CONVERT, "its own rounding"),
    Case("select true::varchar, 2.50::varchar, g::varchar from t", one("true", "2.50", "2013-01-05"), CONVERT),
    Case("select f::varchar from t", one("2013-01-02 03:04:05.678"), FORMATS),
    Case("select '2013-01-02'::timestamp_ntz::varchar", one("2013-01-02 00:00:00.000"), FORMATS),
    Case("select e::varchar from t", one("2013-01-02 03:04:05.678 +0000"), FORMATS),
    Case("select '12:30:00.5'::time::varchar", one("12:30:00"), FORMATS),
    Case("select a || '-' || c || '-' || f from t", one("7-1.5-2013-01-02 03:04:05.678"), FUNCTION + "concat"),
    Case("select concat(c, 'x'), concat('x', null) from t", one("1.5x", None), FUNCTION + "concat"),
    Case("select md5(1.0::float::varchar) = md5('1')", one(True), FUNCTION + "md5"),
    Case("select to_char(f, 'YYYY-MM-DD HH24:MI:SS'), to_char(g, 'YYYYMMDD') from t", one("2013-01-02 03:04:05", "20130105"), FUNCTION + "to_char"),
    Case("select to_char(a, '999') from t", "the format '999'", FUNCTION + "to_char", "'   7'"),
    Case("select 'abcd'::varchar(3)", "too long", TEXTS),
    Case("select try_cast('abcd' as varchar(3))", one(None), FUNCTION + "try_cast"),
    Case("select 'ab'::char", "too long", TEXTS),
    Case("insert into t (d) values ('abcd')", "too long", TEXTS),
    Case("update t set d = 'abcd'", "too long", TEXTS),
    Case("select greatest(null, 1), substr('abc', 0, 2), split_part('a,b', ',', 0)", one(None, "ab", "a"), FUNCTION + "greatest"),
    Case("select 'abc' rlike 'b', regexp_like('abc', 'a.*')", one(False, True), FUNCTION + "rlike"),
    Case("select monthname('2013-01-05'::date), dayname('2013-01-05'::date)", one("Jan", "Sat"), FUNCTION + "monthname"),
    # times
    Case("select f, e from (select null::timestamp_ntz as f, null::timestamp_tz as e)", one(None, None), TIMES),
    Case("select date_trunc('month', g), date_trunc('month', f) from t", one(date(2013, 1, 1), datetime(2013, 1, 1)), FUNCTION + "date_trunc"),
    Case("select dateadd(day, 1, g), dateadd(hour, 1, g) from t", one(date(2013, 1, 6), datetime(2013, 1, 5, 1)), FUNCTION + "dateadd"),
    Case("select add_months(g, 1), add_months(f, 1) from t", one(date(2013, 2, 5), datetime(2013, 2, 2, 3, 4, 5, 678000)), FUNCTION + "add_months"),
    Case("select e::date, hour(e), e from t", one(date(2013, 1, 2), 3, datetime(2013, 1, 2, 3, 4, 5, 678000, UTC)), TIMES),
    Case("select '2013-01-01 23:30:00 -0500'::timestamp_tz::date", "stores a TIMESTAMP_TZ in UTC", TIMES, "2013-01-01"),
    Case("insert into t (e) values ('2013-01-01 23:30:00 -05:00')", "stores a TIMESTAMP_TZ in UTC", TIMES, "1 row"),
    Case("select try_cast(e::varchar as timestamp_tz) from t", one(datetime(2013, 1, 2, 3, 4, 5, 678000, UTC)), FUNCTION + "try_cast"),
    Case("select convert_timezone('America/New_York', e)::date, hour(convert_timezone('America/New_York', e)) from t", one(date(2013, 1, 1), 22), FUNCTION + "convert_timezone"),
    Case("select convert_timezone('America/New_York', e) from t", "stores a TIMESTAMP_TZ in UTC", FUNCTION + "convert_timezone", "2013-01-01 22:04:05.678 -0500"),
    Case("select convert_timezone('UTC', 'America/New_York', f) from t", one(datetime(2013, 1, 1, 22, 4, 5, 678000)), FUNCTION + "convert_timezone"),
    Case("select date_part(epoch_second, f) from t", one(1357095845), FUNCTION + "date_part"),
    Case("alter session set timezone = 'UTC'", DONE, SQL + "alter-session"),
    Case("alter session set timezone = 'America/New_York'", "sessions are in UTC", SQL + "alter-session", "done"),
    # semi-structured
    Case("select typeof(v), typeof(v:a), typeof(v:b), typeof(v:b[1]), typeof(v:c), typeof(v:d) from t", one("OBJECT", "INTEGER", "ARRAY", "VARCHAR", "DECIMAL", "NULL_VALUE"), FUNCTION + "typeof"),
    Case("select typeof(a) from t", "TYPEOF accepts only a VARIANT", FUNCTION + "typeof", "INTEGER"),
    Case("select v:b::varchar, v:b[1]::varchar, v:a::int, v:d::varchar from t", one('[1,"x"]', "x", 1, None), "user-guide/querying-semistructured"),
    Case("select array_construct(1, 2)::varchar", one("[1,2]"), FUNCTION + "array_construct"),
    Case("select array_construct('a', null)", "which is undefined on Snowflake", FUNCTION + "array_construct", '`["a",undefined]`'),
    Case("comment on column t.a is 'seven'", "does not store comments on columns", "sql-reference/sql/comment", "done"),
    Case("alter table t alter column a comment 'seven'", "does not store comments on columns", "sql-reference/sql/alter-table-column", "done"),
    Case("select array_construct(3::double)", "cannot store a FLOAT in a VARIANT", FUNCTION + "array_construct", "`[3.000000000000000e+00]`"),
    Case("select object_construct('c', c) from t", "cannot store a FLOAT in a VARIANT", FUNCTION + "typeof", '`{"c":1.500000000000000e+00}`'),
    Case("select typeof(parse_json('1.912e2'))", "cannot store a FLOAT in a VARIANT", FUNCTION + "typeof", "`DOUBLE`"),
    Case("""select parse_json('{"1e5": "a: 1e5"}')""", one('{"1e5":"a: 1e5"}'), FUNCTION + "parse_json"),
    Case("""select to_json(parse_json('{"b": {"d": 1, "c": 2}, "a": 2}')), to_json('a'::variant), to_json(null)""", one('{"a":2,"b":{"c":2,"d":1}}', '"a"', None), FUNCTION + "to_json"),
    Case("select array_agg(x) from (select 1 as x union all select null)", one("[1]"), FUNCTION + "array_agg"),
    # rows that change
    Case("create or replace table m (id int, n int); insert into m values (1, 1), (2, 2); merge into m using (select 1 as id, 9 as n union all select 3, 9) s on m.id = s.id when matched then update set n = s.n when not matched then insert (id, n) values (s.id, s.n)", one(1, 1), SQL + "merge"),
    Case("create or replace table m (id int); merge into m using (select 1 as id) s on m.id = s.id when not matched then insert (id) values (s.id)", one(1), SQL + "merge"),
    Case("create or replace table m (id int); insert into m values (1); merge into m using (select 1 as id) s on m.id = s.id when matched then delete", one(1), SQL + "merge"),
    Case("create or replace table k (id int primary key, n int unique); insert into k values (1, 1), (1, 1); select count(*) from k", one(2), "sql-reference/constraints-overview"),
    Case("create or replace table k (id int primary key); insert into k values (null)", "NOT NULL", "sql-reference/constraints-overview"),
    Case("create or replace table s1 as select 1 as x; create or replace table s2 as select 2 as x; alter table s1 swap with s2; select s1.x, s2.x from s1, s2", one(2, 1), SQL + "alter-table"),
    Case("truncate table if exists no_such", DONE, SQL + "truncate-table"),
    Case("truncate table no_such", "does not exist", SQL + "truncate-table"),
    Case("undrop table t", "no Time Travel", SQL + "undrop-table", "done"),
    Case("select * from t at(offset => -60)", "no Time Travel", "sql-reference/constructs/at-before", "the rows of a minute ago"),
    Case("create or replace table c1 as select 1 as x; create or replace table c2 clone c1; select x from c2", one(1), SQL + "create-clone"),
    # stages, as Airbyte's destination uses them
    Case("drop stage if exists no_such", one("Drop statement executed successfully (NO_SUCH already dropped)."), SQL + "drop-stage"),
    Case("drop stage no_such", "does not exist", SQL + "drop-stage"),
    Case("create or replace stage st; remove @st; drop stage st", one("ST successfully dropped."), SQL + "drop-stage"),
    Case("create or replace file format ff type = csv skip_header = 1; create or replace stage st file_format = ff; create or replace table r (x int); copy into r from @st", one("Copy executed with 0 files processed."), SQL + "copy-into-table"),
    # roles and warehouses
    Case("use warehouse no_such", "does not exist", SQL + "use-warehouse"),
    Case("create or replace warehouse wh; use warehouse wh; select current_warehouse(); use warehouse w", DONE, SQL + "use-warehouse"),
    Case("use role no_such", "not assigned to the executing user", SQL + "use-role"),
    Case("create role if not exists reader; grant select on table t to role reader", DONE, SQL + "grant-privilege"),
    Case("revoke select on table t from role reader", DONE, SQL + "revoke-privilege"),
    Case("grant select on table no_such to role reader", "does not exist", SQL + "grant-privilege"),
    Case("grant select on table t to role no_such", "does not exist", SQL + "grant-privilege"),
    # VARIANTs where their values count
    Case("select parse_json('9') < parse_json('10'), v:c > 1, v:b[1] = 'x', v:a in (1, 2), v:a between 0 and 2 from t", one(True, True, True, True, True), "user-guide/semistructured-considerations"),
    Case("select v:b[1] like 'x%', length(v:b[1]), upper(v:b[1]), listagg(v:b[1], ',') from t group by all", one(True, 1, "X", "x"), "user-guide/semistructured-considerations"),
    Case("select v:a = '1' from t", "contains NUMBER with TEXT", "user-guide/semistructured-considerations", "`True`"),
    Case("select max(v:c) from t", "cannot order or compare VARIANTs", "user-guide/semistructured-considerations", "`1.5`"),
    Case("select v:a from t order by v:a", "cannot order or compare VARIANTs", "user-guide/semistructured-considerations", "`1`"),
    Case("""select parse_json('{"b": 1}') = parse_json('{"b": 1}')""", "cannot compare OBJECTs", "user-guide/semistructured-considerations", "`True`"),
    Case("select v:b[-1] from t", "a negative index", "user-guide/querying-semistructured", "NULL"),
    Case("""select object_construct('b', 1, 'a', 2), parse_json('{"z": {"y": 1, "x": 2}}')::varchar""", one('{"a":2,"b":1}', '{"z":{"x":2,"y":1}}'), "user-guide/semistructured-considerations"),
    Case("select {'a': 1, 'B': [1, 2]}, {'a': 1}:a::int", one('{"B":[1,2],"a":1}', 1), "sql-reference/data-types-semistructured"),
    Case("select 'a'::variant, to_variant(1), typeof('a'::variant), true::variant", one('"a"', "1", "VARCHAR", "true"), FUNCTION + "to_variant"),
    Case("select 1::array, parse_json('[1]')::array, null::array", one("[1]", "[1]", None), FUNCTION + "to_array"),
    Case("select parse_json('[1]')::object", "Failed to cast variant value", FUNCTION + "to_object"),
    Case("""create or replace table w (v variant); insert into w select '{"a": 1}'; select v, v:a from w""", one('"{\\"a\\": 1}"', None), "sql-reference/data-types-semistructured"),
    Case("select parse_json('null') is null, is_null_value(parse_json('null')), parse_json('null')::varchar, try_parse_json('{')", one(False, True, None, None), FUNCTION + "parse_json"),
    Case("select f.value, f.index, f.key, f.path from table(flatten(input => parse_json('[10, null]'))) f", [("10", 0, None, "[0]",), ("null", 1, None, "[1]",)], FUNCTION + "flatten"),
    Case("""select f.key, f.path, f.value::int from table(flatten(parse_json('{"b": 2, "a b": 1}'))) f order by 1""", [("a b", "['a b']", 1,), ("b", "b", 2,)], FUNCTION + "flatten"),
    Case("select count(f.value), count(*) from t, lateral flatten(input => t.v:nothing, outer => true) f", one(0, 1), FUNCTION + "flatten"),
    Case("select f.key from t, lateral flatten(input => t.v, mode => 'ARRAY') f", [], FUNCTION + "flatten"),
    Case("""select f.value:x::int, g.value::varchar from table(flatten(parse_json('[{"x": 1, "y": ["p"]}]'))) f, lateral flatten(f.value:y) g""", one(1, "p"), FUNCTION + "flatten"),
    Case("""select f.path from table(flatten(input => parse_json('{"a": {"b": 1}}'), recursive => true)) f""", "does not support RECURSIVE", FUNCTION + "flatten", "`a`; `a.b`"),
    Case("select array_agg(distinct x) within group (order by x), array_agg(x) from (select 1 as x union all select null)", one("[1]", "[1]"), FUNCTION + "array_agg"),
    Case("select array_agg(a) from t where false", one("[]"), FUNCTION + "array_agg"),
    Case("select object_agg(x, 1) from (select 'k' as x union all select null)", one('{"k":1}'), FUNCTION + "object_agg"),
    Case("""select array_size(parse_json('{"a": 1}')), array_size(v:b), array_contains(2::variant, array_construct(1, 2)) from t""", one(None, 2, True), FUNCTION + "array_size"),
    # aggregates and windows
    Case("select listagg(d, ',') from t where false", one(""), FUNCTION + "listagg"),
    Case("select listagg(x) within group (order by x), listagg(distinct x) within group (order by x) from (select 'a' as x union all select 'b')", one("ab", "ab"), FUNCTION + "listagg"),
    Case("select listagg(x, ',') within group (order by x desc) from (select 'a' as x union all select 'b' union all select null)", one("b,a"), FUNCTION + "listagg"),
    Case("select median(x), median(y), median(x::float) from (select 1 as x, 0.01 as y union all select 2, 0.02)", one(Decimal("1.500"), Decimal("0.01500"), 1.5), FUNCTION + "median"),
    Case("select percentile_cont(0.5) within group (order by x), percentile_disc(0.5) within group (order by x) from (select 1 as x union all select 2)", one(Decimal("1.500"), 1), FUNCTION + "percentile_cont"),
    Case("select approx_percentile(a, 0.5) from t", "was not compared with Snowflake", FUNCTION + "approx_percentile", "about 7"),
    Case("select variance(x) from (select 1 as x union all select 2)", "Cast the argument to FLOAT", FUNCTION + "variance", "`0.500000`"),
    Case("select variance(x::float), var_pop(x::float), stddev(x::float) from (select 1 as x union all select 3)", one(2.0, 1.0, 1.4142135623730951), FUNCTION + "variance"),
    Case("select x, last_value(x) over (order by x), lag(x) over (order by x), sum(x) over (order by x) from (select 1 as x union all select 2) order by x", [(1, 2, None, 1,), (2, 2, 1, 3,)], FUNCTION + "last_value"),
    Case("select count(distinct x, y), count(x), count_if(x = 1) from (select 1 as x, 2 as y union all select 1, null)", one(1, 2, 2), FUNCTION + "count"),
    Case("select boolor_agg(x = 1), booland_agg(x = 1), bitor_agg(x), max_by(x, y), mode(x) from (select 1 as x, 2 as y union all select 2, 1 union all select 1, 0)", one(True, False, 3, 1, 1), FUNCTION + "boolor_agg"),
    Case("select x, sum(y), grouping(x) from (select 'a' as x, 1 as y union all select 'b', 2) group by rollup (x) order by 1", [("a", 1, 0,), ("b", 2, 0,), (None, 3, 1,)], "sql-reference/constructs/group-by-rollup"),
    Case("select x from (select 1 as x union all select 2) qualify row_number() over (order by x desc) = 1", one(2), "sql-reference/constructs/qualify"),
    Case("select x from (select 1 as x union all select null) order by x desc", [(None,), (1,)], "sql-reference/constructs/order-by"),
    Case("select approx_top_k(a) from t", "was not compared with Snowflake", FUNCTION + "approx_top_k", "`[[7,1]]`"),
    Case("select hash_agg(a) from t", "Use MD5 or SHA2 of the rows", FUNCTION + "hash_agg", "a number of Snowflake's own"),
    Case("select list_sum([1])", "was not compared with Snowflake", "sql-reference/functions-all"),
    # numbers
    Case("select ceil(1.251, 2), floor(-1.257, 2), floor(-1.5), ceil(1.2::float)", one(Decimal("1.26"), Decimal("-1.26"), -2, 2.0), FUNCTION + "ceil"),
    Case("select round(2.5), round(-2.5), round(15, -1), round(1.255, 2), trunc(-1.99, 1)", one(3, -3, 20, Decimal("1.26"), Decimal("-1.9")), FUNCTION + "round"),
    Case("select mod(-7, 3), -7 % 3, mod(7, -3), mod(5.5, 2)", one(-1, -1, 1, Decimal("1.5")), FUNCTION + "mod"),
    Case("select 1.1 * 1.1, 2 / 3 * 3, 5 / 2 * 2, 100.0 * 1 / 3", one(Decimal("1.21"), Decimal("2.000001"), Decimal("5.000000"), Decimal("33.3333333")), NUMBERS),
    Case("select '1.256'::number(10, 2), '1e2'::number, ' 12 '::int, try_cast('1234.5' as number(5, 2)), try_cast('' as int)", one(Decimal("1.26"), 100, 12, None, None), FUNCTION + "to_decimal"),
    Case("select 1234.5::number(5, 2)", "out of range", FUNCTION + "to_decimal"),
    Case("select 'yes'::boolean, 'F'::boolean, '0'::boolean, 5::boolean, try_to_boolean('x'), to_boolean('off')", one(True, False, False, True, None, False), FUNCTION + "to_boolean"),
    Case("select nvl2(null, 1, 2), zeroifnull(null), nullifzero(0), equal_null(null, null), div0null(1, 0), least(1, null), iff(null, 1, 2), decode(null, null, 'n', 'x')", one(2, 0, None, True, Decimal("0.000000"), None, 2, "n"), FUNCTION + "nvl2"),
    Case("select greatest_ignore_nulls(1, null), least_ignore_nulls(null, 2, 3)", one(1, 2), FUNCTION + "greatest_ignore_nulls"),
    Case("select bitand(6, 3), bitor(6, 3), bitxor(6, 3), bitnot(1), bitshiftleft(1, 4)", one(2, 7, 5, -2, 16), FUNCTION + "bitand"),
    # text
    Case("select trim('xxaxx', 'x'), ltrim('0012', '0'), rtrim('a..', '.'), trim(' a ')", one("a", "12", "a", "a"), FUNCTION + "trim"),
    Case("select substr('abcdef', -2), substr('abcdef', -3, 2), substr('abc', 5), left('abc', -1), right('abc', 2)", one("ef", "de", "", "", "bc"), FUNCTION + "substr"),
    Case("select split_part('a,b,c', ',', -1), split_part('a,b', ',', 5), strtok('a.b c', '. ', 2), strtok('a', '.', 9)", one("c", "", "b", None), FUNCTION + "split_part"),
    Case("select charindex('b', 'abcb', 3), position('b' in 'abcb'), position('z', 'abc'), insert('abcdef', 2, 3, 'X')", one(4, 2, 0, "aXef"), FUNCTION + "position"),
    Case("select regexp_replace('a1b2', '[0-9]+'), regexp_replace('abc', '(b)', '[\\\\1]'), regexp_replace('aab', 'a', 'x')", one("ab", "a[b]c", "xxb"), FUNCTION + "regexp_replace"),
    Case("select regexp_substr('a1b22', '[0-9]+', 1, 2), regexp_substr('ab12', '([a-z]+)([0-9]+)', 1, 1, 'e', 2), regexp_count('aaa', 'a'), regexp_instr('abcabc', 'b', 1, 2)", one("22", "12", 3, 5), FUNCTION + "regexp_substr"),
    Case("select regexp_replace('abcabc', 'b', 'X', 1, 2)", "additional parameters", FUNCTION + "regexp_replace", "`abcaXc`"),
    Case("select 'abc' like 'A%', 'abc' ilike 'A%', 'a_c' like 'a^_c' escape '^', 'abc' like any ('x%', 'a%'), 'a' = 'a '", one(False, True, True, True, False), FUNCTION + "like"),
    Case("select initcap('hello wORLD-foo'), reverse('abc'), repeat('ab', -1), lpad('ab', 5, '*'), translate('abc', 'ab', 'x'), concat_ws('-', 'a', null)", one("Hello World-Foo", "cba", "", "***ab", "xc", None), FUNCTION + "initcap"),
    Case("select sha1('a'), md5(1), sha2('a') = sha2('a', 256), md5(true) = md5('true')", one("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "c4ca4238a0b923820dcc509a6f75849b", True, True), FUNCTION + "sha2"),
    Case("select jarowinkler_similarity('abc', 'abd'), editdistance('abc', 'abd')", one(82, 1), FUNCTION + "jarowinkler_similarity"),
    Case("select 'A' collate 'en-ci' = 'a'", "was not compared with Snowflake", "sql-reference/collation", "`True`"),
    # dates
    Case("select dateadd(month, 1, '2020-01-31'::date), dateadd(month, -1, '2020-03-31'::date), add_months('2020-02-29'::date, 1), dateadd('quarter', 1, '2020-11-30'::date)", one(date(2020, 2, 29), date(2020, 2, 29), date(2020, 3, 31), date(2021, 2, 28)), FUNCTION + "dateadd"),
    Case("select dateadd(minute, 1.5, '2020-01-01'::timestamp), dateadd(day, 1, '2020-01-01'), dateadd(hour, 25, '2020-01-01'::date)", one(datetime(2020, 1, 1, 0, 2), datetime(2020, 1, 2, 0, 0), datetime(2020, 1, 2, 1, 0)), FUNCTION + "dateadd"),
    Case("select dateadd(nanosecond, 1500, f) from t", "supports only microseconds", FUNCTION + "dateadd", "1.5 microseconds later"),
    Case("select g + interval '1 day', g - interval '1 month', f + interval '1 day', g + 1, g - '2013-01-01'::date from t", one(date(2013, 1, 6), date(2012, 12, 5), datetime(2013, 1, 3, 3, 4, 5, 678000), date(2013, 1, 6), 4), "sql-reference/data-types-datetime"),
    Case("select datediff(month, '2020-01-31', '2020-02-01'), datediff(year, '2019-12-31', '2020-01-01'), datediff(week, '2020-01-05'::date, '2020-01-06'::date), datediff(hour, '2020-01-01 00:59'::timestamp, '2020-01-01 01:00'::timestamp)", one(1, 1, 1, 1), FUNCTION + "datediff"),
    Case("select dayofweek('2020-01-05'::date), dayofweekiso('2020-01-05'::date), weekiso('2021-01-01'::date), yearofweekiso('2021-01-01'::date), dayofyear('2020-12-31'::date)", one(0, 7, 53, 2020, 366), FUNCTION + "year"),
    Case("select last_day('2020-02-10'::date), last_day('2020-02-10'::date, 'quarter'), next_day('2020-01-01'::date, 'mo'), previous_day('2020-01-01'::date, 'fr')", one(date(2020, 2, 29), date(2020, 3, 31), date(2020, 1, 6), date(2019, 12, 27)), FUNCTION + "last_day"),
    Case("select date_from_parts(2020, 13, 1), date_from_parts(2020, 1, 0), time_from_parts(10, 70, 0), time_slice('2020-01-01 10:37:00'::timestamp, 15, 'MINUTE')", one(date(2021, 1, 1), date(2019, 12, 31), time(11, 10), datetime(2020, 1, 1, 10, 30)), FUNCTION + "date_from_parts"),
    Case("select to_timestamp('1577836800'), to_timestamp('1577836800123'), to_timestamp(1577836800123, 3), to_timestamp('2020-01-01T10:00:00Z')", one(datetime(2020, 1, 1, 0, 0), datetime(2020, 1, 1, 0, 0, 0, 123000), datetime(2020, 1, 1, 0, 0, 0, 123000), datetime(2020, 1, 1, 10, 0)), FUNCTION + "to_timestamp"),
    Case("select to_timestamp(1577836800.5)", "only integers", FUNCTION + "to_timestamp", "2020-01-01 00:00:00.500"),
    Case("select to_date('31/01/2020', 'DD/MM/YYYY'), to_date('01-Jan-2020', 'DD-MON-YYYY'), try_to_date('nope'), to_date('2020-01-01 10:00:00')", one(date(2020, 1, 31), date(2020, 1, 1), None, date(2020, 1, 1)), FUNCTION + "to_date"),
    Case("select '2020-01-01 10:00:00.987'::timestamp_ntz(0)", "supports only microseconds", TIMES, "2020-01-01 10:00:00"),
    Case("create or replace table w (x timestamp_ntz(3))", "supports only microseconds", TIMES, "a table"),
    Case("select '2020-01-05T10:11:12+02:00'::timestamp_ntz, '2020-01-05 10:11:12 +0200'::timestamp_ltz", one(datetime(2020, 1, 5, 10, 11, 12), datetime(2020, 1, 5, 8, 11, 12, tzinfo=UTC)), TIMES),
    Case("alter session set week_start = 7", "not implemented", SQL + "alter-session", "done"),
    # rows that change, and what is created
    Case("create or replace table m (id int, n int); insert into m values (1, 1); merge into m using (select 1 as id, 5 as n union all select 1, 6) s on m.id = s.id when matched then update set n = s.n", "Duplicate row detected", SQL + "merge"),
    Case("create or replace table m (id int); insert into m values (1), (2); merge into m using (select 1 as id union all select 1) s on m.id = s.id when matched then delete; select id from m", one(2), SQL + "merge"),
    Case("create or replace table m (id int); insert into m values (1); insert overwrite into m select 9; select id from m", one(9), SQL + "insert"),
    Case("create or replace table w (a int default 3, b varchar); insert into w (b) values ('x'); create or replace table w2 like w; alter table w rename column b to c; select a, c from w", one(3, "x"), SQL + "create-table"),
    Case("create or replace dynamic table dt target_lag = '1 hour' warehouse = w as select 1 as x", "no dynamic or external tables", SQL + "create-dynamic-table", "a table"),
    Case("create external table et (x int)", "no dynamic or external tables", SQL + "create-external-table", "a table"),
    Case("create schema sc clone public", "can clone only tables", SQL + "create-clone", "a schema"),
    Case("drop table if exists no_such", one("Drop statement executed successfully (NO_SUCH already dropped)."), SQL + "drop-table"),
    Case("show primary keys", "does not store keys", SQL + "show-primary-keys", "the keys"),
    Case("with r (n) as (select 1 union all select n + 1 from r where n < 3) select n from r order by n", [(1,), (2,), (3,)], "sql-reference/constructs/with"),
    Case("select * exclude (c, d, e, f, g, v) rename (a as x) from t", one(7, Decimal("2.50")), SQL + "select"),
    Case("select * from (select 'a' as k, 1 as n union all select 'b', 2) pivot (sum(n) for k in ('a', 'b')) as p (x, y)", one(1, 2), "sql-reference/constructs/pivot"),
    Case("select k, n from (select 1 as jan, 2 as feb) unpivot (n for k in (jan, feb)) order by k", [("FEB", 2,), ("JAN", 1,)], "sql-reference/constructs/unpivot"),
    Case("set x1 = 5; select $x1 + 1", one(6), SQL + "set"),
    *SNOWPARK_CASES,
    # values of other types, what is shown, and what Snowflake does not have
    Case("select 'on'::boolean, 'Y'::boolean, 'off'::boolean, 2::boolean, 0::boolean, try_cast('maybe' as boolean)", one(True, True, False, True, False, None), "sql-reference/data-types-logical"),
    Case("select 'maybe'::boolean", "is not recognized", "sql-reference/data-types-logical"),
    Case("show columns like 'NO%' in table t", [], SQL + "show-columns"),
    Case("show schemas like 'no_such'", [], SQL + "show-schemas"),
    Case("show tables starts with 'no_such'", [], SQL + "show-tables"),
    Case("select '2013-01-02'::timestamp_tz, to_timestamp_tz('2013-01-02 03:04:05'::timestamp_ntz)", one(datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)), FUNCTION + "to_timestamp"),
    Case("select count(*) filter (where a > 1) from t", "Snowflake has no FILTER", FUNCTION + "count"),
    Case("select distinct on (a) a from t", "Snowflake has no DISTINCT ON", SQL + "select"),
    Case("insert into t (a) values (1) returning a", "Snowflake has no RETURNING", SQL + "insert"),
    Case("select 2 ^ 3", "Snowflake has no operator ^", "sql-reference/operators-arithmetic"),
    Case("from t", "Snowflake has no statement FROM", "sql-reference/constructs/from"),
    Case("create or replace table n1 (o object, a array); insert into n1 select parse_json('[1]'), null", "Failed to cast variant value", "sql-reference/data-types-semistructured"),
    Case("create or replace table n1 (o object, a array, v variant); select column_name, data_type from information_schema.columns where table_name = 'N1' order by ordinal_position", [("O", "OBJECT"), ("A", "ARRAY"), ("V", "VARIANT")], "sql-reference/info-schema/columns"),
    # what Airbyte's destination sends to deduplicate, by its SnowflakeDirectLoadSqlGenerator.kt
    Case(
        "create or replace table u (id int, name varchar, changed timestamp_tz, deleted timestamp_tz); "
        "insert into u select 1, 'ant', '2026-01-01'::timestamp_tz, null; insert into u select 2, 'bee', '2026-01-01'::timestamp_tz, null; "
        "insert into u select 5, 'elk', '2026-01-09'::timestamp_tz, null; create or replace table n like u; "
        "insert into n select 1, 'ape', '2026-01-02'::timestamp_tz, null; insert into n select 2, null, '2026-01-02'::timestamp_tz, '2026-01-02'::timestamp_tz; "
        "insert into n select 3, 'cow', '2026-01-02'::timestamp_tz, null; insert into n select 3, 'cat', '2026-01-03'::timestamp_tz, null; "
        "insert into n select 4, null, '2026-01-02'::timestamp_tz, '2026-01-02'::timestamp_tz; insert into n select 5, 'late', '2026-01-02'::timestamp_tz, null; "
        "merge into u as target_table using (with records as (select id, name, changed, deleted from n), numbered_rows as (select *, row_number() over "
        "(partition by id order by changed desc nulls last) as row_number from records) select id, name, changed, deleted from numbered_rows where row_number = 1) as new_record "
        "on (target_table.id = new_record.id or (target_table.id is null and new_record.id is null)) "
        "when matched and new_record.deleted is not null and target_table.changed < new_record.changed then delete "
        "when matched and target_table.changed < new_record.changed then update set name = new_record.name, changed = new_record.changed, deleted = new_record.deleted "
        "when not matched and new_record.deleted is null then insert (id, name, changed, deleted) values (new_record.id, new_record.name, new_record.changed, new_record.deleted); "
        "select id, name from u order by id",
        [(1, "ape"), (3, "cat"), (5, "elk")],
        SQL + "merge",
    ),
    # context
    Case("select current_warehouse(), current_role(), current_user()", one("W", "R", "LOADER"), FUNCTION + "current_warehouse"),
]  # fmt: skip


def table() -> str:
    """Return the table of docs/snowflake.md."""
    rows = [
        f"| `{case.sql.replace('|', chr(92) + '|')}` | {_shown(case)} | {case.verdict} | [page](https://docs.snowflake.com/en/{case.page}) |"
        for case in CASES
    ]
    return (
        "\n".join(["| statement | on Snowflake | emulator | documented |", "| --- | --- | --- | --- |", *rows]) + "\n"
    )


def _shown(case: Case) -> str:
    if case.snowflake:
        return case.snowflake
    if isinstance(case.result, str):
        return "an error"
    return "; ".join(
        ", ".join("NULL" if value is None else f"`{value}`".replace("|", "\\|") for value in row) for row in case.result
    )


if __name__ == "__main__":
    print(table(), end="")
