"""Every cell of a file is in its table, of the type that a person would have declared, or the file is refused."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from blocks.errors import PlatformError
from commands.sources.facts import MANY_COLUMNS, Facts
from commands.sources.spec import Spec
from tests.integration.dbt.project import Platform, broken
from tests.integration.snowflake.emulator import PASSWORD, USER, running_emulator
from tests.integration.snowflake.project import SnowflakePlatform
from tests.integration.sources.desk import Desk, empty_desk
from tests.integration.sources.files import CASES, wide
from tests.integration.sources.refused_files import REFUSALS, Refusal

# dbt-snowflake's own: it hands its connector an option by the option's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return empty_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def added(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Facts, Spec]]:
    """Every file, made a source of one project."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, case in CASES.items():
        (folder / case.name).write_bytes(case.content)
        found[name] = desk.add(folder / case.name, name, mart=case.mart)
    return found


@pytest.fixture(scope="module")
def specs(added: dict[str, tuple[Facts, Spec]]) -> dict[str, Spec]:
    return {name: spec for name, (_, spec) in added.items()}


@pytest.fixture(scope="module")
def built(desk: Desk, specs: dict[str, Spec], s3_url: str) -> Platform:
    """All of them loaded by the mock Airbyte, and built and tested by dbt on DuckDB."""
    lake = desk.folder / "lake"
    desk.sync(s3_url, lake)
    platform = desk.platform(lake)
    assert broken(platform.build()) == [], platform.warnings
    return platform


@pytest.fixture(scope="module")
def snowflake(desk: Desk, specs: dict[str, Spec], s3_url: str) -> Iterator[SnowflakePlatform]:
    """The same on the Snowflake emulator."""
    folder = desk.folder / "snowflake"
    with running_emulator(folder, user=USER, password=PASSWORD) as emulator:
        credentials = {"auth_type": "Username and Password", "password": PASSWORD}
        destination = {"destinationType": "snowflake", "host": f"http://127.0.0.1:{emulator.port}", "role": "R"}
        destination |= {"warehouse": "W", "database": "FLIGHTS", "schema": "RAW", "username": USER}
        desk.sync(s3_url, folder / "lake", {**destination, "credentials": credentials})
        lake = desk.platform(folder / "lake").lake
        platform = SnowflakePlatform(folder, lake, desk.folder / "dbt_project", emulator=emulator)
        assert broken(platform.build()) == [], platform.warnings
        yield platform


def cells(rows: Sequence[Sequence[Any]], types: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows in an order of their own, each cell as what it is: JSON by its value, a time by its instant."""

    def cell(value: Any, type_: str) -> Any:
        if value is None:
            return None
        if type_ == "json":
            return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
        if type_.startswith("decimal"):
            return Decimal(str(value))
        if type_ == "timestamptz":
            return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
        return str(value) if type_ == "text" else value

    return sorted((tuple(map(cell, row, types)) for row in rows), key=repr)


@pytest.mark.parametrize("name", CASES)
def test_every_cell_of_the_file_is_in_the_table(name: str, built: Platform, specs: dict[str, Spec]) -> None:
    case = CASES[name]
    assert [(column.name, column.type) for column in specs[name].columns] == list(case.types.items())
    with duckdb.connect(str(built.warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(f"select {', '.join(case.types)} from {name}")
        types = [str(column[1]).lower() for column in found.description or ()]
        rows = found.fetchall()
    assert [TYPES.get(type_, type_).replace(" ", "") for type_ in types] == [
        "varchar" if type_ == "text" else type_ for type_ in case.types.values()
    ]
    assert cells(rows, list(case.types.values())) == cells(case.rows, list(case.types.values()))


TYPES = {"timestamp with time zone": "timestamptz"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES)
def test_the_same_rows_are_on_snowflake(name: str, snowflake: SnowflakePlatform) -> None:
    case = CASES[name]
    rows = snowflake.rows(f"select {', '.join(case.types)} from analytics.{name}")
    types = list(case.types.values())
    assert cells(rows, types) == cells(case.rows, types)


BY_DAY = "select day, row_count from {} order by day"
WITH_MART = [name for name, case in CASES.items() if case.mart]


@pytest.mark.parametrize("name", WITH_MART)
def test_the_aggregate_by_day_has_every_row(name: str, built: Platform) -> None:
    days = built.rows(BY_DAY.format(CASES[name].mart))
    assert sum(count for _, count in days) == len(CASES[name].rows)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", WITH_MART)
def test_the_aggregate_by_day_is_the_same_on_snowflake(
    name: str, built: Platform, snowflake: SnowflakePlatform
) -> None:
    mart = CASES[name].mart
    assert snowflake.rows(BY_DAY.format(f"analytics.{mart}")) == built.rows(BY_DAY.format(mart))


@pytest.mark.parametrize("name", CASES)
def test_the_key_is_proved_and_choices_are_told(name: str, added: dict[str, tuple[Facts, Spec]]) -> None:
    case, (facts, spec) = CASES[name], added[name]
    assert tuple(spec.key) == case.key
    told = [*facts.notes, *(note for column in facts.columns for note in column.notes)]
    told += [f"{column.format} {column.paths}" for column in facts.columns]
    for words in case.said:
        assert any(words in each for each in told), told


@pytest.mark.parametrize("columns", [MANY_COLUMNS + 1, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_a_file_may_have_a_thousand_columns(s3_url: str, tmp_path: Path, columns: int) -> None:
    desk, case = empty_desk(tmp_path), wide(columns)
    (tmp_path / case.name).write_bytes(case.content)
    _, spec = desk.add(tmp_path / case.name, "wide")
    desk.sync(s3_url, tmp_path / "lake")
    platform = desk.platform(tmp_path / "lake")
    assert broken(platform.build()) == [], platform.warnings
    assert {column.name: column.type for column in spec.columns} == dict(case.types)
    types = list(case.types.values())
    assert cells(platform.rows(f"select {', '.join(case.types)} from wide"), types) == cells(case.rows, types)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_file_that_cannot_be_right_is_refused_with_its_name_line_and_remedy(
    refusal: Refusal, desk: Desk, tmp_path: Path
) -> None:
    (file := tmp_path / refusal.name).write_bytes(refusal.content)
    with pytest.raises(PlatformError) as refused:
        desk.facts(file, refusal.key)
    for words in refusal.said:
        assert words in str(refused.value)


@pytest.mark.parametrize("warehouse", ["built", pytest.param("snowflake", marks=pytest.mark.exhaustive)])
def test_a_build_without_news_builds_no_table_from_scratch(warehouse: str, request: pytest.FixtureRequest) -> None:
    platform: Platform = request.getfixturevalue(warehouse)
    said: list[Any] = []
    assert platform.dbt("run", "--select", "config.materialized:incremental", callback=said.append).success
    messages = [event.info.msg for event in said]
    assert any("incremental model" in each for each in messages)
    assert [each for each in messages if "from scratch" in each] == []
