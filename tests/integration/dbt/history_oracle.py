"""What readers should see, from the stamps in the warehouse and dbt's own results: nothing of the platform's books.

A table's state is the stamps of its rows; a view's and an ephemeral model's are those of what they read, too. A test
counts for the states that it has read, and a table is fit when it and all that it is built from stand as their tests
found them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blocks.dbt.results import DbtNode
from tests.integration.dbt.history_project import Node, Project, Test

Rows = list[tuple[object, ...]]
Relations = dict[str, tuple[str, Rows]]
"""Kind (table or view) and rows, by `schema.name`; the schema is empty where it is the target's own."""


@dataclass
class Expectation:
    """What is known of a project; readers have views as tables, and schemas beside the target's, where it says so."""

    project: Project
    views: bool
    schemas: bool
    now: Relations = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    passed: dict[str, tuple[Test, str]] = field(default_factory=dict)
    readers: dict[str, Rows] = field(default_factory=dict)
    graph_known: bool = False

    def look(self, now: Relations) -> None:
        self.now = now

    def killed(self, now: Relations) -> None:
        """A build was killed: what it has written is built."""
        before, self.now = self.now, now
        for name, node in self.project.nodes.items():
            if _stamp(before, name, node) != (stamp := _stamp(now, name, node)) and stamp:
                self.built.add(name)
                self.failed.discard(name)

    def results(self, now: Relations, results: Sequence[DbtNode]) -> None:
        self.now, self.graph_known = now, True
        nodes, tests = self.project.nodes, self.project.tests
        known = {name for name, node in nodes.items() if node.enabled}
        self.built, self.failed = self.built & known, self.failed & known
        self.passed = {name: passed for name, passed in self.passed.items() if name in tests}
        for name, status in ((result.name, result.status) for result in results):
            if name in nodes and status in ("success", "error"):
                self.built.add(name)
                (self.failed.discard if status == "success" else self.failed.add)(name)
        for name, status in ((result.name, result.status) for result in results):
            if name in tests and status != "skipped":
                self.passed.pop(name, None)
                if status in ("pass", "warn"):
                    self.passed[name] = tests[name], self.state_of(tests[name])

    def state_of(self, test: Test) -> str:
        """What a test reads; a unit test reads nothing but the model's own text."""
        if test.unit:
            return str([_stamp(self.now, name, self.project.nodes[name]) for name in test.reads])
        return str([self.state(name) for name in test.reads])

    def state(self, name: str) -> str:
        if name not in self.project.nodes:
            return "raw"
        node = self.project.nodes[name]
        own = node.sql if node.kind == "ephemeral" else _stamp(self.now, name, node)
        if node.kind != "ephemeral" and self.kind(name) == "table":
            return own
        return f"{own} of {[self.state(parent) for parent in node.parents]}"

    def kind(self, name: str) -> str:
        return self.now.get(key(name, self.project.nodes[name]), ("", []))[0]

    def good(self, name: str) -> bool:
        node = self.project.nodes.get(name)
        stands = True
        if node and node.kind != "ephemeral":
            stands = name in self.built and name not in self.failed and bool(self.kind(name))
        tests = [(each, test) for each, test in self.project.tests.items() if name in test.reads and self.runs(test)]
        return stands and all(self.passed.get(each) == (test, self.state_of(test)) for each, test in tests)

    def runs(self, test: Test) -> bool:
        """dbt leaves out a test of what is disabled."""
        nodes = self.project.nodes
        return all(name not in nodes or nodes[name].enabled for name in test.reads)

    def fit(self, name: str) -> bool:
        node = self.project.nodes.get(name)
        return self.good(name) and all(map(self.fit, node.parents if node else ()))

    def publish(self) -> None:
        """Have readers see the tables that are fit, and keep what they have of the others."""
        old, self.readers = self.readers, {}
        for name, node in self.project.nodes.items():
            if not node.enabled or node.kind == "ephemeral" or (node.schema and not self.schemas):
                continue
            if self.kind(name) == "view" and not (self.views and self.lasts(name)):
                continue
            place = key(name, node)
            if self.fit(name):
                self.readers[place] = self.now[place][1]
            elif place in old:
                self.readers[place] = old[place]

    def lasts(self, name: str) -> bool:
        """Whether rows change by builds alone, and not by what is loaded into raw."""
        if name not in self.project.nodes:
            return False
        node = self.project.nodes[name]
        own = node.kind != "ephemeral" and self.kind(name) == "table"
        return own or all(map(self.lasts, node.parents))


def key(name: str, node: Node) -> str:
    return f"{node.schema}.{node.alias or name}"


def _stamp(relations: Mapping[str, tuple[str, Rows]], name: str, node: Node) -> str:
    kind, rows = relations.get(key(name, node), ("", []))
    return f"{kind} {sorted(str(row) for row in rows)}" if kind == "table" else f"{kind} {_written(rows)}"


def _written(rows: Rows) -> str:
    return " ".join(sorted({str(row[-1]) for row in rows}))
