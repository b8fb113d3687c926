"""What dbt and dbt-colibri wrote about the project: descriptions, tests, and the lineage of each column."""

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
    """A project's nodes by id and by name, model ids by table, and the edges between nodes or (node, column) pairs."""

    nodes: dict[str, Json]
    named: dict[str, Json]
    models: dict[str, str]
    parents: Edges
    children: Edges
    made_of: Edges
    feeding: Edges


class Model(NamedTuple):
    """A model with its upstreams and downstreams: nodes by name, columns as `NODE.COLUMN`."""

    id: str
    project: Project

    @property
    def node(self) -> Json:
        """The model's entry in dbt's manifest."""
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
        """The tables in raw that it is built from, directly or through other models."""
        return self._names(each for each in reached(self.id, self.project.parents) if each.startswith("source."))

    def nearest(self, names: Container[str]) -> list[str]:
        """Return the given models that it is built from, without those behind another of them."""
        ends = {id_ for id_, each in self.project.nodes.items() if each["name"] in names}
        return self._names(each for each in reached(self.id, self.project.parents, ends) if each in ends)

    def tests(self, column: str) -> list[str]:
        """Return a column's tests, and the unit tests with rows that have it. For "", return the table's tests."""
        below = (self.project.nodes[each] for each in self._below() if each.startswith("test."))
        found = [each["name"] for each in below if (each.get("column_name") or "") == column]
        units = (each for id_, each in self.project.nodes.items() if id_.startswith("unit_test."))
        return found + [each["name"] for each in units if column and mentions(self._rows_in(each), column)]

    def _rows_in(self, unit_test: Json) -> str:
        """Return the rows of a unit test that have this model's columns, as SQL or as the columns' names."""
        name = self.node["name"]
        inputs = {f"ref('{name}')", "this"} if unit_test["model"] == name else {f"ref('{name}')"}
        parts = [each for each in unit_test["given"] if each["input"].replace('"', "'") in inputs]
        parts += [unit_test["expect"]] if unit_test["model"] == name else []
        return str([rows if isinstance(rows := each["rows"] or [], str) else [*map(list, rows)] for each in parts])

    def used_in(self, column: str) -> list[str]:
        """Return the models and tests that read this model and name the column in their SQL, even only in a join."""
        nodes = [self.project.nodes[each] for each in self._below() if not each.startswith("unit_test.")]
        return [each["name"] for each in nodes if mentions(self._text_of(each), column)]

    def _text_of(self, node: Json) -> str:
        """Return a model's or test's SQL, or the arguments of a generic test that name columns of this model."""
        if not (metadata := node.get("test_metadata")):
            return str(node.get("raw_code"))
        own = node.get("attached_node") == self.id
        ignored = ("model", "to", "field") if own else ("model", "column_name")  # columns of the other model
        return str([value for name, value in metadata["kwargs"].items() if name not in ignored])

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
        """Return the nodes' names. A source's name includes its schema."""
        nodes = [self.project.nodes[each] for each in ids if each in self.project.nodes]
        return [f"{each['source_name']}.{each['name']}" if "source_name" in each else each["name"] for each in nodes]


class Docs:
    """The folder of the generated docs. Missing files are not shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, kind: str) -> Path | None:
        """Return the page of dbt (`docs`) or dbt-colibri (`lineage`), or None if it does not exist."""
        file = self.folder / FILES[kind]
        return file if file.is_file() else None

    def model(self, table: str) -> Model | None:
        """Return the model of `schema.table`, or None."""
        project, name = self._read(), table.lower()
        id_ = project.models.get(name) or project.models.get(name.rpartition(".")[2])  # readers may use another schema
        return Model(id_, project) if id_ else None

    def about(self, name: str) -> list[Model]:
        """Return the models that a test tests. For a model, return itself; for a source's test, return none."""
        project = self._read()
        node = project.named.get(name, {})
        own = node.get("attached_node") or node.get("unique_id", "")
        ids = [own] if own in project.models.values() else project.parents.get(own, [])
        return [Model(each, project) for each in ids if each in project.models.values()]

    def lacks(self, name: str, at: datetime) -> bool:
        """Return whether the project lacks a test or model that ran then. It is false until its docs are rewritten."""
        return written(self.folder / MANIFEST) > at.timestamp() * 1e9 and name not in self._read().named

    def sql(self, test: str) -> str:
        """Return the query whose rows a test counts, or "" if it is not known."""
        return (self._read().named.get(test, {}).get("compiled_code") or "").strip()

    def _read(self) -> Project:
        files = self.folder / MANIFEST, self.folder / "lineage" / "colibri-manifest.json"
        return _project(*((each, written(each)) for each in files))


@lru_cache(maxsize=2)
def _project(manifest: tuple[Path, int], lineage: tuple[Path, int]) -> Project:
    if not manifest[1]:
        return Project({}, {}, {}, {}, {}, {}, {})
    dbt_manifest = json.loads(manifest[0].read_bytes())
    made_of, feeding = defaultdict[Any, list[Any]](list), defaultdict[Any, list[Any]](list)
    for edge in json.loads(lineage[0].read_bytes())["lineage"]["edges"] if lineage[1] else []:
        start, end = ((edge[side], edge[f"{side}Column"].lower()) for side in ("source", "target"))
        if start[1] and end[1] and start != end:
            made_of[end].append(start)
            feeding[start].append(end)
    models = {
        id_: each for id_, each in dbt_manifest["nodes"].items() if id_.startswith(("model.", "seed.", "snapshot."))
    }
    tables = {each["alias"].lower(): id_ for id_, each in models.items()}
    tables |= {f"{each['schema']}.{each['alias']}".lower(): id_ for id_, each in models.items()}
    nodes = {
        **dbt_manifest["nodes"],
        **dbt_manifest["sources"],
        **dbt_manifest["exposures"],
        **dbt_manifest["unit_tests"],
    }
    named = {each["name"]: each for each in nodes.values()}
    return Project(nodes, named, tables, dbt_manifest["parent_map"], dbt_manifest["child_map"], made_of, feeding)


def mentions(text: str, column: str) -> bool:
    """Return whether a text contains a column's name as a word."""
    return bool(re.search(rf"\b{re.escape(column)}\b", text, re.IGNORECASE))


def reached(start: Any, edges: Edges, ends: Container[Any] = ()) -> list[Any]:
    """Return everything that edges lead to from a start, nearest first. The edges of `ends` are not followed."""
    found = list(dict.fromkeys(edges.get(start, [])))
    for one in found:  # the list grows during the loop
        if one not in ends:
            found += [each for each in dict.fromkeys(edges.get(one, [])) if each not in found]
    return found
