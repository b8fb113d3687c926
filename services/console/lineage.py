"""What dbt and dbt-colibri have written about the project: descriptions, tests, and where each column leads."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.console.data import written
from services.watch.prefect_api import Json

FILES = {"docs": "index.html", "lineage": "lineage/index.html"}
Edges = dict[Any, list[Any]]


@dataclass(frozen=True)
class Model:
    """A model: which columns, `NODE.COLUMN`, each of its columns comes from (`upstream`) and feeds (`downstream`).

    `sources` are those of raw that it is made of, through whichever models; `tests` are by their column.
    """

    id: str
    description: str
    columns: dict[str, str]
    tests: dict[str, list[str]]
    reads: list[str]
    feeds: list[str]
    sources: list[str]
    upstream: dict[str, list[str]]
    downstream: dict[str, list[str]]


class Docs:
    """The folder of the ready-made docs; whatever of it is missing is not shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, kind: str) -> Path | None:
        """The page of dbt (`docs`) or dbt-colibri (`lineage`); None where it is not written."""
        file = self.folder / FILES[kind]
        return file if file.is_file() else None

    def model(self, table: str) -> Model | None:
        """What is known of the model behind `schema.table`."""
        models, name = self._read()[0], table.lower()
        return models.get(name) or models.get(name.rpartition(".")[2])  # in Snowflake readers have their own schema

    def sql(self, test: str) -> str:
        """The query whose rows a test counts; empty where none is known."""
        return self._read()[1].get(test, "")

    def _read(self) -> tuple[dict[str, Model], dict[str, str]]:
        files = self.folder / "manifest.json", self.folder / "lineage" / "colibri-manifest.json"
        return _models(*((each, written(each)) for each in files))


@lru_cache(maxsize=2)
def _models(manifest: tuple[Path, int], lineage: tuple[Path, int]) -> tuple[dict[str, Model], dict[str, str]]:
    if not manifest[1]:
        return {}, {}
    told = json.loads(manifest[0].read_bytes())
    up, down = _columns(json.loads(lineage[0].read_bytes())["lineage"]["edges"] if lineage[1] else [])
    models = dict[str, Model]()
    for id_, node in told["nodes"].items():
        if node["resource_type"] in ("model", "seed", "snapshot"):
            model = _model(id_, told, up, down)
            models |= {f"{node['schema']}.{node['alias']}".lower(): model, node["alias"].lower(): model}
    tests = (each for each in told["nodes"].values() if each["resource_type"] == "test")
    return models, {each["name"]: (each.get("compiled_code") or "").strip() for each in tests}


def _columns(edges: Iterable[Json]) -> tuple[Edges, Edges]:
    """The columns that each column, a pair of node and name, is made of, and those that it feeds."""
    up, down = Edges(), Edges()
    for edge in edges:
        start, end = ((edge[side], edge[f"{side}Column"].lower()) for side in ("source", "target"))
        if start[1] and end[1] and start != end:
            up.setdefault(end, []).append(start)
            down.setdefault(start, []).append(end)
    return up, down


def _model(id_: str, told: Json, up: Edges, down: Edges) -> Model:
    nodes = {**told["nodes"], **told["sources"], **told["exposures"]}
    below = [nodes[each] for each in told["child_map"].get(id_, []) if each in nodes]
    tests: dict[str, list[str]] = {}
    for each in below:
        if each["resource_type"] == "test":
            tests.setdefault(each.get("column_name") or "", []).append(each["name"])
    sources = (nodes[each] for each in reached(id_, told["parent_map"]) if each in told["sources"])
    return Model(
        id=id_,
        description=nodes[id_]["description"],
        columns={name.lower(): column["description"] for name, column in nodes[id_]["columns"].items()},
        tests=tests,
        reads=[_name(nodes[each]) for each in nodes[id_]["depends_on"]["nodes"] if each in nodes],
        feeds=[_name(each) for each in below if each["resource_type"] != "test"],
        sources=sorted(map(_name, sources)),
        upstream=_beyond(id_, up, nodes),
        downstream=_beyond(id_, down, nodes),
    )


def reached(start: Any, edges: Edges) -> list[Any]:
    """Everything that edges lead to from a start, near ones first."""
    found = list(dict.fromkeys(edges.get(start, [])))
    for one in found:  # which grows meanwhile
        found += [each for each in dict.fromkeys(edges.get(one, [])) if each not in found]
    return found


def _beyond(id_: str, edges: Edges, nodes: Json) -> dict[str, list[str]]:
    """What is reached from each column of a node, as `NODE.COLUMN`."""
    starts = [start for start in edges if start[0] == id_]
    return {start[1]: [f"{_name(nodes[node])}.{name}" for node, name in reached(start, edges) if node in nodes]
            for start in starts}  # fmt: skip


def _name(node: Json) -> str:
    return f"{node['source_name']}.{node['name']}" if node["resource_type"] == "source" else str(node["name"])
