"""Finds how another file of a source differs from what is declared, and offers a change for each difference."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb

from blocks.errors import counted
from commands.sources.facts import Facts
from commands.sources.forms import NUMBERS, number_shape, plain_number, strptime
from commands.sources.kinds import Column
from commands.sources.names import identifiers
from commands.sources.reading import MEMORY, Reading
from commands.sources.spec import ColumnSpec, Spec, TestSpec, column_of
from services.airbyte.formats import sql
from services.airbyte.load.convert import connect

Change = Callable[[Spec], Spec]
NUMBER = {
    "bigint": "[+-]?[0-9]+([.]0*)?",
    "double": "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?",
}

NO_VALUE = "the key must have a value in every row"


@dataclass(frozen=True)
class Drift:
    """A difference: what it is, what happens if it is ignored, and the change to the declaration that accepts it.

    If it cannot be accepted, `accept` is None and `because` is the reason.
    """

    text: str
    if_ignored: str
    accept: Change | None
    because: str = ""
    is_of_key: bool = False


def drift(spec: Spec, facts: Facts, work: Path) -> list[Drift]:
    """Compare a file with what is declared.

    Args:
        spec: the source's.
        facts: the file's, read with the stream's own format.
        work: folder for data that does not fit into memory.
    """
    connection = connect(MEMORY, None, work / "spill")
    try:
        connection.execute(f"CREATE VIEW f AS FROM read_parquet({sql.text(str(facts.reading.raw))})")
        return [
            *_new_columns(spec, facts),
            *_missing_columns(spec, facts),
            *_types(spec, facts, connection),
            *_tests(spec, facts, connection),
        ]
    finally:
        connection.close()


def declared_key(spec: Spec, found: Sequence[Drift]) -> str:
    """Describe a source's key, and whether it holds in a file with these differences."""
    if not spec.key:
        return "none is declared, so each row of the file is a row of the table"
    holds = "does not hold in this file" if any(each.is_of_key for each in found) else "unique in every row"
    return f"{', '.join(spec.key)} as declared, {holds}"


def _new_columns(spec: Spec, facts: Facts) -> Iterator[Drift]:
    known = {column.raw.lower() for column in spec.columns}
    new = [column for column in facts.columns if column.name.lower() not in known]
    names, _ = identifiers([*(column.name for column in spec.columns), *(column.name for column in new)])
    for column in new:
        added = replace(column_of(column), name=names[column.name])
        yield Drift(
            f"column {column.name!r} is new ({column.type})",
            "raw has it as text, and the tables do not have it",
            partial(_with_new, column=added),
        )


def _missing_columns(spec: Spec, facts: Facts) -> Iterator[Drift]:
    present = {column.name.lower() for column in facts.columns}
    for column in spec.columns:
        if column.raw.lower() in present or column.optional:
            continue
        if column.name in spec.key:
            yield Drift(
                f"column {column.raw!r} is missing, and is part of the key",
                "the run fails on its rows",
                None,
                NO_VALUE,
                is_of_key=True,
            )
        else:
            yield Drift(
                f"column {column.raw!r} is missing",
                "it is null in this file's rows",
                partial(_may_be_missing, name=column.name),
            )


def _types(spec: Spec, facts: Facts, connection: duckdb.DuckDBPyConnection) -> Iterator[Drift]:
    found = {column.name.lower(): column for column in facts.columns}
    for declared in spec.columns:
        column = found.get(declared.raw.lower())
        if column is None or declared.type in ("varchar", "text") or column.nulls == facts.reading.rows:
            continue
        if (column.type, column.format) == (declared.type, declared.format):
            continue
        count, example = _misfits(connection, declared, column)
        if count:
            wide = widened(declared, column)
            how = f" ({declared.format})" if declared.format else ""

            def accept(before: Spec, wide: ColumnSpec = wide) -> Spec:
                return _with_column(before, wide)

            yield Drift(
                f"{counted(count, 'value')} of {declared.raw!r} {'is' if count == 1 else 'are'} not "
                f"{declared.type}{how}, such as {example[:40]!r}",
                "staging has null there, and the test every_value_is_cast warns",
                # A table by day cannot be built if the day is text.
                accept if declared.name != spec.day else None,
                f"{spec.by_day} groups by it",
            )


def widened(declared: ColumnSpec, column: Column) -> ColumnSpec:
    """Return the column with a type that holds the earlier values and those of the file."""
    mock = declared.mock_type if declared.mock_type == column.mock_type else "string"
    nulls = tuple(sorted({*declared.nulls, *column.spelled}))
    scales = [_scale(each) for each in (declared.type, column.type)]
    if None not in scales and "double" not in (declared.type, column.type):
        wide = f"decimal(38,{max(scale or 0 for scale in scales)})"
        return replace(declared, type=wide, mock_type="string", nulls=nulls)
    if (declared.type, declared.format) == (column.type, column.format):
        return replace(declared, nulls=nulls)
    return replace(declared, type="varchar", mock_type=mock, format="", nulls=())


def _scale(type_: str) -> int | None:
    if type_.startswith("decimal"):
        return int(type_.rstrip(")").split(",")[1])
    return 0 if type_ == "bigint" else None


def _misfits(connection: duckdb.DuckDBPyConnection, declared: ColumnSpec, column: Column) -> tuple[int, str]:
    """Return how many values staging would turn into null, and one of them."""
    name = sql.name(column.name)
    text = f"trim({name}::VARCHAR)"
    nulls = "".join(f" AND {text} <> {sql.text(each)}" for each in declared.nulls)
    value = f"SELECT {text} AS t FROM f WHERE {text} <> ''{nulls}"
    query = f"SELECT count(*), any_value(t) FROM ({value}) WHERE NOT coalesce({fits(declared)}, false)"
    count, example = connection.execute(query).fetchone() or (0, "")
    return int(count), str(example)


def fits(declared: ColumnSpec) -> str:
    """Return SQL for whether staging can cast the text `t` to the declared type, as the macro `cast_value` does."""
    kind, target = declared.type, declared.type
    if declared.format in NUMBERS:
        digits = "[0-9]*" if (scale := _scale(kind)) is None else f"[0-9]{{0,{scale}}}0*"
        shape, plain = number_shape(declared.format, digits), plain_number("t", declared.format)
        return f"regexp_full_match(t, {sql.text(shape)}) AND TRY_CAST({plain} AS {kind}) IS NOT NULL"
    if declared.format:
        return f"try_strptime(t, {sql.text(strptime(declared.format))}) IS NOT NULL"
    if (scale := _scale(kind)) and kind != "bigint":
        return f"regexp_full_match(t, '[+-]?([0-9]+([.][0-9]{{0,{scale}}}0*)?|[.][0-9]{{1,{scale}}}0*)')"
    if kind in NUMBER:
        return f"regexp_full_match(t, '{NUMBER[kind]}') AND TRY_CAST(t AS {kind}) IS NOT NULL"
    if kind == "boolean":
        return "lower(t) IN ('true', 't', 'yes', 'y', 'false', 'f', 'no', 'n')"
    return f"(t LIKE '____-__-__%' OR '{kind}' = 'json') AND TRY_CAST(t AS {target}) IS NOT NULL"


def _tests(spec: Spec, facts: Facts, connection: duckdb.DuckDBPyConnection) -> Iterator[Drift]:
    raw = {column.name: column for column in spec.columns}
    by_raw = {column.name.lower(): column for column in facts.columns}
    present = {name: by_raw[column.raw.lower()] for name, column in raw.items() if column.raw.lower() in by_raw}
    if spec.key and all(name in present for name in spec.key):
        yield from _key(spec, present, facts.reading, connection)
    for test in spec.tests:
        if test.kind == "never_null":
            for name in test.arguments["columns"]:
                if name in present and (nulls := _nulls(present[name], raw[name])):
                    yield Drift(
                        f"{name} is null in {counted(nulls, 'row')}, and was never null before",
                        "the test never_null warns",
                        partial(_may_be_null, name=name),
                    )
        elif test.kind == "accepted_values" and test.column in present:
            yield from _values(test, present[test.column], connection)


def _nulls(column: Column, declared: ColumnSpec) -> int:
    spelled = sum(count for text, count in column.spelled.items() if text not in declared.nulls)
    return column.nulls - spelled


def _key(
    spec: Spec, present: dict[str, Column], reading: Reading, connection: duckdb.DuckDBPyConnection
) -> Iterator[Drift]:
    names = ", ".join(sql.name(present[name].name) for name in spec.key)
    empty = " OR ".join(f"{sql.name(present[name].name)} IS NULL" for name in spec.key)
    query = f"SELECT (SELECT count(*) FROM (SELECT DISTINCT {names} FROM f)), (SELECT count(*) FROM f WHERE {empty})"
    distinct, nulls = connection.execute(query).fetchone() or (0, 0)
    shown = ", ".join(spec.key)
    if nulls:
        text = f"the key ({shown}) is null in {counted(nulls, 'row')}"
        yield Drift(text, "the test of the key fails", None, NO_VALUE, is_of_key=True)
    elif twice := reading.rows - distinct:
        left = "the last row of each key stays, the others are dropped, and the test unique_in_each_file warns"
        repeat = f"{counted(twice, 'row')} {'repeats' if twice == 1 else 'repeat'} one"
        because = "the table has one row per key"
        yield Drift(f"the key ({shown}) is not unique: {repeat}", left, None, because, is_of_key=True)


def _values(test: TestSpec, column: Column, connection: duckdb.DuckDBPyConnection) -> Iterator[Drift]:
    known = [str(value) for value in test.arguments["values"]]
    name = sql.name(column.name)
    listed = ", ".join(map(sql.text, known))
    query = f"SELECT DISTINCT {name} FROM f WHERE {name} <> '' AND {name} NOT IN ({listed}) ORDER BY 1 LIMIT 20"
    new = [row[0] for row in connection.execute(query).fetchall()]
    if new:
        yield Drift(
            f"{test.column} has values that it never had before: {', '.join(map(repr, new))}",
            "the test accepted_values warns",
            lambda before: _with_values(before, test, [*known, *new]),
        )


def _with_new(spec: Spec, column: ColumnSpec) -> Spec:
    return replace(spec, columns=[*spec.columns, column])


def _with_column(spec: Spec, column: ColumnSpec) -> Spec:
    return replace(spec, columns=[column if each.name == column.name else each for each in spec.columns])


def _may_be_null(spec: Spec, name: str) -> Spec:
    tests = []
    for test in spec.tests:
        if test.kind == "never_null" and name in test.arguments["columns"]:
            left = [each for each in test.arguments["columns"] if each != name]
            if left:
                tests.append(replace(test, arguments={"columns": left}))
        else:
            tests.append(test)
    return replace(spec, tests=tests)


def _may_be_missing(spec: Spec, name: str) -> Spec:
    return _may_be_null(_with_column(spec, replace(spec.by_name[name], optional=True)), name)


def _with_values(spec: Spec, test: TestSpec, values: list[str]) -> Spec:
    changed = replace(test, arguments={"values": sorted(values)})
    same = [each.kind == test.kind and each.column == test.column for each in spec.tests]
    return replace(spec, tests=[changed if is_it else each for each, is_it in zip(spec.tests, same, strict=True)])
