"""Fetch data for a command of a person, from where the platform runs: `python -m blocks.hand_out WHAT [SUBJECT]`.

A person's machine may have no access to S3, Airbyte or the warehouse. The answer goes to standard output: JSON for the
`files` below a prefix, the connections' `streams` and the `tables`, the bytes of a `file` in the landing bucket,
Parquet with a raw table's `rows`, and a text about the `removal` of a file.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from blocks.connections import Connections
from blocks.errors import PlatformError, shown
from blocks.lake import FILE
from blocks.landing import NOT_S3, REMOVED, LandedFile, listing, unavailable
from blocks.systems import S3Landing
from blocks.warehouse import Warehouse, rows_in_words


class Files(BaseModel):
    """The landing bucket, the prefix that Airbyte's source reads, and the objects below another prefix."""

    bucket: str
    root: str
    files: list[LandedFile]


class OfferedStream(BaseModel):
    """A stream that a connection syncs.

    Attributes:
        name: the stream's name.
        table: its table in raw.
        connection: the connection's name.
        key: its primary key, as the connection or the source declares it.
        columns: the columns of its raw table, in lower case; empty if there is no table yet.
    """

    name: str
    table: str
    connection: str
    key: list[str] = []
    columns: list[str] = []


class Streams(BaseModel):
    """The streams of the configured connections."""

    streams: list[OfferedStream]


class Newest(BaseModel):
    """The file of a row, and when that row was loaded."""

    file: str
    loaded: datetime


class Tables(BaseModel):
    """The state of the tables.

    Attributes:
        rows: number of rows of each published table.
        newest: the newest file of each raw table that has files.
        hours: FRESHNESS_THRESHOLD_HOURS.
    """

    rows: dict[str, int] = {}
    newest: dict[str, Newest] = {}
    hours: float | None = None


def files(landing: S3Landing, prefix: str) -> Files:
    """List the objects below a prefix.

    Raises:
        blocks.landing.LandingUnavailable: S3 does not answer.
    """
    try:
        found = list(listing(landing.get_client(), landing.bucket, prefix))
    except NOT_S3 as error:
        raise unavailable(landing.bucket, error) from error
    return Files(bucket=landing.bucket, root=landing.prefix, files=found)


def streams(connections: Connections) -> Streams:
    """List the streams of the connections in Airbyte, with the columns of their raw tables.

    Raises:
        blocks.airbyte.errors.AirbyteError, blocks.errors.ConfigurationError: Airbyte fails or lacks a connection.
    """
    raw, found = connections.warehouse().raw_columns(), []
    with connections.airbyte.get_client() as client:
        for connection in map(client.connection, connections.airbyte.connections):
            chosen = connection.configurations.streams
            keys = {} if all(each.primary_key for each in chosen) else client.source_keys(connection.source_id)
            for stream in chosen:
                table = f"{connection.prefix or ''}{stream.name}".lower()
                key = [".".join(path) for path in stream.primary_key] or keys.get(stream.name, [])
                columns = raw.get(table, [])
                found.append(
                    OfferedStream(name=stream.name, table=table, connection=connection.name, key=key, columns=columns)
                )
    return Streams(streams=found)


def tables(warehouse: Warehouse, hours: float | None = None) -> Tables:
    """Return a warehouse's published row counts and newest files."""
    rows = {name.rpartition(".")[2].lower(): each.rows for name, each in warehouse.published_tables().items()}
    with_files = [table for table, columns in warehouse.raw_columns().items() if FILE in columns]
    newest = {table: warehouse.newest_file(table) for table in with_files}
    dated = {table: Newest(file=each[0], loaded=each[1]) for table, each in newest.items() if each}
    return Tables(rows=rows, newest=dated, hours=hours)


def answer(what: str, subject: str, out: IO[bytes], profile: str | None = None) -> None:
    """Write one answer to `out`.

    Raises:
        PlatformError: a system fails.
    """
    connections = Connections(profile)
    if what == "files":
        out.write(files(connections.landing, subject).model_dump_json().encode())
    elif what == "streams":
        out.write(streams(connections).model_dump_json().encode())
    elif what == "tables":
        hours = connections.dbt_config.freshness_threshold_hours
        out.write(tables(connections.warehouse(), hours).model_dump_json().encode())
    elif what == "removal":
        out.write(f"{removal(connections.landing, connections.warehouse(), subject)}\n".encode())
    elif what == "file":
        landing = connections.landing
        try:
            landing.get_client().download_fileobj(landing.bucket, subject, out)
        except NOT_S3 as error:
            raise unavailable(landing.bucket, error) from error
    else:
        with tempfile.TemporaryDirectory() as folder:
            connections.warehouse().export(subject, target := Path(folder) / "rows.parquet")
            with target.open("rb") as rows:
                shutil.copyfileobj(rows, out)


def removal(landing: S3Landing, warehouse: Warehouse, key: str) -> str:
    """Describe what removing a file does."""
    rows = warehouse.rows_of(key := landing.key_of(key))
    return "\n".join(
        [
            f"The file s3://{landing.bucket}/{shown(key)} moves to {REMOVED}{shown(key)}.",
            f"Its rows are deleted from raw: {rows_in_words(rows) or 'none, since raw has no row of this file'}. Rows "
            "that were loaded from another bucket stay.",
            "The tables built from them are rebuilt, tested and published; incremental models are built from scratch.",
            f"If you upload a corrected file as {shown(key)}, it is loaded like a new one.",
        ]
    )


def main() -> None:
    """Write the answer to standard output."""
    parser = argparse.ArgumentParser(prog="python -m blocks.hand_out", description=__doc__)
    parser.add_argument("what", choices=("files", "file", "streams", "rows", "tables", "removal"))
    parser.add_argument("subject", nargs="?", default="", help="prefix, key or table")
    parser.add_argument("--profile", help="name of the saved blocks (default: use the environment)")
    options = parser.parse_args()
    try:
        answer(options.what, options.subject, sys.stdout.buffer, options.profile)
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
