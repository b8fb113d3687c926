"""Nested values: Airbyte loads them as OBJECT, ARRAY or VARIANT into Snowflake, and as JSON into the lake."""

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from snowflake.connector.errors import ProgrammingError

from tests.integration.dbt.lake import Lake
from tests.integration.dbt.project import PROJECT, Platform
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator
from tests.integration.snowflake.project import SnowflakePlatform
from tests.integration.snowflake.raw import COPY, META, OF_SOURCE_S3, PUT

pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")

ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "item": {"z": 1, "a": {"name": "ö", "n": None}},
        "tags": ["x", 2, None],
        "other": 1.5,
        "written": {"b": 1},
    },
    {"id": 2, "item": {}, "tags": [], "other": "text", "written": [1]},
    {"id": 3, "item": None, "tags": None, "other": None, "written": None},
]
NESTED = {"item": "OBJECT", "tags": "ARRAY", "other": "VARIANT", "written": "VARCHAR"}
"""The nested columns and the types that Airbyte's destination gives them: the last is declared as a string."""
_COLUMNS = {"id": "bigint"} | dict.fromkeys(NESTED, "json")
STAGING = f"{{{{ typed(source('raw', 'orders'), {_COLUMNS}) }}}}"


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, SnowflakePlatform]]:
    folder = tmp_path_factory.mktemp("nested")
    project = shutil.copytree(PROJECT, folder / "project")
    sources = project / "models" / "staging" / "sources.yml"
    columns = "".join(f"          - {{name: {name}, data_type: json}}\n" for name in NESTED)
    sources.write_text(
        sources.read_text().rstrip()
        + f"\n      - name: orders\n        columns:\n          - {{name: id, data_type: bigint}}\n{columns}"
    )
    (project / "models" / "staging" / "stg_orders.sql").write_text(STAGING)
    lake = Lake(folder / "lake")
    (lake.folder / "orders").mkdir()
    written = [
        {name: None if value is None or name == "id" else json.dumps(value) for name, value in row.items()}
        for row in ROWS
    ]
    (folder / "orders.json").write_text(
        "\n".join(json.dumps({**text, "id": row["id"]}) for row, text in zip(ROWS, written, strict=True))
    )
    own = "uuid()::varchar as _airbyte_raw_id, now() as _airbyte_extracted_at, '{}' as _airbyte_meta, "
    own += "0::bigint as _airbyte_generation_id, 'o' as _ab_source_file_url, now() as _ab_source_file_last_modified"
    duckdb.connect().execute(
        f"copy (select *, {own} from read_json('{folder}/orders.json')) to '{lake.folder}/orders/1.parquet'"
    )
    with running_emulator(folder / "snowflake", user=USER, password=PASSWORD) as emulator:
        snowflake = SnowflakePlatform(emulator.folder, lake, emulator=emulator)
        types = META | dict.fromkeys(map(str.upper, OF_SOURCE_S3), "VARCHAR") | {"ID": "NUMBER(38,0)"}
        types |= {name.upper(): type_ for name, type_ in NESTED.items()}
        _load(snowflake, types, written, folder)
        yield replace(Platform(folder, lake), project=project), replace(snowflake, project=project)


def _load(snowflake: SnowflakePlatform, types: dict[str, str], rows: list[dict[str, Any]], folder: Path) -> None:
    """Load as the destination does: each nested value is JSON in a field of CSV."""
    file = folder / "orders.csv.gz"
    lines = []
    for number, row in enumerate(rows, start=1):
        fields = [f"id-{number}", "2026-01-01T00:00:00Z", "{}", "0", "2026-01-01T00:00:00.000000Z", "o", str(number)]
        fields += ["" if row[name] is None else row[name] for name in NESTED]
        lines.append(",".join('"' + field.replace('"', '""') + '"' if field else "" for field in fields))
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    with snowflake.emulator.connect(schema="RAW") as session, session.cursor() as cursor:
        cursor.execute('CREATE SCHEMA IF NOT EXISTS "FLIGHTS"."RAW"')
        cursor.execute(
            'CREATE TABLE "RAW"."ORDERS" (' + ", ".join(f'"{name}" {type_}' for name, type_ in types.items()) + ")"
        )
        cursor.execute('CREATE STAGE "RAW"."orders"')
        cursor.execute(PUT.format(file=file, stage='"RAW"."orders"'))
        names = ", ".join(f'"{name}"' for name in types)
        cursor.execute(COPY.format(table='"RAW"."ORDERS"', columns=names, stage='"RAW"."orders"', file=file.name))


@pytest.mark.exhaustive
def test_staging_has_the_same_nested_values_on_both_warehouses(
    platforms: tuple[Platform, SnowflakePlatform], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(platforms[0].folder)  # staging is a view that reads the lake
    query = f"select id, {', '.join(NESTED)} from {{}} order by id"
    for platform, table in zip(platforms, ("main_staging.stg_orders", "analytics_staging.stg_orders"), strict=True):
        run = platform.dbt("run", "--select", "stg_orders")
        assert run.success, run.exception
        rows = [
            {
                name: value if name == "id" or value is None else json.loads(value)
                for name, value in zip(ROWS[0], row, strict=True)
            }
            for row in platform.rows(query.format(table))
        ]
        assert rows == ROWS, table


def test_a_part_of_a_nested_value_is_read_on_snowflake_by_its_path(
    platforms: tuple[Platform, SnowflakePlatform], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(platforms[0].folder)  # staging is a view that reads the lake
    query = "select item:a.name::varchar, tags[1]::int, written:b::int from analytics_staging.stg_orders where id = 1"
    assert platforms[1].dbt("run", "--select", "stg_orders").success
    assert platforms[1].rows(query) == [("ö", 2, 1)]


MADE = (
    "create table n (o object, a array, v variant)",
    "create table made as select o::variant as v, * exclude (v, o), object_construct('k', 1) as o from n",
    "create table copied clone n",
    "create table alike like n",
    "create view seen as with q as (select * from n) select q.*, a as b, array_agg(v) over () as g from q",
    "create table named (id int, d object) as select 1, parse_json('{}')",
    "alter table copied add column x object",
    "alter table copied rename column a to aa",
    "alter table copied drop column v",
    "alter table alike swap with named",
    "alter table made rename to renamed",
    "create or replace table n (o variant)",
)
TYPES = {
    "renamed": ["VARIANT", "ARRAY", "OBJECT"],
    "copied": ["OBJECT", "ARRAY", "OBJECT"],
    "alike": ["NUMBER(38,0)", "OBJECT"],
    "named": ["OBJECT", "ARRAY", "VARIANT"],
    "seen": ["OBJECT", "ARRAY", "VARIANT", "ARRAY", "ARRAY"],
}


def test_object_and_array_columns_keep_their_types_and_take_no_other_value(
    platforms: tuple[Platform, SnowflakePlatform],
) -> None:
    emulator: Emulator = platforms[1].emulator
    with emulator.connect(schema="PUBLIC") as session, session.cursor() as cursor:
        for statement in MADE[:-1]:
            cursor.execute(statement)
        for table, types in TYPES.items():
            assert [row[1] for row in cursor.execute(f"describe table {table}").fetchall()] == types, table  # type: ignore[union-attr]
        for wrong in ("insert into n (o) select parse_json('[1]')", "insert into n (o) values ('text')"):
            with pytest.raises(ProgrammingError, match="to OBJECT"):
                cursor.execute(wrong)
        cursor.execute(MADE[-1])
    shown = "select data_type from information_schema.columns where table_name = '{}' order by ordinal_position"
    assert emulator.rows(shown.format("N")) == [("VARIANT",)], "a replaced table has its own types"
    assert emulator.rows(shown.format("RENAMED")) == [("VARIANT",), ("ARRAY",), ("OBJECT",)]
