"""A dbt command runs what was selected; a failure names its node, and the ledger knows what passed."""

import os

import pytest

from blocks.dbt.errors import DbtFailed, NothingSelected
from blocks.dbt.project import Dbt
from blocks.duckdb_file import DuckDbLedger
from blocks.errors import ConfigurationError
from blocks.ledger import passed
from services.content import PROJECT
from tests.integration.blocks.dbt.project import Project, both, each


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


@each
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
        pytest.param("child", ["--select=ordrs"], marks=pytest.mark.exhaustive),
    ],
    indirect=["project"],
)
def test_a_selection_by_hand_that_matches_nothing_fails_too(project: Project, arguments: list[str]) -> None:
    folder = str(project.folder)
    with pytest.raises(NothingSelected, match="matches no node"):
        project.dbt.by_hand(
            ["run", "--log-level-file", "none", "--project-dir", folder, "--profiles-dir", folder, *arguments]
        )


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
