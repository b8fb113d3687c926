"""Prints a file's facts, the changes to write, and the table that was built."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from blocks.errors import counted
from commands.sources.facts import Facts
from commands.sources.project import Change, Project

MOST_COLUMNS = 60
SHOWN = 40
COLORS = {"+": "green", "-": "red", "@": "cyan"}


def show_facts(console: Console, facts: Facts, key: str = "") -> None:
    """Print a file's facts. `key` describes the key of its source, if the source exists already."""
    reading = facts.reading
    parts = [counted(reading.rows, "row"), counted(len(facts.columns), "column"), KINDS[reading.kind]]
    if reading.kind == "csv":
        delimiter = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}.get(reading.delimiter, reading.delimiter)
        parts += [f"{delimiter}-separated", reading.encoding.replace("utf8", "UTF-8")]
    console.print(f"[bold]{escape(reading.file.name)}[/bold]: {escape(', '.join(parts))}", highlight=False)
    none = "none was found, so each row of a file is a row of the table; KEY= names one"
    proved = f"{', '.join(facts.key)}, unique in every row" if facts.key else none
    console.print(f"key: {escape(key or proved)}", highlight=False)
    for note in facts.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("column", "type", "null", "what to know"):
        table.add_column(name, justify="right" if name == "null" else "left", overflow="fold")
    for column in facts.columns[:MOST_COLUMNS]:
        named = [f"{column.name!r} in the file"] if column.name.lower() != column.identifier else []
        form = [f"written as {column.format}"] if column.format else []
        paths = (
            [f"JSON with {', '.join(column.paths[:8])}{' and more' if len(column.paths) > 8 else ''}"]
            if column.paths
            else []
        )
        share = f"{column.nulls / reading.rows:.0%}" if column.nulls else ""
        details = "; ".join([*named, *form, *column.notes, *paths])
        table.add_row(*map(Text, (column.identifier, column.type, share, details)))
    console.print(table)
    if (more := len(facts.columns) - MOST_COLUMNS) > 0:
        console.print(f"and {counted(more, 'column')} more, which the diff shows", highlight=False)


KINDS = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet", "raw": "text in raw", "typed": "typed in raw"}


def show_diff(console: Console, project: Project, changes: Sequence[Change]) -> None:
    """Print the changes, and those that would have been made to files that a person owns."""
    for change in changes:
        if not change.owned:
            path = project.short(change.path)
            what = escape(f"The entry {change.entry} in {path}" if change.entry else path)
            console.print(
                f"\n[yellow]{what} is yours and stays as it is.[/yellow] It would have become:", highlight=False
            )
        for line in project.diff([change]):
            console.print(Text(line, style=COLORS.get(line[:1], "")), soft_wrap=True)


def show_result(
    console: Console, name: str, rows: Sequence[Mapping[str, Any]], tests: Sequence[Mapping[str, str]]
) -> None:
    """Print the first rows of a table, and the results of its tests."""
    table = Table(title=f"\nFirst rows of {name}", title_justify="left", box=None, pad_edge=False)
    columns = list(rows[0])[:MOST_COLUMNS] if rows else []
    for column in columns[:12]:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(row[column]) if row[column] is not None else "")[:SHOWN] for column in columns[:12]))
    console.print(table)
    console.print("\n[bold]Tests[/bold]")
    for test in tests:
        color = {"pass": "green", "warn": "yellow"}.get(test["status"], "red")
        console.print(
            f"  [{color}]{test['status']:<5}[/{color}] {escape(test['name'])}", highlight=False, soft_wrap=True
        )


def show_streams(console: Console, streams: Sequence[tuple[str, str, str, str]]) -> None:
    """Print the connection's streams."""
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "connection", "key", "what it is"):
        table.add_column(name, overflow="fold")
    for stream in streams:
        table.add_row(*map(Text, stream))
    console.print(table)
