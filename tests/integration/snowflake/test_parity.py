"""The same landing files make the same tables on DuckDB and, by the real dbt-snowflake, on the emulator."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.settings import Settings
from services.bootstrap.models import compiled
from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.dbt.project import PROJECT, Platform, broken
from tests.integration.snowflake.emulator import PASSWORD, USER, running_emulator
from tests.integration.snowflake.project import SnowflakePlatform, variables
from tests.integration.snowflake.raw import INFERRED, load_raw

# dbt-snowflake's own: it hands its connector an option by the option's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")

MARTS = sorted(model.stem for model in (PROJECT / "models" / "marts").glob("*.sql"))
TYPES = {
    "BIGINT": "NUMBER(38,0)",
    "VARCHAR": "VARCHAR(16777216)",
    "DOUBLE": "FLOAT",
    "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(9)",
}
"""Each type of the marts on DuckDB, and what it is on Snowflake."""


@dataclass
class Both:
    """One lake, and a platform on each warehouse."""

    lake: Lake
    duckdb: Platform
    snowflake: SnowflakePlatform
    first: list[dict[str, Any]]
    staged: set[Path] = field(default_factory=set)

    def build(self) -> list[dict[str, Any]]:
        """Bring both up to the lake; dbt's results of each."""
        load_raw(self.snowflake.emulator, self.lake, self.staged)
        return [platform.results("build") for platform in (self.duckdb, self.snowflake)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Nine days, built on both; then one more, and files that were loaded again.

    One day has changed, one has a row with another key, one has rows deleted and a new generation, and the register of
    planes says otherwise.
    """
    folder = tmp_path_factory.mktemp("parity")
    lake = Lake(folder / "lake")
    with running_emulator(folder / "snowflake", user=USER, password=PASSWORD) as emulator:
        snowflake = SnowflakePlatform(emulator.folder, lake, emulator=emulator)
        both = Both(lake, Platform(folder, lake), snowflake, [])
        for stream in set(STREAMS) - {"flights"}:
            lake.load_landing(stream)
        lake.load_landing("flights", "*-0?.csv.gz")
        both.first = both.build()
        lake.load_landing("flights", "*-10.csv.gz")
        lake.load_landing("flights", "*-05.csv.gz", change="* replace (coalesce(dep_time, 1200) as dep_time)")
        lake.load_landing("flights", "*-03.csv.gz", where="carrier <> 'UA'", generation=1)
        lake.load_landing("flights", "*-04.csv.gz", change="* replace (if(carrier = 'HA', 9051, flight) as flight)")
        lake.load_landing("planes", change="* replace (if(tailnum = 'N10156', 50, seats) as seats)")
        for results in both.build():
            assert broken(results) == []
        yield both


def test_every_model_test_unit_test_and_snapshot_ends_alike_on_both(both: Both) -> None:
    duckdb, snowflake = both.first
    assert broken(snowflake) == []
    assert {name: str(node.status) for name, node in snowflake.items()} == {
        name: str(node.status) for name, node in duckdb.items()
    }


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_has_the_same_rows_on_both(both: Both, mart: str) -> None:
    duckdb, snowflake = (_rows(platform, mart) for platform in (both.duckdb, both.snowflake))
    assert duckdb
    assert snowflake == duckdb


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_has_the_same_columns_of_the_same_types_on_both(both: Both, mart: str) -> None:
    duckdb = [(name.upper(), TYPES[type_]) for name, type_, *_ in both.duckdb.rows(f"describe {mart}")]
    assert [row[:2] for row in both.snowflake.emulator.rows(f"describe table analytics.{mart}")] == duckdb


def test_a_changed_file_has_replaced_the_rows_of_the_one_before(both: Both) -> None:
    query = "select count(*), count(case when flight_date = '2013-01-05' and dep_time is null then 1 end)"
    assert both.snowflake.rows(f"{query} from analytics.fct_flights") == [(8_673, 0)]


def test_rows_that_were_deleted_at_the_source_have_left_staging_and_marts(both: Both) -> None:
    query = "select count(*) from {} where flight_date = '2013-01-03' and carrier = 'UA'"
    for table in ("analytics.fct_flights", "analytics_staging.stg_flights"):
        assert both.snowflake.rows(query.format(table)) == [(0,)]
    assert both.duckdb.rows(query.format("fct_flights")) == [(0,)]


def test_the_former_key_of_a_row_whose_key_has_changed_has_left_staging_and_marts(both: Both) -> None:
    query = "select flight_number from {} where flight_date = '2013-01-04' and carrier = 'HA'"
    for table in ("analytics.fct_flights", "analytics_staging.stg_flights"):
        assert both.snowflake.rows(query.format(table)) == [(9051,)]
    assert both.duckdb.rows(query.format("fct_flights")) == [(9051,)]


def test_the_snapshot_has_both_versions_of_a_plane_that_changed(both: Both) -> None:
    query = "select seats, dbt_valid_to is null from {} where tailnum = 'N10156' order by dbt_valid_from"
    on_duckdb = both.duckdb.rows(query.format("main_snapshots.planes_snapshot"))
    on_snowflake = both.snowflake.rows(query.format("analytics_snapshots.planes_snapshot"))
    assert on_snowflake == on_duckdb == [(55, False), (50, True)]


def test_the_sources_are_as_fresh_on_snowflake_as_on_duckdb(both: Both) -> None:
    assert both.snowflake.freshness() == both.duckdb.freshness() == {"flights": "pass", "weather": "pass"}


def test_dbt_finds_its_connection_to_snowflake_in_order(both: Both) -> None:
    assert both.snowflake.dbt("debug").success


@pytest.mark.exhaustive
def test_every_model_compiles_for_snowflake_as_for_a_first_build(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(both.snowflake.emulator).items():
        monkeypatch.setenv(name, value)
    found = compiled(Settings(), "snowflake")
    assert found.keys() == {model.stem for model in (PROJECT / "models").rglob("*.sql")}
    assert "where not exists" not in found["fct_flights"]


@pytest.mark.exhaustive
def test_the_documentation_describes_the_tables_on_snowflake(both: Both) -> None:
    run = both.snowflake.dbt("docs", "generate")
    assert run.success, run.exception
    catalog = json.loads((both.snowflake.folder / "target" / "catalog.json").read_text())
    assert set(MARTS) <= {name.rpartition(".")[2] for name in catalog["nodes"]}
    assert catalog["nodes"]["model.local_data_platform.fct_flights"]["columns"]["FLIGHT_NUMBER"]["type"] == "NUMBER"


@pytest.mark.exhaustive
def test_a_seed_is_loaded_again_and_again(both: Both, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "hubs.csv").write_text("faa,since\nJFK,1948-07-01\nEWR,1928-10-01\n")
    (tmp_path / "dbt_project.yml").write_text(
        "{name: hubs, profile: local_data_platform, flags: {send_anonymous_usage_stats: false}}"
    )
    project = replace(both.snowflake, folder=tmp_path, project=tmp_path)
    for _ in range(2):
        assert broken(project.results("seed")) == []
    assert len(both.snowflake.rows("select * from analytics.hubs where since < '1950-01-01'")) == 2


def _rows(platform: Platform, mart: str) -> list[tuple[Any, ...]]:
    """All rows, in the order of their texts, with times in UTC."""
    schema = "analytics." if isinstance(platform, SnowflakePlatform) else ""
    return sorted((tuple(map(_utc, row)) for row in platform.rows(f"select * from {schema}{mart}")), key=repr)


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@pytest.mark.exhaustive
def test_values_that_are_not_of_their_type_are_counted_and_named_on_snowflake(both: Both) -> None:
    both.snowflake.rows(
        "insert into raw.airports (_airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta, _ab_source_file_url, "
        "_ab_source_file_last_modified, faa, alt, lat) select uuid_string(), current_timestamp(), parse_json('{}'), "
        "'new.csv', '2099-01-01T00:00:00.000000Z', faa, alt, lat "
        "from values ('X1', '1.5', 'NaN'), ('X2', '7.0', '1e2') as v (faa, alt, lat)"
    )
    told = both.snowflake.build("source:raw.airports", "stg_airports")["source_every_value_is_cast_raw_airports_"]
    assert (told.status, told.failures) == ("warn", 2)
    said = " ".join(both.snowflake.warnings)
    assert "1 values of alt in new.csv are not bigint" in said
    assert "1 values of lat in new.csv are not double" in said
    staged = "select altitude_feet, latitude from analytics_staging.stg_airports where faa in ('X1', 'X2') order by faa"
    assert both.snowflake.rows(staged) == [(None, None), (7, 100.0)]


@pytest.mark.exhaustive
def test_the_marts_are_the_same_where_airbyte_loads_columns_of_their_own_types_and_changes_values(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path / "lake")
    for stream in set(STREAMS) - {"flights"}:
        lake.load_landing(stream)
    lake.load_landing("flights", "*-01.csv.gz")
    lake.load_landing("flights", "*-02.csv.gz", nulled="air_time")
    with running_emulator(tmp_path / "snowflake", user=USER, password=PASSWORD) as emulator:
        load_raw(emulator, lake, set(), INFERRED)
        duckdb = Platform(tmp_path, lake)
        snowflake = SnowflakePlatform(emulator.folder, lake, emulator=emulator)
        told = [platform.build() for platform in (duckdb, snowflake)]
        local, remote = ({name: str(node.status) for name, node in each.items()} for each in told)
        assert remote == local
        changes = [each["source_no_airbyte_changes_raw_flights_"].failures for each in told]
        assert changes == [943, 943]
        for mart in MARTS:
            assert _rows(snowflake, mart) == _rows(duckdb, mart), mart
