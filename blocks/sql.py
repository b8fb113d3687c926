"""SQL on the published warehouse: `python -m blocks.sql "from orders"`.

Without a query, it opens a prompt, or runs standard input as a script if that is not a terminal. The prompt opens the
file for each statement, so that it sees the newest publication and never blocks a pipeline.
"""

import importlib
import itertools
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb

from blocks.duckdb_fence import fenced
from blocks.errors import PlatformError, printable
from blocks.lake import reading
from blocks.settings import Settings

MOST_WIDTH = 10_000
"""Characters of a line where no terminal bounds it."""


def run(query: str, published: Path, lake: Path) -> bool:
    """Print the rows of each statement; False, with the reason on standard error, where one fails."""
    try:
        with reading(lake), fenced(published, lake) as connection:
            for statement in connection.extract_statements(_without_comments(query)):
                if relation := connection.sql(statement):
                    # DuckDB leaves columns out to fit a width, which only a terminal has.
                    relation.show(max_rows=40, max_width=None if sys.stdout.isatty() else MOST_WIDTH)
    except (duckdb.Error, PlatformError) as error:
        print(printable(str(error)), file=sys.stderr)
        return False
    return True


def prompt(run: Callable[[str], object], greeting: str) -> None:
    """Greet, then read statements, each up to its semicolon, and run them, until Ctrl-D."""
    with suppress(ImportError):
        importlib.import_module("readline")  # history and editing, where Python has it
    print(greeting)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            statement = input("sql> ")
            while not statement.rstrip().endswith(";"):
                statement += "\n" + input("  -> ")
            run(statement)


def _without_comments(query: str) -> str:
    """A relation of DuckDB's cannot be shown where a comment follows its statement's semicolon."""
    text = query.encode()
    tokens = [(0, None), *duckdb.tokenize(query), (len(text), None)]  # each up to the next, counted in bytes
    parts = [
        b" " if kind is duckdb.token_type.comment else text[start:end]
        for (start, kind), (end, _) in itertools.pairwise(tokens)
    ]
    return b"".join(parts).decode()


def main(arguments: list[str]) -> int:
    """Run the query given, or a prompt; 1 where the query fails or nothing is published yet."""
    try:
        settings = Settings()
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    published, lake = settings.published_path, settings.lake_dir
    if not published.exists():
        print(f"Nothing is published in {published} yet: run full_pipeline first.", file=sys.stderr)
        return 1
    if arguments:
        return 0 if run(" ".join(arguments), published, lake) else 1
    if not sys.stdin.isatty():
        return 0 if run(sys.stdin.read(), published, lake) else 1
    greeting = "The published tables; end a statement with a semicolon. `show all tables;` lists them, Ctrl-D ends."
    prompt(lambda statement: run(statement, published, lake), greeting)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
