"""Random histories of builds on a small dbt project, and what readers see after each of their steps."""

import os
import random
import signal
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from blocks.dbt.errors import DbtFailed, NothingSelected
from blocks.dbt.project import Dbt
from blocks.dbt.results import DbtResult
from blocks.warehouse import Warehouse
from tests.integration.dbt.history_oracle import Expectation, Relations, Rows
from tests.integration.dbt.history_project import NODES, STAMP, TESTS, Project

Log = Callable[[str], None]
SELECTIONS = (
    *["--select a", "--select b", "--select c", "--select d", "--select stg", "--select e", "--select f", "--select s"],
    *["--select a+", "--select +b", "--select c+", "--select stg a", "--select b d", "--select +a c+", "--select d+1"],
    *["--select snap", "--select eph", "--select e f", "--exclude a", "--exclude b", "--exclude d+", "--exclude e"],
    *[
        "--select a --exclude a_is_not_three",
        "--select d --indirect-selection cautious",
        "--exclude-resource-type test",
    ],
    *["--resource-type model", "--select source:raw+ --exclude snap", "--select a d --fail-fast", "--select nothing"],
)
GOOD_V, BAD_V = (1, 1, 10, 11, 12, 2), (3, 4, 7, 8, 60, 95)
GOOD_W, BAD_W = (0, 20, 21, 22), (5, 6, 9, 1)
KINDS = {"flow": 10, "hand": 6, "killed": 4, "sql": 2, "bare": 2, "edit": 5, "two": 1, "publish": 2, "cut": 1}

EDITS: dict[str, tuple[str, dict[str, str]]] = {
    "a has an alias": ("a", {"alias": "other_a"}),
    "d has a schema": ("d", {"schema": "extra"}),
    "a's text": ("a", {"sql": f"select v + 1 as v, {STAMP} from {{{{ ref('stg') }}}}"}),
    "e's text": ("e", {"sql": f"select v + 0 as v, {STAMP} from {{{{ ref('d') }}}}"}),
    "eph's text": ("eph", {"sql": "select v + 0 as v from {{ ref('d') }}"}),
    "f is a view": ("f", {"kind": "view"}),
    "e is a table": ("e", {"kind": "table"}),
    "e is ephemeral": ("e", {"kind": "ephemeral"}),
    "a is a view": ("a", {"kind": "view"}),
}
"""Edits by what they are: a node, and what of it changes; where it has changed already, it changes back."""

QUICK = {"DBT_WRITE_JSON": "false", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
"""Environment of dbt: a third of a small build is the writing of its manifest, which nobody reads."""


class World(Protocol):
    """A warehouse in the hands of the platform, and what a person can see of it."""

    folder: Path
    warehouse: Warehouse
    readers_have_views: bool
    readers_have_all_schemas: bool

    def dbt(self, log: Log, *, bare: bool = False) -> Dbt:
        """The project, or without the platform where it is bare."""

    def load(self, v: int, w: int) -> None:
        """Make these the values of raw's one row."""

    def built(self) -> Relations: ...

    def seen(self) -> dict[str, Rows]: ...

    def sql(self, statement: str) -> None:
        """Run a statement in the warehouse, as a person with a SQL prompt would."""


@dataclass
class History:
    """One history; `told` are its steps so far."""

    world: World
    chance: random.Random
    project: Project
    expected: Expectation
    told: list[str]

    def step(self) -> None:
        kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
        v = self.chance.choice(GOOD_V if self.chance.random() < 0.6 else BAD_V)
        w = self.chance.choice(GOOD_W if self.chance.random() < 0.6 else BAD_W)
        if self.chance.random() < 0.7:
            self.world.load(v, w)
        self.told.append(f"{kind} v={v} w={w}")
        getattr(self, kind)()

    def selection(self) -> list[str]:
        chosen = [] if self.chance.random() < 0.3 else self.chance.choice(SELECTIONS).split()
        if "snap" in chosen and self.chance.random() < 0.5:
            chosen += ["a"]
        if self.chance.random() < 0.1:
            chosen.append("--full-refresh")
        self.told[-1] += f" {' '.join(chosen)}"
        return chosen

    def flow(self) -> None:
        """Do what the flow dbt_transform does."""
        if self.run("build", *self.selection()):
            self.publish()

    def hand(self) -> None:
        """Run a command as `make dbt` would."""
        verb = self.chance.choice(["run", "test", "build", "run", "test", "snapshot", "seed"])
        self.told[-1] += f" {verb}"
        chosen = [word for word in self.selection() if verb in ("run", "build", "seed") or word != "--full-refresh"]
        if verb in ("snapshot", "seed"):
            chosen = []
        if verb not in ("build", "test"):
            chosen = _without(chosen, "--indirect-selection")
        if verb != "build":
            chosen = _without(_without(chosen, "--resource-type"), "--exclude-resource-type")
        self.run(verb, *chosen)

    def bare(self) -> None:
        """Run dbt's own command, of which the platform hears nothing."""
        chosen = [word for word in self.selection() if word != "--full-refresh"]
        with suppress(DbtFailed):
            self.world.dbt(_nothing, bare=True).run("build", *chosen)
        self.expected.look(self.world.built())

    def killed(self) -> None:
        """Build in another process, which ends at once at a moment of chance."""
        chosen, line, pause = self.selection(), self.chance.randint(1, 45), self.chance.choice([0, 0.01, 0.05])
        self.told[-1] += f" at line {line} and {pause} s"
        left = [line]

        def count(_: str) -> None:
            left[0] -= 1
            if not left[0]:
                threading.Timer(pause, _die).start() if pause else _die()

        ended = self.world.folder / "ended.json"
        ended.unlink(missing_ok=True)

        def build() -> None:
            result = DbtResult(command="build")
            try:
                result = self.world.dbt(count).run("build", *chosen)
            except DbtFailed as failure:
                result = failure.result or result
            ended.write_text(result.model_dump_json())

        os.waitpid(forked(build), 0)
        if ended.exists():  # before its moment came
            self.expected.results(self.world.built(), DbtResult.model_validate_json(ended.read_text()).nodes)
        else:
            self.expected.killed(self.world.built())

    def publish(self) -> None:
        if self.expected.graph_known:
            self.world.warehouse.publish()
            self.expected.publish()

    def cut(self) -> None:
        """Publish in another process, which is killed at a moment of chance: readers see each table old or new."""
        if not self.expected.graph_known:
            return
        pause, before = self.chance.choice([0.001, 0.02, 0.05, 0.1, 0.2, 0.4]), self.expected.readers

        def publish() -> None:
            threading.Timer(pause, _die).start()
            self.world.warehouse.publish()

        os.waitpid(forked(publish), 0)
        self.expected.publish()
        seen, after = self.world.seen(), self.expected.readers
        for place in {*seen, *before, *after}:
            assert seen.get(place) in (before.get(place), after.get(place)), f"{place}: {self.told}"
        self.expected.readers = seen

    def sql(self) -> None:
        name = self.chance.choice(["a", "b", "c", "d", "s", "snap", "f"])
        node = self.project.nodes.get(name)
        if node is None or self.expected.kind(name) != "table":
            return
        table, stamp = f"{{{node.schema}}}.{node.alias or name}", uuid.uuid4().hex
        statement = self.chance.choice(
            [
                f"update {table} set written_by = '{stamp}'",
                f"insert into {table} (v, written_by) values (17, '{stamp}')",
                f"drop table {table}",
            ]
        )
        self.told[-1] += f" {statement}"
        self.world.sql(statement)
        self.expected.look(self.world.built())

    def two(self) -> None:
        """Two at once; then all of it is built, so that it matters no more which of the two came last."""
        self.world.load(1, 0)
        other = forked(lambda: self.world.dbt(_nothing).run("build", "--select", "c+"))
        with suppress(DbtFailed):
            self.world.dbt(_nothing).run("build", *self.selection())
        os.waitpid(other, 0)
        self.run("build")

    def edit(self) -> None:
        """Change the project as people do, then let the platform see it."""
        what = self.chance.choice([*EDITS, "b gone", "b off", "b renamed", "unit test"])
        self.told[-1] += f" ({what})"
        nodes, tests = self.project.nodes, self.project.tests
        if what in EDITS:
            name, changes = EDITS[what]
            if name in nodes:
                now = nodes[name]
                back = all(getattr(now, field) == value for field, value in changes.items())
                old = {field: getattr(NODES[name], field) for field in changes}
                self.project.change(name, **(old if back else changes))
        elif what == "b off" and "b" in nodes:
            self.project.change("b", enabled=not nodes["b"].enabled)
        elif what == "b renamed" and "b" in nodes:
            nodes["bb"] = nodes.pop("b")
        elif what == "b gone":
            gone = nodes.pop("bb", None) or nodes.pop("b", None)
            nodes.update({} if gone else {"b": NODES["b"]})
        elif what == "unit test" and not tests.pop("unit_of_b", None):
            tests["unit_of_b"] = TESTS["unit_of_b"]
        self._mend_tests()
        self.project.save()
        (self.flow if self.chance.random() < 0.7 else self.hand)()

    def _mend_tests(self) -> None:
        """b's tests are there while b is; one of a and one of d come, go and change as chance has it."""
        nodes, tests = self.project.nodes, self.project.tests
        if self.chance.random() < 0.2:
            value = self.chance.choice([3, 10])
            sql = f"select * from {{{{ ref('a') }}}} where v = {value}"
            tests["a_is_not_three"] = replace(TESTS["a_is_not_three"], sql=sql)
        if self.chance.random() < 0.2 and not tests.pop("d_is_not_five", None):
            tests["d_is_not_five"] = TESTS["d_is_not_five"]
        tests.pop("b_is_not_four", None)
        if "b" in nodes and nodes["b"].enabled:
            tests["b_is_not_four"] = TESTS["b_is_not_four"]
        else:
            tests.pop("unit_of_b", None)

    def run(self, *command: str) -> bool:
        failure: DbtFailed | None = None
        try:
            nodes = self.world.dbt(_nothing).run(*command).nodes
        except NothingSelected:  # the platform has seen the project, though
            self.expected.results(self.world.built(), [])
            return False
        except DbtFailed as error:
            failure, nodes = error, error.result.nodes if error.result else []
        assert nodes, failure
        self.expected.results(self.world.built(), nodes)
        return failure is None


def _without(words: list[str], option: str) -> list[str]:
    if option not in words:
        return words
    at = words.index(option)
    return words[:at] + words[at + 2 :]


def _nothing(_: str) -> None: ...


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], object]) -> int:
    """Do it in a child of this process, which never returns from it; return its process id."""
    if pid := os.fork():
        return pid
    try:
        work()
    finally:
        os._exit(0)


def history(world: World, seed: int, steps: int = 5) -> list[str]:
    """Live through a random history, and compare what readers see after each step; return its steps."""
    project = Project(world.folder)
    project.reset()
    expected = Expectation(project, world.readers_have_views, world.readers_have_all_schemas)
    lived = History(world, random.Random(seed), project, expected, [])
    world.load(1, 0)
    for _ in range(steps):
        lived.step()
        seen, wanted = world.seen(), expected.readers
        wrong = {name: (seen.get(name), wanted.get(name)) for name in {*seen, *wanted}}
        wrong = {name: both for name, both in wrong.items() if both[0] != both[1]}
        assert not wrong, f"seed {seed}: " + "\n".join([*lived.told, f"seen and wanted: {wrong}"])
    return lived.told


def numbers_of_histories(default: int) -> list[Any]:
    """PUBLICATION_HISTORIES is how many, or the first and the one after the last: `500` or `100-200`.

    `make test` takes the first alone.
    """
    first, _, last = os.environ.get("PUBLICATION_HISTORIES", str(default)).rpartition("-")
    numbers = range(int(first or 0), int(last))
    return [pytest.param(each, marks=[pytest.mark.exhaustive] if each else []) for each in numbers]
