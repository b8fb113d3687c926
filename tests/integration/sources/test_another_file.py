"""Another file of a source is compared with what is declared, and each difference can be accepted."""

from pathlib import Path

import pytest

from commands.sources.declared import read_declared
from commands.sources.drift import Drift, declared_key, drift
from commands.sources.facts import facts_of
from commands.sources.project import apply
from commands.sources.reading import FileRefused, read
from commands.sources.spec import Spec
from tests.integration.dbt.project import broken
from tests.integration.sources.desk import Desk
from tests.integration.sources.files import CASES
from tests.integration.sources.orders import FIRST, SECOND


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


def test_each_difference_is_told_and_accepting_all_keeps_every_value(desk: Desk, s3_url: str, tmp_path: Path) -> None:
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
        spec = each.accept(spec) if each.accept else spec
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


def test_a_missing_column_that_was_accepted_is_not_asked_about_again(desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    (second := tmp_path / "orders-2.csv").write_text("Order ID,day,paid,amount,status\n41,01.12.2013,yes,1.00,open\n")
    desk.add(first, "orders", key="Order ID")
    known, [missing] = compared(desk, second, "orders", tmp_path / "work")
    assert missing.text == "column 'note' is missing"
    assert missing.accept
    apply(desk.project.changes_to_write(missing.accept(known)))
    known, found = compared(desk, second, "orders", tmp_path / "again")
    assert found == []
    assert declared_key(known, found) == "order_id as declared, unique in every row"


def test_days_that_a_table_sums_up_by_cannot_become_text(desk: Desk, tmp_path: Path) -> None:
    (first := tmp_path / "orders.csv").write_text(FIRST)
    (second := tmp_path / "orders-2.csv").write_text(SECOND)
    desk.add(first, "orders", key="Order ID", mart="orders_by_day")
    _, found = compared(desk, second, "orders", tmp_path / "work")
    assert [(each.text[:19], each.because) for each in found if each.accept is None] == [
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
