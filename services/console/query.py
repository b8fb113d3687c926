"""SQL on the published tables in a child process, which has no secret and ends at its limits.

As a program it reads a request as JSON from standard input and prints the answer as JSON.
"""

import json
import math
import resource
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import duckdb

from blocks.duckdb_fence import fenced

SECONDS = 10.0
"""How long a query may take."""
MEMORY_MB = 256
"""Megabytes that DuckDB may take for a query; the process may take PROCESS_MB."""
PROCESS_MB = 768
ROWS = 10_000
CELL = 1_000
"""Characters of a value that are kept."""
BYTES = 4_000_000
"""Size of an answer; rows beyond it are left out."""
TOO_LARGE = f"The query needs more memory than the {MEMORY_MB} MB that it may take. Select less, or aggregate it."
_one_at_a_time = Lock()
"""DuckDB keeps one instance of a file in a process, whose settings the first connection locks."""


class QueryFailed(Exception):
    """A query has no answer; the text says why, and what to do."""


@dataclass(frozen=True)
class Answer:
    """The first rows of a query. `types` are DuckDB's; `more` says that there are further rows."""

    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    more: bool = False
    seconds: float = 0.0


def ask(published: Path, sql: str) -> Answer:
    """Run statements in a child process, and return the rows of the last one that has some.

    Raises:
        QueryFailed: DuckDB refuses, a limit is reached, or nothing is published.
    """
    if not published.exists():
        raise QueryFailed("Nothing is published yet. Run the flow full_pipeline first.")
    begun = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - this module, with an environment of nothing
            [sys.executable, "-P", "-s", "-m", __name__],
            input=json.dumps({"published": str(published), "sql": sql}).encode(),
            capture_output=True,
            timeout=SECONDS,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise QueryFailed(f"The query was ended after {SECONDS:g} s. Narrow it down, for example with WHERE.") from None
    except ValueError:  # it was ended, or could not say what happened
        raise QueryFailed(TOO_LARGE) from None
    if "error" in answer:
        raise QueryFailed(answer["error"])
    return Answer(**{**answer, "seconds": time.monotonic() - begun})


def read(published: Path, sql: str, most: int = ROWS) -> Answer:
    """Run statements in this process, which takes a tenth of the time that a child takes: for the page's own.

    Raises:
        QueryFailed: DuckDB refuses, or a limit is reached.
    """
    limits = {"memory_limit": f"{MEMORY_MB}MB", "threads": "2", "temp_directory": "", "max_temp_directory_size": "0KB"}
    found = Answer()
    try:
        with _one_at_a_time, fenced(published, limits=limits) as connection:
            timer = Timer(SECONDS, connection.interrupt)
            timer.daemon = True
            timer.start()
            try:
                statements = connection.extract_statements(sql)
                if not statements:
                    raise QueryFailed("Enter a statement that reads tables, for example: show all tables")
                for statement in statements:
                    connection.execute(statement)
                    if columns := connection.description:
                        rows, more = _rows(connection, most)
                        found = Answer([each[0] for each in columns], [str(each[1]) for each in columns], rows, more)
            finally:
                timer.cancel()
    except (duckdb.OutOfMemoryException, MemoryError):
        raise QueryFailed(TOO_LARGE) from None
    except duckdb.Error as error:
        raise QueryFailed(str(error)[:2_000]) from error
    return found


def _rows(connection: duckdb.DuckDBPyConnection, most: int) -> tuple[list[list[Any]], bool]:
    rows: list[list[Any]] = []
    size = 0
    while (row := connection.fetchone()) is not None:
        plain = [_plain(value) for value in row]
        size += sum(len(str(value)) + 4 for value in plain)
        if len(rows) == most or size > BYTES:
            return rows, True
        rows.append(plain)
    return rows, False


def _plain(value: Any) -> Any:
    """A value as JSON has it, a nested one as its text; a long text is cut."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def main() -> None:
    """Answer one request; the system ends this process where DuckDB's own limits do not."""
    limits = {
        resource.RLIMIT_CPU: math.ceil(SECONDS) * 2,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: PROCESS_MB * 1_000_000,
    }
    for limit, value in limits.items():
        with suppress(ValueError, OSError):  # some systems know no such limit
            resource.setrlimit(limit, (value, value))
    with suppress(OSError):  # where a container's memory ends, this process goes and not the page
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    request = json.load(sys.stdin)
    try:
        told = asdict(read(Path(request["published"]), request["sql"]))
    except QueryFailed as error:
        told = {"error": str(error)}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
