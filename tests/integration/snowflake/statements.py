"""Statements typical of dbt projects and of Airbyte, and what Snowflake's documentation says they return.

`test_statements.py` holds the emulator to them. `python -m tests.integration.snowflake.statements` prints the table of
docs/snowflake.md that is made from them.
"""
# ruff: noqa: E501, DTZ001 - a line a statement; TIMESTAMP_NTZ has no zone

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

SETUP = (
    "create or replace table t (a int, b number(10, 2), c float, d varchar(3), e timestamp_tz, f timestamp_ntz, g date, "
    "v variant)",
    "insert into t select 7, 2.50, 1.5, 'abc', '2013-01-02 03:04:05.678 +0000'::timestamp_tz, "
    "'2013-01-02 03:04:05.678'::timestamp_ntz, '2013-01-05'::date, "
    """parse_json('{"a": 1, "b": [1, "x"], "c": 1.5, "d": null}')""",
)


@dataclass(frozen=True)
class Case:
    """A statement, and its rows or the words of its error.

    Args:
        sql: statements with a semicolon between them; the last one's result counts.
        result: rows, on Snowflake as on the emulator, or the part of an error that the emulator's message has.
        page: the page below docs.snowflake.com/en that says so.
        snowflake: what Snowflake returns, where the emulator refuses.
    """

    sql: str
    result: list[tuple[Any, ...]] | str
    page: str
    snowflake: str = ""

    @property
    def verdict(self) -> str:
        """How the emulator stands to Snowflake, in a word."""
        return "exact" if not self.snowflake else "refused"


DONE = [("Statement executed successfully.",)]
NAMES = "sql-reference/identifiers-syntax"
NUMBERS = "sql-reference/operators-arithmetic"
CONVERT = "sql-reference/data-type-conversion"
TIMES = "sql-reference/data-types-datetime"
FORMATS = "sql-reference/date-time-input-output"
TEXTS = "sql-reference/data-types-text"
SQL = "sql-reference/sql/"
FUNCTION = "sql-reference/functions/"


def one(*values: Any) -> list[tuple[Any, ...]]:
    return [values]


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
    Case('create or replace table "t" (x int)', "differ in case alone", NAMES, "a second table"),
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
    Case("select '2013-01-01 23:30:00 -0500'::timestamp_tz::date", "keeps a TIMESTAMP_TZ in UTC", TIMES, "2013-01-01"),
    Case("insert into t (e) values ('2013-01-01 23:30:00 -05:00')", "keeps a TIMESTAMP_TZ in UTC", TIMES, "1 row"),
    Case("select try_cast(e::varchar as timestamp_tz) from t", one(datetime(2013, 1, 2, 3, 4, 5, 678000, UTC)), FUNCTION + "try_cast"),
    Case("select convert_timezone('America/New_York', e)::date, hour(convert_timezone('America/New_York', e)) from t", one(date(2013, 1, 1), 22), FUNCTION + "convert_timezone"),
    Case("select convert_timezone('America/New_York', e) from t", "keeps a TIMESTAMP_TZ in UTC", FUNCTION + "convert_timezone", "2013-01-01 22:04:05.678 -0500"),
    Case("select convert_timezone('UTC', 'America/New_York', f) from t", one(datetime(2013, 1, 1, 22, 4, 5, 678000)), FUNCTION + "convert_timezone"),
    Case("select date_part(epoch_second, f) from t", one(1357095845), FUNCTION + "date_part"),
    Case("alter session set timezone = 'UTC'", DONE, SQL + "alter-session"),
    Case("alter session set timezone = 'America/New_York'", "sessions are in UTC", SQL + "alter-session", "done"),
    # semi-structured
    Case("select typeof(v), typeof(v:a), typeof(v:b), typeof(v:b[1]), typeof(v:c), typeof(v:d) from t", one("OBJECT", "INTEGER", "ARRAY", "VARCHAR", "DECIMAL", "NULL_VALUE"), FUNCTION + "typeof"),
    Case("select typeof(a) from t", "TYPEOF takes a VARIANT", FUNCTION + "typeof", "INTEGER"),
    Case("select v:b::varchar, v:b[1]::varchar, v:a::int, v:d::varchar from t", one('[1,"x"]', "x", 1, None), "user-guide/querying-semistructured"),
    Case("select array_construct(1, 2)::varchar", one("[1,2]"), FUNCTION + "array_construct"),
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
