"""What dbt and dbt-colibri have written about the project: descriptions, tests, and where each column leads."""

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from services.console.data import written
from services.watch.prefect_api import Json

MANIFEST = "manifest.json"
FILES = {"docs": "index.html", "lineage": "lineage/index.html"}
Edges = Mapping[Any, list[Any]]


class Project(NamedTuple):
    """A project's nodes by id and by name, models' ids by their tables, and where each node or (node, column) leads."""

    nodes: dict[str, Json]
    named: dict[str, Json]
    models: dict[str, str]
    parents: Edges
    children: Edges
    made_of: Edges
    feeding: Edges


class Model(NamedTuple):
    """A model, and what it is made of and feeds: other nodes by name, columns as `NODE.COLUMN`."""

    id: str
    project: Project

    @property
    def node(self) -> Json:
        """The model as dbt's manifest has it."""
        return self.project.nodes[self.id]

    @property
    def columns(self) -> dict[str, str]:
        return {name.lower(): each["description"] for name, each in self.node["columns"].items()}

    @property
    def reads(self) -> list[str]:
        return self._names(self.project.parents.get(self.id, []))

    @property
    def feeds(self) -> list[str]:
        return self._names(each for each in self._below() if not each.startswith(("test.", "unit_test.")))

    @property
    def sources(self) -> list[str]:
        """Those of raw that it is made of, through whichever models."""
        return self._names(each for each in reached(self.id, self.project.parents) if each.startswith("source."))

    def nearest(self, names: Container[str]) -> list[str]:
        """Those of some models that it is made of without another of them between."""
        ends = {id_ for id_, each in self.project.nodes.items() if each["name"] in names}
        return self._names(each for each in reached(self.id, self.project.parents, ends) if each in ends)

    def tests(self, column: str) -> list[str]:
        """The tests of a column, and the unit tests with rows that have it; of none, the tests of the whole table."""
        below = (self.project.nodes[each] for each in self._below() if each.startswith("test."))
        found = [each["name"] for each in below if (each.get("column_name") or "") == column]
        units = (each for id_, each in self.project.nodes.items() if id_.startswith("unit_test."))
        return found + [each["name"] for each in units if column and mentions(self._rows_in(each), column)]

    def _rows_in(self, unit_test: Json) -> str:
        """The rows of a unit test that have this model's columns: as SQL, or their columns' names."""
        name = self.node["name"]
        inputs = {f"ref('{name}')", "this"} if unit_test["model"] == name else {f"ref('{name}')"}
        parts = [each for each in unit_test["given"] if each["input"].replace('"', "'") in inputs]
        parts += [unit_test["expect"]] if unit_test["model"] == name else []
        return str([rows if isinstance(rows := each["rows"] or [], str) else [*map(list, rows)] for each in parts])

    def used_in(self, column: str) -> list[str]:
        """The models and tests that read this one and whose SQL names the column, also where they only join by it."""
        nodes = [self.project.nodes[each] for each in self._below() if not each.startswith("unit_test.")]
        return [each["name"] for each in nodes if mentions(self._said_by(each), column)]

    def _said_by(self, node: Json) -> str:
        """The SQL of a model or test, or the arguments of a generic test that name columns of this model."""
        if not (told := node.get("test_metadata")):
            return str(node.get("raw_code"))
        own = node.get("attached_node") == self.id
        left_out = ("model", "to", "field") if own else ("model", "column_name")  # those of the other model
        return str([value for name, value in told["kwargs"].items() if name not in left_out])

    def upstream(self, column: str) -> list[str]:
        return self._columns(column, self.project.made_of)

    def downstream(self, column: str) -> list[str]:
        return self._columns(column, self.project.feeding)

    def _below(self) -> list[str]:
        return [each for each in self.project.children.get(self.id, []) if each in self.project.nodes]

    def _columns(self, column: str, edges: Edges) -> list[str]:
        found = reached((self.id, column), edges)
        return [f"{name}.{column}" for node, column in found for name in self._names([node])]

    def _names(self, ids: Iterable[str]) -> list[str]:
        """The nodes' names; a source's has its schema."""
        nodes = [self.project.nodes[each] for each in ids if each in self.project.nodes]
        return [f"{each['source_name']}.{each['name']}" if "source_name" in each else each["name"] for each in nodes]


class Docs:
    """The folder of the ready-made docs; whatever of it is missing is not shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, kind: str) -> Path | None:
        """The page of dbt (`docs`) or dbt-colibri (`lineage`); None where it is not written."""
        file = self.folder / FILES[kind]
        return file if file.is_file() else None

    def model(self, table: str) -> Model | None:
        """The model behind `schema.table`."""
        project, name = self._read(), table.lower()
        id_ = project.models.get(name) or project.models.get(name.rpartition(".")[2])  # readers may have another schema
        return Model(id_, project) if id_ else None

    def about(self, name: str) -> list[Model]:
        """The models that a test is about; of a model, itself; of a source's test, none."""
        project = self._read()
        node = project.named.get(name, {})
        own = node.get("attached_node") or node.get("unique_id", "")
        ids = [own] if own in project.models.values() else project.parents.get(own, [])
        return [Model(each, project) for each in ids if each in project.models.values()]

    def lacks(self, name: str, at: datetime) -> bool:
        """Whether the project has lost a test or model that ran then; False until its docs are written again."""
        return written(self.folder / MANIFEST) > at.timestamp() * 1e9 and name not in self._read().named

    def sql(self, test: str) -> str:
        """The query whose rows a test counts; empty where none is known."""
        return (self._read().named.get(test, {}).get("compiled_code") or "").strip()

    def _read(self) -> Project:
        files = self.folder / MANIFEST, self.folder / "lineage" / "colibri-manifest.json"
        return _project(*((each, written(each)) for each in files))


@lru_cache(maxsize=2)
def _project(manifest: tuple[Path, int], lineage: tuple[Path, int]) -> Project:
    if not manifest[1]:
        return Project({}, {}, {}, {}, {}, {}, {})
    told = json.loads(manifest[0].read_bytes())
    made_of, feeding = defaultdict[Any, list[Any]](list), defaultdict[Any, list[Any]](list)
    for edge in json.loads(lineage[0].read_bytes())["lineage"]["edges"] if lineage[1] else []:
        start, end = ((edge[side], edge[f"{side}Column"].lower()) for side in ("source", "target"))
        if start[1] and end[1] and start != end:
            made_of[end].append(start)
            feeding[start].append(end)
    models = {id_: each for id_, each in told["nodes"].items() if id_.startswith(("model.", "seed.", "snapshot."))}
    tables = {each["alias"].lower(): id_ for id_, each in models.items()}
    tables |= {f"{each['schema']}.{each['alias']}".lower(): id_ for id_, each in models.items()}
    nodes = {**told["nodes"], **told["sources"], **told["exposures"], **told["unit_tests"]}
    named = {each["name"]: each for each in nodes.values()}
    return Project(nodes, named, tables, told["parent_map"], told["child_map"], made_of, feeding)


def mentions(text: str, column: str) -> bool:
    """Whether a text has a column's name as a word."""
    return bool(re.search(rf"\b{re.escape(column)}\b", text, re.IGNORECASE))


def reached(start: Any, edges: Edges, ends: Container[Any] = ()) -> list[Any]:
    """Everything that edges lead to from a start, near ones first; those from one of the ends are not followed."""
    found = list(dict.fromkeys(edges.get(start, [])))
    for one in found:  # which grows meanwhile
        if one not in ends:
            found += [each for each in dict.fromkeys(edges.get(one, [])) if each not in found]
    return found
