"""dbt's docs and the column lineage of a small project, written as after a publication."""

import json
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from blocks import docs
from blocks.dbt.project import Dbt
from blocks.duckdb_file import identifier
from services.console.lineage import Docs

FILES = {
    "dbt_project.yml": "name: trial\nprofile: trial\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": "trial: {target: dev, outputs: {dev: {type: duckdb, path: \"{{ env_var('WAREHOUSE_PATH') }}\"}}}\n",
    "models/sources.yml": (
        "sources: [{name: raw, tables: [{name: flights}], config: {meta: {external_location: "
        "\"read_parquet('{{ env_var('LAKE_DIR') }}/{name}/*.parquet')\"}}}]\n"
    ),
    "models/stg_flights.sql": (
        "{{ config(materialized='view') }} with source as (select * from {{ source('raw', 'flights') }}) "
        "select dep_delay as delay, carrier from source\n"
    ),
    "models/late.sql": (
        "{{ config(materialized='table') }} "
    "select carrier, max(delay) as worst from {{ ref('stg_flights') }} group by 1\n"
    ),
    "models/held.sql": (
        "{{ config(materialized='incremental') }} select carrier, delay from {{ ref('stg_flights') }} as flights "
        "{% if is_incremental() %} where flights.carrier not in (select carrier from {{ this }}) {% endif %}\n"
    ),
    "models/late.yml": (
        "models: [{name: late, description: The worst delay., "
        "columns: [{name: worst, data_tests: [not_null]}]}]\n"
    ),
}  # fmt: skip


HOSTILE = "</script><script>document.title = 'taken over'</script>"
"""The name of a column of raw."""


def write_docs(place: Path) -> Path:
    """Build the project in a folder and write its docs; return the docs' folder."""
    for name, text in FILES.items():
        (place / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "project" / name).write_text(text)
    (place / "lake" / "flights").mkdir(parents=True)
    with duckdb.connect() as connection:
        row = f"select 5 as dep_delay, 'UA' as carrier, 1 as {identifier(HOSTILE)}"
        connection.execute(f"copy ({row}) to '{place}/lake/flights/a.parquet'")
    variables = {
        "WAREHOUSE_PATH": str(place / "warehouse.duckdb"),
        "LAKE_DIR": str(place / "lake"),
        "DBT_TARGET_PATH": str(place / "target"),
        "DBT_LOG_PATH": str(place / "target"),
    }
    dbt = Dbt(place / "project", "dev", variables, warehouse=place / "warehouse.duckdb")
    dbt.run("run")
    (place / "docs" / docs.NEW).mkdir(parents=True)  # as a killed process leaves it
    docs.write(dbt, place / "docs", "first")
    return place / "docs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_docs(tmp_path_factory.mktemp("docs"))


def test_the_docs_are_pages_of_one_file_beside_their_print(folder: Path) -> None:
    assert {each.name for each in folder.iterdir()} == {
        "index.html",
        "manifest.json",
        "catalog.json",
        "lineage",
        ".print",
        ".lock",
    }
    page = (folder / "index.html").read_text()
    assert "The worst delay." in page
    assert HOSTILE.replace("<", r"\u003c") in page
    assert HOSTILE not in page
    assert not docs.start(folder, None, "first")


def test_the_catalogue_has_the_columns_of_a_source_in_files(folder: Path) -> None:
    [source] = json.loads((folder / "catalog.json").read_text())["sources"].values()
    assert set(source["columns"]) == {"dep_delay", "carrier", HOSTILE}


def test_a_columns_lineage_reaches_raw_and_names_what_it_feeds_and_its_tests(folder: Path) -> None:
    model = Docs(folder).model("main.late")
    assert model is not None
    assert model.upstream("worst") == ["stg_flights.delay", "raw.flights.dep_delay"]
    assert len(model.tests("worst")) == 1
    assert model.tests("") == []
    assert model.sources == ["raw.flights"]
    assert "worst is null" in Docs(folder).sql("not_null_late_worst")
    assert Docs(folder).about("not_null_late_worst") == Docs(folder).about("late") == [model]
    assert Docs(folder).about("no_such_test") == []
    above = Docs(folder).model("main.stg_flights")
    assert above is not None
    assert set(above.downstream("delay")) == {"late.worst", "held.delay"}


def test_the_lineage_of_a_model_that_reads_its_own_table_is_known(folder: Path) -> None:
    model = Docs(folder).model("main.held")
    assert model is not None
    assert model.upstream("delay") == ["stg_flights.delay", "raw.flights.dep_delay"]
    assert model.upstream("carrier") == ["stg_flights.carrier", "raw.flights.carrier"]
    assert not (folder / "lineage" / docs.UNTRACED).exists()


def test_the_lineage_page_sends_no_telemetry(folder: Path) -> None:
    text = (folder / "lineage" / "index.html").read_text()
    assert "<script>window.colibriTelemetry = false;</script>" in text
    assert '<script type="module"' in text  # which a browser runs after this one


def test_the_docs_are_old_when_a_file_or_a_column_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select 1")
    before = docs.made_of(tmp_path, {"main.a": ["b"]})
    assert docs.made_of(tmp_path, {"main.a": ["b"]}) == before
    assert docs.made_of(tmp_path, {"main.a": ["b", "c"]}) != before
    (tmp_path / "a.sql").write_text("select 2")
    assert docs.made_of(tmp_path, {"main.a": ["b"]}) != before


def test_a_project_that_cannot_be_read_leaves_the_old_docs(folder: Path, tmp_path: Path) -> None:
    text = (folder / "index.html").read_text()
    with pytest.raises(docs.PlatformError):
        docs.write(
            Dbt(tmp_path, "dev", {"LAKE_DIR": str(tmp_path)}, warehouse=tmp_path / "none.duckdb"), folder, "second"
        )
    assert (folder / "index.html").read_text() == text


def test_docs_that_another_process_has_written_or_is_writing_are_not_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = Dbt(tmp_path, "dev", {"LAKE_DIR": str(tmp_path)}, warehouse=tmp_path / "none.duckdb")
    docs.write(unreadable, folder, "first")
    started: list[object] = []
    monkeypatch.setattr(docs.subprocess, "Popen", lambda command, **_: started.append(command))
    (folder / docs.NEW).mkdir()
    (folder / docs.NEW / docs.PRINT).write_text("second")
    with FileLock(folder / docs.LOCK):
        assert not docs.start(folder, None, "second")
        assert started == []
        assert docs.start(folder, None, "third")
    assert docs.start(folder, None, "second"), "the process that was writing them was killed"
    assert len(started) == 2
