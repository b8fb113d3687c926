"""Streams as Airbyte's source-s3 reads them, and as the mock does, in one form to compare."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

HERE = Path(__file__).parent
LOCK = HERE / "source-s3.lock"
TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "null": "VARCHAR"}
FORMATS = {"date-time": "TIMESTAMP", "date": "DATE"}
Row = dict[str, Any]


@dataclass
class Outcome:
    """What became of a stream: its columns' types as DuckDB names them, its rows, or why it failed."""

    types: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    error: str = ""


def connector() -> Path:
    """The Python of an environment that has the connector alone. Raises CalledProcessError where it has no packages."""
    home = Path(sys.prefix) / "source-s3" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    uv, python = [sys.executable, "-I", "commands/packages.py"], home / "bin" / "python"
    ready = home / ".ready"
    if not ready.exists():
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        sync = [*uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", LOCK]
        subprocess.run(sync, check=True, timeout=280)
        ready.touch()
    return python


def read_by_source_s3(
    python: Path, endpoint: str, bucket: str, streams: list[dict[str, Any]], folder: Path
) -> tuple[dict[str, Outcome], dict[str, Any]]:
    """The outcome of each stream and the connector's specification; without any network but this machine's."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    config = {"bucket": bucket, "endpoint": endpoint, "region_name": "us-east-1", "streams": streams}
    config["credentials"] = {"auth_type": "iam_user", **keys}
    (configuration := folder / "configuration.json").write_text(json.dumps(config))
    nowhere = "http://127.0.0.1:9"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    environment |= {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1"}
    command = [python, HERE / "connector.py", configuration, folder / "answer.json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads((folder / "answer.json").read_text())
    specification = answer.pop("spec")
    return {name: _of_source_s3(each) for name, each in answer.items()}, specification


def _of_source_s3(answer: dict[str, Any]) -> Outcome:
    types = {name: _type(schema) for name, schema in answer["schema"].items() if not name.startswith("_ab_")}
    rows = [{name: _text(value, types.get(name)) for name, value in row.items()} for row in answer["records"]]
    return Outcome(types, list(map(_without_nulls, rows)), "; ".join(answer["errors"]))


def _text(value: Any, type_: str | None) -> Any:
    """A value of another type in a column of text, as a destination writes it."""
    return json.dumps(value) if type_ == "VARCHAR" and value is not None and not isinstance(value, str) else value


def _type(schema: dict[str, Any]) -> str:
    listed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (type_, *others) = sorted({str(each) for each in listed if each != "null"}) or ["null"]
    if others:
        return f"any of {type_}, {', '.join(others)}"
    return FORMATS.get(schema.get("format", ""), TYPES.get(type_, "JSON"))


def read_by_mock(lake: Path, stream: str, error: str) -> Outcome:
    query = f"FROM read_parquet('{lake}/{stream}/*.parquet', union_by_name = true)"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        described = connection.execute(f"DESCRIBE {query}").fetchall()
        types = {name: type_ for name, type_, *_ in described if not name.startswith(("_ab_", "_airbyte_"))}
        names = [*types, "_ab_source_file_url"]
        found = connection.execute(f"SELECT {', '.join(map(_quoted, names))} {query}").fetchall()
    rows = [{name: _value(value, types.get(name, "")) for name, value in zip(names, row, strict=True)} for row in found]
    short = {name: type_.split(" ")[0] for name, type_ in types.items()}
    return Outcome(short, [_without_nulls(row) for row in rows], error)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(value: Any, type_: str) -> Any:
    return json.loads(value) if type_ == "JSON" and value is not None else value


def _without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None and name != "_ab_source_file_last_modified"}


def same(theirs: Any, ours: Any) -> bool:  # noqa: PLR0911 - a return for each type
    """Whether a value of the connector, as JSON has it, is the one that the mock has loaded."""
    match ours:
        case bool() | None:
            return theirs is ours
        case datetime():
            return isinstance(theirs, str) and datetime.fromisoformat(theirs) == ours
        case date() | time():
            return isinstance(theirs, str) and ours.isoformat() == theirs
        case Decimal():
            return not isinstance(theirs, bool) and Decimal(str(theirs)) == ours
        case list():
            return isinstance(theirs, list) and len(theirs) == len(ours) and all(map(same, theirs, ours))
        case dict():
            return isinstance(theirs, dict) and same_row(theirs, ours)
        case _:
            return type(theirs) is not bool and theirs == ours


def same_row(theirs: Row, ours: Row) -> bool:
    return theirs.keys() == ours.keys() and all(same(value, ours[name]) for name, value in theirs.items())


def difference(theirs: Outcome, ours: Outcome) -> str:
    """What is not the same, for people; empty if all is."""
    if bool(theirs.error) != bool(ours.error):
        return f"source-s3: {theirs.error or theirs.rows}\n  mock: {ours.error or ours.rows}"
    if theirs.error:
        return ""
    rest = list(ours.rows)
    for row in theirs.rows:
        found = next((other for other in rest if same_row(row, other)), None)
        if found is None:
            return f"source-s3: {row}\n  mock: {rest}"
        rest.remove(found)
    if rest:
        return f"only in the mock: {rest}"
    return "" if theirs.types == ours.types else f"source-s3: {theirs.types}\n  mock: {ours.types}"
