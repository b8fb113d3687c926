"""What a person wrote, took over or reads is never changed, overwritten or removed."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from blocks.hand_out import Tables
from commands.sources import command, render
from commands.sources.declared import is_generated
from commands.sources.listing import listed
from commands.sources.outcome import Outcome
from commands.sources.project import NameTaken, StillRead, apply
from commands.sources.shown import show_diff
from commands.sources.typed import Refused
from tests.integration.sources.desk import Desk
from tests.integration.sources.orders import FIRST


def test_a_file_that_a_person_took_over_is_never_changed(desk: Desk, tmp_path: Path) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    _, spec = desk.add(file, "orders", key="Order ID")
    mart = desk.project.models / "marts" / "orders.sql"
    mart.write_text(mine := mart.read_text().partition("\n")[2] + "\n-- mine\n")
    changes = desk.project.changes_to_write(spec)
    assert [(change.path, change.owned) for change in changes] == [(mart, False)]
    apply(changes)
    assert mart.read_text() == mine
    with pytest.raises(StillRead, match=r"marts/orders\.sql reads orders, stg_orders of the source orders\. Change or"):
        desk.project.changes_to_remove("orders")
    mart.write_text(mine := "select 1 as one\n")
    apply(desk.project.changes_to_remove("orders"))
    assert mart.read_text() == mine
    assert not (desk.project.models / "staging" / "stg_orders.sql").exists()
    with pytest.raises(NameTaken, match=r"orders\.sql is a model of your own"):
        desk.project.check_name("orders", "")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("models/marts/mine.sql", "select * from {{ ref('orders') }}"),
        ("models/mine.yml", "models: [{name: mine, data_tests: [{relationships: {to: ref('orders')}}]}]"),
        ("tests/none.sql", "select * from {{ source('raw', 'orders') }}"),
    ],
)
def test_a_source_that_is_read_stays(file: str, text: str, desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(first, "orders", key="Order ID")
    (reader := desk.folder / "dbt_project" / file).parent.mkdir(exist_ok=True)
    reader.write_text(text)
    with pytest.raises(StillRead, match=rf"^dbt_project/{file} reads orders of the source orders\."):
        desk.project.changes_to_remove("orders")
    reader.unlink()
    assert desk.project.changes_to_remove("orders")


@pytest.mark.parametrize(
    ("name", "mart", "said"),
    [
        ("orders_by_day", "", r"orders_by_day is a table of orders\. Give the source another name: NAME="),
        ("items", "orders", r"orders is a table of orders\. Choose another MART="),
        ("items", "stg_orders", r"stg_orders is a table of orders\. Choose another MART="),
        ("items", "orders_by_day", r"orders_by_day is a table of orders\. Choose another MART="),
        ("items", "items", r"MART=items is a table of the source itself"),
        ("items", "mine", r"mine\.py is a model of your own.* Choose another MART="),
        ("codes", "", r"Codes\.csv is a model of your own"),
    ],
)
def test_no_table_of_another_source_or_of_a_person_is_overwritten(
    name: str, mart: str, said: str, desk: Desk, tmp_path: Path
) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "orders", key="Order ID", mart="orders_by_day")
    (desk.project.models / "mine.py").touch()
    (seeds := desk.folder / "dbt_project" / "seeds").mkdir(exist_ok=True)
    (seeds / "Codes.csv").touch()
    with pytest.raises(NameTaken, match=said):
        desk.project.check_name(name, mart)
    desk.project.check_name("orders", "orders_by_day")


class Nowhere:
    """A platform on which nothing is to be seen."""

    where = "nowhere"

    def run(self, name: str, *_: object) -> Outcome:
        return Outcome(name, [], [], "nowhere")


LATER = "Order ID,day,paid,amount,status,note,extra\n42,01.12.2013,no,1.00,open,n,x\n"


def typed(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Load another file, which has a column more, and take that up; return what is printed."""
    monkeypatch.setattr(command, "platform_of", lambda *_: Nowhere())
    (second := tmp_path / "orders-2.csv").write_text(LATER)
    out = Console(file=StringIO(), width=200)
    assert command.Sources(out, desk.project, tmp_path, yes=True).add(str(second), "orders", "", "") == 0
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("whose", ["entry", "table"])
def test_where_a_person_must_change_something_nothing_else_is_changed(
    whose: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "orders", key="Order ID")
    path = desk.project.connections if whose == "entry" else desk.project.models / "marts" / "orders.sql"
    mark = render.ENTRY if whose == "entry" else render.IN_SQL
    path.write_text(path.read_text().replace(mark, mark.replace("Generated", "Was generated")))
    before = {each: each.read_text() for each in [*desk.project.models.rglob("*.*"), desk.project.connections]}
    said = typed(desk, tmp_path, monkeypatch)
    assert "The source orders is yours. Change it by hand, as shown." in said
    assert {each: each.read_text() for each in before} == before


def test_a_person_is_told_that_an_edit_of_what_is_generated_goes(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "orders", key="Order ID")
    connections = desk.project.connections
    connections.write_text(connections.read_text().replace("day: string", "day: string # a day"))
    text = connections.read_text().replace(f"{render.ENTRY}\n", f"{render.ENTRY}\n        # mine\n", 1)
    connections.write_text(text)
    said = typed(desk, tmp_path, monkeypatch)
    assert "connections.yaml was edited by hand, and the diff undoes that" in said
    assert "marts/orders.sql was edited" not in said
    assert "extra: string" in connections.read_text()


def test_of_a_source_that_is_a_persons_no_file_is_written(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "orders", key="Order ID")
    sources = desk.project.sources_yml
    sources.write_text(sources.read_text().replace(f"{render.ENTRY}\n", "\n"))
    for path in desk.project.files_of("orders"):
        path.unlink()
    before = {path: path.read_text() for path in (sources, desk.project.connections)}
    monkeypatch.setattr(command, "platform_of", lambda *_: Nowhere())
    out = Console(file=StringIO(), width=200)
    (second := tmp_path / "orders-2.csv").write_text(
        "Order ID,day,paid,amount,status,note,extra\n42,01.12.2013,no,1.00,open,n,x\n"
    )
    assert command.Sources(out, desk.project, tmp_path, yes=True).add(str(second), "orders", "", "") == 0
    assert "The source orders is yours. Change it by hand, as shown." in out.file.getvalue()  # type: ignore[attr-defined]
    assert desk.project.files_of("orders") == []
    assert {path: path.read_text() for path in before} == before


@pytest.mark.parametrize(
    ("entry", "old", "new"),
    [(0, "day: string", "day: integer"), (1, "incremental_append", "full_refresh_append")],
)
def test_an_entry_that_a_person_took_over_stays_and_is_shown(
    entry: int, old: str, new: str, desk: Desk, tmp_path: Path
) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    _, spec = desk.add(file, "orders", key="Order ID")
    connections = desk.project.connections
    text = connections.read_text().splitlines(keepends=True)
    marks = [at for at, line in enumerate(text) if line.strip() == render.ENTRY]
    del text[marks[entry]]
    [before] = listed(desk.project, Tables())
    connections.write_text("".join(text))
    [after] = listed(desk.project, Tables())
    assert (before.owner, after.owner) == ("generated", "partly yours")
    assert desk.project.changes_to_write(spec) == []
    connections.write_text(mine := "".join(text).replace(old, new))
    changes = [each for each in desk.project.changes_to_write(spec) if each.entry]
    assert [(each.path, each.owned, each.entry) for each in changes] == [(connections, False, "orders")]
    show_diff(out := Console(file=StringIO(), width=200), desk.project, changes)
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert "The entry orders in connections.yaml is yours and stays as it is. It would have become:" in said
    assert re.search(rf"^-.*{new}$", said, re.M)
    assert re.search(rf"^\+.*{old}$", said, re.M)
    [change, *_] = desk.project.changes_to_remove("orders")
    assert (change.path, change.owned, change.entry) == (connections, False, "orders")
    apply(desk.project.changes_to_remove("orders"))
    assert connections.read_text() == mine
    assert "orders" not in desk.project.sources_yml.read_text()
    with pytest.raises(Refused, match="did not write a source orders"):
        command.Sources(out, desk.project, tmp_path, yes=True).remove("orders")


def test_the_files_of_a_stream_that_stays_are_not_deleted(desk: Desk, tmp_path: Path) -> None:
    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "orders", key="Order ID")
    landed = desk.project.land(file, "orders")
    mine = desk.project.connections.read_text().replace(f"{render.ENTRY}\n", "\n", 1)
    desk.project.connections.write_text(mine)
    out = Console(file=StringIO(), width=200)
    assert command.Sources(out, desk.project, tmp_path, yes=True).remove("orders") == 0
    assert landed.read_text() == FIRST
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert "delete localstack" not in said
    assert "The files in localstack/landing/orders stay, because the stream stays." in said


def test_removing_a_source_leaves_the_project_as_it_was(desk: Desk, tmp_path: Path) -> None:
    def texts() -> dict[Path, str]:
        files = [*desk.project.models.rglob("*.*"), desk.project.connections]
        return {file: file.read_text() for file in files}

    (file := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(file, "first", key="Order ID")
    before = texts()
    desk.add(file, "orders", key="Order ID", mart="orders_by_day")
    assert is_generated(desk.project, "orders")
    apply(desk.project.changes_to_remove("orders"))
    assert texts() == before
