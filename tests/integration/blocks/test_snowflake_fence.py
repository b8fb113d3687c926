"""`make sql` reads alone on Snowflake, too: what could change something is not run."""

import pytest

from blocks.snowflake_fence import NotARead, bounded, check


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        " -- a comment; delete\n SELECT 'drop table t; it''s' as \"delete\"",
        "with a as (select 1 as x), b as (select * from a) select * from b",
        "(select 1) union all (select 2)",
        "show terse tables",
        "DESCRIBE TABLE t",
        "desc view v",
        "select $$a;b$$, 'it\\'s; ' /* ; */ // ; ->>",
    ],
)
def test_a_statement_that_reads_is_run(statement: str) -> None:
    check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "drop table t",
        "DELETE FROM t",
        "insert into t select 1",
        "with a as (select 1) insert into t select * from a",
        "with a as (select 1) delete from t using a",
        "WITH a AS (SELECT 1)\n-- select\nMERGE INTO t USING a ON true WHEN MATCHED THEN DELETE",
        "select 1; drop table t",
        "select '\\'; drop table t; --'' ; drop table t",
        "show tables ->> delete from t",
        "select system$cancel_all_queries(1)",
        "call p()",
        "use role accountadmin",
        "alter session set autocommit = true",
        "begin",
        "commit",
        "execute immediate 'drop table t'",
        "copy into @stage from t",
        "put file:///etc/passwd @~",
        "explain delete from t",
        "grant select on t to role r",
        "/* select */ truncate table t",
        "create table t as select 1",
    ],
)
def test_a_statement_that_may_change_something_is_refused_with_what_may_be_run(statement: str) -> None:
    with pytest.raises(NotARead, match="SELECT, WITH … SELECT, SHOW and DESCRIBE"):
        check(statement)


def test_a_query_without_a_bound_of_its_own_gets_one() -> None:
    assert bounded("select 1 -- all", 3)[0] == "select 1 -- all\nlimit 3"
    assert bounded("with a as (select 1 limit 1) select * from a", 3)[0].endswith("from a\nlimit 3")
    for own in ("select 1 limit 5000", "select top 5 a from t", "show tables", "desc table t"):
        assert bounded(own, 3) == (own, "")
