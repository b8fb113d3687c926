"""`make sources`: the list of sources, one for each stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.hand_out import Tables
from commands.sources.project import Project


@dataclass(frozen=True)
class Listed:
    """A source: the `rows` of its published table and its `newest` file in raw, or "" for none."""

    stream: str
    key: str
    rows: str
    newest: str
    freshness: str
    tables: str
    owner: str


def listed(project: Project, there: Tables) -> list[Listed]:
    """List the connection's streams, in the order of its source."""
    raw = yaml.safe_load(project.sources_yml.read_text(encoding="utf-8"))["sources"]
    tables = {each["name"]: each for source in raw if source["name"] == "raw" for each in source["tables"]}
    return [_listed(project, name, stream, tables.get(name, {}), there) for name, stream in project.declared().items()]


def _listed(project: Project, name: str, stream: Mapping[str, Any], table: Mapping[str, Any], there: Tables) -> Listed:
    models = readers(project, name)
    table_of = next((model for model in models if model in there.rows), "")
    of = "" if table_of == name else f" in {table_of}"
    rows = f"{there.rows[table_of]:,}{of}" if table_of else ""
    last = there.newest.get(name)
    newest = f"{last.file.rpartition('/')[2]} ({last.loaded:%Y-%m-%d %H:%M} UTC)" if last else ""
    config = table.get("config") or {}
    freshness = config.get("freshness") or table.get("freshness") or {}
    says = [f"{kind.removesuffix('_after')} after {_age(freshness[kind], there.hours)}" for kind in freshness]
    own = project.ownership(name)
    owner = "generated" if all(own) else "partly yours" if any(own) else "yours"
    key = ", ".join(stream.get("primaryKey", [])) or "none"
    return Listed(name, key, rows, newest, ", ".join(says) or "none", ", ".join(models) or "none", owner)


def _age(limit: Mapping[str, Any], hours: float | None) -> str:
    count = limit["count"]
    of_setting = "FRESHNESS_THRESHOLD_HOURS" if hours is None else f"{hours:g}"
    number = count if isinstance(count, int) else of_setting
    return f"{number} {limit['period']}{'s' if number != 1 else ''}"


def readers(project: Project, name: str) -> list[str]:
    """Return the models in marts that read a source's staging model, directly or through other models."""
    found: list[Path] = []
    wanted = [f"ref('stg_{name}')"]
    while wanted:
        ref = wanted.pop()
        for path in sorted(project.models.rglob("*.sql")):
            if path not in found and ref in path.read_text(encoding="utf-8"):
                found.append(path)
                wanted.append(f"ref('{path.stem}')")
    return [path.stem for path in found if path.parent.name == "marts"]


def show(console: Console, sources: list[Listed]) -> None:
    """Print the sources, one per line."""
    table = Table(box=None, pad_edge=False)
    for column in ("stream", "key", "rows", "newest file", "freshness", "tables", "files"):
        table.add_column(column, justify="right" if column == "rows" else "left", overflow="fold")
    for each in sources:
        values = (each.stream, each.key, each.rows, each.newest, each.freshness, each.tables, each.owner)
        table.add_row(*map(Text, values))
    console.print(table)
