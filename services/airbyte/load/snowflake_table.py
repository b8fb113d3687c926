"""A Snowflake table as a destination: PUT stages a file, and COPY INTO loads it.

One transaction commits a file's rows and the record that they were loaded, so that a retry finds both or neither.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from services.airbyte.catalog.destination_config import KeyPair, SnowflakeConfiguration
from services.airbyte.errors import DestinationError
from services.airbyte.formats import sql
from services.airbyte.names import object_condition

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

TYPES = {
    "integer": "NUMBER(38, 0)",
    "number": "FLOAT",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp_with_timezone": "TIMESTAMP_TZ",
    "timestamp_without_timezone": "TIMESTAMP_NTZ",
    "date": "DATE",
    "object": "OBJECT",
    "array": "ARRAY",
    "union": "VARIANT",
}
"""The types that Airbyte's Snowflake destination uses (its SnowflakeColumnManager.kt)."""
AIRBYTE_COLUMNS = {
    "_airbyte_raw_id": "VARCHAR NOT NULL",
    "_airbyte_extracted_at": "TIMESTAMP_TZ NOT NULL",
    "_airbyte_meta": "VARIANT NOT NULL",
    "_airbyte_generation_id": "NUMBER(38, 0)",
    "_ab_source_file_url": "VARCHAR",
    "_ab_source_file_last_modified": "TIMESTAMP_TZ",
}
LOADED_FILES_COLUMNS = {
    "table_name": "VARCHAR",
    "file": "VARCHAR",
    "row_count": "NUMBER(38, 0)",
    "generation_id": "NUMBER(38, 0)",
}
CDC_UPDATED, CDC_DELETED = "_ab_cdc_updated_at", "_ab_cdc_deleted_at"
"""Columns in which Airbyte's database sources write when a row was changed or deleted."""
TIMEOUTS = {"login_timeout": 20, "network_timeout": 120, "socket_timeout": 120}


class SnowflakeTable:
    """Names are upper case, as Airbyte writes them. With `key`, only the newest row of each key is kept.

    The staged file's columns are named c0, c1, …, because some Parquet readers reject names that are SQL keywords.
    """

    strict_json = True

    def __init__(
        self,
        configuration: SnowflakeConfiguration,
        table: str,
        generation: int,
        key: list[str],
        work_dir: Path,
        date_as_text: bool = False,
    ) -> None:
        self._airbyte_columns = AIRBYTE_COLUMNS | ({"_ab_source_file_last_modified": "VARCHAR"} if date_as_text else {})
        self._database, self._schema = configuration.database, configuration.schema_
        self._internal = configuration.raw_data_schema
        self._table = self._name(self._schema, table)
        self._label = self._table.replace('"', "")
        self._loaded_files = self._name(self._internal, "_airbyte_loaded_files")
        stage = f"_airbyte_stage_{uuid4().hex}"
        self._stage = f"@{self._name(self._internal, stage)}"
        self._generation = generation
        self._key = key
        self._hard_delete = configuration.cdc_deletion_mode != "Soft delete"
        self._columns: set[str] = set()
        self.temporary = work_dir / f"{stage}.parquet"
        self._session = _connect(configuration)

    def prepare(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Create schemas, table and stage; return the columns. If none are declared, return those of the table."""
        for schema in (self._schema, self._internal):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {self._name(schema)}")
        self._run(f"CREATE TABLE IF NOT EXISTS {self._loaded_files} ({_definitions(LOADED_FILES_COLUMNS)})")
        self._run(f"CREATE TABLE IF NOT EXISTS {self._table} ({_definitions(self._airbyte_columns)})")
        if not self._run(f"SELECT 1 FROM {self._table} LIMIT 1"):  # noqa: S608 - quoted
            self._forget("TRUE")  # somebody else dropped or emptied the table
        columns = dict(declared) or self._existing_columns()
        self.set_columns(columns)
        self._keep_newest()
        # Snowflake drops a temporary stage with its session, and so also what a killed process left there.
        self._run(f"CREATE TEMPORARY STAGE {self._stage.removeprefix('@')}")
        return columns

    def names_in_file(self, columns: Mapping[str, str]) -> list[str]:
        return [f"c{number}" for number in range(len(columns))]

    def set_columns(self, columns: Mapping[str, str], wider: Collection[str] = ()) -> None:
        if wider:
            self._convert({name.lower(): columns[name] for name in wider})
        known = {name.lower() for name in self._existing_columns()}
        self._columns = known | {name.lower() for name in columns}
        for name, type_ in columns.items():
            if name.lower() not in known:
                self._run(f"ALTER TABLE {self._table} ADD COLUMN IF NOT EXISTS {_column(name)} {TYPES[type_]}")

    def fits_double(self, column: str) -> bool:
        inexact = f"abs({_column(column)}) > {2**53}"
        return not self._run(f"SELECT 1 FROM {self._table} WHERE {inexact} LIMIT 1")  # noqa: S608 - quoted

    def _convert(self, types: Mapping[str, str]) -> None:
        """Replace the table by one with other types, in one statement, so that readers always find all rows."""
        known = {name.lower(): type_ for name, type_ in self._existing_columns().items()}
        defined = self._airbyte_columns | {name: TYPES[types.get(name, type_)] for name, type_ in known.items()}
        values = [
            _converted(name, known[name], type_) if name in types else _column(name) for name, type_ in defined.items()
        ]
        query = f"SELECT {', '.join(values)} FROM {self._table}"  # noqa: S608 - quoted
        self._run(f"CREATE OR REPLACE TABLE {self._table} ({_definitions(defined)}) COPY GRANTS AS {query}")

    def rows_of(self, target: str) -> int | None:
        """Return the number of rows of a loaded file; None if the file is not loaded."""
        query = f"SELECT row_count FROM {self._loaded_files} WHERE table_name = %s AND file = %s"  # noqa: S608 - quoted
        found = self._run(query, (self._label, target))
        return int(found[0][0]) if found else None

    def add(self, target: str, rows: int, columns: Mapping[str, str]) -> None:
        """Commit the temporary file."""
        self.set_columns(columns)
        self._run(f"PUT {sql.text(f'file://{self.temporary}')} {self._stage}/{target} AUTO_COMPRESS = FALSE")
        values = (self._label, target, rows, self._generation)
        with self._transaction():
            self._run(self._copy(target, columns))
            self._run(f"INSERT INTO {self._loaded_files} VALUES (%s, %s, %s, %s)", values)  # noqa: S608 - quoted
        self._keep_newest()

    def keep_only(self, _targets: Collection[str]) -> None:
        """Remove the rows of other generations. A row has its generation, but not its file."""
        self._delete(f"_airbyte_generation_id <> {self._generation}", f"generation_id <> {self._generation}")

    def clear(self) -> None:
        self._delete("TRUE", "TRUE")

    def remove(self, key: str, targets: Collection[str]) -> int:
        condition, values = object_condition(key, "_ab_source_file_url", "%s")
        [(rows,)] = self._run(f"SELECT count(*) FROM {self._table} WHERE {condition}", values)  # noqa: S608 - quoted
        if targets:
            self._forget(f"file IN ({', '.join(map(sql.text, targets))})")
        self._run(f"DELETE FROM {self._table} WHERE {condition}", values)  # noqa: S608 - quoted
        return int(rows)

    def close(self) -> None:
        self.temporary.unlink(missing_ok=True)
        self._session.close()

    def _copy(self, target: str, columns: Mapping[str, str]) -> str:
        staged = {name: (alias, TYPES[columns[name]]) for name, alias in self._aliases(columns)}
        staged |= {name: (name, type_.removesuffix(" NOT NULL")) for name, type_ in self._airbyte_columns.items()}
        names = ", ".join(_column(name) for name in staged)
        values = ", ".join(_value(*of) for of in staged.values())
        # FORCE: only our own record decides whether a file is loaded, not COPY's load history.
        options = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) FORCE = TRUE PURGE = TRUE"
        return f"COPY INTO {self._table} ({names}) FROM (SELECT {values} FROM {self._stage}/{target}/) {options}"  # noqa: S608

    def _aliases(self, columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        return zip(columns, self.names_in_file(columns), strict=True)

    def _keep_newest(self) -> None:
        """Keep only the newest row of each key, and remove it if it is a deletion.

        Each statement is atomic and can be repeated, so a client that dies does no harm.
        """
        # Inferred columns appear with the first file.
        if not self._key or not {name.lower() for name in self._key} <= self._columns:
            return
        newest = f"{_column(CDC_UPDATED)} DESC NULLS LAST, " if CDC_UPDATED in self._columns else ""
        newest += "_ab_source_file_last_modified DESC, _airbyte_extracted_at DESC, _airbyte_raw_id DESC"
        window = f"PARTITION BY {', '.join(map(_column, self._key))} ORDER BY {newest}"
        older = f"SELECT _airbyte_raw_id FROM {self._table} QUALIFY row_number() OVER ({window}) > 1"  # noqa: S608
        self._run(f"DELETE FROM {self._table} WHERE _airbyte_raw_id IN ({older})")  # noqa: S608
        if self._hard_delete and CDC_DELETED in self._columns:
            self._run(f"DELETE FROM {self._table} WHERE nullif({_column(CDC_DELETED)}::VARCHAR, '') IS NOT NULL")  # noqa: S608

    def _delete(self, rows: str, files: str) -> None:
        """Delete rows and the record of their files. The record goes first, so an interruption cannot lose rows."""
        self._forget(files)
        self._run(f"DELETE FROM {self._table} WHERE {rows}")  # noqa: S608

    def _forget(self, files: str) -> None:
        self._run(f"DELETE FROM {self._loaded_files} WHERE table_name = %s AND {files}", (self._label,))  # noqa: S608

    def _existing_columns(self) -> dict[str, str]:
        types = {re.split(r"\W", type_)[0]: name for name, type_ in TYPES.items()}
        found = [(row[0], re.split(r"\W", row[1])[0]) for row in self._run(f"DESCRIBE TABLE {self._table}")]
        return {name: types.get(type_, "string") for name, type_ in found if name.lower() not in AIRBYTE_COLUMNS}

    def _name(self, *parts: str) -> str:
        return ".".join(sql.name(part.upper()) for part in (self._database, *parts))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
        except DestinationError:
            with suppress(DestinationError):
                self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with _errors(), self._session.cursor() as cursor:
            return list(cursor.execute(statement, values or None).fetchall())


def _connect(configuration: SnowflakeConfiguration) -> "SnowflakeConnection":
    import snowflake.connector

    protocol, host, port = configuration.address()
    given = configuration.credentials
    secret = _key(given) if isinstance(given, KeyPair) else {"password": given.password.get_secret_value()}
    with _errors(login=True):
        return snowflake.connector.connect(
            account=host.partition(".")[0],
            host=host,
            port=port,
            protocol=protocol,
            user=configuration.username,
            role=configuration.role,
            warehouse=configuration.warehouse,
            database=configuration.database,
            session_parameters={"TIMEZONE": "UTC", "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
            **TIMEOUTS,
            **secret,
        )


def _key(given: KeyPair) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    passphrase = given.private_key_password.get_secret_value().encode() if given.private_key_password else None
    try:
        key = load_pem_private_key(given.private_key.get_secret_value().encode(), passphrase)
    except (ValueError, TypeError):
        message = "Snowflake: private_key is not a PEM key, or private_key_password does not decrypt it."
        raise DestinationError("config_error", f"{message} Check the destination's configuration.") from None
    return {"private_key": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())}


@contextmanager
def _errors(login: bool = False) -> Iterator[None]:
    """Turn the connector's errors into DestinationError. Network errors are transient.

    A rejected `login` raises a plain DatabaseError, which a retry does not fix.
    """
    from snowflake.connector import errors

    try:
        yield
    except errors.Error as error:
        text = " ".join(str(error).split())
        refused = login and type(error) is errors.DatabaseError
        if refused or isinstance(error, errors.ProgrammingError | errors.ForbiddenError):
            message = f"Snowflake: {text} Check the destination's configuration."
            raise DestinationError("config_error", message) from None
        raise DestinationError("transient_error", f"Cannot reach Snowflake: {text}") from None


def _definitions(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{_column(name)} {type_}" for name, type_ in columns.items())


def _column(name: str) -> str:
    return sql.name(name.upper())


def _value(name: str, type_: str) -> str:
    if type_ not in ("OBJECT", "ARRAY", "VARIANT"):
        return f'$1:"{name}"::{type_}'
    return f'PARSE_JSON($1:"{name}"::VARCHAR)' + (f"::{type_}" if type_ != "VARIANT" else "")


def _converted(name: str, before: str, after: str) -> str:
    """Return SQL for a column's value in another type. For times, to_char keeps microseconds; a cast keeps 3 digits."""
    if before.startswith("timestamp"):
        zone = " || '+00:00'" if before == "timestamp_with_timezone" else ""  # all are loaded as UTC
        return f"to_char({_column(name)}, 'YYYY-MM-DD HH24:MI:SS.FF6'){zone}"
    return f"{_column(name)}::{after}"
