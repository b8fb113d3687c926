"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import BadFile, Field, Reading, check_names, without_path

TYPES = {
    "UBIGINT": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "OBJECT": "object",
    "ARRAY": "object",
}


class JsonlFile:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.path = path
        self._types = self._types_of_keys(connection)
        self.names = sorted(self._types)
        check_names(self.names, "the file")

    def infer(self) -> dict[str, str]:
        """Types from all values of the file; values of several types are text, but whole and other numbers numbers."""
        return {name: _common({TYPES.get(found, "string") for found in self._types[name]}) for name in self.names}

    def readings(self, _columns: Mapping[str, str]) -> Iterator[Reading]:
        """Every value as its JSON text, since DuckDB would round and convert some in silence."""
        fields = ", ".join(f"{sql.text(name)}: 'JSON'" for name in self.names)
        relation = f"read_json({self._source()}, records = true, columns = {{{fields}}}, {_DIALECT})"
        yield Reading(relation, [Field(name, f"({sql.name(name)} ->> '$')") for name in self.names])

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """The first line that is no object: DuckDB's own line numbers count from the wrong place."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    if line.strip() and not isinstance(json.loads(line), dict):
                        return BadFile("the line is no JSON object", number)
                except UnicodeDecodeError:
                    return BadFile("the line is not UTF-8", number)
                except json.JSONDecodeError as wrong:
                    return BadFile(f"the line is no JSON: {wrong.msg} at character {wrong.pos + 1}", number)
        return BadFile(without_path(error, self.path))

    def _types_of_keys(self, connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
        lines = f"read_json({self._source()}, records = false, columns = {{'line': 'JSON'}}, {_DIALECT}) AS f"
        whole = f"SELECT coalesce(bool_and(json_type(f.line) = 'OBJECT'), true) FROM {lines}"  # noqa: S608 - quoted
        query = f"SELECT key, list(DISTINCT type) FROM {lines}, json_each(f.line) GROUP BY key"  # noqa: S608 - quoted
        try:
            if connection.execute(whole).fetchone() != (True,):
                raise self.bad_file(duckdb.Error("a line is no JSON object"))
            return {name: [t for t in types if t != "NULL"] for name, types in connection.execute(query).fetchall()}
        except duckdb.InvalidInputException as error:
            raise self.bad_file(error) from None

    def _source(self) -> str:
        return sql.text(str(self.path))


_DIALECT = "format = 'newline_delimited'"


def _common(types: set[str]) -> str:
    if types == {"integer", "number"}:
        return "number"
    return types.pop() if len(types) == 1 else "string"
