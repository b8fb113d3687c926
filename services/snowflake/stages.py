"""What fakesnow lacks for stages and file formats: DROP, REMOVE, and COPY with the format of a stage or a named one."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from duckdb import DuckDBPyConnection
from fakesnow import copy_into
from fakesnow.transforms import stage
from sqlglot import Expr, exp

from services.snowflake.altered import METADATA_SCHEMA
from services.snowflake.errors import unknown
from services.snowflake.grants import Rows

_DROP = re.compile(r"\s*drop\s+(stage|file\s+format)\s+(if\s+exists\s+)?([^\s;]+)\s*;?\s*", re.IGNORECASE)
_REMOVE = re.compile(r"""\s*(?:remove|rm)\s+'?@([^\s';]+?)'?\s*;?\s*""", re.IGNORECASE)
_QUOTED = re.compile(r"""'(@(?:"[^"']+"|[^"'\s])+)'""")
_source_urls = copy_into._source_urls  # noqa: SLF001
_csv_format = copy_into.handle_csv
_FORMATS = f"{METADATA_SCHEMA}._fs_stage_formats"
CREATION = f"create table if not exists {_FORMATS} (stage varchar primary key, format varchar)"


def run(connection: DuckDBPyConnection, database: str | None, schema: str | None, sql: str) -> Rows | None:
    """Run a DROP or REMOVE of stages or file formats; return None for any other statement.

    The drop is written outside of the session's transaction, because DuckDB lets it write to one database only.
    """
    if drop := _DROP.fullmatch(sql):
        kind = "stage" if drop[1].lower() == "stage" else "file format"
        return _drop(connection, kind, stage.parts_from_var(drop[3], database, schema), tolerant=bool(drop[2]))
    if remove := _REMOVE.fullmatch(sql):
        name, _, path = remove[1].partition("/")
        return _remove(connection, stage.parts_from_var(name, database, schema), path)
    return None


def unquote_stages(sql: str) -> str:
    """Return PUT, COPY or LIST with its stage as @"name". Snowflake also accepts '@"name"'."""
    return _QUOTED.sub(r"\1", sql) if re.match(r"\s*(put|copy|ls|list)\b", sql, re.IGNORECASE) else sql


@dataclass
class Csv(copy_into.ReadCSV):
    """A CSV file whose values are read as text, and cast to the columns' types later."""

    trim: bool = False

    def read_expression(self, url: str) -> Expr:
        """Return the query that reads the file.

        Snowflake's TRIM_SPACE keeps the spaces of quoted values, but DuckDB does not know which values were quoted.
        DuckDB names columns column0, or column00 if there are more than ten; fakesnow expects column0.
        """
        read = super().read_expression(url)
        read.append("expressions", self.make_eq("all_varchar", True))
        value = "columns('^column0*([0-9]+)$')"
        if self.trim:
            message = "The emulator does not know if a value with spaces was quoted. Then, TRIM_SPACE keeps the spaces."
            value = f"case when {value} <> trim({value}) then error('{message}') else {value} end"
        query = f'select {value} as "column\\1" from {read.sql("duckdb")}'  # noqa: S608 - created by fakesnow
        return exp.maybe_parse(query, into=exp.Select, dialect="duckdb").subquery()


_NO_EFFECT = {
    "RECORD_DELIMITER": ("\n", "\\n"),
    "ERROR_ON_COLUMN_COUNT_MISMATCH": (True, False),
    "REPLACE_INVALID_CHARACTERS": (True, False),
    "ESCAPE": ("NONE",),
}
"""Values of options that have no effect on the files that DuckDB reads. Other values are passed on to fakesnow."""


def csv_format(options: Mapping[str, Any]) -> Csv:
    """Return how to read a CSV file with the options of a FILE_FORMAT."""
    remaining = {
        name: value for name, value in options.items() if name != "TRIM_SPACE" and value not in _NO_EFFECT.get(name, ())
    }
    return Csv(**vars(_csv_format(remaining)), trim=bool(options.get("TRIM_SPACE", False)))


def record_format(connection: DuckDBPyConnection, created: exp.Create, stage_name: str) -> None:
    """Record the FILE_FORMAT of a new stage for COPY."""
    found = created.find(exp.FileFormatProperty)
    parameter = exp.CopyParameter(this=exp.var("FILE_FORMAT"), expressions=found.expressions) if found else None
    with connection.cursor() as cursor:
        cursor.execute(f"delete from {_FORMATS} where stage = ?", [stage_name])  # noqa: S608
        if parameter:
            text = _by_name(parameter).sql(dialect="snowflake")
            cursor.execute(f"insert into {_FORMATS} values (?, ?)", [stage_name, text])  # noqa: S608


def with_format(connection: DuckDBPyConnection, copy: exp.Copy, database: str | None, schema: str | None) -> exp.Copy:
    """Return a COPY INTO with a FILE_FORMAT that fakesnow understands. By default, it is the stage's."""
    parameters = copy.args.get("params") or []
    named = [each for each in parameters if each.name.upper() == "FILE_FORMAT"]
    for each in named:
        _by_name(each)
    stages_ = [each.name for each in copy.args["files"][0].find_all(exp.Var, exp.Literal) if each.name.startswith("@")]
    if named or not stages_:
        return copy
    full = ".".join(stage.parts_from_var(stages_[0][1:].partition("/")[0], database, schema))
    known = connection.execute(f"select format from {_FORMATS} where stage = ?", [full]).fetchone()  # noqa: S608
    if known:
        model = sqlglot.parse_one(f"copy into t from @s {known[0]}", read="snowflake")
        copy.set("params", [*parameters, *model.args["params"]])
    return copy


def _by_name(parameter: exp.CopyParameter) -> exp.CopyParameter:
    """Replace the name of a file format by a string, which fakesnow expects."""
    if name := parameter.args.get("expression"):
        new = exp.Property(this=exp.var("FORMAT_NAME"), value=exp.Literal.string(_text(name)))
        parameter.set("expression", None)
        parameter.set("expressions", [new])
    for option in parameter.expressions:
        if isinstance(option, exp.Property) and isinstance(option.args["value"], exp.Table):
            option.set("value", exp.Literal.string(_text(option.args["value"])))
    return parameter


def _text(name: Expr) -> str:
    return name.name if isinstance(name, exp.Literal) else name.sql(dialect="snowflake")


def urls(source: str, files: list[str]) -> list[str]:
    """Return the URLs of COPY's FILES. fakesnow does not find those in an internal stage."""
    return [f"{source}{file}" for file in files] if stage.is_internal(source) else _source_urls(source, files)


def _drop(connection: DuckDBPyConnection, kind: str, name: tuple[str, str, str], *, tolerant: bool) -> Rows:
    table = f"{METADATA_SCHEMA}._fs_{kind.replace(' ', '_')}s"
    with connection.cursor() as cursor:
        dropped = cursor.execute(
            f"delete from {table} where (database_name, schema_name, name) = (?, ?, ?) returning 1",  # noqa: S608
            list(name),
        ).fetchall()
    if not dropped and not tolerant:
        raise unknown(kind.capitalize(), ".".join(name), errno=2003)
    if kind == "stage":
        shutil.rmtree(stage.internal_dir(".".join(name)), ignore_errors=True)
    message = (
        f"{name[2]} successfully dropped."
        if dropped
        else f"Drop statement executed successfully ({name[2]} already dropped)."
    )
    return [{"status": message}]


def _remove(connection: DuckDBPyConnection, name: tuple[str, str, str], path: str) -> Rows:
    with connection.cursor() as cursor:
        known = cursor.execute(
            f"select 1 from {METADATA_SCHEMA}._fs_stages where (database_name, schema_name, name) = (?, ?, ?)",  # noqa: S608
            list(name),
        ).fetchall()
    if not known:
        raise unknown("Stage", ".".join(name), errno=2003)
    root = Path(stage.internal_dir(".".join(name)))
    files = [each for each in sorted(root.rglob("*")) if each.is_file()]
    removed = [each for each in files if str(each.relative_to(root)).startswith(path)]
    for each in removed:
        each.unlink()
    return [{"name": f"{name[2].lower()}/{each.relative_to(root)}", "result": "removed"} for each in removed]
