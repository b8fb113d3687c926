"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import BadFile, Field, Limits, Reading, check_names, check_rows, without_path
from services.airbyte.formats.survey import Survey

TYPES = {
    "UBIGINT": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "OBJECT": "object",
    "ARRAY": "object",
}


class JsonlFile:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, survey: Survey, limits: Limits) -> None:
        self.path = path
        self._survey = survey
        self._types = self._types_of_keys(connection, limits.columns + 1)
        self.names = sorted(self._types)
        check_names(self.names, "the file", limits.columns)

    def infer(self) -> dict[str, str]:
        """Types from all values of the file; values of several types are text, but whole and other numbers numbers."""
        return {name: _common({TYPES.get(found, "string") for found in self._types[name]}) for name in self.names}

    def readings(self, _columns: Mapping[str, str]) -> Iterator[Reading]:
        """Every value as its JSON text, since DuckDB would round and convert some in silence."""
        fields = ", ".join(f"{sql.text(name)}: 'JSON'" for name in self.names)
        relation = f"read_json({self._source()}, records = true, columns = {{{fields}}}, {self._dialect()})"
        yield Reading(relation, [Field(name, f"({sql.name(name)} ->> '$')") for name in self.names])

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """The first line that is no object: DuckDB's own line numbers count from the wrong place."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    if not line.strip():
                        continue
                    if not isinstance(value := json.loads(line), dict):
                        return BadFile("the line is no JSON object", number)
                    json.dumps(value, ensure_ascii=False).encode()
                except RecursionError:
                    continue  # DuckDB reads any depth
                except UnicodeEncodeError:
                    return BadFile("the line has half of a surrogate pair, which is not a character", number)
                except UnicodeDecodeError:
                    return BadFile("the line is not UTF-8", number)
                except json.JSONDecodeError as wrong:
                    return BadFile(f"the line is no JSON: {wrong.msg} at character {wrong.pos + 1}", number)
        return BadFile(without_path(error, self.path))

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` rows are all that the file has."""
        if written != self._survey.records:  # an empty line, which the quick count takes for a row
            with self.path.open("rb") as lines:
                check_rows(written, sum(1 for line in lines if line.strip()))

    def _types_of_keys(self, connection: duckdb.DuckDBPyConnection, most: int) -> dict[str, list[str]]:
        lines = f"read_json({self._source()}, records = false, columns = {{'line': 'JSON'}}, {self._dialect()}) AS f"
        whole = f"SELECT coalesce(bool_and(json_type(f.line) = 'OBJECT'), true) FROM {lines}"  # noqa: S608 - quoted
        query = f"SELECT key, list(DISTINCT type) FROM {lines}, json_each(f.line) GROUP BY key LIMIT {most}"  # noqa: S608 - quoted
        try:
            if connection.execute(whole).fetchone() != (True,):
                raise self.bad_file(duckdb.Error("a line is no JSON object"))
            return {name: [t for t in types if t != "NULL"] for name, types in connection.execute(query).fetchall()}
        except duckdb.InvalidInputException as error:
            raise self.bad_file(error) from None

    def _dialect(self) -> str:
        longer = self._survey.longest > LONGEST
        return f"{_DIALECT}, maximum_object_size = {2 * self._survey.longest}" if longer else _DIALECT

    def _source(self) -> str:
        return sql.text(str(self.path))


LONGEST = 8 << 20
"""Bytes of a line that DuckDB surely reads without being told."""
_DIALECT = "format = 'newline_delimited'"


def _common(types: set[str]) -> str:
    if types == {"integer", "number"}:
        return "number"
    return types.pop() if len(types) == 1 else "string"
