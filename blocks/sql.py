"""SQL on the published warehouse: `python -m blocks.sql "from orders"`.

Without a query, it opens a prompt, or runs standard input as a script if that is not a terminal. The prompt opens the
file anew for each statement, so it sees the newest publication and never blocks a pipeline.
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
"""Maximum characters of a line if the output is not a terminal."""


def run(query: str, published: Path, lake: Path) -> bool:
    """Print the rows of each statement. If one fails, print the reason to standard error and return False."""
    try:
        with reading(lake), fenced(published, lake) as connection:
            for statement in connection.extract_statements(_without_comments(query)):
                if relation := connection.sql(statement):
                    # DuckDB omits columns to fit a width, which only a terminal has.
                    relation.show(max_rows=40, max_width=None if sys.stdout.isatty() else MOST_WIDTH)
    except (duckdb.Error, PlatformError) as error:
        print(printable(str(error)), file=sys.stderr)
        return False
    return True


def prompt(run: Callable[[str], object], greeting: str) -> None:
    """Print a greeting, then read and run statements until Ctrl-D. A statement ends with a semicolon."""
    with suppress(ImportError):
        importlib.import_module("readline")  # history and editing, if Python has it
    print(greeting)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            statement = input("sql> ")
            while not statement.rstrip().endswith(";"):
                statement += "\n" + input("  -> ")
            run(statement)


def _without_comments(query: str) -> str:
    """Remove comments: DuckDB cannot show a relation if a comment follows its statement's semicolon."""
    text = query.encode()
    tokens = [(0, None), *duckdb.tokenize(query), (len(text), None)]  # a token ends where the next begins, in bytes
    parts = [
        b" " if kind is duckdb.token_type.comment else text[start:end]
        for (start, kind), (end, _) in itertools.pairwise(tokens)
    ]
    return b"".join(parts).decode()


def main(arguments: list[str]) -> int:
    """Run the given query, or a prompt. Return 1 if the query fails or nothing is published yet."""
    try:
        settings = Settings()
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    published, lake = settings.published_path, settings.lake_dir
    if not published.exists():
        print(f"Nothing is published in {published} yet. Run full_pipeline first.", file=sys.stderr)
        return 1
    if arguments:
        return 0 if run(" ".join(arguments), published, lake) else 1
    if not sys.stdin.isatty():
        return 0 if run(sys.stdin.read(), published, lake) else 1
    greeting = "`show all tables;` lists the published tables. End a statement with a semicolon. Press Ctrl-D to leave."
    prompt(lambda statement: run(statement, published, lake), greeting)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
