"""Random histories of builds on a small dbt project, and what readers should see after each of their steps.

Each table carries the id of the dbt run that wrote it. So what is in the warehouse says by itself which builds have
taken place, also where one was killed, and the expectation needs nothing of the platform's own books.
"""

import os
import random
import re
import shutil
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blocks.dbt import Dbt, DbtFailed, DbtResult, NothingSelected
from blocks.warehouse import Warehouse

Rows = list[tuple[object, ...]]

STAMP = "'{{ invocation_id }}' as written_by"
MODELS = {
    "stg": "{{ config(materialized='view') }} select {{ env_var('V') }} as v, " + STAMP,
    "a": "select v, " + STAMP + " from {{ ref('stg') }}",
    "b": "select 10 / (case when v = 7 then {{ zero() }} else 1 end) as ten, v, " + STAMP + " from {{ ref('a') }}",
    "c": "{{ config(materialized='incremental') }} select {{ env_var('W') }} as v, " + STAMP,
    "d": "select max(v) as v, " + STAMP + " from {{ ref('c') }}",
    "e": "{{ config(materialized='view') }} select v, '{{ invocation_id }}' as written_by from {{ ref('d') }}",
}
PARENTS = {"stg": [], "a": ["stg"], "b": ["a"], "c": [], "d": ["c"], "e": ["d"]}
TESTS = {
    "stg_is_small": ("stg", "select * from {{ ref('stg') }} where v > 50"),
    "a_is_not_three": ("a", "select * from {{ ref('a') }} where v = 3"),
    "b_is_not_four": ("b", "select * from {{ ref('b') }} where v = 4"),
    "d_is_not_five": ("d", "select * from {{ ref('d') }} where v = 5"),
    "a_and_d_differ": ("a d", "select 1 as n from {{ ref('a') }} as a join {{ ref('d') }} as d on a.v = d.v"),
}
PROJECT = """
name: small
profile: small
flags: {send_anonymous_usage_stats: false}
models: {+materialized: table}
"""
PROFILES = """
small:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('WAREHOUSE_PATH') }}", threads: 2}
    snowflake:
      type: snowflake
      account: org-account
      user: "{{ env_var('SNOWFLAKE_USER') }}"
      password: "{{ env_var('SNOWFLAKE_PASSWORD') }}"
      host: 127.0.0.1
      port: "{{ env_var('SNOWFLAKE_PORT') | as_number }}"
      protocol: http
      database: FLIGHTS
      warehouse: W
      role: R
      schema: "{{ env_var('SNOWFLAKE_SCHEMA') }}"
      threads: 2
"""
ZERO = "{% macro zero() %}{{ \"cast('none' as int)\" }}{% endmacro %}"
SELECTIONS = (None, None, "a", "b", "c", "d", "stg", "a+", "+b", "c+", "stg a", "b d", "+a c+")


@dataclass
class World:
    """A warehouse in the hands of the platform, and what a person can see of it."""

    folder: Path
    dbt: Callable[[dict[str, str], Callable[[str], None]], Dbt]
    warehouse: Warehouse
    built: Callable[[str], Rows | None]
    """Rows of a table or view of the warehouse; None where there is none."""
    seen: Callable[[], dict[str, Rows]]
    """What readers see: rows by the table's name."""
    change: Callable[[str, str], None] | None
    """Write a stamp into a table, as a person with a SQL prompt would; None where nothing could tell."""
    readers_have_views: bool
    names: list[str] = field(default_factory=lambda: list(MODELS))

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder / "models", ignore_errors=True)
        self.write("dbt_project.yml", PROJECT)
        self.write("profiles.yml", PROFILES)
        self.write("macros/zero.sql", ZERO)
        for name, sql in MODELS.items():
            self.write(f"models/{name}.sql", sql)
        for name, (_, sql) in TESTS.items():
            self.write(f"tests/{name}.sql", sql)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def toggle_b(self) -> None:
        """Remove the model b with its test, or bring both back."""
        if "b" in self.names:
            self.names.remove("b")
            (self.folder / "models" / "b.sql").unlink()
            (self.folder / "tests" / "b_is_not_four.sql").unlink()
        else:
            self.names.append("b")
            self.write("models/b.sql", MODELS["b"])
            self.write("tests/b_is_not_four.sql", TESTS["b_is_not_four"][1])


@dataclass
class Expectation:
    """What readers should see, from the stamps in the warehouse and dbt's own results."""

    stamps: dict[str, str | None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    passed: dict[str, dict[str, str | None]] = field(default_factory=dict)
    readers: dict[str, Rows] = field(default_factory=dict)

    def look(self, world: World) -> None:
        self.stamps = {name: stamp(world.built(name)) for name in MODELS}

    def results(self, world: World, result: DbtResult) -> None:
        self.look(world)
        for node in result.nodes:
            if node.name in MODELS and node.status in ("success", "error"):
                (self.failed.discard if node.status == "success" else self.failed.add)(node.name)
            if node.name in TESTS:
                self.passed.pop(node.name, None)
                if node.status == "pass":
                    self.passed[node.name] = {name: self.stamps[name] for name in TESTS[node.name][0].split()}

    def good(self, name: str, names: Iterable[str]) -> bool:
        tests = [test for test, (on, _) in TESTS.items() if name in on.split() and set(on.split()) <= set(names)]
        fine = self.stamps[name] is not None and name not in self.failed
        return fine and all(
            test in self.passed and all(self.stamps[on] == old for on, old in self.passed[test].items())
            for test in tests
        )

    def fit(self, name: str, names: list[str]) -> bool:
        return self.good(name, names) and all(self.fit(parent, names) for parent in PARENTS[name])

    def publish(self, world: World) -> None:
        published = [name for name in world.names if world.readers_have_views or name not in ("stg", "e")]
        now = {name: world.built(name) for name in published if self.fit(name, world.names)}
        kept = {name: rows for name, rows in self.readers.items() if name in published}
        self.readers = {**kept, **{name: rows for name, rows in now.items() if rows is not None}}


def stamp(rows: Rows | None) -> str | None:
    """The runs that wrote a table's rows; None where there is no table."""
    return None if rows is None else " ".join(sorted(str(row[-1]) for row in rows))


def history(world: World, seed: int, steps: int = 6) -> list[str]:
    """Live through a random history, and compare what readers see after each step; return its steps."""
    chance, expected, told = random.Random(seed), Expectation(), list[str]()
    for _ in range(steps):
        values = {"V": str(chance.choice([1, 2, 2, 3, 4, 7, 60])), "W": str(chance.choice([0, 8, 8, 5, 2]))}
        select = chance.choice(SELECTIONS)
        if "b" not in world.names and select and "b" in select:
            select = None
        kind = chance.choices(["flow", "hand", "killed", "sql", "two", "remove"], [10, 5, 3, 2, 2, 1])[0]
        told.append(f"{kind} {select} {values}")
        act(kind, world, expected, chance, values, select, told)
        seen = world.seen()
        assert seen == expected.readers, f"seed {seed}: {told}"
    return told


def act(
    kind: str,
    world: World,
    expected: Expectation,
    chance: random.Random,
    values: dict[str, str],
    select: str | None,
    told: list[str],
) -> None:
    chosen = ["--select", *select.split()] if select else []
    if kind == "flow":
        flow(world, expected, values, chosen)
    elif kind == "hand":
        verb = chance.choice(["run", "test", "build", "run"])
        told[-1] += f" {verb}"
        run(world, expected, values, verb, *chosen)
    elif kind == "killed":
        lines = chance.randint(1, 14)
        told[-1] += f" after {lines} lines"
        child = os.fork()
        if not child:
            killed(world, values, chosen, lines)
        os.waitpid(child, 0)
        expected.look(world)
    elif kind == "sql":
        name = chance.choice(["a", "c", "d"])
        if world.change and world.built(name):
            world.change(name, uuid.uuid4().hex)
        expected.look(world)
    elif kind == "two":
        fine = {"V": "1", "W": "0"}
        other = os.fork()
        if not other:
            killed(world, fine, ["--select", "c+"], 1_000)
        with suppress(DbtFailed):
            world.dbt(fine, lambda _: None).run("build", *chosen)
        os.waitpid(other, 0)
        run(world, expected, fine, "build")  # tests all of it, so that it matters no more which of the two came last
    else:
        world.toggle_b()
        flow(world, expected, values, [])


def run(world: World, expected: Expectation, values: dict[str, str], *command: str) -> bool:
    try:
        result: DbtResult | None = world.dbt(values, lambda _: None).run(*command)
        fine = True
    except NothingSelected:
        return False
    except DbtFailed as failure:
        result, fine = failure.result, False
    assert result, "dbt could not run"
    expected.results(world, result)
    return fine


def flow(world: World, expected: Expectation, values: dict[str, str], chosen: list[str]) -> None:
    """What the flow dbt_transform does."""
    if run(world, expected, values, "build", *chosen):
        world.warehouse.publish()
        expected.publish(world)


def killed(world: World, values: dict[str, str], chosen: list[str], lines: int) -> None:
    """Build, and die with the given line of dbt's log; for a child process, which never returns."""
    left = [lines]

    def count(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            os._exit(9)

    try:
        world.dbt(values, count).run("build", *chosen)
    except BaseException:  # noqa: BLE001 - a child of a test says nothing
        os._exit(1)
    finally:
        os._exit(0)


def number_of_histories(default: int) -> int:
    return int(os.environ.get("PUBLICATION_HISTORIES", default))


def plain(name: str) -> str:
    return re.sub(r"^.*\.", "", name).lower()
