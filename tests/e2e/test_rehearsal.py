"""The production path on stand-ins: credentials everywhere, Snowflake's own adapter; no secret lies open."""

import subprocess
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.testing import Platform
from services.testing.fixtures import owner
from tests.e2e.clone import Clone
from tests.e2e.conftest import sample_is_published
from tests.e2e.origins import answered
from tests.integration.dbt import project as dbt
from tests.integration.dbt.lake import STREAMS, Lake

# The first test waits for the images to be built, too.
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(600)]
SECRETS = ("PREFECT_API_AUTH_STRING", "AIRBYTE_CLIENT_SECRET", "SNOWFLAKE_PASSWORD", "AWS_SECRET_ACCESS_KEY")
CANARY = f"canary-{uuid4().hex}"
IN_A_HEADER = b64encode(f"platform:{CANARY}".encode()).decode()
MARTS = sorted(model.stem for model in (dbt.PROJECT / "models" / "marts").glob("*.sql"))
OF_THE_LOAD = {"_airbyte_raw_id", "_airbyte_extracted_at", "_ab_source_file_last_modified"}
"""Columns that no two loads have alike."""
IMAGES = ("prefect-orchestration", "mock-airbyte", "snowflake-emulator")
"""Repositories; a platform's own images bear its project as their tag."""


@pytest.fixture(scope="module")
def platform(project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """A rehearsal whose secrets all hold the canary, its sample loaded."""
    folder = project / "profiles" / "secrets" / "rehearsal"
    folder.mkdir(parents=True)
    for name in SECRETS:
        (folder / name).write_text(f"platform:{CANARY}" if name == "PREFECT_API_AUTH_STRING" else CANARY)
    with Platform(project, "rehearsal", owner=owner(pytestconfig)) as running:
        running.eventually(lambda: sample_is_published(running), "the sample's marts", seconds=280)
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dbt.Platform:
    """The marts of the same landing files on DuckDB."""
    folder = tmp_path_factory.mktemp("local")
    on_duckdb = dbt.Platform(folder, Lake(folder / "lake"))
    for stream in STREAMS:
        on_duckdb.lake.load_landing(stream)
    assert dbt.broken(on_duckdb.build()) == []
    return on_duckdb


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_has_row_for_row_what_it_has_on_duckdb(platform: Platform, local: dbt.Platform, mart: str) -> None:
    columns = [name for name, *_ in local.rows(f"describe {mart}") if name not in OF_THE_LOAD]
    query = f"select {', '.join(columns)} from {mart}"
    expected = local.rows(query)
    assert expected
    assert as_texts(platform.rows(query)) == as_texts(expected)


def as_texts(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """The rows in the order of their texts, dates and times as both warehouses tell them."""
    return sorted(str([str(_utc(value)) if isinstance(value, date) else value for value in row]) for row in rows)


def _utc(value: date) -> date:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def test_no_stand_in_answers_without_credentials(platform: Platform) -> None:
    prefect = httpx.post(f"{platform.prefect_url}/api/flow_runs/filter", json={}, trust_env=False)
    airbyte = httpx.get(f"{platform.airbyte_url}/connections", trust_env=False)
    assert (prefect.status_code, airbyte.status_code) == (401, 401)
    for path in ("/", "/state.json", "/_mock/state", "/_mock/faults", "/docs"):
        url = platform.airbyte_url.removesuffix("/api/public/v1") + path
        assert httpx.get(url, trust_env=False).status_code == 401
    query = "python -m blocks.snowflake_sql --profile rehearsal 'select 1' 2>&1 || true"
    told = platform.compose("exec", "-T", "worker", "sh", "-c", query)
    assert told.startswith("Prefect's server denies access to the blocks saved as 'rehearsal'. Check PREFECT_API_AUTH_")


def test_no_port_answers_a_page_from_elsewhere(platform: Platform) -> None:
    assert answered(platform) == []


@pytest.mark.parametrize("service", ["worker", "sensor"])
def test_all_credentials_but_prefects_come_from_the_blocks(platform: Platform, service: str) -> None:
    own = "cat /proc/1/environ /proc/$(cut -d' ' -f1 /proc/1/task/1/children)/environ"
    everything = f"{own} | tr '\\0' '\\n' | sed 's/=.*//' | sort -u; ls /run/secrets"
    names = set(platform.compose("exec", "-T", service, "sh", "-c", everything).split())
    assert "PREFECT_API_AUTH_STRING" in names
    assert [name for name in names if name.startswith(("AIRBYTE_", "AWS_", "SNOWFLAKE_"))] == []


def test_promote_changes_what_it_prints_and_then_nothing_is_left_to_change(platform: Platform, project: Path) -> None:
    replace(project / "prefect.yaml", "Runs only the load.", "The load alone.")
    replace(project / "profiles" / "rehearsal.env", "FRESHNESS_THRESHOLD_HOURS=25", "FRESHNESS_THRESHOLD_HOURS=26")
    clone = Clone(project, platform.name)
    applied, again = clone.make("promote", "PROFILE=rehearsal", "APPLY=1"), clone.make("promote", "PROFILE=rehearsal")
    assert (applied.returncode, again.returncode) == (0, 0), applied.stdout + again.stdout
    assert "block dbt-config/rehearsal: freshness_threshold_hours: '25' -> '26'" in applied.stdout
    assert "deployment airbyte-sync: description: 'Runs only the load.' -> 'The load alone.'" in applied.stdout
    assert again.stdout.count("nothing changes") == 2
    assert platform.prefect("GET", "deployments/name/airbyte_sync/airbyte-sync")["description"] == "The load alone."
    assert CANARY not in applied.stdout + again.stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_script_of_sql_is_run_there(platform: Platform) -> None:
    script = "select 'one;' as first; -- and then\nshow terse tables\n"
    run = "with-secrets python -m blocks.snowflake_sql --profile rehearsal"
    shown = platform.compose("exec", "-T", "worker", "sh", "-c", f'printf "%s" "$1" | {run}', "sh", script)
    assert "one;" in shown
    assert "fct_flights" in shown.lower()


def test_a_planted_secret_is_in_no_log_artifact_event_answer_database_image_or_process_list(
    platform: Platform,
) -> None:
    platform.run("airbyte_sync/airbyte-sync", {"connection_ids": ["nonsense"]})
    for place, text in places(platform):
        assert text, place
        assert CANARY not in text, place
        assert IN_A_HEADER not in text, place


def test_a_planted_secret_is_in_no_layer_of_an_image(platform: Platform) -> None:
    with subprocess.Popen(["docker", "image", "save", *images(platform)], stdout=subprocess.PIPE) as saved:
        grep = ["grep", "--text", "--only-matching", "-e", CANARY, "-e", "services.worker"]
        found = subprocess.run(grep, stdin=saved.stdout, capture_output=True, text=True, check=False).stdout.split()
    assert "services.worker" in found, "what is in a layer can be found"
    assert CANARY not in found, "a layer of an image"


def places(platform: Platform) -> Iterator[tuple[str, str]]:
    """Wherever a secret could be seen without the right to it: the place's name and what it holds."""
    yield "logs", platform.compose("logs", "--no-color")
    yield "process lists", platform.compose("top")
    containers = [each.ID or "" for each in platform.get_containers(include_all=True)]
    yield "containers", docker("inspect", *containers)
    yield "images", docker("image", "inspect", *images(platform)) + docker("history", "--no-trunc", images(platform)[0])
    yield "database", platform.compose("exec", "-T", "postgres", "pg_dump", "--username=prefect", "prefect")
    for path in ("flow_runs", "logs", "artifacts", "events", "block_documents", "deployments", "variables"):
        yield path, str(platform.prefect("POST", f"{path}/filter", {}))
    yield "airbyte", str([platform.airbyte(path) for path in ("sources", "destinations", "connections", "jobs")])
    yield "profile", (Path(platform.context) / "profiles" / "rehearsal.env").read_text()


def images(platform: Platform) -> list[str]:
    """The platform's own images."""
    return [f"{repository}:{platform.name}" for repository in IMAGES]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def test_down_and_up_loses_no_row_and_no_run(platform: Platform) -> None:
    query = "select count(*), max(_airbyte_extracted_at) from raw.flights"
    rows, runs = platform.rows(query), ended(platform)
    platform.compose("down", "--timeout", "5")
    platform.start()
    assert platform.rows(query) == rows
    assert ended(platform) >= runs


def ended(platform: Platform) -> set[str]:
    """The flow runs that have completed."""
    return {run["id"] for run in platform.flow_runs() if run["state_type"] == "COMPLETED"}
