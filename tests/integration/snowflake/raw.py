"""Raw in Snowflake as Airbyte's destination leaves it, filled from the Parquet files that the mock Airbyte writes."""

from pathlib import Path

from services.airbyte.snowflake_table import AIRBYTE_COLUMNS
from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.snowflake.emulator import Emulator

# https://docs.airbyte.com/integrations/destinations/snowflake#output-schema
TYPES = {"BIGINT": "NUMBER(38, 0)", "VARCHAR": "VARCHAR", "DOUBLE": "FLOAT", "TIMESTAMPTZ": "TIMESTAMP_TZ"}


def load_raw(emulator: Emulator, lake: Lake, staged: set[Path]) -> None:
    """Bring the tables of the schema RAW up to the lake, by the files that are not in `staged` yet."""
    with emulator.connect(schema="RAW") as session, session.cursor() as cursor:
        cursor.execute("create stage if not exists raw.lake")
        for stream, declared in STREAMS.items():
            columns = {name: TYPES[type_] for name, type_ in declared.items()} | AIRBYTE_COLUMNS
            listed = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
            cursor.execute(f"create table if not exists raw.{stream} ({listed})")
            for file in set((lake.folder / stream).glob("*.parquet")) - staged:
                cursor.execute(f"put 'file://{file}' @raw.lake/{stream}/ auto_compress = false")
                staged.add(file)
            cursor.execute(
                f"copy into raw.{stream} from @raw.lake/{stream}/ file_format = (type = parquet) "
                "match_by_column_name = case_insensitive purge = true"
            )
