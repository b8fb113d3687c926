"""The demo's final report, from the results of its runs and the published tables."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from blocks import warehouse
from blocks.published import read
from commands.embedded.stack import Stack
from services.airbyte.formats import sql
from services.content import PROJECT, short

BAR_WIDTH = 40
MOST_TABLES, MOST_ROWS, MOST_COLUMNS = 3, 3, 6


@dataclass(frozen=True)
class Part:
    """One pipeline run: its landed files, the rows of every table after it, and its `PipelineResult`."""

    name: str
    files: int
    rows: dict[str, int]
    result: dict[str, Any]


def report(console: Console, parts: list[Part], seconds: dict[str, float], stack: Stack) -> None:
    """Print the report: rows by layer, seconds by step, tests, freshness, charts, files, and what to try next."""
    console.print()
    console.print(rows_table(parts))
    console.print(seconds_table(parts, seconds))
    for part in parts:
        console.print(f"dbt on {part.name}: {_counts(part.result['dbt']['nodes'])}", highlight=False)
    console.print(
        f"freshness: {_freshness(parts[-1].result['freshness']) or 'no source has a threshold'}", highlight=False
    )
    for line in charts(PROJECT / "dbt_project" / "models", stack.published) or first_rows_of_tables(stack.published):
        console.print(line, highlight=False)
    console.print(_closing(stack), highlight=False)


def rows_table(parts: list[Part]) -> Table:
    """Return the number of rows of each layer's tables after each run, and the rows that the last run added."""
    table = Table(title="Rows by layer", title_justify="left", box=None)
    moves = ["moved"] if len(parts) > 1 else []
    for column in ("table", *(f"after {part.name}" for part in parts), *moves):
        table.add_column(column, justify="left" if column == "table" else "right")
    first, last = parts[0].rows, parts[-1].rows
    for name in last:
        moved = last[name] - first.get(name, 0)
        counts = [f"{part.rows.get(name, 0):,}" for part in parts]
        more = [f"+{moved:,}" if moved else ""] if moves else []
        table.add_row(escape(name if "." in name else f"raw.{name}"), *counts, *more)
    return table


def seconds_table(parts: list[Part], seconds: dict[str, float]) -> Table:
    """Return the seconds of each step of the demo, and of the pipeline's steps in it."""
    table = Table(title="\nSeconds by step", title_justify="left", box=None, show_header=False)
    steps = {f"pipeline on {part.name}": part.result["seconds"] for part in parts}
    for name, total in seconds.items():
        inner = ", ".join(f"{step} {time:.1f}" for step, time in steps.get(name, {}).items())
        table.add_row(name, f"{total:.1f}", f"[dim]{inner}[/dim]")
    return table


def charts(models: Path, published: Path) -> list[str]:
    """Return the charts of published models: for each, a title, and a bar for each row of its query.

    A model declares a chart in `config: meta: {chart: {title: …, sql: …}}`. The query returns a label and a share from
    0 to 1, and reads published tables.
    """
    lines = list[str]()
    with duckdb.connect(str(published), read_only=True) as connection:
        published_tables = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        for file in sorted(models.rglob("*.yml")):
            for model in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models") or ():
                chart = ((model.get("config") or {}).get("meta") or {}).get("chart")
                if chart and model["name"] in published_tables:
                    lines += ["", f"[bold]{escape(chart['title'])}[/bold]"]
                    lines += [_bar(label, share) for label, share in connection.execute(chart["sql"]).fetchall()]
    return lines


def _bar(label: object, share: float) -> str:
    return f"{escape(str(label))}  {'█' * round(share * BAR_WIDTH):{BAR_WIDTH}} {share:4.0%}"


def first_rows_of_tables(published: Path) -> list[str | Table]:
    """Return the first rows and columns of the first published tables, each below its name."""
    found = list[str | Table]()
    for name in list(warehouse.tables(published))[:MOST_TABLES]:
        schema, _, table = name.partition(".")
        rows = first_rows(published, table, schema, MOST_ROWS)
        shown = Table(box=None, pad_edge=False)
        columns = list(rows[0])[:MOST_COLUMNS] if rows else []
        for column in columns:
            shown.add_column(column, overflow="ellipsis", no_wrap=True)
        for row in rows:
            shown.add_row(*(Text("" if row[column] is None else str(row[column])) for column in columns))
        found += [f"\n[bold]First rows of {escape(name)}[/bold]", shown]
    return found


def first_rows(published: Path, table: str, schema: str = "main", count: int = 5) -> list[dict[str, Any]]:
    """Return the first rows of a published table, by column, without Airbyte's own columns."""
    which = f"{sql.name(schema)}.{sql.name(table)}"
    query = f"SELECT COLUMNS(lambda c: NOT starts_with(c, '_a')) FROM {which} LIMIT {count}"  # noqa: S608
    return read(published, query).records


def _counts(nodes: list[dict[str, Any]]) -> str:
    statuses = Counter((node["resource_type"] in ("test", "unit_test"), node["status"]) for node in nodes)
    tests = ", ".join(f"{count} {status}" for (test, status), count in statuses.items() if test)
    built = sum(node["resource_type"] in ("model", "snapshot") for node in nodes)
    return f"{built} models and snapshots built; tests: {tests}"


def _freshness(sources: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{each['source']} {each['status']} ({(each['age_hours'] or 0) * 60:.0f} min old)" for each in sources
    )


def _closing(stack: Stack) -> str:
    return f"""
[bold]Where to find the results[/bold]
  {escape(short(stack.published))}   the tested tables, for any DuckDB client
  {escape(short(stack.state / "lake"))}/   the raw rows as Parquet, one folder for each stream
  {escape(short(stack.state / "logs"))}/   the log of each service

[bold]What to try next[/bold]
  make dev     keep the services running: Prefect's UI, S3 and Airbyte on their usual ports
  make test    test what the documentation promises"""
