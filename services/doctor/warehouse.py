"""The warehouse that dbt's target names: reachable, and with all that the dbt project needs there."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from blocks import lake
from blocks.errors import ConfigurationError
from blocks.snowflake_warehouse import published_schema
from blocks.systems import DbtConfig, SnowflakeConnection
from services.doctor.finding import Finding
from services.doctor.raw_types import Types, raw_types

ENOUGH_BYTES, LITTLE_BYTES = 1 << 30, 5 << 30
DBT_SCHEMAS = ("", "_STAGING", "_INTERMEDIATE", "_SNAPSHOTS")
"""What dbt_project.yml appends to the schema of the target."""

Grant = Mapping[str, str]
"""A row of SHOW GRANTS."""

ROLES = {"ROLE": "role", "DATABASE_ROLE": "database role"}
"""Kinds of role that can be granted to a role, as SHOW GRANTS tells and asks for them."""

GRANTS_FIX = "Let an administrator grant it to SNOWFLAKE_ROLE, or set SNOWFLAKE_ROLE to a role that has it."


def duckdb_warehouse(config: DbtConfig, sources: Types) -> Iterable[Finding]:
    """Whether the warehouse's folder can be written, its file is free, and raw has dbt's sources and their columns."""
    for name, path in (("WAREHOUSE_PATH", config.warehouse_path), ("PUBLISHED_PATH", config.published_path)):
        folder = _there(path.absolute().parent)
        if os.access(folder, os.W_OK | os.X_OK):
            yield Finding("warehouse folder", "ok", f"{folder} can be written")
        else:
            fix = f"Set {name} to a place that this user may write, or change the folder's owner."
            yield Finding("warehouse folder", "fail", f"{folder} cannot be written", fix)
    if config.warehouse_path.exists():
        yield _free(config.warehouse_path)
    found = lake.columns(config.lake_dir)
    yield _loaded(set(sources), set(found), str(config.lake_dir))
    yield from raw_types(sources, found, str(config.lake_dir))


def _there(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _there(folder.parent)


def _free(path: Path) -> Finding:
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            fix = "dbt may be at work. If it is not, close the file in the process that is named."
            return Finding("warehouse file", "warn", str(error).splitlines()[0], fix)
        fix = f"Move {path} away; the next run builds it anew from raw."
        return Finding("warehouse file", "fail", str(error).splitlines()[0], fix)
    return Finding("warehouse file", "ok", f"{path} can be read")


def _loaded(sources: set[str], there: set[str], where: str) -> Finding:
    if missing := sources - there:
        said = f"{where} has no {', '.join(sorted(missing))} yet"
        return Finding("raw", "warn", said, "Run airbyte_sync: it makes what dbt reads.")
    return Finding("raw", "ok", f"{where} has every source of dbt")


def disk(folder: Path) -> Iterable[Finding]:
    """How much room there is where the data lie."""
    place = _there(folder.absolute())
    return [room(shutil.disk_usage(place).free, place)]


def room(free: int, place: Path) -> Finding:
    """Judge a number of free bytes."""
    said = f"{free / (1 << 30):.1f} GiB free on {place}"
    if free >= LITTLE_BYTES:
        return Finding("disk", "ok", said)
    return Finding("disk", "warn" if free >= ENOUGH_BYTES else "fail", said, "Make room: 5 GiB are comfortable.")


def snowflake_warehouse(block: SnowflakeConnection, sources: Types) -> Iterable[Finding]:
    """Whether a session opens as the right user, and its role may do what dbt does."""
    try:
        session = block.get_connection()
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - the connector's errors and those of what it is built on
        fix = (
            "Check SNOWFLAKE_ACCOUNT (ORGANIZATION-ACCOUNT with a hyphen, or a locator with its region), "
            "SNOWFLAKE_USER, its password or key, SNOWFLAKE_ROLE, SNOWFLAKE_HOST, and any firewall."
        )
        yield Finding("snowflake session", "fail", str(error).splitlines()[0], fix)
        return
    with closing(session), session.cursor() as cursor:
        yield _session(session, block)
        cursor.execute("select table_name from information_schema.tables where table_schema = 'RAW'")
        there = {str(table).lower() for (table,) in cursor.fetchall()}
        yield from _grants(cursor, block, set(sources), there)
        yield _loaded(set(sources), there, f"{block.database}.RAW")
        yield from raw_types(sources, _columns(cursor), f"{block.database}.RAW")
        yield from _readers(cursor, published_schema(block.schema_).upper())


def _columns(cursor: Any) -> Types:
    """The types of raw's columns."""
    cursor.execute(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'RAW'"
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in cursor.fetchall():
        found.setdefault(str(table).lower(), {})[str(column).lower()] = str(type_)
    return found


def _readers(cursor: Any, schema: str) -> Iterator[Finding]:
    """Whether a role other than the owner may read each published table, asked as that role where this user may."""
    cursor.execute("select table_name from information_schema.tables where table_schema = %s", (schema,))
    tables = [f'{schema}."{table}"' for (table,) in cursor.fetchall()]
    roles: dict[str, list[str]] = {}
    for table in tables:
        for role in _may_select(cursor, table):
            roles.setdefault(role, []).append(table)
    granted = {table for read in roles.values() for table in read}
    if unread := sorted(set(tables) - granted):
        said = f"no role other than its owner may read {', '.join(unread)}"
        fix = f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} to the readers' role, and ON FUTURE TABLES, too."
        yield Finding("snowflake readers", "warn", said, fix)
    for role, read in sorted(roles.items()):
        yield _as_reader(cursor, role, read)


def _may_select(cursor: Any, table: str) -> set[str]:
    cursor.execute(f"show grants on table {table}")
    names = [column[0].lower() for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {row["grantee_name"] for row in rows if row["privilege"] == "SELECT"}


def _as_reader(cursor: Any, role: str, tables: list[str]) -> Finding:
    from snowflake.connector.errors import Error

    try:
        cursor.execute(f"use role {_quoted(role)}")
        _use_a_warehouse(cursor, role)
    except Error:
        said = (
            f"role {role} has SELECT on {len(tables)} published tables; grant it to this user to have doctor read as it"
        )
        return Finding("snowflake readers", "ok", said)
    for table in tables:
        try:
            cursor.execute(f"select 1 from {table} limit 0")  # noqa: S608 - from the catalogue
        except Error as error:
            fix = f"Grant role {role} USAGE on the database, on the schema, and on a warehouse."
            return Finding("snowflake readers", "fail", f"role {role} cannot read {table}: {error.msg}", fix)
    return Finding("snowflake readers", "ok", f"role {role} reads {len(tables)} published tables")


def _use_a_warehouse(cursor: Any, role: str) -> None:
    """Use a warehouse of the role's own; where it was granted none, reading fails on Snowflake and says so."""
    cursor.execute(f"show grants to role {_quoted(role)}")
    names = [column[0].lower() for column in cursor.description]
    for row in (dict(zip(names, values, strict=True)) for values in cursor.fetchall()):
        if row["granted_on"] == "WAREHOUSE" and row["privilege"] == "USAGE":
            cursor.execute(f"use warehouse {_quoted(row['name'])}")
            return


def _session(session: Any, block: SnowflakeConnection) -> Finding:
    """Compare what Snowflake answered to the login; it names no warehouse or database that the role may not use."""
    wanted = {
        "SNOWFLAKE_DATABASE": (session.database, block.database),
        "SNOWFLAKE_ROLE": (session.role, block.role),
        "SNOWFLAKE_WAREHOUSE": (session.warehouse, block.warehouse),
    }
    wrong = [name for name, (got, value) in wanted.items() if str(got).strip('"').lower() != value.lower()]
    said = f"user {session.user}, role {session.role}, database {session.database}, warehouse {session.warehouse}"
    if wrong:
        return Finding("snowflake session", "fail", said, f"Correct {', '.join(wrong)}, or grant it to the role.")
    return Finding("snowflake session", "ok", said)


def _grants(cursor: Any, block: SnowflakeConnection, sources: set[str], there: set[str]) -> Iterator[Finding]:
    def show(query: str) -> list[Grant]:
        cursor.execute(query)
        names = [column[0].lower() for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    try:
        rows = effective_grants(show, block.role.upper())
    except Exception:  # noqa: BLE001 - a role may be barred from seeing its own, and an emulator may have no roles
        said = "cannot be seen by this role, or the warehouse is an emulator without roles"
        yield Finding("snowflake grants", "warn", said, "Compare them with those that docs/production.md lists.")
        return
    missing = missing_grants(rows, block, sources, there)
    for each in missing:
        yield Finding("snowflake grants", "fail", f"role {block.role} lacks {each}", GRANTS_FIX)
    if not missing:
        yield Finding("snowflake grants", "ok", f"role {block.role} has all that dbt needs")


def effective_grants(show: Callable[[str], list[Grant]], role: str) -> list[Grant]:
    """What a role may do: by its own grants, PUBLIC's, and those of every role granted to one of these.

    Args:
        show: answers a SHOW GRANTS query with its rows, by the lower-case names of their columns.
        role: as Snowflake stores its name.
    """
    ahead = [f"role {_quoted(role)}", 'role "PUBLIC"']
    rows: list[Grant] = []
    for grantee in ahead:  # grows on the way
        own = show(f"show grants to {grantee}")
        rows += own
        rows += [{**row, "granted_on": row["grant_on"]} for row in show(f"show future grants to {grantee}")]
        for row in own:
            inherited = f"{ROLES.get(row['granted_on'], '')} {_quoted(row['name'])}"
            if row["granted_on"] in ROLES and row["privilege"] == "USAGE" and inherited not in ahead:
                ahead.append(inherited)
    return rows


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.replace('"', "").split("."))


def missing_grants(rows: Iterable[Grant], block: SnowflakeConnection, sources: set[str], there: set[str]) -> list[str]:
    """What a role lacks of the privileges that the dbt project needs.

    Args:
        rows: of `effective_grants`: `privilege`, `granted_on`, `name`.
        block: says the role's database, schema and warehouse.
        sources: the tables of RAW that dbt reads.
        there: those that the role sees. It does not see a table that it has no privilege on. A grant on future
            tables is enough for such a table, because it may not exist yet.
    """
    had = {(row["privilege"], row["granted_on"], row["name"].replace('"', "").lower()) for row in rows}
    database, warehouse = block.database.lower(), block.warehouse.lower()

    def has(kind: str, name: str, *privileges: str) -> bool:
        return any((privilege, kind, name) in had for privilege in (*privileges, "OWNERSHIP"))

    makes_schemas = has("DATABASE", database, "CREATE SCHEMA")
    needed = {
        f"USAGE on warehouse {block.warehouse}": has("WAREHOUSE", warehouse, "USAGE"),
        f"USAGE on database {block.database}": has("DATABASE", database, "USAGE"),
        f"USAGE on schema {block.database}.RAW": has("SCHEMA", f"{database}.raw", "USAGE"),
    }
    of_dbt = [f"{block.schema_}{suffix}" for suffix in DBT_SCHEMAS]
    written = [*of_dbt, published_schema(block.schema_)]
    for privilege, schemas in (("USAGE", written), ("CREATE TABLE", written), ("CREATE VIEW", of_dbt)):
        for schema in schemas:
            name = f"{privilege} in schema {schema}, or CREATE SCHEMA on database {block.database}"
            needed[name] = makes_schemas or has("SCHEMA", f"{database}.{schema.lower()}", privilege)
    comes = (
        has("TABLE", f"{database}.raw.<table>", "SELECT")
        or has("TABLE", f"{database}.<table>", "SELECT")
        or has("SCHEMA", f"{database}.raw", "CREATE TABLE")
    )
    for table in sorted(sources):
        readable = any(has(kind, f"{database}.raw.{table}", "SELECT") for kind in ("TABLE", "VIEW"))
        needed[f"SELECT on table {block.database}.RAW.{table.upper()}"] = readable or (comes and table not in there)
    return [name for name, met in needed.items() if not met]
