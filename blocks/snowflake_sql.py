"""SQL on a profile's published tables in Snowflake: `python -m blocks.snowflake_sql --profile NAME QUERY`.

A prompt without a query; what standard input holds, where that is no terminal, is run as a script.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from blocks.connections import SnowflakeConnection, snowflake_connection
from blocks.errors import PlatformError
from blocks.sql import MOST_WIDTH, prompt
from blocks.warehouse import published_schema


def ask(connection: SnowflakeConnection, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns, in lower case, and the rows; both empty for a statement that has none.

    Raises:
        snowflake.connector.errors.Error: Snowflake refuses or does not answer.
    """
    with connection.get_connection(published_schema(connection.schema_)) as session, session.cursor() as cursor:
        cursor.execute(query.strip().rstrip(";"))
        return [column[0].lower() for column in cursor.description or []], list(cursor.fetchall())


def show(connection: SnowflakeConnection, query: str, as_json: bool = False) -> bool:
    """Print a statement's rows; False, with the reason on standard error, where it fails."""
    from snowflake.connector.errors import Error

    try:
        columns, rows = ask(connection, query)
    except (Error, PlatformError) as error:
        print(error, file=sys.stderr)
        return False
    if as_json:
        print(json.dumps(rows, default=str))
    else:
        # Only a terminal bounds a row's width.
        Console(width=None if sys.stdout.isatty() else MOST_WIDTH).print(_table(columns, rows))
    return True


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(str, row))
    return table


def main(arguments: list[str]) -> int:
    """Run the query given, or a prompt; 1 where the query fails or the profile cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m blocks.snowflake_sql", description=__doc__)
    parser.add_argument("--profile", required=True, help="name of the saved blocks")
    parser.add_argument("--json", action="store_true", help="print the rows alone, as JSON")
    parser.add_argument("query", nargs="*")
    options = parser.parse_args(arguments)
    try:
        connection = snowflake_connection(options.profile)
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    if options.query:
        return 0 if show(connection, " ".join(options.query), options.json) else 1
    if not sys.stdin.isatty():
        from snowflake.connector.util_text import split_statements

        statements = [statement for statement, _ in split_statements(sys.stdin, remove_comments=True) if statement]
        return 0 if all(show(connection, statement) for statement in statements) else 1
    schema = published_schema(connection.schema_)
    where = f"The published tables, {connection.database}.{schema} of Snowflake's account {connection.account}"
    prompt(lambda statement: show(connection, statement), f"{where}; end a statement with a semicolon. Ctrl-D ends.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
