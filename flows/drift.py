"""Drift: report how the files of a run differ from what is declared, once for each change."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from blocks import connections
from blocks.airbyte.api import SyncResult
from blocks.dbt.results import DbtResult, DeclaredSource
from blocks.errors import counted, shown
from blocks.lake import AIRBYTES, Fill
from blocks.ledger import Drift, reached
from blocks.settings import make
from blocks.turns import turn
from blocks.warehouse import Warehouse
from flows.dbt_transform import warehouse_slot
from flows.row_counts import MARGIN
from flows.tags import tagged

ACCIDENT = 0.001
"""An empty column counts as drift if, judging by earlier files, its probability is below this."""
TYPES_TEST = "every_value_is_cast"
SHOWN = 60


@dataclass(frozen=True)
class Change:
    """A difference from what is declared, and the file that has it. Its `id` stays the same as long as it lasts."""

    id: str
    table: str
    file: str
    text: str
    column: str = ""
    shows_value: bool = False


def report_drift(syncs: Sequence[SyncResult], dbt: DbtResult | None) -> None:
    """Report what differs from what is declared. If this fails, it is only logged."""
    if dbt is None or not (any(sync.rows for sync in syncs) or any(node.status == "warn" for node in dbt.nodes)):
        return
    try:
        with warehouse_slot():
            report_changes(syncs, dbt)
    except Exception as error:  # noqa: BLE001 - the tables are correct without this report
        get_run_logger().warning("The files were not compared with what is declared: %s", error)


@task(name="drift", tags=tagged("warehouse"))
def report_changes(syncs: Sequence[SyncResult], dbt: DbtResult) -> list[str]:
    """Report each new change in the artifact `drift` and as an event. Return descriptions of the new changes.

    Columns are compared in the files that were loaded since one hour before the syncs began. Values are those that
    dbt's tests have just checked.
    """
    project, warehouse = connections.current().dbt(), connections.current().warehouse()
    if project.ledger is None or project.warehouse is None:
        return []
    since = min((sync.started or datetime.now(UTC) for sync in syncs), default=datetime.now(UTC)) - MARGIN
    fills = warehouse.fills(since)  # includes files that another run loaded
    with turn(project.warehouse, project.wait_seconds, get_run_logger().info):
        state, last = project.ledger.read()
        known = state.drift.model_copy(deep=True)
        changes = [*_columns(fills, dbt.sources, known), *_values(dbt), *_tests(dbt, fills)]
        forget(known, dbt)
        new = list({each.id: each for each in changes if each.id not in known.told}.values())
        lines = [_line(each, warehouse) for each in new]
        if new:
            create_markdown_artifact(
                "\n".join(["| what differs | in | what to type |", "| --- | --- | --- |", *lines]),
                key=connections.names().artifact("drift"),
                description="Differences between the files and what is declared. Each is reported once.",
            )
        for each in new:
            emit_event(
                "platform.drift",
                resource={"prefect.resource.id": connections.names().asset("raw", each.table), "change": each.id},
                payload={"table": each.table, "file": each.file, "column": each.column, "what": each.text},
            )
        known.told = sorted({*known.told, *(each.id for each in new)})
        if known != state.drift:
            state.drift = known
            project.ledger.write(state, last)
    return [each.text for each in new]


def _columns(fills: Iterable[Fill], sources: Iterable[DeclaredSource], known: Drift) -> Iterator[Change]:
    """Yield the columns that are new in a file or missing from it, and record each column's share of values in `known`.

    If the first file of a table has more columns than declared, they were left out on purpose and are not reported.
    """
    declared = {source.table: source for source in sources}
    for fill in fills:
        if (source := declared.get(fill.table)) is None or not fill.rows:
            continue
        is_first, before = fill.table not in known.filled, known.filled.setdefault(fill.table, {})
        for column, count in fill.values.items():
            share, now = before.get(column), round(count / fill.rows, 3)
            if column.startswith(AIRBYTES) or (column not in source.columns and not count):
                continue
            if column not in source.columns and share is None and not is_first:
                text = f"Column `{_plain(column)}` is new: raw has it, and the tables do not."
                yield Change(f"{fill.table} more {column}", fill.table, fill.file, text, column, shows_value=True)
            elif (
                column in source.columns
                and column not in source.optional
                and not count
                and share
                and (1 - share) ** fill.rows < ACCIDENT
            ):
                text = f"Column `{_plain(column)}` is missing or has no value, and had values in the files before."
                yield Change(f"{fill.table} fewer {column}", fill.table, fill.file, text, column)
            before[column] = now if share is None else min(share, now)


def _values(dbt: DbtResult) -> Iterator[Change]:
    """Yield the columns that have values of another type than declared."""
    for each in dbt.misfits:
        example = f", such as `{_plain(each.example)}`" if each.example else ""
        is_or_are = "is" if each.values == 1 else "are"
        text = (
            f"{counted(each.values, 'value')} of `{each.column}` {is_or_are} not {each.type}{example}: "
            "null in the tables."
        )
        yield Change(f"{each.table} type {each.column} {each.type}", each.table, each.file, text, each.column)


def _tests(dbt: DbtResult, fills: Sequence[Fill]) -> Iterator[Change]:
    """Yield the other tests that warn, such as those for repeated keys, new values or new nulls."""
    newest = {fill.table: fill.file for fill in fills}
    tables = {source.id: source.table for source in dbt.sources}
    parents = {node.id: node.parents for node in dbt.nodes}
    for node in dbt.nodes:
        if node.resource_type == "test" and node.status == "warn" and TYPES_TEST not in node.name:
            ancestors = reached(node.parents, lambda one: parents.get(one, []))
            table = min((tables[id_] for id_ in ancestors if id_ in tables), default="")
            found = f" with {node.failures:,}" if node.failures else ""
            text = (
                f"The test `{node.name}` warns{found}. "
                f'`{make("dbt", local=True)} ARGS="show --select {node.name} --output json"` shows the rows.'
            )
            yield Change(f"test {node.name}", table, newest.get(table, ""), text)


def forget(known: Drift, dbt: DbtResult) -> None:
    """Forget the changes whose test passes now, and those of tables that no longer exist."""
    ended = {f"test {node.name}" for node in dbt.nodes if node.resource_type == "test" and node.status == "pass"}
    passed = {
        parent for node in dbt.nodes if TYPES_TEST in node.name and node.status == "pass" for parent in node.parents
    }
    for source in dbt.sources:
        if source.id in passed:
            ended |= {each for each in known.told if each.startswith(f"{source.table} type ")}
    tables = {source.table for source in dbt.sources}
    known.told = [
        each for each in known.told if each not in ended and (each.startswith("test ") or each.split(" ")[0] in tables)
    ]
    known.filled = {table: columns for table, columns in known.filled.items() if table in tables}


def _line(change: Change, warehouse: Warehouse) -> str:
    text = change.text
    if change.shows_value and (value := warehouse.example(change.table, change.column, change.file)):
        text += f" A value is `{_plain(value)}`."
    bucket = connections.current().landing.bucket
    where, name = (f"`{_plain(change.file)}`", shown(change.file)) if change.file else ("", "")
    command = f"`make source FILE='s3://{bucket}/{_plain(name, 1024)}'`" if name else "`make sources`"
    return f"| {change.table}: {text} | {where} | {command} |"


def _plain(text: str, most: int = SHOWN) -> str:
    """Escape and shorten a text for a cell of a Markdown table, within backticks."""
    return shown(text).replace("`", "'").replace("|", "\\|")[:most]
