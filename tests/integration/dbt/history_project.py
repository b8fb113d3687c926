"""A small dbt project of every kind of node and test, which a history of builds changes as people change theirs.

Each row carries the id of the dbt run that wrote it. So what is in the warehouse says by itself which builds have
taken place, also where one was killed.
"""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

STAMP = "'{{ invocation_id }}' as written_by"


@dataclass(frozen=True)
class Node:
    """A model, seed or snapshot; `parents` are nodes, and `raw` where it reads the source."""

    sql: str
    parents: tuple[str, ...]
    kind: str = "table"
    alias: str = ""
    schema: str = ""
    enabled: bool = True

    def text(self, name: str) -> str:
        options = {"alias": self.alias or name, "enabled": self.enabled}
        if self.kind == "snapshot":
            how = {"unique_key": "n", "strategy": "check", "check_cols": ["written_by"]}
            config = json.dumps({**options, **how}).replace("true", "True").replace("false", "False")
            return f"{{% snapshot {name} %}}{{{{ config(**{config}) }}}}\n{self.sql}\n{{% endsnapshot %}}"
        if self.schema:
            options["schema"] = self.schema
        config = json.dumps({**options, "materialized": self.kind}).replace("true", "True").replace("false", "False")
        return f"{{{{ config(**{config}) }}}}\n{self.sql}"


@dataclass(frozen=True)
class Test:
    """A singular test of what it reads, or a unit test of one model."""

    __test__ = False
    sql: str
    reads: tuple[str, ...]
    config: str = ""
    unit: bool = False


def _from(name: str, columns: str = "v") -> str:
    return f"select {columns}, {STAMP} from {{{{ ref('{name}') }}}}"


NODES = {
    "stg": Node("select v, " + STAMP + " from {{ source('raw', 'input') }}", ("raw",), "view"),
    "a": Node(_from("stg"), ("stg",)),
    "b": Node(_from("a", "10 / (case when v = 7 then {{ zero() }} else 1 end) as ten, v"), ("a",)),
    "c": Node(
        "select w as v, {% if is_incremental() %}(select max(n) + 1 from {{ this }}){% else %}1{% endif %} as n, "
        + STAMP
        + " from {{ source('raw', 'input') }}",
        ("raw",),
        "incremental",
    ),
    "s": Node("", (), "seed"),
    "d": Node(
        "select c.v, " + STAMP + " from {{ ref('c') }} as c cross join {{ ref('s') }} as s "
        "where c.n = (select max(n) from {{ ref('c') }})",
        ("c", "s"),
    ),
    "e": Node(_from("d"), ("d",), "view"),
    "eph": Node("select v from {{ ref('d') }}", ("d",), "ephemeral"),
    "f": Node("select e.v, " + STAMP + " from {{ ref('e') }} as e cross join {{ ref('eph') }} as h", ("e", "eph")),
    "snap": Node(_from("a", "1 as n, v"), ("a",), "snapshot"),
}
TESTS = {
    "raw_is_small": Test("select * from {{ source('raw', 'input') }} where v > 90", ("raw",)),
    "stg_is_small": Test("select * from {{ ref('stg') }} where v > 50", ("stg",)),
    "a_is_not_three": Test("select * from {{ ref('a') }} where v = 3", ("a",), "store_failures=True"),
    "a_may_be_two": Test("select * from {{ ref('a') }} where v = 2", ("a",), "severity='warn'"),
    "b_is_not_four": Test("select * from {{ ref('b') }} where v = 4", ("b",)),
    "d_is_not_five": Test("select * from {{ ref('d') }} where v = 5", ("d",)),
    "a_and_d_differ": Test("select 1 as n from {{ ref('a') }} as a join {{ ref('d') }} as d on a.v = d.v", ("a", "d")),
    "e_is_not_six": Test("select * from {{ ref('e') }} where v = 6", ("e",)),
    "eph_is_not_nine": Test("select * from {{ ref('eph') }} where v = 9", ("eph",)),
    "s_has_a_row": Test("select 1 as n from {{ ref('s') }} having count(*) <> 1", ("s",)),
    "snap_is_not_eight": Test("select * from {{ ref('snap') }} where v = 8 and dbt_valid_to is null", ("snap",)),
    "unit_of_b": Test("[{ten: 10, v: 1}]", ("b",), unit=True),
}
UNIT = """
unit_tests:
  - name: unit_of_b
    model: b
    given: [{input: ref('a'), rows: [{v: 1, written_by: x}]}]
    expect: {rows: %s}
"""
PROJECT = """
name: small
profile: small
flags: {send_anonymous_usage_stats: false}
seeds: {+post-hook: "update {{ this }} set written_by = '{{ invocation_id }}'"}
"""
SOURCES = """
sources: [{name: raw, schema: "{{ env_var('RAW_SCHEMA') }}", tables: [{name: input}]}]
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


@dataclass
class Project:
    """The project's files, in a folder; what a later write leaves as it is keeps dbt's partial parse."""

    folder: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    tests: dict[str, Test] = field(default_factory=dict)

    def reset(self) -> None:
        for made in ("models", "tests", "snapshots"):
            shutil.rmtree(self.folder / made, ignore_errors=True)
        self._write("dbt_project.yml", PROJECT)
        self._write("profiles.yml", PROFILES)
        self._write("macros/zero.sql", ZERO)
        self._write("models/sources.yml", SOURCES)
        self._write("seeds/s.csv", f"v,written_by\n1,{'x' * 40}\n")
        self.nodes, self.tests = dict(NODES), dict(TESTS)
        self.save()

    def save(self) -> None:
        """Make the files those of the nodes and tests."""
        wanted = {self._file(name, node): node.text(name) for name, node in self.nodes.items() if node.kind != "seed"}
        for name, test in self.tests.items():
            if test.unit:
                wanted["models/unit.yml"] = UNIT % test.sql
            else:
                wanted[f"tests/{name}.sql"] = (
                    f"{{{{ config({test.config}) }}}}\n{test.sql}" if test.config else test.sql
                )
        for name, text in wanted.items():
            self._write(name, text)
        for folder in ("models", "tests", "snapshots"):
            for file in (self.folder / folder).glob("*"):
                if f"{folder}/{file.name}" not in {*wanted, "models/sources.yml"}:
                    file.unlink()

    def change(self, name: str, **values: object) -> None:
        self.nodes[name] = replace(self.nodes[name], **values)  # type: ignore[arg-type]

    def _file(self, name: str, node: Node) -> str:
        return f"{'snapshots' if node.kind == 'snapshot' else 'models'}/{name}.sql"

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
