"""`make sources`: what there is, by stream."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.published import QueryFailed, read
from services.airbyte import sql
from services.sources.project import Project


@dataclass(frozen=True)
class Listed:
    """A source: `rows` and `newest` are those of its published table, None and "" where there is none."""

    stream: str
    key: str
    rows: int | None
    newest: str
    freshness: str
    tables: str
    owner: str


def listed(project: Project, published: Path) -> list[Listed]:
    """Every stream of the connection, in the order of its source."""
    raw = yaml.safe_load(project.sources_yml.read_text(encoding="utf-8"))["sources"]
    tables = {each["name"]: each for source in raw if source["name"] == "raw" for each in source["tables"]}
    return [
        _listed(project, name, stream, tables.get(name, {}), published) for name, stream in project.declared().items()
    ]


def _listed(
    project: Project, name: str, stream: Mapping[str, Any], table: Mapping[str, Any], published: Path
) -> Listed:
    models = readers(project, name)
    rows, newest = _published(published, models)
    config = table.get("config") or {}
    freshness = config.get("freshness") or table.get("freshness") or {}
    says = [f"{kind.removesuffix('_after')} after {_age(freshness[kind])}" for kind in freshness]
    own = project.ownership(name)
    owner = "generated" if all(own) else "partly yours" if any(own) else "yours"
    key = ", ".join(stream.get("primaryKey", [])) or "none"
    return Listed(name, key, rows, newest, ", ".join(says) or "none", ", ".join(models) or "none", owner)


def _age(limit: Mapping[str, Any]) -> str:
    count = limit["count"]
    number = count if isinstance(count, int) else "FRESHNESS_THRESHOLD_HOURS"
    return f"{number} {limit['period']}{'s' if number != 1 else ''}"


def readers(project: Project, name: str) -> list[str]:
    """The models in marts that read a source's staging model, or a table that does."""
    found: list[Path] = []
    wanted = [f"ref('stg_{name}')"]
    while wanted:
        ref = wanted.pop()
        for path in sorted(project.models.rglob("*.sql")):
            if path not in found and ref in path.read_text(encoding="utf-8"):
                found.append(path)
                wanted.append(f"ref('{path.stem}')")
    return [path.stem for path in found if path.parent.name == "marts"]


def _published(published: Path, models: list[str]) -> tuple[int | None, str]:
    """The rows of the first of the tables, and its newest file with the time at which that was loaded."""
    if not published.exists() or not models:
        return None, ""
    newest = "arg_max(_ab_source_file_url, _airbyte_extracted_at), max(_airbyte_extracted_at)::TIMESTAMP::VARCHAR"
    with suppress(QueryFailed):
        [[count, file, loaded]] = read(published, f"SELECT count(*), {newest} FROM {sql.name(models[0])}").rows
        if file:
            return count, f"{file.rpartition('/')[2]} ({loaded[:16]} UTC)"
    return None, ""


def show(console: Console, sources: list[Listed]) -> None:
    """Print them, a line each."""
    table = Table(box=None, pad_edge=False)
    for column in ("stream", "key", "rows", "newest file", "freshness", "tables", "files"):
        table.add_column(column, justify="right" if column == "rows" else "left", overflow="fold")
    for each in sources:
        rows = "" if each.rows is None else f"{each.rows:,}"
        values = (each.stream, each.key, rows, each.newest, each.freshness, each.tables, each.owner)
        table.add_row(*map(Text, values))
    console.print(table)
