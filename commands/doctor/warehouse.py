"""Check that the warehouse of dbt's target is reachable, and has what the dbt project needs."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from blocks import lake
from blocks.errors import ConfigurationError
from blocks.names import RAW_SCHEMA
from blocks.snowflake_warehouse import published_schema
from blocks.systems import DbtConfig, SnowflakeConnection
from commands.doctor.finding import Finding
from commands.doctor.raw_types import Types, raw_types

ENOUGH_BYTES, LITTLE_BYTES = 1 << 30, 5 << 30
DBT_SCHEMAS = ("", "_STAGING", "_INTERMEDIATE", "_SNAPSHOTS")
"""Suffixes that dbt_project.yml appends to the target's schema."""

Grant = Mapping[str, str]
"""A row of SHOW GRANTS."""

ROLES = {"ROLE": "role", "DATABASE_ROLE": "database role"}
"""Kinds of roles that can be granted to a role: in the output of SHOW GRANTS, and in its syntax."""

GRANTS_FIX = "Ask an administrator to grant it to SNOWFLAKE_ROLE, or set SNOWFLAKE_ROLE to a role that has it."


def duckdb_warehouse(config: DbtConfig, sources: Types) -> Iterable[Finding]:
    """Check the warehouse's folder and file, and that raw has dbt's sources and their columns."""
    for name, path in (("WAREHOUSE_PATH", config.warehouse_path), ("PUBLISHED_PATH", config.published_path)):
        folder = _existing(path.absolute().parent)
        if os.access(folder, os.W_OK | os.X_OK):
            yield Finding("warehouse folder", "ok", f"{folder} can be written")
        else:
            fix = f"Set {name} to a folder that this user may write to, or change the folder's owner."
            yield Finding("warehouse folder", "fail", f"{folder} cannot be written", fix)
    if config.warehouse_path.exists():
        yield _free(config.warehouse_path)
    found = lake.columns(config.lake_dir)
    yield _loaded(set(sources), set(found), str(config.lake_dir))
    yield from raw_types(sources, found, str(config.lake_dir))


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)


def _free(path: Path) -> Finding:
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            fix = "dbt may be running. If it is not, close the file in the process named here."
            return Finding("warehouse file", "warn", str(error).splitlines()[0], fix)
        fix = f"Move {path} away. The next run rebuilds it from raw."
        return Finding("warehouse file", "fail", str(error).splitlines()[0], fix)
    return Finding("warehouse file", "ok", f"{path} can be read")


def _loaded(sources: set[str], there: set[str], where: str) -> Finding:
    if missing := sources - there:
        said = f"{where} has no {', '.join(sorted(missing))} yet"
        return Finding("raw", "warn", said, "Run airbyte_sync, which loads these tables.")
    return Finding("raw", "ok", f"{where} has every source of dbt")


def disk(folder: Path) -> Iterable[Finding]:
    """Check the free space on the disk of the data."""
    place = _existing(folder.absolute())
    return [room(shutil.disk_usage(place).free, place)]


def room(free: int, place: Path) -> Finding:
    """Return the finding for a number of free bytes."""
    said = f"{free / (1 << 30):.1f} GiB free on {place}"
    if free >= LITTLE_BYTES:
        return Finding("disk", "ok", said)
    return Finding("disk", "warn" if free >= ENOUGH_BYTES else "fail", said, "Free some space; 5 GiB are enough.")


def snowflake_warehouse(block: SnowflakeConnection, sources: Types) -> Iterable[Finding]:
    """Check that a session opens as the right user, and that its role has the privileges that dbt needs."""
    try:
        session = block.get_connection()
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - the connector raises its own errors and those of its libraries
        fix = (
            "Check SNOWFLAKE_ACCOUNT (ORGANIZATION-ACCOUNT with a hyphen, or a locator with its region), "
            "SNOWFLAKE_USER, its password or key, SNOWFLAKE_ROLE, SNOWFLAKE_HOST, and any firewall."
        )
        yield Finding("snowflake session", "fail", str(error).splitlines()[0], fix)
        return
    with closing(session), session.cursor() as cursor:
        yield _session(session, block)
        cursor.execute("select table_name from information_schema.tables where table_schema = %s", (RAW_SCHEMA,))
        there = {str(table).lower() for (table,) in cursor.fetchall()}
        yield from _grants(cursor, block, set(sources), there)
        yield _loaded(set(sources), there, f"{block.database}.{RAW_SCHEMA}")
        yield from raw_types(sources, _columns(cursor), f"{block.database}.{RAW_SCHEMA}")
        yield from _readers(cursor, published_schema(block.schema_).upper())


def _columns(cursor: Any) -> Types:
    """Return the types of raw's columns."""
    cursor.execute(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = %s",
        (RAW_SCHEMA,),
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in cursor.fetchall():
        found.setdefault(str(table).lower(), {})[str(column).lower()] = str(type_)
    return found


def _readers(cursor: Any, schema: str) -> Iterator[Finding]:
    """Check that a role other than the owner can read each published table. Read as that role if this user has it."""
    cursor.execute("select table_name from information_schema.tables where table_schema = %s", (schema,))
    tables = [f'{schema}."{table}"' for (table,) in cursor.fetchall()]
    roles: dict[str, list[str]] = {}
    for table in tables:
        for role in _may_select(cursor, table):
            roles.setdefault(role, []).append(table)
    granted = {table for read in roles.values() for table in read}
    if unread := sorted(set(tables) - granted):
        said = f"no role other than the owner may read {', '.join(unread)}"
        fix = f"Run GRANT SELECT ON ALL TABLES IN SCHEMA {schema} for the readers' role, and also ON FUTURE TABLES."
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
        said = f"role {role} has SELECT on {len(tables)} published tables; grant the role to this user to test it"
        return Finding("snowflake readers", "ok", said)
    for table in tables:
        try:
            cursor.execute(f"select 1 from {table} limit 0")  # noqa: S608 - from the catalogue
        except Error as error:
            fix = f"Grant role {role} USAGE on the database, on the schema, and on a warehouse."
            return Finding("snowflake readers", "fail", f"role {role} cannot read {table}: {error.msg}", fix)
    return Finding("snowflake readers", "ok", f"role {role} reads {len(tables)} published tables")


def _use_a_warehouse(cursor: Any, role: str) -> None:
    """Use a warehouse that the role may use. Without one, reading fails on Snowflake with a clear error."""
    cursor.execute(f"show grants to role {_quoted(role)}")
    names = [column[0].lower() for column in cursor.description]
    for row in (dict(zip(names, values, strict=True)) for values in cursor.fetchall()):
        if row["granted_on"] == "WAREHOUSE" and row["privilege"] == "USAGE":
            cursor.execute(f"use warehouse {_quoted(row['name'])}")
            return


def _session(session: Any, block: SnowflakeConnection) -> Finding:
    """Compare the session with the settings. Snowflake leaves out a warehouse or database that the role may not use."""
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
    except Exception:  # noqa: BLE001 - a role may not be allowed to see its grants, and an emulator may have no roles
        said = "this role cannot list them, or the warehouse is an emulator without roles"
        yield Finding("snowflake grants", "warn", said, "Compare them with the list in docs/production.md.")
        return
    missing = missing_grants(rows, block, sources, there)
    for each in missing:
        yield Finding("snowflake grants", "fail", f"role {block.role} lacks {each}", GRANTS_FIX)
    if not missing:
        yield Finding("snowflake grants", "ok", f"role {block.role} has all privileges that dbt needs")


def effective_grants(show: Callable[[str], list[Grant]], role: str) -> list[Grant]:
    """Return a role's grants: its own, PUBLIC's, and those of every role granted to one of these.

    Args:
        show: runs a SHOW GRANTS query and returns its rows, by lower-case column name.
        role: the name as Snowflake stores it.
    """
    grantees = [f"role {_quoted(role)}", 'role "PUBLIC"']
    rows: list[Grant] = []
    for grantee in grantees:  # the loop appends to it
        own = show(f"show grants to {grantee}")
        rows += own
        rows += [{**row, "granted_on": row["grant_on"]} for row in show(f"show future grants to {grantee}")]
        for row in own:
            granted_role = f"{ROLES.get(row['granted_on'], '')} {_quoted(row['name'])}"
            if row["granted_on"] in ROLES and row["privilege"] == "USAGE" and granted_role not in grantees:
                grantees.append(granted_role)
    return rows


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.replace('"', "").split("."))


def missing_grants(rows: Iterable[Grant], block: SnowflakeConnection, sources: set[str], there: set[str]) -> list[str]:
    """Return the privileges that the dbt project needs and a role does not have.

    Args:
        rows: from `effective_grants`, with `privilege`, `granted_on` and `name`.
        block: has the role's database, schema and warehouse.
        sources: the tables of RAW that dbt reads.
        there: the tables of RAW that the role sees. It does not see tables without a privilege. For such a table, a
            grant on future tables is enough, because the table may not exist yet.
    """
    had = {(row["privilege"], row["granted_on"], row["name"].replace('"', "").lower()) for row in rows}
    database, warehouse, raw = block.database.lower(), block.warehouse.lower(), RAW_SCHEMA.lower()

    def has(kind: str, name: str, *privileges: str) -> bool:
        return any((privilege, kind, name) in had for privilege in (*privileges, "OWNERSHIP"))

    makes_schemas = has("DATABASE", database, "CREATE SCHEMA")
    needed = {
        f"USAGE on warehouse {block.warehouse}": has("WAREHOUSE", warehouse, "USAGE"),
        f"USAGE on database {block.database}": has("DATABASE", database, "USAGE"),
        f"USAGE on schema {block.database}.{RAW_SCHEMA}": has("SCHEMA", f"{database}.{raw}", "USAGE"),
    }
    of_dbt = [f"{block.schema_}{suffix}" for suffix in DBT_SCHEMAS]
    written = [*of_dbt, published_schema(block.schema_)]
    for privilege, schemas in (("USAGE", written), ("CREATE TABLE", written), ("CREATE VIEW", of_dbt)):
        for schema in schemas:
            name = f"{privilege} in schema {schema}, or CREATE SCHEMA on database {block.database}"
            needed[name] = makes_schemas or has("SCHEMA", f"{database}.{schema.lower()}", privilege)
    future = (
        has("TABLE", f"{database}.{raw}.<table>", "SELECT")
        or has("TABLE", f"{database}.<table>", "SELECT")
        or has("SCHEMA", f"{database}.{raw}", "CREATE TABLE")
    )
    for table in sorted(sources):
        readable = any(has(kind, f"{database}.{raw}.{table}", "SELECT") for kind in ("TABLE", "VIEW"))
        name = f"SELECT on table {block.database}.{RAW_SCHEMA}.{table.upper()}"
        needed[name] = readable or (future and table not in there)
    return [name for name, met in needed.items() if not met]
