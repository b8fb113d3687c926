"""SQL on a profile's published tables in Snowflake: `python -m blocks.snowflake_sql --profile NAME QUERY`.

Without a query, it opens a prompt, or runs standard input as a script if that is not a terminal.
"""

import argparse
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from blocks.connections import Connections
from blocks.errors import PlatformError, printable
from blocks.snowflake_fence import bounded, check
from blocks.snowflake_warehouse import published_schema
from blocks.sql import MOST_WIDTH, prompt
from blocks.systems import SnowflakeConnection

MOST_ROWS = 1000
"""Default maximum number of rows to fetch and show."""


@dataclass(frozen=True)
class Answer:
    """A statement's columns, in lower case, and rows. `more` rows were not fetched; None if their number is unknown."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: int | None = 0


def ask(connection: SnowflakeConnection, query: str, most: int = MOST_ROWS) -> Answer:
    """Run a statement in a transaction that is rolled back, and fetch at most `most` rows.

    Raises:
        NotARead: the statement may change something.
        snowflake.connector.errors.Error: Snowflake rejects the statement or does not answer.
    """
    statement = query.strip().rstrip(";").rstrip()
    check(statement)
    limited, count = bounded(statement, most + 1)
    with connection.get_connection(published_schema(connection.schema_)) as session, session.cursor() as cursor:
        cursor.execute("begin")
        try:
            cursor.execute(limited)
            columns = [column[0].lower() for column in cursor.description or []]
            rows = list(cursor.fetchmany(most + 1))
            if len(rows) <= most:
                return Answer(columns, rows)
            total = cursor.execute(count).fetchall()[0][0] if count else cursor.rowcount
            return Answer(columns, rows[:most], total - most if total else None)
        finally:
            cursor.execute("rollback")


def show(connection: SnowflakeConnection, query: str, as_json: bool = False, most: int = MOST_ROWS) -> bool:
    """Print a statement's rows. If it fails, print the reason to standard error and return False."""
    from snowflake.connector.errors import Error

    try:
        answer = ask(connection, query, most)
    except (Error, PlatformError) as error:
        print(printable(str(error)), file=sys.stderr)
        return False
    if as_json:
        print(json.dumps(answer.rows, default=str))
    else:
        # Only a terminal limits a row's width.
        Console(width=None if sys.stdout.isatty() else MOST_WIDTH).print(_table(answer))
    if answer.more != 0:
        count = "More" if answer.more is None else f"{answer.more:,} more"
        print(f"{count} rows are not shown. Add a LIMIT or a WHERE to see others.", file=sys.stderr)
    return True


def _table(answer: Answer) -> Table:
    """Create a table that shows the values literally, without Rich's markup or a terminal's escape codes."""
    table = Table(*(Column(_cell(name)) for name in answer.columns))
    for row in answer.rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> Text:
    return Text(printable(str(value)))


def main(arguments: list[str]) -> int:
    """Run the given query, or a prompt. Return 1 if the query fails or the profile cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m blocks.snowflake_sql", description=__doc__)
    parser.add_argument("--profile", required=True, help="name of the saved blocks")
    parser.add_argument("--json", action="store_true", help="print only the rows, as JSON")
    parser.add_argument(
        "--rows", type=int, default=MOST_ROWS, help="maximum number of rows to fetch (default: %(default)s)"
    )
    parser.add_argument("query", nargs="*")
    options = parser.parse_args(arguments)
    try:
        connection = Connections(options.profile).snowflake
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    if options.query or not sys.stdin.isatty():
        from snowflake.connector.util_text import split_statements

        script = io.StringIO(" ".join(options.query)) if options.query else sys.stdin
        statements = [statement for statement, _ in split_statements(script, remove_comments=True) if statement]
        return 0 if all(show(connection, statement, options.json, options.rows) for statement in statements) else 1
    schema = published_schema(connection.schema_)
    where = f"The published tables are {connection.database}.{schema} in Snowflake's account {connection.account}"
    prompt(
        lambda statement: show(connection, statement, most=options.rows),
        f"{where}. End a statement with a semicolon. Press Ctrl-D to leave.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
