"""dbt runs on a real project, in this process or as a child: a failure names its node, then the warehouse is free."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest

from blocks.dbt.child import Child
from blocks.dbt.engine import Engine
from blocks.dbt.errors import DbtFailed, DbtTimedOut, NothingSelected, WarehouseLocked
from blocks.dbt.in_process import InProcess, warm_up
from blocks.dbt.project import Dbt
from blocks.duckdb_file import DuckDbLedger
from blocks.errors import ConfigurationError
from blocks.ledger import passed
from blocks.turns import TurnMissed, turn
from services.content import PROJECT

Held = Callable[[Path], AbstractContextManager[int]]
FILES = {
    "dbt_project.yml": "{name: shop, profile: shop, flags: {send_anonymous_usage_stats: false}}",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('WAREHOUSE_PATH') }}", threads: 1}
""",
    "models/sources.yml": """
sources:
  - name: raw
    schema: main
    config:
      loaded_at_field: loaded_at
      freshness: {error_after: {count: 24, period: hour}}
    tables: [{name: fresh}, {name: stale}, {name: empty}]
""",
    "models/orders.sql": "select 1 as id union all select 2",
    "models/totals.sql": "select count(*) as total from {{ ref('orders') }}",
    "models/orders.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]",
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


class Project:
    """A small dbt project in a folder, with its warehouse."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.warehouse, self.lines = folder, folder / "w.duckdb", list[str]()
        for name, text in FILES.items():
            self.write(name, text)
        self.dbt = Dbt(folder, "dev", {"WAREHOUSE_PATH": str(self.warehouse)}, self.lines.append, engine=engine)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Asked from another process, as a person would: the file must be free."""
        script = (
            "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())"
        )
        command = [sys.executable, "-c", script, str(self.warehouse), query]
        return eval(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


ENDLESS = (
    "{{ config(materialized='table') }} select count(*) as n from range(100000000000) a(x), range(1000) b(y) "
    "where hash(x + y) % 7 = 1"
)
DBT = str(Path(sys.executable).with_name("dbt"))
both = pytest.mark.parametrize("project", ["in process", "child"], indirect=True)
each = pytest.mark.parametrize(
    "project", ["in process", pytest.param("child", marks=pytest.mark.exhaustive)], indirect=True
)
"""As `both`, with the slower one in `make test-all` alone."""


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    return Project(tmp_path, Child(DBT) if getattr(request, "param", "") == "child" else InProcess())


def test_a_project_is_parsed_ahead_for_one_command_with_the_same_options(project: Project) -> None:
    options = ("--vars", "{test_all: true}")
    project.dbt.parse_ahead(*options)
    project.write("models/more.sql", "select 1 as id")

    def built(options: tuple[str, ...]) -> bool:
        return "more" in [node.name for node in project.dbt.run("build", options=options).nodes]

    assert not built(options)
    assert built(options)
    project.dbt.parse_ahead(*options)
    project.write("models/more.sql", "this cannot be parsed: {{ ")
    with pytest.raises(DbtFailed):
        built(())
    project.dbt.parse_ahead()
    with pytest.raises(DbtFailed):
        built(())
    project.write("models/more.sql", "select 1 as id")
    project.dbt.parse_ahead()
    project.dbt.run("deps")
    project.write("models/another.sql", "select 1 as id")
    assert "another" in [node.name for node in project.dbt.run("build").nodes]


@each
def test_a_project_is_parsed_anew_where_what_dbt_remembers_of_it_is_wrong(project: Project) -> None:
    from dbt.contracts.graph.manifest import Manifest

    project.dbt.run("build")
    remembered = project.folder / "target" / "partial_parse.msgpack"
    manifest = Manifest.from_msgpack(remembered.read_bytes())
    (gone,) = (name for name in manifest.nodes if name.endswith(".orders"))
    del manifest.nodes[gone]
    remembered.write_bytes(manifest.to_msgpack())
    assert {"orders", "totals"} <= {node.name for node in project.dbt.run("build").nodes}
    assert any("parses the whole project again" in line for line in project.lines)
    project.write("models/totals.sql", "select * from {{ ref('missing') }}")
    with pytest.raises(DbtFailed, match="missing"):
        project.dbt.run("build")


def test_nothing_is_parsed_ahead_while_another_command_uses_the_warehouse(project: Project) -> None:
    dbt = Dbt(project.folder, "dev", project.dbt.variables, project.lines.append, warehouse=project.warehouse)
    with turn(project.warehouse, 0, print):
        dbt.parse_ahead()
    project.write("models/more.sql", "select 1 as id")
    assert "more" in [node.name for node in dbt.run("build").nodes]


@both
def test_a_build_reports_its_nodes_and_leaves_the_warehouse_free(project: Project) -> None:
    result = project.dbt.run("build")
    assert [(node.name, node.resource_type, node.status) for node in result.nodes] == [
        ("orders", "model", "success"),
        ("unique_orders_id", "test", "pass"),
        ("totals", "model", "success"),
    ]
    assert (result.command, result.counts()) == ("build", {"success": 2, "pass": 1})
    assert project.rows("select total from totals") == [(2,)]
    assert any("unique_orders_id" in line for line in project.lines)


def test_a_selection_builds_nothing_else(project: Project) -> None:
    assert [node.name for node in project.dbt.run("run", "--select", "orders").nodes] == ["orders"]


def test_the_environment_is_as_before_after_success_and_failure(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_PATH", "before")
    project.dbt.run("run")
    project.write("models/orders.sql", "select nothing")
    with pytest.raises(DbtFailed):
        project.dbt.run("run")
    assert os.environ["WAREHOUSE_PATH"] == "before"


@both
def test_a_failing_test_is_named_with_its_message_and_what_it_kept_from_running(project: Project) -> None:
    project.write("models/orders.sql", "select 1 as id union all select 1")
    with pytest.raises(DbtFailed, match=r"unique_orders_id \(fail\): Got 1 result.* 1 nodes? .*skipped") as caught:
        project.dbt.run("build")
    assert "The published tables did not change" in str(caught.value)
    assert caught.value.result
    statuses = {node.name: (node.status, node.failures) for node in caught.value.result.nodes}
    assert statuses["unique_orders_id"] == ("fail", 1)
    assert statuses["totals"][0] == "skipped"
    assert project.rows("select count(*) from orders") == [(2,)]


@each
def test_a_model_whose_sql_fails_is_named_with_the_databases_message(project: Project) -> None:
    project.write("models/orders.sql", "select no_such_column from (select 1)")
    with pytest.raises(DbtFailed, match=r"orders \(error\): .*no_such_column"):
        project.dbt.run("run")


@each
@pytest.mark.parametrize(
    ("sql", "words"),
    [("select * from {{ ref('no_such_model') }}", "no_such_model"), ("select {{ nothing( }}", "orders")],
)
def test_a_model_that_does_not_compile_is_named(project: Project, sql: str, words: str) -> None:
    project.write("models/orders.sql", sql)
    with pytest.raises(DbtFailed, match=f"`dbt build` could not run: .*{words}"):
        project.dbt.run("build")


def test_a_file_is_forgotten_where_the_project_has_no_snapshot(project: Project) -> None:
    project.write("macros/forget_file.sql", (PROJECT / "dbt_project" / "macros" / "forget_file.sql").read_text())
    result = project.dbt.run("run-operation", "forget_file", "--args", '{"key": "inbound/orders/a.csv"}')
    assert {node.status for node in result.nodes} <= {"success"}


def test_more_than_five_failures_are_counted(project: Project) -> None:
    broken = [f"broken_{number}" for number in range(7)]
    for name in broken:
        project.write(f"models/{name}.sql", "select nothing")
    with pytest.raises(DbtFailed, match="and 2 more"):
        project.dbt.run("run", "--select", *broken)


@pytest.mark.parametrize("missing", ["dbt_project.yml", "profiles.yml"])
def test_a_missing_project_says_which_file_and_which_variable(project: Project, missing: str) -> None:
    (project.folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=rf"{project.folder}: {missing} is missing.*Set DBT_PROJECT_DIR"):
        project.dbt.run("build")


@each
def test_an_unknown_target_is_named(project: Project) -> None:
    with pytest.raises(DbtFailed, match="'prod'"):
        Dbt(project.folder, "prod", {"WAREHOUSE_PATH": "w"}, project.lines.append, engine=project.dbt.engine).run(
            "build"
        )


@each
@pytest.mark.parametrize(
    "command", [lambda dbt: dbt.run("build"), lambda dbt: dbt.freshness()], ids=["build", "freshness"]
)
def test_a_warehouse_that_another_process_has_open_is_named_with_its_pid(
    project: Project, held: Held, command: Callable[[Dbt], object]
) -> None:
    with held(project.warehouse) as pid, pytest.raises(WarehouseLocked) as caught:
        command(project.dbt)
    assert f"{project.warehouse} is open in process {pid} (" in str(caught.value)
    assert "Close it there" in str(caught.value)
    assert "open the published file instead" in str(caught.value)
    assert project.dbt.run("run").counts() == {"success": 2}


def test_a_full_disk_is_said_to_be_full(project: Project, small_disk: Path) -> None:
    project.write(
        "models/orders.sql", "{{ config(materialized='table') }} select hash(range) as id from range(1000000)"
    )
    full = Dbt(project.folder, "dev", {"WAREHOUSE_PATH": str(small_disk / "w.duckdb")}, project.lines.append)
    with pytest.raises(DbtFailed, match="`dbt run --select orders` ran out of disk space"):
        full.run("run", "--select", "orders")


@pytest.mark.parametrize("verb", ["build", "run", "test"])
def test_a_selection_that_matches_nothing_fails_and_names_similar_nodes(project: Project, verb: str) -> None:
    with pytest.raises(NothingSelected, match=r"'ordrs\+' matches no node .* Did you mean orders"):
        project.dbt.run(verb, "--select", "ordrs+")


@pytest.mark.parametrize(
    ("project", "arguments"),
    [
        ("in process", ["--select=ordrs"]),
        ("in process", ["-sordrs"]),
        ("in process", ["--exclude", "orders", "totals"]),
        ("child", ["--select=ordrs"]),
    ],
    indirect=["project"],
)
def test_a_selection_by_hand_that_matches_nothing_fails_too(project: Project, arguments: list[str]) -> None:
    folder = str(project.folder)
    with pytest.raises(NothingSelected, match="matches no node"):
        project.dbt.by_hand(
            ["run", "--log-level-file", "none", "--project-dir", folder, "--profiles-dir", folder, *arguments]
        )


@both
def test_a_query_that_hangs_is_stopped_and_named_and_the_next_command_works(project: Project) -> None:
    project.write("models/endless.sql", ENDLESS)
    project.dbt.run("parse")
    project.dbt.timeout_seconds = 15
    with pytest.raises(DbtTimedOut, match=r"longer than 15 s \(DBT_TIMEOUT_SECONDS\) and was stopped at endless"):
        project.dbt.run("run", "--select", "endless")
    project.dbt.timeout_seconds = 600
    assert project.dbt.run("run", "--select", "orders").counts() == {"success": 1}


def test_a_command_waits_for_its_turn_no_longer_than_the_setting_says(project: Project) -> None:
    waiting = Dbt(
        project.folder,
        "dev",
        {"WAREHOUSE_PATH": str(project.warehouse)},
        project.lines.append,
        warehouse=project.warehouse,
        wait_seconds=2,
    )
    with turn(project.warehouse, 1, print):
        assert waiting.run("parse").nodes == []
        with pytest.raises(TurnMissed, match=r"more than 2 s \(WAREHOUSE_WAIT_SECONDS\)"):
            waiting.run("build")
    assert any("Another command uses the warehouse" in line for line in project.lines)
    assert waiting.run("run").counts() == {"success": 2}


def test_a_write_ahead_log_of_another_file_is_reported_with_what_to_delete(project: Project) -> None:
    leave = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table t(i int)'); os._exit(1)"
    subprocess.run([sys.executable, "-c", leave, str(project.warehouse)], check=False, timeout=60)
    log = Path(f"{project.warehouse}.wal")
    old = log.read_bytes()
    project.dbt.run("run")
    log.write_bytes(old)
    with pytest.raises(DbtFailed, match=r"could not read the warehouse.*Delete both, then run full_pipeline"):
        project.dbt.run("run")


def test_a_truncated_warehouse_is_reported_with_what_to_delete(project: Project) -> None:
    project.dbt.run("run")
    with project.warehouse.open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(DbtFailed, match=r"Delete both, then run full_pipeline, which rebuilds the tables from raw"):
        project.dbt.run("run")


@each
def test_freshness_is_measured_for_every_source_whatever_its_age(project: Project) -> None:
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("create table fresh as select now() - interval 2 hour as loaded_at")
        connection.execute("create table stale as select now() - interval 30 hour as loaded_at")
        connection.execute("create table empty (loaded_at timestamptz)")
    found = {each.source: each for each in project.dbt.freshness()}
    assert {name: each.status for name, each in found.items()}.items() >= {
        "raw.fresh": "pass",
        "raw.stale": "error",
    }.items()
    assert found["raw.fresh"].age_hours == pytest.approx(2, abs=0.1)
    assert found["raw.stale"].age_hours == pytest.approx(30, abs=0.1)
    assert found["raw.stale"].loaded_at is not None
    assert found["raw.empty"].status == "error"
    assert (found["raw.empty"].age_hours, found["raw.empty"].loaded_at) == (None, None)


@each
def test_a_source_that_cannot_be_read_is_reported_and_hides_no_other(project: Project) -> None:
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("create table fresh as select now() as loaded_at")
    found = {each.source: each.status for each in project.dbt.freshness()}
    assert (found["raw.fresh"], found["raw.stale"]) == ("pass", "runtime error")


def test_a_project_without_sources_has_no_freshness(project: Project) -> None:
    (project.folder / "models/sources.yml").unlink()
    assert project.dbt.freshness() == []


def test_freshness_of_a_project_that_does_not_compile_is_an_error(project: Project) -> None:
    project.write("models/orders.sql", "select * from {{ ref('no_such_model') }}")
    with pytest.raises(DbtFailed, match=r"`dbt source freshness` could not run: .*no_such_model"):
        project.dbt.freshness()


@each
def test_a_build_notes_in_the_ledger_which_tables_have_passed_their_tests(project: Project) -> None:
    ledger = DuckDbLedger(project.warehouse)
    dbt = Dbt(
        project.folder, "dev", project.dbt.variables, project.lines.append, ledger=ledger, engine=project.dbt.engine
    )

    def fine() -> set[str]:
        state, _ = ledger.read()
        assert state.graph
        return passed(state, state.graph)

    dbt.run("build")
    assert fine() == {"model.shop.orders", "model.shop.totals"}
    project.write("models/totals.sql", "select * from {{ ref('missing') }}")
    with pytest.raises(DbtFailed):
        dbt.run("build")
    assert fine() == {"model.shop.orders", "model.shop.totals"}
    project.write("models/totals.sql", "select nothing from {{ ref('orders') }}")
    with pytest.raises(DbtFailed):
        dbt.run("build")
    assert fine() == {"model.shop.orders"}


RUN = """
import sys
from pathlib import Path
from blocks.dbt.child import Child
from blocks.dbt.project import Dbt
variables = {"WAREHOUSE_PATH": sys.argv[2], "SNOWFLAKE_PASSWORD": "hidden"}
Dbt(Path(sys.argv[1]), "dev", variables, lambda line: print(line, flush=True), engine=Child(sys.argv[3])).run("run")
"""


class Known:
    """A dbt that writes down its process's id and its arguments."""

    def __init__(self, folder: Path) -> None:
        self.file, self.pid_file, self.arguments = folder / "known-dbt", folder / "pid", folder / "arguments"
        self.file.write_text(f'#!/bin/sh\necho "$@" > {self.arguments}\necho $$ > {self.pid_file}\nexec {DBT} "$@"\n')
        self.file.chmod(0o755)

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def is_there(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def test_a_child_that_is_killed_fails_its_command_and_publishes_nothing_of_it(project: Project, tmp_path: Path) -> None:
    known, ledger = Known(tmp_path), DuckDbLedger(project.warehouse)

    def kill(line: str) -> None:
        if "START sql table model main.endless" in line:
            os.kill(known.pid, signal.SIGKILL)

    dbt = Dbt(project.folder, "dev", project.dbt.variables, kill, ledger=ledger, engine=Child(str(known.file)))
    project.write("models/other.sql", "select 1 as id")
    dbt.run("build")
    project.write("models/orders.sql", "select 3 as id")
    project.write("models/endless.sql", "-- depends_on: {{ ref('orders') }}\n" + ENDLESS)
    with pytest.raises(DbtFailed, match="killed by signal 9"):
        dbt.run("build", "--select", "orders", "endless", "--exclude-resource-type", "test")
    state, _ = ledger.read()
    assert state.graph
    assert passed(state, state.graph) == {"model.shop.other"}
    dbt.run("test", "--select", "orders")
    state, _ = ledger.read()
    assert state.graph
    assert passed(state, state.graph) == {"model.shop.orders", "model.shop.other", "model.shop.totals"}


def test_a_child_ends_with_the_process_that_runs_it_and_has_no_secret_in_its_arguments(
    project: Project, tmp_path: Path
) -> None:
    project.write("models/endless.sql", ENDLESS)
    known = Known(tmp_path)
    command = [sys.executable, "-c", RUN, str(project.folder), str(project.warehouse), str(known.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert any("START sql table model main.endless" in line for line in run.stdout)
        assert known.is_there()
        run.kill()
    assert eventually(lambda: not known.is_there())
    assert "--project-dir" in known.arguments.read_text()
    assert "hidden" not in known.arguments.read_text()


def test_a_dbt_that_is_not_there_is_named_with_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="DBT_EXECUTABLE is 'no-dbt'"):
        Child("no-dbt")
