"""What a source's values say of it: the tables whose keys they are, and when the next file is late."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands.sources.declared import read_declared
from commands.sources.project import apply
from commands.sources.relations import days_until_stale, late_after, relationships
from tests.integration.dbt.project import broken
from tests.integration.sources.case import lines
from tests.integration.sources.desk import Desk


@pytest.mark.exhaustive
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
