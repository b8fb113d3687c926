"""A Prefect server that others use too: what is theirs stays as it is, and what people set stays set."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.actions import DoNothing
from prefect.states import Scheduled

from blocks.names import Names
from blocks.saved_blocks import exposure_warning
from blocks.settings import Settings
from flows.sensors.runs import DeploymentRuns
from services.bootstrap.__main__ import main
from services.bootstrap.automations import SILENT, automations
from services.bootstrap.drift import Platform
from services.bootstrap.pages import ask, pages
from services.bootstrap.prefect_yaml import declared

LISTS = ("deployments", "flows", "work_pools", "v2/concurrency_limits", "automations", "block_documents", "variables")
CHANGING = {"last_polled", "status", "updated"}
Run = Callable[..., int]


def everything(client: SyncPrefectClient) -> dict[str, Any]:
    """All that the server has, by id."""
    found = [each for name in LISTS for each in pages(client, f"/{name}/filter", {})]
    return {each["id"]: {name: each[name] for name in each.keys() - CHANGING} for each in found}


def exactly(client: SyncPrefectClient) -> dict[str, Any]:
    """The same, with the times of its last change."""
    found = [each for name in LISTS for each in pages(client, f"/{name}/filter", {})]
    return {each["id"]: each.get("updated") for each in found}


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    """A client of the server; all that the test has registered is removed at the end."""
    with get_client(sync_client=True) as client:
        before = everything(client)
        yield client
        paths = {
            "deployments": "deployments/{id}",
            "automations": "automations/{id}",
            "variables": "variables/{id}",
            "v2/concurrency_limits": "v2/concurrency_limits/{id}",
            "block_documents": "block_documents/{id}",
            "work_pools": "work_pools/{name}",
        }
        for name, path in paths.items():
            for each in [each for each in pages(client, f"/{name}/filter", {}) if each["id"] not in before]:
                ask(client, "DELETE", f"/{path.format(**each)}", None)


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run bootstrap for a profile, as the clone of an owner."""

    def run(profile: str, owner: str, *options: str) -> int:
        monkeypatch.setenv("PREFECT_OWNER", owner)
        monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", profile, *options])
        return main()

    return run


def test_two_profiles_and_two_clones_leave_alone_what_is_not_theirs(
    client: SyncPrefectClient, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_work_pool(WorkPoolCreate(name="local", type="process", concurrency_limit=6), overwrite=True)
    client.upsert_global_concurrency_limit_by_name("dbt-warehouse", 5)  # other tests' flows have it on this server, too
    flow(lambda: None, name="full_pipeline").to_deployment("full-pipeline", work_pool_name="local").apply()
    theirs = automations(Names())[0].model_copy(update={"actions": [DoNothing()]})
    client.create_automation(theirs)
    foreign = everything(client)

    assert bootstrap("one", "ann:clone") == 0
    one = everything(client)
    assert {name: one[name] for name in foreign} == foreign
    assert bootstrap("two", "ann:clone") == 0
    assert {name: each for name, each in everything(client).items() if name in one} == one

    both = exactly(client)
    assert bootstrap("one", "bob:clone") == 1
    assert "belongs to ann:clone (profile one)" in capsys.readouterr().err
    assert bootstrap("one", "ann:clone") == 0
    assert exactly(client) == both, "nothing is written where nothing has changed"

    capsys.readouterr()
    assert bootstrap("one", "bob:clone", "--plan", "--brief", "--takeover") == 0
    assert exactly(client) == both
    assert bootstrap("one", "bob:clone", "--takeover") == 0
    assert {name: each for name, each in everything(client).items() if name in foreign} == foreign
    assert bootstrap("one", "ann:clone") == 1


def test_two_namespaces_have_blocks_of_their_own_for_profiles_of_one_name(
    client: SyncPrefectClient, bootstrap: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocks() -> dict[str, str]:
        found = pages(client, "/block_documents/filter", {})
        return {each["name"]: each["data"]["bucket"] for each in found if each["block_type"]["slug"] == "s3-landing"}

    for namespace in ("ann", "bob"):
        monkeypatch.setenv("PREFECT_NAMESPACE", namespace)
        monkeypatch.setenv("S3_BUCKET", f"landing-of-{namespace}")
        assert bootstrap("five", "one:clone") == 0
    assert {"ann-five": "landing-of-ann", "bob-five": "landing-of-bob"}.items() <= blocks().items()
    assert "five" not in blocks()
    named = {"deployments": {"name": {"any_": ["ann-full-pipeline"]}}}
    assert next(pages(client, "/deployments/filter", named))["parameters"] == {"profile": "ann-five"}


def test_a_persons_copy_of_a_deployment_is_kept_tags_and_all(client: SyncPrefectClient, bootstrap: Run) -> None:
    assert bootstrap("six", "ann:clone") == 0
    copy = flow(lambda: None, name="full_pipeline").to_deployment(
        "six-copy", work_pool_name="six-local", tags=[Names("six").tag]
    )
    copied = copy.apply()
    before = exactly(client)
    assert bootstrap("six", "ann:clone") == 0
    assert exactly(client) == before
    assert client.read_deployment(copied).name == "six-copy"


def test_a_foreign_pool_of_the_platforms_name_is_refused_by_name_and_nothing_is_changed(
    client: SyncPrefectClient, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_work_pool(WorkPoolCreate(name="three-local", type="process"))
    before = exactly(client)
    assert bootstrap("three", "ann:clone") == 1
    said = capsys.readouterr().err
    assert "work pool three-local exists already" in said
    assert "PREFECT_NAMESPACE" in said
    assert exactly(client) == before


def test_runs_of_others_do_not_hold_back_the_sensor(client: SyncPrefectClient) -> None:
    ours = Platform(client, Names("seven"), "seven", "ann:clone")
    ours.declared = [each for each in declared() if each.name == "full-pipeline"]
    ours.apply(str)
    client.create_work_pool(WorkPoolCreate(name="others", type="process"))
    theirs = flow(lambda: None, name="full_pipeline").to_deployment("others", work_pool_name="others")
    theirs.parameters = {"profile": "seven"}
    client.create_flow_run_from_deployment(theirs.apply(), state=Scheduled())
    runs = DeploymentRuns("full_pipeline/full-pipeline", "seven", Names("seven"))
    assert not runs.is_busy()
    own = flow(lambda: None, name="full_pipeline").to_deployment("own", work_pool_name="seven-local")
    own.parameters = {"profile": "seven"}
    client.create_flow_run_from_deployment(own.apply(), state=Scheduled())
    assert runs.is_busy()


@pytest.mark.parametrize("names", [Names("four"), Names()], ids=["make up", "make dev"])
def test_what_people_set_is_kept_and_what_prefect_yaml_changes_is_changed(
    client: SyncPrefectClient, names: Names
) -> None:
    is_up = bool(names.namespace)

    def platform() -> Platform:
        made = Platform(client, names, "four" if is_up else None, "ann:clone", watched=is_up)
        made.declared = [each.model_copy(deep=True) for each in declared() if each.name == "daily-full-pipeline"]
        return made

    def daily() -> dict[str, Any]:
        return next(
            pages(
                client, "/deployments/filter", {"deployments": {"name": {"any_": [names.name("daily-full-pipeline")]}}}
            )
        )

    platform().apply(str)
    path = f"/deployments/{daily()['id']}"
    ask(client, "PATCH", f"/work_pools/{names.name('local')}", {"concurrency_limit": 6, "is_paused": True})
    if is_up:  # without a namespace, it is that of the other tests, too
        ask(client, "PATCH", f"/v2/concurrency_limits/{names.slot}", {"active": False})
    ask(client, "PATCH", f"{path}/schedules/{daily()['schedules'][0]['id']}", {"active": False})
    ask(client, "POST", f"{path}/schedules", [{"schedule": {"cron": "0 9 * * *", "timezone": "UTC"}, "active": True}])
    jobs = {**(daily()["job_variables"] or {}), "working_dir": "/elsewhere"}
    ask(
        client,
        "PATCH",
        path,
        {"paused": True, "parameters": {**daily()["parameters"], "select": "own"}, "job_variables": jobs},
    )
    for automation in client.read_automations_by_name(names.title(SILENT)):
        ask(client, "PATCH", f"/automations/{automation.id}", {"enabled": False})
    before = exactly(client)
    assert list(platform().changes()) == []
    platform().apply(str)
    assert exactly(client) == before

    changed = platform()
    changed.declared[0].schedules[0].cron = "0 7 * * *"
    changed.declared[0].work_pool.job_variables = {"env": {"OWN": "1"}}
    changed.declared[0].work_pool.work_queue_name = "nightly"
    planned = [line for each in changed.changes() for line in each.what]
    assert len(planned) == 4
    changed.apply(str)
    after = daily()
    assert sorted((each["schedule"]["cron"], each["active"]) for each in after["schedules"]) == [
        ("0 7 * * *", False),
        ("0 9 * * *", True),
    ]
    assert after["paused"]
    assert after["parameters"]["select"] == "own"
    assert after["job_variables"]["env"]["OWN"] == "1"
    assert after["job_variables"]["working_dir"] == "/elsewhere"
    assert after["work_queue_name"] == "nightly"
    assert list(changed.changes()) == []


def test_secrets_for_a_server_without_a_password_are_warned_about_by_name() -> None:
    assert exposure_warning(Settings()) == ""
    warned = exposure_warning(Settings(airbyte_client_secret="canary"))
    assert "AIRBYTE_CLIENT_SECRET" in warned
    assert "127.0.0.1" in warned
    assert "canary" not in warned
