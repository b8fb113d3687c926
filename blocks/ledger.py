"""What is known of every table: how it came to be, and which tests have passed on it since.

The ledger lies in the warehouse itself. A row is either a node that began to be built (dbt writes it in front of the
node's own statements, so that a killed build leaves it), or a state, the sum of all rows before it (the platform
writes it when dbt has ended). A table that others changed is known by its print.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

BEGUN, STATE = "begun", "state"
NAME = "_platform_ledger"


class Node(BaseModel):
    """A model, seed or snapshot. `parents` are the ids of what it reads, sources too."""

    table: str
    parents: list[str] = []
    ephemeral: bool = False


class Graph(BaseModel):
    """A dbt project: nodes by id, and by the id of a test the ids of the nodes and sources that it reads.

    A unit test tests a node before that is built, so that it can be known to have failed, but not to have passed since.
    """

    nodes: dict[str, Node] = {}
    tests: dict[str, list[str]] = {}
    unit_tests: dict[str, list[str]] = {}

    def line(self, node: str) -> set[str]:
        """A node and all that it is built from, by id."""
        found, ahead = set[str](), [node]
        while ahead:
            if (one := ahead.pop()) not in found:
                found.add(one)
                ahead += self.nodes[one].parents if one in self.nodes else []
        return found


class Version(BaseModel):
    """A table as a command, with an id, left it: `print` says what it held, `built` whether that succeeded."""

    id: str
    built: bool = False
    print: str = ""


class Tested(BaseModel):
    """A test's last result, and the id of the version of each node that it read."""

    passed: bool
    on: dict[str, str] = {}


class State(BaseModel):
    """All that the ledger says."""

    graph: Graph | None = None
    versions: dict[str, Version] = {}
    tests: dict[str, Tested] = {}
    published: list[str] = []

    def known(self, nodes: Iterable[str]) -> dict[str, str]:
        """The id of each node's version; that of a node never built is empty."""
        return {node: self.versions[node].id if node in self.versions else "" for node in nodes}


class Ledger(Protocol):
    """A ledger in one warehouse."""

    @property
    def relation(self) -> str:
        """Its table, as dbt's SQL names it."""

    def read(self) -> tuple[State, int]:
        """What it says, and the number of its last row; makes its table where there is none."""

    def write(self, state: State, last: int) -> None:
        """Put a state in the place of the rows up to `last`."""

    def prints(self, graph: Graph) -> dict[str, str]:
        """What tells each node's table or view, as it is now, from how it was before; by the node's id."""


def merged(rows: Sequence[tuple[int, str, str, str]]) -> State:
    """The state that rows of number, kind, node and value amount to, whatever their order."""
    state = State()
    for _, kind, node, value in sorted(rows):
        if kind == STATE:
            state = State.model_validate_json(value)
        else:
            state.versions[node] = Version(id=value)
    return state


def begin(relation: str, node: str, command: str) -> str:
    """SQL, of every warehouse, that notes that a command begins to build a node."""
    text = node.replace("'", "''")
    return (
        f"insert into {relation} (number, kind, node, value) "  # noqa: S608 - names of our own and of dbt
        f"select coalesce(max(number), 0) + 1, '{BEGUN}', '{text}', '{command}' from {relation}"
    )


def found(state: State, prints: Mapping[str, str], command: str) -> None:
    """Give a new version to what others have changed since it was built: no test of before speaks for it."""
    for node, version in state.versions.items():
        now = prints.get(node, "")
        if version.built and version.print != now:
            state.versions[node] = Version(id=f"found by {command}", built=bool(now), print=now)


def passed(state: State, graph: Graph, prints: Mapping[str, str]) -> set[str]:
    """The nodes whose build and tests, and those of all that they are built from, have passed since the last build.

    Args:
        state: what the ledger says.
        graph: the project as it is.
        prints: of the tables as they are now.
    """
    of: dict[str, list[str]] = {}
    for test, read in graph.tests.items():
        for node in read:
            of.setdefault(node, []).append(test)
    refused = {node for test, read in graph.unit_tests.items() if _failed(state, test) for node in read}

    def good(node: str) -> bool:
        version = state.versions.get(node)
        stands = bool(version and version.built and version.print == prints.get(node, ""))
        if _built(graph, [node]) and not stands:
            return False
        return node not in refused and all(_passed(state, graph, test) for test in of.get(node, []))

    fine = {node: good(node) for node in {*graph.nodes, *of}}
    return {node for node in graph.nodes if all(fine.get(each, True) for each in graph.line(node))}


def _failed(state: State, test: str) -> bool:
    return test in state.tests and not state.tests[test].passed


def _passed(state: State, graph: Graph, test: str) -> bool:
    result = state.tests.get(test)
    return bool(result and result.passed and result.on == state.known(_built(graph, graph.tests[test])))


def _built(graph: Graph, nodes: Iterable[str]) -> list[str]:
    return [node for node in nodes if node in graph.nodes and not graph.nodes[node].ephemeral]


def settle(
    state: State, graph: Graph, command: str, results: Iterable[tuple[str, str]], prints: Mapping[str, str]
) -> State:
    """The state after a command.

    Args:
        state: the state before, with what the command began to build.
        graph: the project that it ran on.
        command: its id.
        results: id and dbt's status of each node and test that it ran.
        prints: of the tables now.
    """
    done = dict(results)
    for node in graph.nodes:
        if done.get(node) in ("success", "partial success", "error"):
            built = done[node] == "success"
            state.versions[node] = Version(id=command, built=built, print=prints.get(node, "") if built else "")
    for test, read in {**graph.tests, **graph.unit_tests}.items():
        if (status := done.get(test)) and status != "skipped":
            on = state.known(_built(graph, read))
            state.tests[test] = Tested(passed=status in ("pass", "warn", "success"), on=on)
    tests = {**graph.tests, **graph.unit_tests}
    return State(
        graph=graph,
        versions={node: version for node, version in state.versions.items() if node in graph.nodes},
        tests={test: result for test, result in state.tests.items() if test in tests},
        published=state.published,
    )


def graph_of(manifest: Any) -> Graph:
    """The part of dbt's manifest that a ledger needs."""
    nodes, tests = dict[str, Node](), dict[str, list[str]]()
    for name, node in manifest.nodes.items():
        kind = str(node.resource_type)
        if kind in ("model", "seed", "snapshot"):
            parents = list(getattr(node.depends_on, "nodes", []))
            ephemeral = node.config.materialized == "ephemeral"
            nodes[name] = Node(table=f"{node.schema}.{node.alias}", parents=parents, ephemeral=ephemeral)
        elif kind == "test":
            tests[name] = list(node.depends_on.nodes)
    unit_tests = {name: list(test.depends_on.nodes) for name, test in manifest.unit_tests.items()}
    return Graph(nodes=nodes, tests=tests, unit_tests=unit_tests)
