"""What people type at the page reads the published tables, and does nothing else."""

import time
from pathlib import Path

import anyio
import duckdb
import pytest

from blocks import published as reading
from blocks.published import Answer, QueryFailed
from services.console import data, query
from services.console.plot import draw


def ask(file: Path, sql: str) -> Answer:
    return anyio.run(query.ask, file, sql)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file with one table."""
    file = tmp_path_factory.mktemp("published") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "create table flights as select date '2013-01-01' + i::int as day, 'UA' as carrier, i / 2 as delay, "
            "'s3://b/inbound/' || i || '.csv' as _ab_source_file_url from range(5) t(i)"
        )
    file.chmod(0o444)
    return file


def test_a_query_has_rows_with_types(published: Path) -> None:
    answer = ask(published, "select carrier, count(*) as flights from flights group by 1")
    assert (answer.columns, answer.types, answer.rows) == (["carrier", "flights"], ["VARCHAR", "BIGINT"], [["UA", 5]])


@pytest.mark.parametrize(
    "sql",
    [
        "from read_text('/etc/hostname')",
        "from '{folder}/other.csv'",
        "from glob('/*')",
        "from sniff_csv('{folder}/other.csv')",
        "from query_table('{folder}/other.csv')",
        "prepare p as from read_blob('{folder}/other.csv'); execute p",
        "call enable_logging(storage_path='{folder}/log')",
        "from duckdb_secrets()",
        "attach '{folder}/other.duckdb'",
        "copy flights to '{folder}/stolen.csv'",
        "export database '{folder}/stolen'",
        "set enable_external_access = true",
        "reset lock_configuration",
        "set memory_limit = '100GB'",
        "install httpfs",
        "load httpfs",
        "delete from flights",
        "create table more as select 1",
    ],
)
def test_no_query_reaches_a_file_an_extension_or_a_setting(published: Path, tmp_path: Path, sql: str) -> None:
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(QueryFailed):
        ask(published, sql.format(folder=tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["other.csv"]


@pytest.mark.parametrize("name", ["connection", "sql", "published", "sys"])
def test_no_query_reads_a_variable_of_the_process(published: Path, name: str) -> None:
    with pytest.raises(QueryFailed, match="does not exist"):
        ask(published, f"from {name}")


def test_an_endless_query_is_ended_and_the_next_one_runs(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "SECONDS", 2.0)
    begun = time.monotonic()
    with pytest.raises(QueryFailed, match="was stopped after 2 s"):
        ask(published, "with recursive t(a) as (select 1 union all select a + 1 from t) select max(a) from t")
    assert time.monotonic() > begun
    monkeypatch.undo()
    assert ask(published, "select 1").rows == [[1]]


def test_a_query_that_needs_more_memory_than_its_limit_fails(published: Path) -> None:
    with pytest.raises(QueryFailed, match="memory"):
        ask(published, "select list(a) from range(500000000) t(a)")


def test_rows_and_values_beyond_the_limits_are_left_out_and_that_is_told(published: Path) -> None:
    many = ask(published, "select range as a from range(20000)")
    assert (len(many.rows), many.more) == (reading.ROWS, True)
    [[text]] = ask(published, "select repeat('x', 5000)").rows
    assert len(text) == reading.CELL + 1


def test_a_map_with_keys_that_are_no_text_is_an_answer(published: Path) -> None:
    assert ask(published, "select map {date '2020-01-01': [map {1.5: 2}]} as m").rows == [
        ['{"2020-01-01": [{"1.5": 2}]}']
    ]


def test_an_answer_that_cannot_be_written_says_so_and_blames_no_memory(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "LIMITED", 'exec "$0" -c "raise TypeError(1)"')
    with pytest.raises(QueryFailed, match=r"cannot be shown: TypeError: 1"):
        ask(published, "select 1")


def test_nothing_published_is_told(tmp_path: Path) -> None:
    with pytest.raises(QueryFailed, match="Nothing is published yet"):
        ask(tmp_path / "none.duckdb", "select 1")


def test_a_table_has_a_profile_and_a_plot_by_its_types(published: Path) -> None:
    found = data.profile(published, next(each for each in data.tables(published) if each.name == "main.flights"))
    assert [each["column_name"] for each in found.columns] == ["day", "carrier", "delay", "_ab_source_file_url"]
    assert found.plot_sql.startswith('select "day"::date as "day", avg("delay")')
    assert found.plot is not None
    assert found.plot.title == "mean delay by day"
    assert 'class="series lines"' in found.plot.image
    assert found.files is not None
    assert found.files.rows[0] == ["s3://b/inbound/4.csv", 1, None]


def test_of_a_large_table_a_part_is_summarized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t as select range as i from range(100000)")
    monkeypatch.setattr(data, "MOST_CELLS", 50_000)
    found = data.profile(file, data.tables(file)[0])
    assert found.percent == 50
    assert 0 < int(found.columns[0]["count"]) < 100_000


def test_a_table_that_is_too_much_to_summarize_has_its_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        columns = ", ".join(f"range + {each} as c{each}" for each in range(600))
        connection.execute(f"create table t as select {columns} from range(1000)")
    monkeypatch.setattr(reading, "MEMORY_MB", 60)
    found = data.profile(file, data.tables(file)[0])
    assert found.problem.startswith("The columns are not summarized")
    assert len(found.sample.rows) == data.SAMPLE


@pytest.mark.parametrize(
    ("columns", "title", "shape"),
    [
        ("'UA' as carrier, i / 2 as delay, i as number", "rows by delay", "lines"),
        ("i % 3 || '' as carrier, i / 2 as delay", "mean delay by carrier", "bars"),
        ("i % 3 || '' as carrier, i as number", "rows by carrier", "bars"),
        ("i as number", "rows by number", "lines"),
        ("i::decimal(9, 2) as price", "rows by price", "lines"),
        ("timestamptz '2013-01-01 10:00:00+00' + i * interval 1 hour as at", "rows by at", "lines"),
    ],
)
def test_a_tables_plot_is_chosen_by_its_types(tmp_path: Path, columns: str, title: str, shape: str) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"create table t as select {columns} from range(50) r(i)")
    found = data.profile(file, data.tables(file)[0])
    assert found.problem == ""
    assert found.plot is not None
    assert found.plot.title == title
    assert f'class="series {shape}"' in found.plot.image


def test_text_in_a_plot_is_escaped_and_a_mean_is_said_to_be_one() -> None:
    bars = draw(Answer(["a", "n"], ["VARCHAR", "BIGINT"], [["<script>", 1], ["b", 2], ["b", 4], [None, 5]]))
    assert bars is not None
    assert "&lt;script&gt;" in bars.image
    assert bars.title == "mean n by a"


@pytest.mark.parametrize(
    ("type_", "values", "is_drawn"),
    [
        ("DOUBLE", [1.5, 2.5, None], True),
        ("DECIMAL(9,2)", ["1.50", "2.50"], True),
        ("DECIMAL(9,2)", ["1.50"], False),
        ("DOUBLE", ["nan", "inf"], False),
        ("DOUBLE", [1e300, -1e300], False),
        ("VARCHAR", ["b"], False),
        ("DATE", ["2013-01-01"], False),
        ("BIGINT[]", ["[1]"], False),
        ("HUGEINT", [10**20, 3 * 10**20], True),
    ],
)
def test_a_plot_is_drawn_of_the_numbers_that_fit_a_scale(type_: str, values: list[object], is_drawn: bool) -> None:
    assert (draw(Answer(["a"], [type_], [[each] for each in values])) is not None) == is_drawn
    times = [[f"2013-01-0{day + 1} 00:00:00+00:00", value] for day, value in enumerate(values)]
    draw(Answer(["at", "a"], ["TIMESTAMP WITH TIME ZONE", type_], times))
    draw(Answer(["at", "a"], ["VARCHAR", type_], times))


def test_a_table_whose_text_is_its_key_has_no_bars_of_one_row_each() -> None:
    def column(unique: int) -> dict[str, object]:
        return {"column_name": "carrier", "column_type": "VARCHAR", "approx_unique": unique, "count": 16}

    assert "group by" in data.plot_sql('"airlines"', [column(4)])
    assert "group by" not in data.plot_sql('"airlines"', [column(15)])
