"""What is known of every table: how it came to be, and which tests have passed on it since.

The ledger lies in the warehouse itself. A row is a node that began to be built, a node whose statements have all run
(dbt writes both, in front of the node's own statements and behind them, so that a killed build leaves them), or a
state, the sum of all rows before it (the platform writes it when dbt has ended). A table that others changed is known
by its print.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol
from uuid import uuid4

from pydantic import BaseModel

BEGUN, DONE, STATE = "begun", "done", "state"
NAME = "_platform_ledger"


class Node(BaseModel):
    """A model, seed or snapshot. `parents` are the ids of what it reads, sources too.

    The rows of a view or an ephemeral model are those of its parents as they are now. `text` is a hash of an ephemeral
    model's SQL; every other node's is in the warehouse.
    """

    table: str
    parents: list[str] = []
    ephemeral: bool = False
    view: bool = False
    text: str = ""


class Graph(BaseModel):
    """A dbt project: nodes by id, and by the id of a test the ids of the nodes and sources that it reads.

    `texts` are hashes of what the tests say. A unit test reads only the text of its model.
    """

    nodes: dict[str, Node] = {}
    tests: dict[str, list[str]] = {}
    unit_tests: dict[str, list[str]] = {}
    texts: dict[str, str] = {}

    def line(self, node: str) -> set[str]:
        """A node and all that it is built from, by id."""
        return reached([node], lambda one: self.nodes[one].parents if one in self.nodes else ())


def reached(ids: Iterable[str], parents: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the given ids and those of all that they are built from; `parents` has those of one."""
    found, ahead = set[str](), list(ids)
    while ahead:
        if (one := ahead.pop()) not in found:
            found.add(one)
            ahead += parents(one)
    return found


class Version(BaseModel):
    """A table as a command, with an id, left it: `print` says what it held, `built` whether that succeeded.

    A version without a print has been built by a command that was killed. `before` is the version that stands if it
    turns out that such a command changed nothing; `view` is whether it was built as a view, if that is known. `code` is
    the version and commit of the image that built it; empty where a clone's code did.
    """

    id: str
    built: bool = False
    print: str = ""
    view: bool | None = None
    code: str = ""
    before: "Version | None" = None

    @property
    def pending(self) -> bool:
        """Whether only a look at the table can tell what became of it."""
        return self.before is not None or (self.built and not self.print)


class Tested(BaseModel):
    """A test's last result, what it said then, and the id of the version of each node whose rows it read."""

    passed: bool
    on: dict[str, str] = {}
    text: str = ""


class Drift(BaseModel):
    """The drift that was reported, so that each change is reported once.

    `told` are the changes, and `filled` has by table and column the smallest share of values that are there in a file.
    """

    told: list[str] = []
    filled: dict[str, dict[str, float]] = {}


class State(BaseModel):
    """All that the ledger says."""

    graph: Graph | None = None
    versions: dict[str, Version] = {}
    tests: dict[str, Tested] = {}
    published: list[str] = []
    drift: Drift = Drift()


class Ledger(Protocol):
    """A ledger in one warehouse."""

    @property
    def relation(self) -> str:
        """Its table, as dbt's SQL names it."""

    def read(self) -> tuple[State, int]:
        """What it says, and the number of its last row; makes its table where there is none."""

    def write(self, state: State, last: int) -> None:
        """Put a state in the place of the rows up to `last`."""

    def prints(self, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
        """What tells each node's table or view, as it is now, from how it was before; empty where there is none."""


def merged(rows: Sequence[tuple[int, str, str, str]]) -> State:
    """The state that rows of number, kind, node and value amount to, whatever their order."""
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


def note(relation: str, kind: str, node: str, command: str) -> str:
    """SQL, of every warehouse, that notes that a command begins to build a node, or has built it."""
    text = node.replace("'", "''")
    return (
        f"insert into {relation} (number, kind, node, value) "  # noqa: S608 - names of our own and of dbt
        f"select coalesce(max(number), 0) + 1, '{kind}', '{text}', '{command}' from {relation}"
    )


def found(state: State, prints: Mapping[str, str]) -> None:
    """Take note of tables as they are now: no test of before speaks for what others have changed since it was built.

    Args:
        state: what the ledger says; changed in place.
        prints: of the nodes to take note of.
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
    """Note that a command, by its id, may begin to build any table: its print afterwards says if it has."""
    state, last = ledger.read()
    if state.graph:
        found(state, ledger.prints(state.graph, to_look_at(state, state.graph, ())))
    for node, version in state.versions.items():
        state.versions[node] = Version(id=command, before=version.before or version)
    ledger.write(state, last)


def passed(state: State, graph: Graph) -> set[str]:
    """The nodes whose build and tests, and those of all that they are built from, have passed since the last build."""
    of: dict[str, list[str]] = {}
    for test, read in {**graph.tests, **graph.unit_tests}.items():
        for node in read:
            of.setdefault(node, []).append(test)

    def good(node: str) -> bool:
        known, version = graph.nodes.get(node), state.versions.get(node)
        if known and not known.ephemeral and not (version and version.built):
            return False
        return all(_passed(state, graph, test) for test in of.get(node, []))

    fine = {node: good(node) for node in {*graph.nodes, *of}}
    return {node for node in graph.nodes if all(fine.get(each, True) for each in graph.line(node))}


def _passed(state: State, graph: Graph, test: str) -> bool:
    result = state.tests.get(test)
    return bool(
        result and result.passed and result.text == graph.texts.get(test, "") and result.on == _read(state, graph, test)
    )


def _read(state: State, graph: Graph, test: str) -> dict[str, str]:
    """The id of the version of each node whose rows, or text, a test reads."""
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
    """A node, and where it holds no rows of its own the nodes that they come from."""
    if (known := graph.nodes.get(node)) is None:
        return
    yield node
    version = state.versions.get(node)
    was_view = version.view if version and version.view is not None else known.view
    if known.ephemeral or was_view:
        for parent in known.parents:
            yield from _rows_of(state, graph, parent)


def to_look_at(state: State, graph: Graph, results: Iterable[tuple[str, str]]) -> set[str]:
    """The nodes of whose tables a command's results speak: what it built, and what its tests have read."""
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
    """The state after a command.

    Args:
        state: the state before, with what the command began to build.
        graph: the project that it ran on.
        command: its id.
        results: id and dbt's status of each node and test that it ran.
        prints: of the tables `to_look_at` now.
        code: version and commit of the image that runs.
    """
    done = dict(results)
    built = _ran(graph, done)
    found(state, {node: now for node, now in prints.items() if node not in built})
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
    """The part of dbt's manifest that a ledger needs."""
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
"""What decides in a test's configuration whether it passes."""


def _hash(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:12]
