"""Raw as the mock Airbyte leaves it: Parquet files of typed rows with Airbyte's columns, one for each loaded object."""

import json
from pathlib import Path

import duckdb

LANDING = Path(__file__).parents[3] / "localstack" / "landing"


def _columns(declared: str) -> dict[str, str]:
    """Column types from `TYPE: name name; TYPE: name`."""
    groups = (group.split(":") for group in declared.split(";"))
    return {name: type_.strip() for type_, names in groups for name in names.split()}


STREAMS = {
    "flights": _columns(
        "BIGINT: year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay; VARCHAR: carrier;"
        "BIGINT: flight; VARCHAR: tailnum origin dest; BIGINT: air_time distance hour minute; TIMESTAMPTZ: time_hour"
    ),
    "weather": _columns(
        "VARCHAR: origin; BIGINT: year month day hour; TIMESTAMPTZ: time_hour;"
        "DOUBLE: temp dewp humid wind_dir wind_speed wind_gust precip pressure visib"
    ),
    "airlines": _columns("VARCHAR: carrier name"),
    "airports": _columns("VARCHAR: faa name dst tzone; DOUBLE: lat lon; BIGINT: alt tz"),
    "planes": _columns("VARCHAR: tailnum type manufacturer model engine; BIGINT: year engines seats speed"),
}


class Lake:
    """A folder of raw Parquet, one subfolder a stream, each with a typed file of no rows from the start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for stream, columns in STREAMS.items():
            if (folder / stream).exists():
                continue
            (folder / stream).mkdir(parents=True)
            typed = ", ".join(f"null::{type_} as {name}" for name, type_ in columns.items())
            self._write(stream, "empty", f"select {typed} limit 0")

    def load_landing(
        self,
        stream: str,
        pattern: str = "*",
        *,
        at: str = "now()",
        change: str = "*",
        nulled: str = "",
        text: bool = False,
        where: str = "true",
        generation: int = 0,
    ) -> None:
        """Load files of the sample data as one sync, extracted at the SQL expression `at`.

        Only rows that `where` holds for are in the files. They are altered by the select list `change`; every value of
        the column `nulled` is one that the load could not keep. With `text` each column is text and empty fields are
        empty, as source-s3 reads CSV.
        """
        changes = [{"field": nulled, "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}] if nulled else []
        if nulled:
            change = f"* replace (null as {nulled})"
        for path in sorted((LANDING / stream).glob(pattern)):
            there = [int(file.name[:4]) for file in (self.folder / stream).glob("[0-9]*.parquet")]
            name = f"{max(there, default=0) + 1:04}-{path.name}"  # not one that is there, also where files were merged
            how = "all_varchar=true, nullstr='never'" if text else f"types={STREAMS[stream]}"
            rows = f"select {change} from read_csv('{path}', header=true, {how}) where {where}"
            modified = f"strftime({at}, '%Y-%m-%dT%H:%M:%S.%fZ')" if text else at
            meta = {"sync_id": 1, "changes": changes}
            self._write(stream, name, rows, at, meta, f"inbound/{stream}/{path.name}", modified, generation)

    def _write(
        self,
        stream: str,
        name: str,
        rows: str,
        at: str = "now()",
        meta: object = None,
        key: str = "",
        modified: str = "now()",
        generation: int = 0,
    ) -> None:
        duckdb.connect().execute(f"""
            copy (
                select *, uuid()::varchar as _airbyte_raw_id, {at} as _airbyte_extracted_at,
                    '{json.dumps(meta)}' as _airbyte_meta, {generation}::bigint as _airbyte_generation_id,
                    '{key}' as _ab_source_file_url, {modified} as _ab_source_file_last_modified
                from ({rows})
            ) to '{self.folder / stream / name}.parquet' (format parquet)
        """)
