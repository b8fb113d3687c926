"""What dbt and dbt-colibri have written about the project: descriptions, tests, and where each column leads."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

FILES = {"docs": "index.html", "lineage": "lineage/index.html"}


@dataclass(frozen=True)
class Model:
    """A model: which columns, `NODE.COLUMN`, each of its columns comes from (`upstream`) and feeds (`downstream`).

    `sources` are those of raw that it is made of, through whichever models.
    """

    id: str
    description: str
    columns: dict[str, str]
    tests: dict[str, list[str]]
    reads: list[str]
    feeds: list[str]
    sources: list[str]
    upstream: dict[str, list[str]] = field(default_factory=dict)
    downstream: dict[str, list[str]] = field(default_factory=dict)


class Docs:
    """The folder of the ready-made docs; whatever of it is missing is not shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, kind: str) -> Path | None:
        """The page of dbt (`docs`) or dbt-colibri (`lineage`); None where it is not written."""
        file = self.folder / FILES[kind] if kind in FILES else None
        return file if file and file.is_file() else None

    def model(self, table: str) -> Model | None:
        """What is known of the model behind `schema.table`."""
        models, name = self._read()[0], table.lower()
        return models.get(name) or models.get(
            name.rpartition(".")[2]
        )  # in Snowflake readers have a schema of their own

    def sql(self, test: str) -> str:
        """The query whose rows a test counts; empty where none is known."""
        return self._read()[1].get(test, "")

    def _read(self) -> tuple[dict[str, Model], dict[str, str]]:
        manifest, lineage = self.folder / "manifest.json", self.folder / "lineage" / "colibri-manifest.json"
        return _models(manifest, _changed(manifest), lineage, _changed(lineage))


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


@lru_cache(maxsize=2)
def _models(manifest: Path, written: int, lineage: Path, traced: int) -> tuple[dict[str, Model], dict[str, str]]:
    if not written:
        return {}, {}
    told = json.loads(manifest.read_bytes())
    edges = json.loads(lineage.read_bytes())["lineage"]["edges"] if traced else []
    nodes = {**told["nodes"], **told["sources"], **told["exposures"]}
    models = dict[str, Model]()
    for id_, node in told["nodes"].items():
        if node["resource_type"] in ("model", "seed", "snapshot"):
            model = _model(id_, nodes, told, edges)
            models |= {f"{node['schema']}.{node['alias']}".lower(): model, node["alias"].lower(): model}
    tests = (each for each in told["nodes"].values() if each["resource_type"] == "test")
    return models, {each["name"]: (each.get("compiled_code") or "").strip() for each in tests}


def _model(id_: str, nodes: dict[str, Any], told: dict[str, Any], edges: list[Any]) -> Model:
    node, below = nodes[id_], [each for each in told["child_map"].get(id_, []) if each in nodes]
    tests: dict[str, list[str]] = {}
    for each in below:
        if nodes[each]["resource_type"] == "test":
            tests.setdefault(nodes[each].get("column_name") or "", []).append(nodes[each]["name"])
    above, ahead = dict[str, None](), [id_]
    while ahead:
        if (one := ahead.pop()) not in above:
            above[one] = None
            ahead += told["parent_map"].get(one, [])
    return Model(
        id=id_,
        description=node["description"],
        columns={name.lower(): column["description"] for name, column in node["columns"].items()},
        tests=tests,
        reads=[_name(each, nodes) for each in node["depends_on"]["nodes"] if each in nodes],
        feeds=[_name(each, nodes) for each in below if nodes[each]["resource_type"] != "test"],
        sources=sorted(_name(each, nodes) for each in above if each in told["sources"]),
        upstream=_beyond(id_, edges, nodes, "target"),
        downstream=_beyond(id_, edges, nodes, "source"),
    )


def _beyond(id_: str, edges: list[Any], nodes: dict[str, Any], own: str) -> dict[str, list[str]]:
    """Every column that is reached from each column of a node, near ones first; `own` is the node's end of an edge."""
    other = "source" if own == "target" else "target"
    next_: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for edge in edges:
        start, end = ((edge[side], edge[f"{side}Column"].lower()) for side in (own, other))
        if end[1] and start != end:
            next_.setdefault(start, []).append(end)
    found: dict[str, list[str]] = {}
    for (node, column), near in next_.items():
        if node != id_:
            continue
        seen, ahead = list[tuple[str, str]](), list(near)
        while ahead:
            one = ahead.pop(0)
            if one not in seen:
                seen.append(one)
                ahead += next_.get(one, [])
        found[column] = [f"{_name(each, nodes)}.{name}" for each, name in seen]
    return found


def _name(id_: str, nodes: dict[str, Any]) -> str:
    node = nodes.get(id_) or {}
    return f"{node['source_name']}.{node['name']}" if node.get("resource_type") == "source" else node.get("name", id_)
