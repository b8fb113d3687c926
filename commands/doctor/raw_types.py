"""Check that raw has the columns which the dbt project reads, with types that staging can cast."""

import re
from collections.abc import Iterator, Mapping

from commands.doctor.finding import Finding

Types = Mapping[str, Mapping[str, str]]
"""Types by table and column, both in lower case."""

NUMBERS = "BIGINT INTEGER SMALLINT TINYINT HUGEINT DECIMAL NUMBER FLOAT DOUBLE REAL"
TEXT = "VARCHAR TEXT STRING"
NESTED = "OBJECT ARRAY VARIANT JSON STRUCT MAP LIST"
"""Types of nested values, including those that Airbyte uses on Snowflake."""
TIMES = "TIMESTAMP TIMESTAMP_TZ TIMESTAMP_NTZ TIMESTAMP_LTZ DATE"
CASTS = {
    "bigint": f"{NUMBERS} {TEXT}",
    "double": f"{NUMBERS} {TEXT}",
    "timestamptz": f"{TIMES} {TEXT}",
    "varchar": f"{NUMBERS} {TEXT} {TIMES} BOOLEAN",
    "json": f"{NESTED} {TEXT}",
    "text": f"{NUMBERS} {TEXT} {TIMES} BOOLEAN",
    "boolean": f"BOOLEAN {TEXT}",
    "date": f"DATE {TEXT}",
    "timestamp": f"{TIMES} {TEXT}",
    "decimal": f"{NUMBERS} {TEXT}",
}
"""For each type that sources.yml may declare, the raw types that the macro `typed` can cast to it."""


def raw_types(declared: Types, raw: Types, where: str) -> Iterator[Finding]:
    """Compare the columns declared in sources.yml with those of the existing tables."""
    tables = [table for table in declared if declared[table] and table in raw]
    wrong = [each for table in tables for each in _wrong(table, declared[table], raw[table], where)]
    yield from wrong
    text = [
        f"{table}.{name}"
        for table in tables
        for name, type_ in declared[table].items()
        if type_ not in ("varchar", "text") and _kind(raw[table].get(name, "")) in TEXT.split()
    ]
    nested = [
        f"{table}.{name} ({raw[table][name]})" for table in tables for name in _nested(declared[table], raw[table])
    ]
    if tables and not wrong:
        said = f"staging can cast all columns that it reads; {len(text)} of them are text{_listed(text)}"
        yield Finding("raw types", "ok", said + (f"; {len(nested)} are nested{_listed(nested)}" if nested else ""))


def _nested(declared: Mapping[str, str], raw: Mapping[str, str]) -> list[str]:
    return [name for name in declared if _kind(raw.get(name, "")) in NESTED.split()]


def _listed(names: list[str]) -> str:
    return f": {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}" if names else ""


def _wrong(table: str, declared: Mapping[str, str], raw: Mapping[str, str], where: str) -> Iterator[Finding]:
    if missing := [name for name in declared if name not in raw]:
        fix = (
            "Select these columns in Airbyte's connection and refresh its schema, or remove them from "
            "dbt_project/models/staging."
        )
        yield Finding("raw types", "fail", f"{where}.{table} has no column {', '.join(missing)}", fix)
    for name, type_ in declared.items():
        casts = CASTS.get(_kind(type_).lower())
        if name in raw and casts and _kind(raw[name]) not in casts.split():
            fix = (
                f"Have Airbyte load {name} as text or as {type_}, or declare another data_type in "
                "dbt_project/models/staging/sources.yml and in the staging model."
            )
            said = f"{where}.{table} has {name} as {raw[name]}, which staging cannot cast to {type_}"
            yield Finding("raw types", "fail", said, fix)


def _kind(type_: str) -> str:
    """Return a type without length and zone: VARCHAR for VARCHAR(10), TIMESTAMP for TIMESTAMP WITH TIME ZONE."""
    return "LIST" if type_.endswith("]") else re.split(r"[ (]", type_.upper())[0]
