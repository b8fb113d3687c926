"""What counts as tested, by the ledger's own rows: a table, what it is built from, and what its tests have read."""

import pytest

from blocks.ledger import BEGUN, DONE, STATE, Graph, Node, State, merged, passed, reconcile, settle, to_examine

GRAPH = Graph(
    nodes={
        "d": Node(table="main.d"),
        "e": Node(table="main.e", parents=["d"], view=True),
        "h": Node(table="main.h", parents=["d"], ephemeral=True, text="1"),
        "f": Node(table="main.f", parents=["e"]),
        "g": Node(table="main.g", parents=["h"]),
    },
    tests={"test_d": ["d"], "test_e": ["e"], "test_h": ["h"]},
    unit_tests={"unit_f": ["f"]},
    texts={"test_d": "x"},
)
ALL = {"d", "e", "h", "f", "g"}
PRINTS = {"d": "1", "e": "view", "f": "1", "g": "1"}
BUILT = dict.fromkeys("defg", "success")
TESTED = {"test_d": "pass", "test_e": "pass", "test_h": "warn", "unit_f": "pass"}


def after(state: State, results: dict[str, str], command: str, graph: Graph = GRAPH, **prints: str) -> State:
    looked = {node: {**PRINTS, **prints}[node] for node in to_examine(state, graph, results.items())}
    return settle(state.model_copy(deep=True), graph, command, results.items(), looked)


@pytest.fixture
def tested() -> State:
    state = after(State(), {**BUILT, **TESTED}, "first")
    assert passed(state, GRAPH) == ALL
    return state


@pytest.mark.parametrize(("change", "left"), [("e", {"d"}), ("h", {"d"})])
def test_a_node_without_rows_of_its_own_is_tested_anew_once_what_it_reads_is_rebuilt(
    tested: State, change: str, left: set[str]
) -> None:
    rebuilt = after(tested, {"d": "success", "test_d": "pass"}, "second", d="2")
    assert passed(rebuilt, GRAPH) == {"d"}
    again = after(rebuilt, {f"test_{change}": "pass"}, "third", d="2")
    assert passed(again, GRAPH) == left | {change, {"e": "f", "h": "g"}[change]}


def test_a_test_whose_text_has_changed_has_not_passed(tested: State) -> None:
    changed = GRAPH.model_copy(update={"texts": {"test_d": "y"}})
    assert passed(after(tested, {"test_h": "pass"}, "second", changed), changed) == set()


def test_a_unit_test_that_never_ran_has_not_passed() -> None:
    state = after(State(), {**BUILT, **TESTED, "unit_f": "skipped"}, "first")
    assert passed(state, GRAPH) == ALL - {"f"}


def test_a_unit_test_stays_passed_when_other_rows_come(tested: State) -> None:
    rebuilt = after(tested, {"d": "success", "test_d": "pass", "test_e": "pass"}, "second", d="2")
    assert "f" in passed(rebuilt, GRAPH)


def rows(state: State, *more: tuple[str, str]) -> State:
    return merged([(1, STATE, "", state.model_dump_json()), *((n, *row, "killed") for n, row in enumerate(more, 2))])


def test_what_a_killed_command_began_and_did_not_change_stands(tested: State) -> None:
    state = rows(tested, (BEGUN, "g"))
    assert passed(state, GRAPH) == ALL - {"g"}
    reconcile(state, {"g": "1"})
    assert passed(state, GRAPH) == ALL


def test_what_a_killed_command_began_and_changed_is_to_be_built_again(tested: State) -> None:
    state = rows(tested, (BEGUN, "d"))
    reconcile(state, {"d": "2"})
    assert passed(after(state, {**TESTED}, "second", d="2"), GRAPH) == set()


def test_what_a_killed_command_has_built_can_be_tested(tested: State) -> None:
    state = rows(tested, (BEGUN, "d"), (DONE, "d"))
    reconcile(state, {"d": "2"})
    assert passed(state, GRAPH) == set()
    assert passed(after(state, {**TESTED}, "second", d="2"), GRAPH) == ALL


def test_no_test_of_before_speaks_for_what_others_have_changed(tested: State) -> None:
    reconcile(tested, {"d": "by hand"})
    assert passed(tested, GRAPH) == set()
    assert passed(after(tested, {**TESTED}, "second", d="by hand"), GRAPH) == ALL


def test_only_what_a_command_has_built_or_read_is_looked_at(tested: State) -> None:
    assert to_examine(tested, GRAPH, {"f": "success", "g": "skipped"}.items()) == {"f"}
    assert to_examine(tested, GRAPH, {"test_e": "pass", "test_d": "skipped"}.items()) == {"e", "d"}


def test_a_ledger_of_an_earlier_version_is_read() -> None:
    graph = '{"nodes": {"d": {"table": "main.d"}}}'
    old = f'{{"graph": {graph}, "versions": {{"d": {{"id": "1", "built": true, "print": "1"}}}}}}'
    assert passed(merged([(1, STATE, "", old)]), Graph(nodes={"d": Node(table="main.d")})) == {"d"}
