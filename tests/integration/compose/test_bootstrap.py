"""A Prefect server gets what the platform needs, however often it is asked; what a killed worker left runs again."""

import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import yaml
from prefect import flow, get_client
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Completed, Crashed, Pending, Running

from blocks.attempts import ATTEMPTS, NO_SIGN
from blocks.errors import PlatformError
from blocks.names import Names
from blocks.settings import Settings
from commands.errors import CommandError
from commands.prefect_api import Prefect
from flows.tags import tag_with_version, tags_of_the_deployment
from services.bootstrap import __main__ as bootstrap
from services.bootstrap.__main__ import main, platform
from services.bootstrap.automations import automations
from services.bootstrap.models import compiled, differences
from services.bootstrap.pages import ask
from services.bootstrap.prefect_yaml import PROJECT, declared
from services.watch.silence import EVENT, NOTICED, TITLE, resource
from services.worker import retry_unfinished

DECLARED = {each["name"] for each in yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]}
NAMES = Names("trial")
NAMED = {NAMES.name(each) for each in DECLARED}
POOL = NAMES.name("local")


@pytest.fixture
def client(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    """A client of a server that was bootstrapped with the profile `trial`."""
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial"])
    assert main() == 0
    with get_client(sync_client=True) as client:
        yield client
        for each in client.read_deployments():
            client.delete_deployment(each.id)
        for automation in client.read_automations():
            client.delete_automation(automation.id)
        client.delete_work_pool(POOL)  # with its workers


def test_every_deployment_of_prefect_yaml_is_registered_with_the_profile(client: SyncPrefectClient) -> None:
    deployments = client.read_deployments()
    assert {each.name for each in deployments} == NAMED
    assert {each.parameters["profile"] for each in deployments} == {"trial"}
    daily = next(each for each in deployments if each.name == "trial-daily-full-pipeline")
    assert [getattr(each.schedule, "cron", None) for each in daily.schedules] == ["0 6 * * *"]
    assert daily.global_concurrency_limit is not None


def test_a_second_bootstrap_changes_nothing(client: SyncPrefectClient) -> None:
    before = {each.id: each.name for each in client.read_deployments()}
    automated = {each.id: each for each in client.read_automations()}
    assert main() == 0
    assert {each.id: each.name for each in client.read_deployments()} == before
    assert {each.id: each for each in client.read_automations()} == automated
    assert {each.name for each in automated.values()} == {each.name for each in automations(NAMES)}


def test_a_second_bootstrap_leaves_the_automations_windows_alone_also_those_of_alerts(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://hooks.slack.com/services/canary")
    assert main() == 0
    alerts = {*map(NAMES.title, (NOTICED, TITLE, "Tell once that the watch is silent"))}
    before = {each["name"]: each for each in client.request("POST", "/automations/filter", json={}).json()}  # type: ignore[arg-type]
    assert alerts <= before.keys()
    assert "canary" not in str(before)
    assert main() == 0
    after = client.request("POST", "/automations/filter", json={}).json()  # type: ignore[arg-type]
    assert {each["name"]: each["updated"] for each in after} == {name: each["updated"] for name, each in before.items()}
    monkeypatch.delenv("ALERT_WEBHOOK_URL")
    assert main() == 0
    assert {each.name for each in client.read_automations()} == before.keys() - alerts
    with pytest.raises(ValueError, match="Unable to find"):
        Webhook.load("trial-alerts")


def test_a_bootstrap_gives_a_sign_of_life_for_the_watch_which_starts_after_it(client: SyncPrefectClient) -> None:
    since = datetime.now(UTC)
    assert main() == 0
    wanted = {"event": {"name": [EVENT]}, "occurred": {"since": since.isoformat()}}
    deadline = time.monotonic() + 30
    while not (found := ask(client, "POST", "/events/filter", {"filter": wanted})["events"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found[0]["resource"]["prefect.resource.id"] == resource(NAMES)


def test_a_deployment_that_prefect_yaml_no_longer_has_is_removed_and_a_persons_own_is_kept(
    client: SyncPrefectClient,
) -> None:
    own = flow(lambda: None, name="own").to_deployment("own", work_pool_name=POOL)
    own.apply()
    ours = platform(client, "trial")
    ours.declared = [each for each in ours.declared if each.name != "example-flow"]
    said: list[str] = []
    ours.apply(said.append)
    assert said == ["deployment example-flow: is no longer in prefect.yaml"]
    assert {each.name for each in client.read_deployments()} == NAMED - {"trial-example-flow"} | {"own"}


def test_the_plan_names_what_would_change_and_changes_nothing(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial", "--plan"])
    assert main() == 0
    assert capsys.readouterr().out.count("nothing changes") == 2
    gone = next(each for each in client.read_deployments() if each.name == "trial-example-flow")
    client.delete_deployment(gone.id)
    monkeypatch.setenv("AIRBYTE_CLIENT_ID", "another")
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "canary")
    for _ in range(2):
        assert main() == 0
        plan = capsys.readouterr().out
        assert "block airbyte-connection/trial: client_id: '' -> 'another'" in plan
        assert "block airbyte-connection/trial: client_secret differs" in plan
        assert "deployment example-flow: is missing" in plan
        assert "canary" not in plan


@pytest.mark.exhaustive
def test_a_plan_that_cannot_be_made_says_why(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial", "--plan"])
    monkeypatch.setenv("DBT_TARGET", "snowflake")
    assert main() == 1
    assert "SNOWFLAKE_ACCOUNT" in capsys.readouterr().err


def test_models_are_compared_by_their_sql_alone() -> None:
    local = {"same": "select 1", "other": "select a\nfrom b", "gone": "select 2"}
    shown = list(differences(local, {"same": "select 1", "other": "select a\nfrom c"}))
    assert [line for line in shown if line[0] in "+-" and line[1] not in "+-"] == ["-select 2", "-from b", "+from c"]


@pytest.mark.exhaustive
def test_every_model_compiles_for_duckdb_without_its_warehouse(tmp_path: Path) -> None:
    settings = Settings(lake_dir=tmp_path / "Ann's (lake)", warehouse_path=tmp_path / "none.duckdb")
    models = {file.stem for file in (PROJECT / "dbt_project" / "models").rglob("*.sql")}
    found = compiled(settings, "dev")
    assert found.keys() == models
    assert "from airlines" in found["stg_airlines"]
    assert not (tmp_path / "none.duckdb").exists()


def test_a_subflow_run_has_the_tag_of_the_deployment_that_its_parent_is_a_run_of(prefect_server: str) -> None:
    @flow
    def child() -> set[str]:
        return set(flow_run.tags)

    @flow
    def parent() -> set[str]:
        with tags_of_the_deployment():
            return child()

    with get_client(sync_client=True) as client:
        plain, deployed = client.create_flow_run(parent), client.create_flow_run(parent, tags=["daily", Names().tag])
    assert run_flow(parent, flow_run=plain) == set()
    assert run_flow(parent, flow_run=deployed) == {Names().tag}


def test_a_run_says_which_images_code_it_ran_and_after_a_retry_on_another_image_both(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow(on_running=[tag_with_version])
    def versioned() -> None:
        pass

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(versioned, tags=["own"])
        for version in ("v1", "v2"):
            monkeypatch.setenv("PLATFORM_VERSION", version)
            monkeypatch.setenv("PLATFORM_COMMIT", "1f3a5b7c9d0e2f4a6b8c")
            client.set_flow_run_state(run.id, Pending(), force=True)
            run_flow(versioned, flow_run=client.read_flow_run(run.id))
        tags = set(client.read_flow_run(run.id).tags)
    assert tags == {"own", "version:v1", "version:v2", "commit:1f3a5b7c9d0e"}


def test_every_flow_of_the_platform_says_which_images_code_it_runs() -> None:
    assert [each.name for each in declared() if tag_with_version not in each.flow.on_running_hooks] == []


def test_no_schedule_makes_a_run_until_the_profile_says_so(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paused() -> set[str]:
        return {each.name for each in client.read_deployments() if each.paused}

    monkeypatch.setenv("AUTOMATIC_RUNS", "false")
    assert main() == 0
    assert paused() == {NAMES.name("daily-full-pipeline"), NAMES.name("compact")}
    monkeypatch.setenv("AUTOMATIC_RUNS", "true")
    assert main() == 0
    assert paused() == set()


def test_an_entry_of_prefect_yaml_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text("deployments: [{name: a, entrypoint: b, work_pool: {name: c}, triggers: []}]")
    with pytest.raises(ValueError, match="triggers"):
        declared(file)


def test_what_a_killed_worker_left_runs_again_and_what_was_being_cancelled_is_cancelled(
    client: SyncPrefectClient,
) -> None:
    deployment = next(each for each in client.read_deployments() if each.name == "trial-example-flow")
    left = client.create_flow_run_from_deployment(deployment.id, state=Running())
    doomed = client.create_flow_run_from_deployment(deployment.id, state=Cancelling())
    done = client.create_flow_run_from_deployment(deployment.id, state=Completed())
    retry_unfinished(client, POOL, "worker", NAMES.tag)
    states = [client.read_flow_run(run.id).state_name for run in (left, doomed, done)]
    assert states == ["AwaitingRetry", "Cancelled", "Completed"]


def test_a_worker_leaves_the_runs_alone_that_another_worker_of_the_pool_may_have(client: SyncPrefectClient) -> None:
    deployment = next(each for each in client.read_deployments() if each.name == "trial-example-flow")
    running = client.create_flow_run_from_deployment(deployment.id, state=Running())
    client.send_worker_heartbeat(POOL, "another", 30)
    assert retry_unfinished(client, POOL, "worker", NAMES.tag) == []
    assert retry_unfinished(client, POOL, "another", NAMES.tag) != []
    assert client.read_flow_run(running.id).state_name == "AwaitingRetry"


def test_a_run_that_ends_its_worker_each_time_is_given_up_whether_it_started_or_not(client: SyncPrefectClient) -> None:
    deployment = next(each for each in client.read_deployments() if each.name == "trial-example-flow")
    run = client.create_flow_run_from_deployment(deployment.id)
    for _ in range(ATTEMPTS):
        assert client.read_flow_run(run.id).state_name != "Crashed"
        client.set_flow_run_state(run.id, Pending(), force=True)
        retry_unfinished(client, POOL, "worker", NAMES.tag)
    assert client.read_flow_run(run.id).state_name == "Crashed"


def test_a_worker_leaves_the_runs_of_other_peoples_deployments_alone(client: SyncPrefectClient) -> None:
    own = flow(lambda: None, name="own").to_deployment("own", work_pool_name=POOL).apply()
    run = client.create_flow_run_from_deployment(own, state=Running())
    retry_unfinished(client, POOL, "worker", NAMES.tag)
    assert client.read_flow_run(run.id).state_name == "Running"


def test_a_run_whose_process_died_runs_again_up_to_a_limit_and_one_that_could_not_start_does_not(
    client: SyncPrefectClient,
) -> None:
    deployment = next(each for each in client.read_deployments() if each.name == "trial-example-flow")

    def crashed(message: str, attempts: int = 1) -> UUID:
        run = client.create_flow_run_from_deployment(deployment.id)
        for _ in range(attempts):
            client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        return run.id

    hopeless, unstartable = crashed(f"{NO_SIGN} 90 s", ATTEMPTS), crashed("The worker could not start it")
    # It is reported last, so once it is switched on again the others have been looked at.
    silent = crashed(f"{NO_SIGN} 90 s")
    deadline = time.monotonic() + 200
    while client.read_flow_run(silent).state_name != "AwaitingRetry":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [client.read_flow_run(each).state_name for each in (hopeless, unstartable)] == ["Crashed", "Crashed"]


def test_a_run_is_started_by_its_flows_name_with_the_deployments_parameters_and_those_given(
    client: SyncPrefectClient, prefect_server: str
) -> None:
    prefect = Prefect(f"{prefect_server}/api", names=NAMES)
    run = prefect.start("dbt_transform", {"select": "dim_airlines"})
    assert run["parameters"] == {"profile": "trial", "select": "dim_airlines"}


def test_an_unknown_deployment_is_answered_with_those_that_there_are(
    client: SyncPrefectClient, prefect_server: str
) -> None:
    with pytest.raises(CommandError, match=r"no deployment 'nonsense'.*example-flow"):
        Prefect(f"{prefect_server}/api", names=NAMES).start("nonsense", {})


def test_an_unknown_parameter_is_answered_with_those_that_there_are_and_starts_no_run(
    prefect_server: str, client: SyncPrefectClient
) -> None:
    ours = DeploymentFilter(
        name=DeploymentFilterName(any_=["trial-dbt-transform"])
    )  # others' schedules plan runs meanwhile
    before = {each.id for each in client.read_flow_runs(deployment_filter=ours)}
    with pytest.raises(CommandError, match=r"dbt-transform has no parameter 'selct'\. Its parameters: .*select"):
        Prefect(f"{prefect_server}/api", names=NAMES).start("dbt_transform", {"selct": "dim_airlines"})
    assert {each.id for each in client.read_flow_runs(deployment_filter=ours)} == before


def test_following_a_run_shows_its_log_once_and_tells_its_result(
    client: SyncPrefectClient, prefect_server: str
) -> None:
    prefect, said = Prefect(f"{prefect_server}/api", names=NAMES), list[str]()

    @flow(name=f"failing-{uuid4()}")
    def failing() -> None:
        raise ValueError("the reason why")

    run = failing(return_state=True)
    assert prefect.follow({"id": str(run.state_details.flow_run_id), "name": "failing"}, said.append, 60) == 1
    assert sum("Beginning flow run" in line for line in said) == 1
    assert any("Failed" in line and "the reason why" in line for line in said[-2:])


def test_a_plan_on_a_server_that_does_not_answer_names_its_address_and_what_to_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial", "--plan"])
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main() == 1
    assert re.search(r"does not answer at http://127\.0\.0\.1:9/api.*Check PREFECT_API_URL", capsys.readouterr().err)


def test_models_that_read_what_no_load_has_made_yet_do_not_stop_a_plan(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: Settings) -> Iterator[str]:
        yield from ()
        raise PlatformError("Table AIRPORTS does not exist")

    monkeypatch.setattr(bootstrap, "models", missing)
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial", "--plan"])
    assert main() == 0
    assert "cannot be compared until raw has every table" in capsys.readouterr().out
