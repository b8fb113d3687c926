"""The ledger: how each table was built, and which tests have passed on it since.

The ledger is a table in the warehouse, with three kinds of rows:

- `begun`: dbt writes it before a node's own statements. A build that is killed leaves only this row.
- `done`: dbt writes it after the node's statements.
- `state`: the platform writes it after dbt has ended. It sums up all rows before it.

A print identifies a table's contents. It reveals tables that others have changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol
from uuid import uuid4

from pydantic import BaseModel

BEGUN, DONE, STATE = "begun", "done", "state"
NAME = "_platform_ledger"


class Node(BaseModel):
    """A model, seed or snapshot.

    Attributes:
        table: `schema.table`.
        parents: ids of the nodes and sources that it reads.
        ephemeral: whether it is an ephemeral model.
        view: whether it is a view. Views and ephemeral models show their parents' current rows.
        text: a hash of an ephemeral model's SQL; "" for other nodes, whose results are in the warehouse.
    """

    table: str
    parents: list[str] = []
    ephemeral: bool = False
    view: bool = False
    text: str = ""


class Graph(BaseModel):
    """A dbt project.

    Attributes:
        nodes: models, seeds and snapshots, by id.
        tests: ids of the nodes and sources that each data test reads, by the test's id.
        unit_tests: ids of the models of each unit test. A unit test reads only the model's SQL.
        texts: hashes of the tests' definitions.
    """

    nodes: dict[str, Node] = {}
    tests: dict[str, list[str]] = {}
    unit_tests: dict[str, list[str]] = {}
    texts: dict[str, str] = {}

    def lineage(self, node: str) -> set[str]:
        """Return the ids of a node and of everything that it is built from."""
        return reached([node], lambda one: self.nodes[one].parents if one in self.nodes else ())


def reached(ids: Iterable[str], parents: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the given ids and those of everything that they are built from. `parents` returns a node's parents."""
    found, ahead = set[str](), list(ids)
    while ahead:
        if (one := ahead.pop()) not in found:
            found.add(one)
            ahead += parents(one)
    return found


class Version(BaseModel):
    """A table as a command left it.

    Attributes:
        id: the command's id.
        built: whether the build succeeded.
        print: identifies the table's contents; "" if the command was killed.
        view: whether it was built as a view; None if that is not known.
        code: version and commit of the image that built it; "" if the code ran from a clone.
        before: the version that is valid if a killed command turns out to have changed nothing.
    """

    id: str
    built: bool = False
    print: str = ""
    view: bool | None = None
    code: str = ""
    before: "Version | None" = None

    @property
    def pending(self) -> bool:
        """Whether the table must be examined to find out its state."""
        return self.before is not None or (self.built and not self.print)


class Tested(BaseModel):
    """A test's last result, the ids of the versions that it read by node, and a hash of its definition."""

    passed: bool
    on: dict[str, str] = {}
    text: str = ""


class Drift(BaseModel):
    """The drift that was reported, so that each change is reported once.

    Attributes:
        told: the reported changes.
        filled: the smallest share of non-null values in a file, by table and column.
    """

    told: list[str] = []
    filled: dict[str, dict[str, float]] = {}


class State(BaseModel):
    """The contents of the ledger."""

    graph: Graph | None = None
    versions: dict[str, Version] = {}
    tests: dict[str, Tested] = {}
    published: list[str] = []
    drift: Drift = Drift()


class Ledger(Protocol):
    """A ledger in one warehouse."""

    @property
    def relation(self) -> str:
        """Name of the ledger's table in dbt's SQL."""

    def read(self) -> tuple[State, int]:
        """Return the state and the number of the last row. Create the ledger's table if it is missing."""

    def write(self, state: State, last: int) -> None:
        """Replace the rows up to `last` with a state."""

    def prints(self, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
        """Return a print of each node's current table or view; "" if there is none."""


def merged(rows: Sequence[tuple[int, str, str, str]]) -> State:
    """Sum up rows of number, kind, node and value, in any order."""
    state = State()
    for _, kind, node, value in sorted(rows):
        if kind == STATE:
            state = State.model_validate_json(value)
        elif kind == BEGUN:
            old = state.versions.get(node)
            state.versions[node] = Version(id=value, before=old.before if old and old.before else old)
        else:
            state.versions[node] = Version(id=value, built=True)
    return state


def insert_sql(relation: str, kind: str, node: str, command: str) -> str:
    """Return SQL, for every warehouse, that records that a command begins to build a node, or has built it."""
    text = node.replace("'", "''")
    return (
        f"insert into {relation} (number, kind, node, value) "  # noqa: S608 - names of our own and of dbt
        f"select coalesce(max(number), 0) + 1, '{kind}', '{text}', '{command}' from {relation}"
    )


def reconcile(state: State, prints: Mapping[str, str]) -> None:
    """Compare a state with the current tables. A table that others have changed loses its test results.

    Args:
        state: the ledger's state; changed in place.
        prints: current prints of the nodes to compare.
    """
    for node, now in prints.items():
        version = state.versions.get(node)
        if version and version.before and not version.built:
            if version.before.built and version.before.print == now:
                state.versions[node] = version.before
        elif version and version.built and not version.print:
            state.versions[node] = version.model_copy(update={"print": now, "built": bool(now)})
        elif version and version.built and version.print != now:
            state.versions[node] = Version(id=f"found {uuid4().hex}", built=bool(now), print=now)


def begin_all(ledger: Ledger, command: str) -> None:
    """Record that a command may build any table. The tables' prints tell afterwards which ones it has built."""
    state, last = ledger.read()
    if state.graph:
        reconcile(state, ledger.prints(state.graph, to_examine(state, state.graph, ())))
    for node, version in state.versions.items():
        state.versions[node] = Version(id=command, before=version.before or version)
    ledger.write(state, last)


def passed(state: State, graph: Graph) -> set[str]:
    """Return the nodes that passed: the last build and its tests succeeded for a node and all that it is built from."""
    tests_of: dict[str, list[str]] = {}
    for test, read in {**graph.tests, **graph.unit_tests}.items():
        for node in read:
            tests_of.setdefault(node, []).append(test)

    def is_good(node: str) -> bool:
        known, version = graph.nodes.get(node), state.versions.get(node)
        if known and not known.ephemeral and not (version and version.built):
            return False
        return all(_passed(state, graph, test) for test in tests_of.get(node, []))

    good = {node: is_good(node) for node in {*graph.nodes, *tests_of}}
    return {node for node in graph.nodes if all(good.get(each, True) for each in graph.lineage(node))}


def _passed(state: State, graph: Graph, test: str) -> bool:
    result = state.tests.get(test)
    return bool(
        result and result.passed and result.text == graph.texts.get(test, "") and result.on == _read(state, graph, test)
    )


def _read(state: State, graph: Graph, test: str) -> dict[str, str]:
    """Return the ids of the versions that a test reads, by node."""
    if test in graph.unit_tests:
        nodes = set(graph.unit_tests[test]) & graph.nodes.keys()
    else:
        nodes = {each for node in graph.tests[test] for each in _rows_of(state, graph, node)}
    return {node: _id(state, graph, node) for node in sorted(nodes)}


def _id(state: State, graph: Graph, node: str) -> str:
    if graph.nodes[node].ephemeral:
        return graph.nodes[node].text
    return state.versions[node].id if node in state.versions else ""


def _rows_of(state: State, graph: Graph, node: str) -> Iterator[str]:
    """Yield a node and, if it has no rows of its own, the nodes from which it takes them."""
    if (known := graph.nodes.get(node)) is None:
        return
    yield node
    version = state.versions.get(node)
    was_view = version.view if version and version.view is not None else known.view
    if known.ephemeral or was_view:
        for parent in known.parents:
            yield from _rows_of(state, graph, parent)


def to_examine(state: State, graph: Graph, results: Iterable[tuple[str, str]]) -> set[str]:
    """Return the nodes whose tables a command has built, or whose rows its tests have read."""
    done = dict(results)
    pending = {node for node, version in state.versions.items() if version.pending}
    read = {node for test, nodes in graph.tests.items() if done.get(test, "skipped") != "skipped" for node in nodes}
    rows = {each for node in read for each in _rows_of(state, graph, node)}
    wanted = (_ran(graph, done) | pending | rows) & graph.nodes.keys()
    return {node for node in wanted if not graph.nodes[node].ephemeral}


def _ran(graph: Graph, done: Mapping[str, str]) -> set[str]:
    return {node for node in graph.nodes if done.get(node) in ("success", "partial success", "error")}


def settle(
    state: State,
    graph: Graph,
    command: str,
    results: Iterable[tuple[str, str]],
    prints: Mapping[str, str],
    code: str = "",
) -> State:
    """Return the state after a command.

    Args:
        state: the state before, with the nodes that the command began to build.
        graph: the command's project.
        command: the command's id.
        results: id and dbt's status of each node and test in the command.
        prints: current prints of the nodes from `to_examine`.
        code: version and commit of the running image.
    """
    done = dict(results)
    built = _ran(graph, done)
    reconcile(state, {node: now for node, now in prints.items() if node not in built})
    for node in built:
        fine, view = done[node] == "success", graph.nodes[node].view
        now = prints.get(node, "") if fine else ""
        state.versions[node] = Version(id=command, built=fine, print=now, view=view, code=code)
    tests = {**graph.tests, **graph.unit_tests}
    for test in tests:
        if (status := done.get(test)) and status != "skipped":
            fine, text = status in ("pass", "warn", "success"), graph.texts.get(test, "")
            state.tests[test] = Tested(passed=fine, on=_read(state, graph, test), text=text)
    return State(
        graph=graph,
        versions={node: version for node, version in state.versions.items() if node in graph.nodes},
        tests={test: result for test, result in state.tests.items() if test in tests},
        published=state.published,
        drift=state.drift,
    )


def graph_of(manifest: Any) -> Graph:
    """Extract the parts of dbt's manifest that a ledger needs."""
    graph = Graph()
    for id_, node in manifest.nodes.items():
        kind = str(node.resource_type)
        if kind in ("model", "seed", "snapshot"):
            how = node.config.materialized
            graph.nodes[id_] = Node(
                table=f"{node.schema}.{node.alias}",
                parents=list(getattr(node.depends_on, "nodes", [])),
                ephemeral=how == "ephemeral",
                view=how == "view",
                text=_hash(node.raw_code) if how == "ephemeral" else "",
            )
        elif kind == "test":
            graph.tests[id_] = list(node.depends_on.nodes)
            rules = [getattr(node.config, name, None) for name in _RULES]
            graph.texts[id_] = _hash(node.raw_code, *rules)
    for id_, test in manifest.unit_tests.items():
        graph.unit_tests[id_] = list(test.depends_on.nodes)
        graph.texts[id_] = str(test.checksum)[:12]
    return graph


_RULES = ("severity", "where", "limit", "fail_calc", "warn_if", "error_if")
"""The parts of a test's configuration that decide whether it passes."""


def _hash(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:12]
