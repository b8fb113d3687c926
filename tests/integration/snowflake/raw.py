"""Raw in Snowflake as Airbyte's own destination leaves it: its statements and types, text where source-s3 has text.

The statements are those of destination-snowflake 4 in its default mode, by its SnowflakeDirectLoadSqlGenerator.kt: a
table with Airbyte's columns first, a stage, PUT of a gzipped CSV without a header, COPY. source-s3 declares every
column of CSV as a string unless it is configured otherwise, and its own two columns always, so each becomes VARCHAR.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.snowflake.emulator import Emulator

META = {
    "_AIRBYTE_RAW_ID": "VARCHAR NOT NULL",
    "_AIRBYTE_EXTRACTED_AT": "TIMESTAMP_TZ NOT NULL",
    "_AIRBYTE_META": "VARIANT NOT NULL",
    "_AIRBYTE_GENERATION_ID": "NUMBER(38,0)",
}
OF_SOURCE_S3 = ("_AB_SOURCE_FILE_LAST_MODIFIED", "_AB_SOURCE_FILE_URL")
PUT = """PUT 'file://{file}' '@{stage}'
AUTO_COMPRESS = FALSE
SOURCE_COMPRESSION = GZIP
OVERWRITE = TRUE"""
COPY = """COPY INTO {table}({columns})
FROM '@{stage}'
FILE_FORMAT = (
    TYPE = 'CSV'
    COMPRESSION = GZIP
    FIELD_DELIMITER = ','
    RECORD_DELIMITER = '\n'
    FIELD_OPTIONALLY_ENCLOSED_BY = '"'
    TRIM_SPACE = TRUE
    ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE
    REPLACE_INVALID_CHARACTERS = TRUE
    ESCAPE = NONE
    ESCAPE_UNENCLOSED_FIELD = NONE
)
ON_ERROR = 'ABORT_STATEMENT'
PURGE = TRUE
files = ('{file}')"""


INFERRED = {"BIGINT": "NUMBER(38,0)", "DOUBLE": "FLOAT", "TIMESTAMPTZ": "TIMESTAMP_TZ", "VARCHAR": "VARCHAR"}
"""The destination's types where source-s3 infers those of CSV, or reads Parquet."""
TEXT = dict.fromkeys(INFERRED, "VARCHAR")


def load_raw(emulator: Emulator, lake: Lake, staged: set[Path], types: Mapping[str, str] = TEXT) -> None:
    """Bring the tables of the schema RAW up to the lake, by the files that are not in `staged` yet.

    Args:
        emulator: whose database FLIGHTS has the schema.
        lake: the rows.
        staged: files that were loaded; those of this call are added.
        types: Snowflake's type for each of DuckDB's.
    """
    with emulator.connect(schema="RAW") as session, session.cursor() as cursor:
        cursor.execute('CREATE SCHEMA IF NOT EXISTS "FLIGHTS"."RAW"')
        for stream, declared in STREAMS.items():
            columns = META | dict.fromkeys(OF_SOURCE_S3, "VARCHAR")
            columns |= {name.upper(): types[type_] for name, type_ in declared.items()}
            table, stage = (f'"FLIGHTS"."RAW"."{name}"' for name in (stream.upper(), f"airbyte_stage_{stream.upper()}"))
            listed = ",\n    ".join(f'"{name}" {type_}' for name, type_ in columns.items())
            if not staged & set((lake.folder / stream).glob("*.parquet")):
                cursor.execute(f"CREATE TABLE {table} (\n    {listed}\n)")
                cursor.execute(f"CREATE STAGE IF NOT EXISTS {stage}")
            for parquet in sorted(set((lake.folder / stream).glob("*.parquet")) - staged):
                staged.add(parquet)
                if not (file := _csv(parquet, list(columns), emulator.folder)):
                    continue
                cursor.execute(PUT.format(file=file, stage=stage))
                names = ", ".join(f'"{name}"' for name in columns)
                cursor.execute(COPY.format(table=table, columns=names, stage=stage, file=file.name))


def _csv(parquet: Path, columns: list[str], folder: Path) -> Path | None:
    """Write a file's rows as the destination's CSV: times as source-s3 and Airbyte write them, null as an empty field.

    Without rows Airbyte sends no file.
    """
    file = folder / f"{parquet.stem}.csv.gz"
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    types = {row[0]: row[1] for row in connection.execute(f"describe from '{parquet}'").fetchall()}
    times = {name: "'%Y-%m-%dT%H:%M:%SZ'" if name == "time_hour" else "'%Y-%m-%dT%H:%M:%S.%fZ'" for name in types}
    values = {
        name: f"strftime({name}, {times[name]})" if type_ == "TIMESTAMP WITH TIME ZONE" else f"{name}::varchar"
        for name, type_ in types.items()
    }
    selected = ", ".join(values[name.lower()] for name in columns)
    options = "format csv, header false, compression gzip, nullstr ''"
    written = connection.execute(f"copy (select {selected} from '{parquet}') to '{file}' ({options})").fetchall()
    return file if written[0][0] else None
