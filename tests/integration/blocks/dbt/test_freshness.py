"""How old the sources are, whatever fails of them."""

import duckdb
import pytest

from blocks.dbt.errors import DbtFailed
from tests.integration.blocks.dbt.project import Project, each


@each
def test_freshness_is_measured_for_every_source_whatever_its_age(project: Project) -> None:
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("create table fresh as select now() - interval 2 hour as loaded_at")
        connection.execute("create table stale as select now() - interval 30 hour as loaded_at")
        connection.execute("create table empty (loaded_at timestamptz)")
    found = {each.source: each for each in project.dbt.freshness()}
    assert {name: each.status for name, each in found.items()}.items() >= {
        "raw.fresh": "pass",
        "raw.stale": "error",
    }.items()
    assert found["raw.fresh"].age_hours == pytest.approx(2, abs=0.1)
    assert found["raw.stale"].age_hours == pytest.approx(30, abs=0.1)
    assert found["raw.stale"].loaded_at is not None
    assert found["raw.empty"].status == "error"
    assert (found["raw.empty"].age_hours, found["raw.empty"].loaded_at) == (None, None)


@each
def test_a_source_that_cannot_be_read_is_reported_and_hides_no_other(project: Project) -> None:
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("create table fresh as select now() as loaded_at")
    found = {each.source: each.status for each in project.dbt.freshness()}
    assert (found["raw.fresh"], found["raw.stale"]) == ("pass", "runtime error")


def test_a_project_without_sources_has_no_freshness(project: Project) -> None:
    (project.folder / "models/sources.yml").unlink()
    assert project.dbt.freshness() == []


def test_freshness_of_a_project_that_does_not_compile_is_an_error(project: Project) -> None:
    project.write("models/orders.sql", "select * from {{ ref('no_such_model') }}")
    with pytest.raises(DbtFailed, match=r"`dbt source freshness` could not run: .*no_such_model"):
        project.dbt.freshness()
