"""JSON Lines: each line is an object."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from services.airbyte.formats import sql
from services.airbyte.formats.model import (
    BadFile,
    Field,
    Limits,
    Reading,
    TooLarge,
    check_names,
    check_rows,
    is_exact,
    without_path,
)
from services.airbyte.formats.survey import TINY, Survey

TYPES = {
    "UBIGINT": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "OBJECT": "object",
    "ARRAY": "array",
}


class JsonlFile:
    skipped = 0
    empty: Mapping[str, str] = {}

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, survey: Survey, limits: Limits) -> None:
        self.path = path
        self._survey = survey
        if survey.long and survey.fractions:
            self._keep_digits()
        self._types = self._types_of_keys(connection, limits.columns + 1)
        self.names = self._in_order(self._types)
        try:
            check_names(self.names, "the file", limits.columns)
        except BadFile as error:
            raise self._with_line(error) from None

    def infer(self) -> dict[str, str]:
        """Return the columns' types, inferred from all values; columns without values are left out.

        A column with values of several types is text. A mix of integers and fractions is a number, unless a double
        would round one of them.
        """
        return {name: type_ for name in self.names if (type_ := self._types[name].common())}

    def readings(self, columns: Mapping[str, str]) -> Iterator[Reading]:
        """Yield one reading, with all values as JSON text, because DuckDB would round and convert some silently."""
        fields = ", ".join(f"{sql.text(name)}: 'JSON'" for name in self.names)
        relation = f"read_json({self._source()}, records = true, columns = {{{fields}}}, {self._dialect()})"
        nested = {name.lower() for name, type_ in columns.items() if type_ in sql.NESTED}
        yield Reading(relation, [_field(name, name.lower() in nested) for name in self.names])

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """Find the first line that is not an object. DuckDB's line numbers are wrong."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    if not line.strip():
                        continue
                    if not isinstance(value := json.loads(line), dict):
                        return BadFile(f"the line is JSON, but not an object. {JSONL_ADVICE}", number)
                    if duplicate := _duplicate_key(line):
                        return BadFile(f"the object has the key {duplicate!r} twice. Keep one of them", number)
                    json.dumps(value, ensure_ascii=False).encode()
                except RecursionError:
                    continue  # DuckDB reads any depth
                except UnicodeEncodeError:
                    return BadFile("the line has half of a surrogate pair, which is not a valid character", number)
                except UnicodeDecodeError:
                    return BadFile("the line is not UTF-8. Save the file as UTF-8", number)
                except json.JSONDecodeError as wrong:
                    at = f"{wrong.msg} at character {wrong.pos + 1}"
                    return BadFile(f"the line is not one complete JSON object ({at}). {JSONL_ADVICE}", number)
        return BadFile(without_path(error, self.path))

    def _with_line(self, error: BadFile) -> BadFile:
        """Add to the error the line of the first name that differs from another one only by case, if there is one."""
        lower = {name.lower() for name in self.names}
        if isinstance(error, TooLarge) or len(lower) == len(self.names):
            return error
        seen: dict[str, str] = {}
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                for name in json.loads(line) if line.strip() else ():
                    if (first := seen.setdefault(name.lower(), name)) != name:
                        spellings = f"the file names one column {first!r} and {name!r}"
                        return BadFile(f"{spellings}, and case does not count. Use one spelling", number)
        return error

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` is the number of rows in the file."""
        if not self.names and self._survey.records and not written:
            raise BadFile("all its objects are empty. Check the program that wrote the file")
        if written != self._survey.records:  # the fast count includes empty lines
            with self.path.open("rb") as lines:
                check_rows(written, sum(1 for line in lines if line.strip()))

    def _types_of_keys(self, connection: duckdb.DuckDBPyConnection, limit: int) -> dict[str, "_ValueTypes"]:
        lines = f"read_json({self._source()}, records = false, columns = {{'line': 'JSON'}}, {self._dialect()}) AS f"
        number = "type IN ('UBIGINT', 'BIGINT', 'DOUBLE')"
        text, double = "value::VARCHAR", "TRY_CAST(value::VARCHAR AS DOUBLE)"
        rounded = f"isfinite({double}) AND NOT ({sql.is_exact(text, double)})"
        found = f"key, type, coalesce(bool_or({number} AND TRY_CAST({text} AS BIGINT) IS NULL), false)"
        found += f", coalesce(bool_or({number} AND {rounded}), false)"
        # json_each uses 256 KiB for each key. A MAP, which rejects duplicate keys, keeps several copies of long values.
        checks, entries = [IS_OBJECT, HAS_UNIQUE_KEYS], f"{lines}, json_each(f.line)"
        if self._survey.longest < LONG_LINE:
            checks = [IS_OBJECT]
            entries = f"(SELECT unnest(map_entries(f.line::MAP(VARCHAR, JSON)), recursive := true) FROM {lines})"  # noqa: S608 - quoted
            entries = f"(SELECT key, value, coalesce(json_type(value), 'NULL') AS type FROM {entries})"  # noqa: S608 - quoted
        query = f"SELECT {found} FROM {entries} GROUP BY key, type LIMIT {limit * MAX_JSON_TYPES}"  # noqa: S608 - quoted
        try:
            for check in checks:
                if connection.execute(f"SELECT bool_and({check}) FROM {lines}").fetchone() == (False,):  # noqa: S608 - quoted
                    raise self.bad_file(duckdb.Error("a line is not a JSON object"))
            keys: dict[str, _ValueTypes] = {}
            for key, type_, not_integer, not_double in connection.execute(query).fetchall():
                before = keys.get(key, _ValueTypes([], False, False))
                keys[key] = _ValueTypes(
                    [*before.types, type_], before.not_integer or not_integer, before.not_double or not_double
                )
            return keys
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise self.bad_file(error) from None

    def _in_order(self, names: Collection[str]) -> list[str]:
        """Sort the names by their order in the first lines; the others follow in alphabetical order."""
        first: list[str] = []
        with self.path.open("rb") as lines:
            for _ in range(LINES_FOR_ORDER):
                if not (line := lines.readline(LONG_LINE)):
                    break
                try:
                    first += json.loads(line) if line.strip() else ()
                except (ValueError, RecursionError):
                    break
        return list(dict.fromkeys([*(name for name in first if name in names), *sorted(names)]))

    def _keep_digits(self) -> None:
        """Rewrite the file so that numbers which a double would round are text. DuckDB reads fractions as doubles."""
        rewritten = self.path.with_suffix(".digits")
        with self.path.open("rb") as lines, rewritten.open("wb") as out:
            out.writelines(
                _with_digits(line) if LONG_NUMBER.search(line) or TINY.search(line) else line for line in lines
            )
        rewritten.replace(self.path)

    def _dialect(self) -> str:
        longer = self._survey.longest > MAX_DEFAULT_LINE
        return f"{_DIALECT}, maximum_object_size = {2 * self._survey.longest}" if longer else _DIALECT

    def _source(self) -> str:
        return sql.text(str(self.path))


JSONL_ADVICE = (
    "JSON Lines has one object per line. `jq -c .` writes objects that way, and `jq -c '.[]'` the objects of an array"
)
LONG_LINE = 1 << 20
"""For lines of this size in bytes or longer, copies of values matter."""
LINES_FOR_ORDER = 100
MAX_JSON_TYPES = 8
"""The number of types that DuckDB distinguishes in JSON."""
IS_OBJECT = "coalesce(json_type(f.line) = 'OBJECT', false)"
HAS_UNIQUE_KEYS = "len(json_keys(f.line)) = len(list_distinct(json_keys(f.line)))"
MAX_DEFAULT_LINE = 8 << 20
"""Lines up to this size in bytes need no option."""
_DIALECT = "format = 'newline_delimited'"
LONG_NUMBER = re.compile(rb"[0-9.]{16}")


@dataclass(frozen=True)
class _ValueTypes:
    """The JSON types of a key's values, and whether a number among them does not fit an integer or a double."""

    types: list[str]
    not_integer: bool
    not_double: bool

    def common(self) -> str | None:
        types = {TYPES.get(found, "string") for found in self.types if found != "NULL"}
        if types == {"integer"}:
            return "string" if self.not_integer else "integer"
        if types and types <= {"integer", "number"}:
            return "string" if self.not_double else "number"
        if types and types <= sql.NESTED.keys():
            return types.pop() if len(types) == 1 else "union"
        return (types.pop() if len(types) == 1 else "string") if types else None


def _field(name: str, is_nested: bool) -> Field:
    quoted = sql.name(name)
    if is_nested:
        return Field(name, f"CASE WHEN json_type({quoted}) <> 'NULL' THEN {quoted} END", "union")
    return Field(name, f"({quoted} ->> '$')")


def _with_digits(line: bytes) -> bytes:
    """Turn numbers that a double would round into text. Return lines without such numbers, and bad ones, unchanged."""
    found: list[str] = []

    def keep_digits(number: str) -> float | str:
        if math.isinf(value := float(number)) or is_exact(number):
            return value
        found.append(number)
        return number

    try:
        values = json.loads(line, parse_float=keep_digits, object_pairs_hook=_reject_duplicate_keys)
    except (ValueError, RecursionError):
        return line
    return json.dumps(values).encode() + b"\n" if found else line


def _duplicate_key(line: bytes) -> str | None:
    """Return a key that occurs twice in the line's object. Nested objects are not checked."""
    pairs: tuple[tuple[str, Any], ...] = json.loads(line, object_pairs_hook=tuple)
    return next((name for name, count in Counter(name for name, _ in pairs).items() if count > 1), None)


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice")
    return values
