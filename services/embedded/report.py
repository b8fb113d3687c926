"""What the demo tells at its end, read from the results of its runs and from the published tables."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.embedded.stack import Stack, short

BAR_WIDTH = 40
ON_TIME = """
    select flight_date, sum(on_time) / sum(flights) from agg_daily_performance group by all order by all
"""


@dataclass(frozen=True)
class Part:
    """One run of the pipeline: the files landed for it, the rows of every table after it, and its `PipelineResult`."""

    name: str
    files: int
    rows: dict[str, int]
    result: dict[str, Any]


def report(console: Console, parts: list[Part], seconds: dict[str, float], stack: Stack) -> None:
    """Print the report: rows by layer, seconds by step, tests, freshness, a chart, the files, what to try next."""
    console.print()
    console.print(rows_table(parts))
    console.print(seconds_table(parts, seconds))
    for part in parts:
        console.print(f"dbt on {part.name}: {_counts(part.result['dbt']['nodes'])}", highlight=False)
    console.print(f"freshness: {_freshness(parts[-1].result['freshness'])}", highlight=False)
    console.print("\n[bold]Flights on time[/bold], by day (arrived less than 15 minutes late)")
    for line in chart(stack):
        console.print(line, highlight=False)
    console.print(_closing(stack), highlight=False)


def rows_table(parts: list[Part]) -> Table:
    """Rows of each layer's tables after each run, and what the last run added."""
    table = Table(title="Rows by layer", title_justify="left", box=None)
    for column in ("table", *(f"after {part.name}" for part in parts), "moved"):
        table.add_column(column, justify="left" if column == "table" else "right")
    first, last = parts[0].rows, parts[-1].rows
    for name in last:
        moved = last[name] - first.get(name, 0)
        counts = [f"{part.rows.get(name, 0):,}" for part in parts]
        table.add_row(escape(name if "." in name else f"raw.{name}"), *counts, f"+{moved:,}" if moved else "")
    return table


def seconds_table(parts: list[Part], seconds: dict[str, float]) -> Table:
    """Seconds of each of the demo's steps, and of the pipeline's own steps within them."""
    table = Table(title="\nSeconds by step", title_justify="left", box=None, show_header=False)
    steps = {f"pipeline on {part.name}": part.result["seconds"] for part in parts}
    for name, total in seconds.items():
        inner = ", ".join(f"{step} {time:.1f}" for step, time in steps.get(name, {}).items())
        table.add_row(name, f"{total:.1f}", f"[dim]{inner}[/dim]")
    return table


def chart(stack: Stack) -> list[str]:
    """A bar a day: the share of flights on time."""
    with duckdb.connect(str(stack.published), read_only=True) as connection:
        days = connection.execute(ON_TIME).fetchall()
    return [f"{day}  {'█' * round(rate * BAR_WIDTH):{BAR_WIDTH}} {rate:4.0%}" for day, rate in days]


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
[bold]What is left[/bold]
  {escape(short(stack.published))}   the tested tables, for any DuckDB client
  {escape(short(stack.state / "lake"))}/   the raw rows as Parquet, a folder a stream
  {escape(short(stack.state / "logs"))}/   what each service said

[bold]What to try next[/bold]
  make dev     the same services, staying up: Prefect's UI, S3 and Airbyte on their usual ports
  make test    everything that is promised, tried out"""
