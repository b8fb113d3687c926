"""The platform of docker-compose.yml at work, from a file that lands to the row that a reader sees."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.testing import Platform
from services.testing.platform import PROJECT
from tests.e2e.landing import (
    FIRST,
    SAMPLE_FLIGHTS,
    THREE,
    TRIAL,
    flights,
    land_flights,
    landed,
    needs,
    numbers,
    services_of_the_sample,
)
from tests.e2e.origins import answered

# The first test that asks for the platform waits for its images to be built, too.
pytestmark = pytest.mark.timeout(600)
JANUARY = "month(flight_date) = 1"
PIPELINE = "full_pipeline/full-pipeline"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
SERVICES = ("localstack", "airbyte", "snowflake", "postgres", "prefect-server", "worker", "sensor")
KILLED = [("worker", "airbyte", "localstack"), *((service,) for service in SERVICES)]
OPTIONAL = {
    "localstack": "localstack",
    "airbyte": "airbyte",
    "snowflake": "snowflake",
    "postgres": "prefect",
    "prefect-server": "prefect",
}


def published(platform: Platform, day: int) -> list[int]:
    """Wait until readers see flights of a day of February; their numbers."""
    return platform.eventually(lambda: numbers(platform, day) or None, f"flights of 2013-02-{day:02}")


def runs_for(platform: Platform, key: str) -> list[dict[str, Any]]:
    """The runs of the pipeline that were started for an object, newest first."""
    runs = platform.flow_runs(PIPELINE)
    return [run for run in runs if key in [file["key"] for file in run["parameters"].get("files") or []]]


def end_of_run_for(platform: Platform, key: str) -> dict[str, Any]:
    """Wait until the sensor's newest run for an object has ended."""
    first = platform.eventually(lambda: next(iter(runs_for(platform, key)), None), f"a run for {key}")
    return platform.end_of_run(first["id"])


def idle(platform: Platform) -> None:
    """Wait until no flow run is planned for now or at work."""
    busy = ("PENDING", "RUNNING", "CANCELLING")
    platform.eventually(
        lambda: all(run["state_type"] not in busy for run in platform.flow_runs()) or None, "the end of all runs"
    )


def test_the_first_start_fills_the_marts_without_a_manual_step(platform: Platform) -> None:
    needs(platform, *services_of_the_sample(platform))
    figures = "count(*), count(distinct carrier), count(*) - count(dep_time)"
    answer = platform.rows(f"select {figures} from fct_flights where {JANUARY}")
    assert answer == [(SAMPLE_FLIGHTS, 16, 521)]


def test_no_port_answers_a_page_from_elsewhere(platform: Platform) -> None:
    needs(platform, "localstack", "airbyte", "prefect")
    assert answered(platform) == []


def test_a_dropped_file_becomes_rows_that_readers_see(platform: Platform) -> None:
    key = land_flights(platform, day=1)
    assert published(platform, day=1) == THREE
    run = end_of_run_for(platform, key)
    assert run["state_type"] == "COMPLETED"
    assert platform.rows(f"select distinct _ab_source_file_url from fct_flights where {landed(day=1)}") == [(key,)]


@pytest.mark.exhaustive
def test_the_same_file_again_adds_nothing(platform: Platform) -> None:
    land_flights(platform, day=2)
    before = published(platform, day=2)
    land_flights(platform, day=2)
    platform.run(PIPELINE)
    assert numbers(platform, day=2) == before


@pytest.mark.exhaustive
def test_a_bad_file_fails_its_run_and_harms_nothing_else(platform: Platform) -> None:
    bad = land_flights(platform, day=3, content=flights(3) + b"2013,2,3\n")
    run = end_of_run_for(platform, bad)
    assert run["state_type"] == "FAILED"
    assert bad.rpartition("/")[2] in run["state"]["message"]
    land_airline(platform)
    assert numbers(platform, day=3) == []
    mended = land_flights(platform, day=3)
    assert published(platform, day=3) == THREE
    assert end_of_run_for(platform, mended)["state_type"] == "COMPLETED"


def land_airline(platform: Platform) -> str:
    """Land an airline, ZZ, and wait until readers see it; its name."""
    name = f"Zephyr Air {TRIAL}"
    platform.land(f"{platform.profile.values['S3_PREFIX']}airlines/{TRIAL}.csv", f"carrier,name\nZZ,{name}\n".encode())
    query = f"select carrier from dim_airlines where name = '{name}'"
    assert platform.eventually(lambda: platform.rows(query) or None, "the airline that landed") == [("ZZ",)]
    return name


@pytest.mark.exhaustive
def test_a_failed_dbt_test_leaves_the_published_tables_as_they_were(platform: Platform) -> None:
    failing = Path(platform.context) / "dbt_project" / "tests" / "no_flight_on_the_fourth.sql"
    failing.write_text(f"select * from {{{{ ref('fct_flights') }}}} where {landed(day=4)}\n")
    try:
        run = end_of_run_for(platform, land_flights(platform, day=4))
        assert run["state_type"] == "FAILED"
        assert failing.stem in run["state"]["message"]
        assert numbers(platform, day=4) == []
    finally:
        failing.unlink()
    assert platform.run(PIPELINE)["state_type"] == "COMPLETED"
    assert numbers(platform, day=4) == THREE


@pytest.mark.exhaustive
def test_every_deployment_runs_through_the_worker(platform: Platform) -> None:
    """But for `remove-file`, which needs a file: the next test has one."""
    flows = {each["name"]: each["entrypoint"].rpartition(":")[2] for each in DEPLOYMENTS}
    del flows["remove-file"]
    started = {name: platform.start_run(f"{flow}/{name}") for name, flow in flows.items()}
    ended = {name: platform.end_of_run(run, seconds=280)["state"] for name, run in started.items()}
    assert {name: state["type"] for name, state in ended.items()} == dict.fromkeys(flows, "COMPLETED"), ended


@pytest.mark.exhaustive
def test_a_file_that_is_taken_out_leaves_the_tables_and_can_come_again(platform: Platform) -> None:
    name = land_airline(platform)
    key = f"{platform.profile.values['S3_PREFIX']}airlines/{TRIAL}.csv"
    assert platform.run("remove_file/remove-file", {"key": key}, seconds=280)["state_type"] == "COMPLETED"
    assert platform.rows(f"select carrier from dim_airlines where name = '{name}'") == []
    land_airline(platform)


@pytest.mark.exhaustive
def test_a_change_of_a_model_on_the_host_is_used_by_the_next_run(platform: Platform) -> None:
    name = land_airline(platform)
    model = Path(platform.context) / "dbt_project" / "models" / "marts" / "dim_airlines.sql"
    original = model.read_text()
    model.write_text(original.replace("name", "upper(name) as name", 1))
    try:
        assert platform.run("dbt_transform/dbt-transform")["state_type"] == "COMPLETED"
        assert platform.rows("select name from dim_airlines where carrier = 'ZZ'") == [(name.upper(),)]
    finally:
        model.write_text(original)


@pytest.mark.exhaustive
def test_an_idle_platform_makes_no_flow_run(platform: Platform) -> None:
    idle(platform)
    before = len(platform.flow_runs(PIPELINE))
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert len(platform.flow_runs(PIPELINE)) == before
        time.sleep(1)


def test_the_ui_and_the_api_documents_load_without_another_host(platform: Platform) -> None:
    needs(platform, "prefect", "airbyte")
    for url in (platform.prefect_url, f"http://127.0.0.1:{platform.airbyte_port}/"):
        page = httpx.get(url, follow_redirects=True, trust_env=False).raise_for_status().text
        assert 'src="http' not in page
        assert 'src="//' not in page


def test_every_service_runs_without_root_and_listens_on_this_machine_alone(platform: Platform) -> None:
    ours = {"airbyte", "snowflake", "prefect-server", "bootstrap", "worker", "sensor", "watch", "console", "alerts"}
    for service in ours & {each.Service for each in platform.get_containers()}:
        assert platform.compose("exec", "--no-TTY", service, "id", "-u").strip() != "0"
    publishers = [publisher for each in platform.get_containers() for publisher in each.Publishers]
    published_on = {publisher.URL for publisher in publishers if publisher.PublishedPort}
    assert published_on == {"127.0.0.1"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("services", KILLED, ids=" and ".join)
def test_services_killed_in_the_middle_of_a_run_cost_no_row_and_double_none(
    platform: Platform, services: tuple[str, ...]
) -> None:
    needs(platform, *filter(None, map(OPTIONAL.get, services)))
    idle(platform)
    earlier = f"select count(*) from fct_flights where {JANUARY}"
    before = platform.rows(earlier)
    day = 10 + SERVICES.index(services[0]) + 7 * (len(services) > 1)
    key = land_flights(platform, day, flights(day, count=50))
    platform.eventually(
        lambda: next((run for run in runs_for(platform, key) if run["state_type"] == "RUNNING"), None),
        f"a run for {key} at work",
    )
    platform.kill(*services)
    platform.start()
    # LocalStack forgets what was landed; whoever lands it again must not see it twice.
    land_flights(platform, day, flights(day, count=50))
    idle(platform)
    assert platform.run(PIPELINE)["state_type"] == "COMPLETED"
    assert numbers(platform, day) == list(range(FIRST, FIRST + 50))
    assert platform.rows(earlier) == before


@pytest.mark.exhaustive
def test_down_and_up_keeps_everything_and_loads_nothing_twice(platform: Platform) -> None:
    idle(platform)
    needs(platform, "airbyte", "prefect", *services_of_the_sample(platform))
    before = platform.rows("select count(*), max(_airbyte_extracted_at) from fct_flights")
    runs = {run["id"] for run in platform.flow_runs(PIPELINE) if run["state_type"] == "COMPLETED"}
    jobs = job_ids(platform)
    platform.compose("down")
    platform.start()
    assert {run["id"] for run in platform.flow_runs(PIPELINE)} >= runs
    assert job_ids(platform) >= jobs
    idle(platform)
    assert platform.run(PIPELINE)["state_type"] == "COMPLETED"
    assert platform.rows("select count(*), max(_airbyte_extracted_at) from fct_flights") == before


def job_ids(platform: Platform) -> set[int]:
    """The jobs that the mock Airbyte knows."""
    return {job["jobId"] for job in platform.airbyte("jobs", limit=100)["data"]}


def test_no_container_has_more_rights_than_it_needs(platform: Platform) -> None:
    ids = [each.ID or "" for each in platform.get_containers(include_all=True)]
    printed = subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True).stdout
    for container in json.loads(printed):
        name, host = container["Name"], container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["ReadonlyRootfs"], name
        assert 0 < host["PidsLimit"] <= 2048, name
        assert host["Memory"] > 0, name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        # LocalStack's image is made to run as root; without capabilities that is a user like any other.
        assert container["Config"]["User"] not in ("", "root", "0") or "localstack" in name, name
