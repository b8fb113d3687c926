"""Another file of a source is compared with what is declared; each difference can be taken up, left or refused."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from blocks.hand_out import Tables
from services.sources import command, render
from services.sources.declared import is_generated, read_declared
from services.sources.drift import Drift, declared_key, drift
from services.sources.facts import facts_of
from services.sources.listing import listed
from services.sources.outcome import Outcome
from services.sources.project import NameTaken, StillRead, apply
from services.sources.reading import FileRefused, read
from services.sources.relations import days_until_stale, late_after, relationships
from services.sources.shown import show_diff
from services.sources.spec import Spec
from services.sources.typed import Refused
from tests.integration.dbt.project import broken
from tests.integration.sources.case import lines
from tests.integration.sources.desk import Desk, empty_desk
from tests.integration.sources.files import CASES

FIRST = lines(
    "Order ID,day,paid,amount,status,note",
    lambda n: f"{n},{n % 28 + 1:02}.12.2013,{'yes' if n % 2 else 'no'},{n}.50,{'open' if n % 3 else 'shut'},n{n}",
)
SECOND = (
    "Order ID,day,paid,amount,status,extra\n"
    "2,2013-12-24,maybe,7.255,lost,x\n"
    "41,25.12.2013,yes,,open,y\n"
    "42,26.12.2013,no,8.00,open,z\n"
    "42,26.12.2013,no,9.00,open,z\n"
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return empty_desk(tmp_path)


def compared(desk: Desk, file: Path, name: str, work: Path) -> tuple[Spec, list[Drift]]:
    work.mkdir()
    known = read_declared(desk.project, name)
    assert known
    return known, drift(known, facts_of(read(file, work, known.format), [], work), work)


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read_back_and_the_same_file_changes_nothing(name: str, desk: Desk, tmp_path: Path) -> None:
    case = CASES[name]
    (file := tmp_path / case.name).write_bytes(case.content)
    _, spec = desk.add(file, name, mart=case.mart)
    known, found = compared(desk, file, name, tmp_path / "work")
    assert known == spec
    assert found == []
    assert desk.project.changes_to_write(known) == []


def test_each_difference_is_told_and_taking_up_all_keeps_every_value(desk: Desk, s3_url: str, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    (second := tmp_path / "orders-2.csv").write_text(SECOND)
    desk.add(first, "orders", key="Order ID")
    desk.sync(s3_url, tmp_path / "lake")
    platform = desk.platform(tmp_path / "lake")
    assert broken(platform.build()) == []
    known, found = compared(desk, second, "orders", tmp_path / "work")
    said = "\n".join(each.text for each in found)
    for words in (
        "column 'extra' is new (varchar)",
        "column 'note' is missing",
        "1 value of 'day' is not date (DD.MM.YYYY), such as '2013-12-24'",
        "1 value of 'paid' is not boolean, such as 'maybe'",
        "1 value of 'amount' is not decimal(18,2), such as '7.255'",
        "the key (order_id) is not unique: 1 row repeats one",
        "amount is null in 1 row, and was never null before",
        "status has values that it never had before: 'lost'",
    ):
        assert words in said
    # Another platform than the one on which a person answers: it loads the file, and gets the models later.
    desk.project.land(second, "orders")
    desk.sync(s3_url, tmp_path / "lake")
    platform.results("build")
    spec = known
    for each in found:
        spec = each.take(spec) if each.take else spec
    apply(desk.project.changes_to_write(spec))
    assert read_declared(desk.project, "orders") == spec
    results = platform.results("build")
    assert broken(results) == ["source_unique_in_each_file_raw_orders_order_id"]
    query = "select order_id, day, paid, amount, status, note, extra from orders where order_id not between 3 and 40"
    assert [tuple(map(str, row)) for row in platform.rows(f"{query} order by 1")] == [
        ("1", "02.12.2013", "yes", "1.500", "open", "n1", "None"),
        ("2", "2013-12-24", "maybe", "7.255", "lost", "None", "x"),
        ("41", "25.12.2013", "yes", "None", "open", "None", "y"),
        ("42", "26.12.2013", "no", "9.000", "open", "None", "z"),
    ]


def test_a_missing_column_that_was_taken_up_is_not_asked_about_again(desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    (second := tmp_path / "orders-2.csv").write_text("Order ID,day,paid,amount,status\n41,01.12.2013,yes,1.00,open\n")
    desk.add(first, "orders", key="Order ID")
    known, [missing] = compared(desk, second, "orders", tmp_path / "work")
    assert missing.text == "column 'note' is missing"
    assert missing.take
    apply(desk.project.changes_to_write(missing.take(known)))
    known, found = compared(desk, second, "orders", tmp_path / "again")
    assert found == []
    assert declared_key(known, found) == "order_id as declared, unique in every row"


def test_days_that_a_table_sums_up_by_cannot_become_text(desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    (second := tmp_path / "orders-2.csv").write_text(SECOND)
    desk.add(first, "orders", key="Order ID", mart="orders_by_day")
    _, found = compared(desk, second, "orders", tmp_path / "work")
    assert [(each.text[:19], each.because) for each in found if each.take is None] == [
        ("1 value of 'day' is", "orders_by_day groups by it"),
        ("the key (order_id) ", "the table has one row per key"),
    ]


def test_a_later_file_without_drift_costs_no_rebuild_and_replaces_its_keys(
    desk: Desk, s3_url: str, tmp_path: Path
) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    desk.add(first, "orders", key="Order ID")
    desk.sync(s3_url, tmp_path / "lake")
    platform = desk.platform(tmp_path / "lake")
    platform.build()
    (second := tmp_path / "orders-2.csv").write_text(
        "Order ID,day,paid,amount,status,note\n40,01.01.2014,no,1.00,open,new\n41,02.01.2014,no,2.00,shut,n41\n"
    )
    assert compared(desk, second, "orders", tmp_path / "work")[1] == []
    desk.project.land(second, "orders")
    desk.sync(s3_url, tmp_path / "lake")
    assert broken(platform.build()) == []
    assert platform.rows("select order_id, note from orders where order_id >= 39 order by 1") == [
        (39, "n39"),
        (40, "new"),
        (41, "n41"),
    ]
    assert platform.rows("select least, greatest from _dbt_changes where least is not null") == [("40", "41")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Nr;Größe\n3;x\n".encode(), "it is utf8, but the files of the stream are cp1252"),
        (b"Nr,Groesse\n3,x\n4,y\n", "separated by ',', but those of the stream by ';'"),
    ],
)
def test_a_file_that_is_written_otherwise_is_refused(content: bytes, said: str, desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "sizes.csv").write_bytes("Nr;Größe\n1;groß\n2;klein\n".encode("cp1252"))
    desk.add(first, "sizes")
    (second := tmp_path / "sizes-2.csv").write_bytes(content)
    with pytest.raises(FileRefused, match=said):
        compared(desk, second, "sizes", tmp_path / "work")
    second.write_bytes(b"Nr;Gr\xf6\xdfe\n3;plain\n")
    assert compared(desk, second, "sizes", tmp_path / "more")[1] == []


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


def test_values_that_are_keys_of_a_published_table_are_tested_to_be(desk: Desk, s3_url: str, tmp_path: Path) -> None:
    (customers := tmp_path / "customers.csv").write_text(lines("id,city", lambda n: f"{n},c{n}", 9))
    (orders := tmp_path / "orders.csv").write_text(
        lines("order_id,customer_id,id,size", lambda n: f"o{n},{n % 9 + 1},{n},{n % 3}")
    )
    desk.add(customers, "customers")
    desk.sync(s3_url, tmp_path / "lake")
    platform = desk.platform(tmp_path / "lake")
    platform.build()
    found = relationships(desk.facts(orders, work=tmp_path), desk.project, platform.warehouse, tmp_path)
    assert [(test.column, test.arguments) for test in found] == [
        ("customer_id", {"to": "ref('customers')", "field": "id"})
    ]
    assert relationships(desk.facts(orders, work=tmp_path), desk.project, tmp_path / "none", tmp_path) == []
    _, spec = desk.add(orders, "orders")
    apply(desk.project.changes_to_write(spec := replace(spec, tests=[*spec.tests, *found])))
    assert read_declared(desk.project, "orders") == spec
    desk.sync(s3_url, tmp_path / "lake")
    results = platform.build()
    assert broken(results) == []
    assert results["relationships_orders_customer_id"].status == "pass"


@pytest.mark.parametrize(("last", "gap", "late"), [(0, 1, 3), (2, 1, 3), (9, 1, 0), (5, 7, 15)])
def test_a_source_is_late_when_files_of_its_days_are_due(
    last: int, gap: int, late: int, desk: Desk, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=last + gap * at) for at in range(8)]
    (file := tmp_path / "visits.csv").write_text("day,visits\n" + "".join(f"{day},1\n" for day in days))
    assert days_until_stale(desk.facts(file, work=tmp_path), tmp_path) == late
    assert late_after(days) == late
    assert late_after(days[:4]) == 0
    _, spec = desk.add(file, "visits")
    apply(desk.project.changes_to_write(spec := replace(spec, late_days=late)))
    assert read_declared(desk.project, "visits") == spec
