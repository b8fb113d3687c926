"""What the demo shows of the published tables: the charts that models declare, else first rows."""

from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from commands.embedded.demo import last_of
from commands.embedded.report import charts, first_rows_of_tables

CHART = """
models:
  - {name: shares, config: {meta: {chart: {title: "Paid [%]", sql: "select shop, paid from shares order by 1"}}}}
  - {name: elsewhere, config: {meta: {chart: {title: Not published, sql: from elsewhere}}}}
  - {name: orders}
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    with duckdb.connect(str(file := tmp_path / "published.duckdb")) as connection:
        connection.execute("create table shares as from (values ('North', 1.0), ('[South]', 0.25)) as t (shop, paid)")
        connection.execute("create table orders as from (values (1, null, 'id')) as t (id, note, _airbyte_raw_id)")
        connection.execute("create table empty (id int)")
    return file


def shown(lines: list[object]) -> str:
    console = Console(width=120, record=True)
    for line in lines:
        console.print(line, highlight=False)
    return console.export_text()


def test_a_published_model_is_drawn_as_it_declares(published: Path, tmp_path: Path) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "shares.yml").write_text(CHART)
    (tmp_path / "marts" / "nothing.yml").write_text("")
    text = shown([*charts(tmp_path, published)])
    assert text.splitlines() == ["", "Paid [%]", f"North  {'█' * 40} 100%", f"[South]  {'█' * 10}{' ' * 30}  25%"]


def test_without_a_chart_the_first_rows_are_shown(published: Path, tmp_path: Path) -> None:
    assert charts(tmp_path, published) == []
    text = shown([*first_rows_of_tables(published)])
    assert "First rows of main.shares" in text
    assert "[South]" in text
    assert "_airbyte_raw_id" not in text


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["b/1.csv", "a/1.csv", "a/2.csv"], "a/2.csv"),
        (["b/1.csv", "b/2.csv", "b/3.csv", "a/8.csv", "a/9.csv"], "b/3.csv"),
        (["a/1.csv", "b/1.csv"], None),
        (["a/1.csv"], None),
    ],
)
def test_the_last_file_is_one_of_the_stream_with_the_most(names: list[str], last: str | None) -> None:
    found = last_of([Path(name) for name in names])
    assert (found.as_posix() if found else None) == last
