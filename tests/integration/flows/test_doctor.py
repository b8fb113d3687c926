"""The doctor says what is wrong with whatever a profile leads to, and what mends it; it changes nothing."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.systems import AirbyteConnection
from commands.doctor.__main__ import main as doctor
from commands.doctor.airbyte import sources, streams
from commands.doctor.finding import Finding, run
from commands.embedded.processes import free_ports
from commands.embedded.stack import CONNECTION_ID
from services.bootstrap.__main__ import main as bootstrap
from services.content import PROJECT
from tests.integration.flows.platform import Platform, flights, running_airbyte
from tests.integration.snowflake.emulator import running_emulator


@pytest.fixture(autouse=True)
def threads_without_a_trace() -> Iterator[None]:
    """Before 3.12 Python cannot put a tracer, such as coverage's, into two threads at once; the doctor starts seven."""
    tracer = threading.gettrace()
    threading.settrace(None)
    yield
    threading.settrace(tracer)


@pytest.fixture
def found(platform: Platform, prefect_server: str, capsys: pytest.CaptureFixture[str]) -> "Report":
    """Reports on the profile `trial` of a platform where a file has landed."""
    platform.put("flights/flights-2013-01-01.csv.gz", flights(1))
    return Report(capsys)


@pytest.fixture
def bootstrapped(found: "Report", monkeypatch: pytest.MonkeyPatch) -> Iterator["Report"]:
    """The same, with a Prefect server that knows the profile."""
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial"])
    assert bootstrap() == 0
    yield found
    with get_client(sync_client=True) as client:
        for each in client.read_deployments():
            client.delete_deployment(each.id)


class Report:
    """What the doctor finds when it is asked."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.code = 0

    def __call__(self) -> dict[str, Finding]:
        """The findings by check, the worst of each; `code` is then the exit code."""
        self.capsys.readouterr()
        self.code = doctor(["--profile", "trial", "--json"])
        findings = [Finding(**each) for each in json.loads(self.capsys.readouterr().out)]
        assert all(each.fix for each in findings if each.state != "ok")
        worst = sorted(findings, key=lambda each: ("ok", "warn", "fail").index(each.state))
        return {each.check: each for each in worst}

    def failing(self) -> dict[str, Finding]:
        """What fails; the exit code says so."""
        failing = {name: each for name, each in self().items() if each.state == "fail"}
        assert self.code == int(bool(failing))
        return failing


def test_a_platform_that_is_well_has_nothing_that_fails_and_stays_as_it_is(
    platform: Platform, bootstrapped: Report
) -> None:
    found = bootstrapped
    before = platform.s3.list_objects_v2(Bucket=platform.bucket)["Contents"]
    findings = found()
    assert [each for each in findings.values() if each.state == "fail"] == []
    assert {"s3 listing", "s3 conditional writes", "airbyte answers", "airbyte credentials", "airbyte connection"} <= (
        findings.keys()
    )
    assert {"airbyte streams", "warehouse folder", "raw", "prefect answers", "prefect versions", "blocks"} <= (
        findings.keys()
    )
    assert {"deployments", "workers of trial-local", "clock", "versions", "disk"} <= findings.keys()
    assert platform.s3.list_objects_v2(Bucket=platform.bucket)["Contents"] == before
    assert not platform.warehouse.exists()


def test_a_bucket_that_is_not_there_an_endpoint_that_is_dead_and_a_queue_that_is_wrong_are_told_apart(
    found: Report, monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    monkeypatch.setenv("SENSOR_QUEUE_URL", f"{s3_url}/000000000000/nothing")
    assert "SENSOR_QUEUE_URL" in found.failing()["queue"].fix
    monkeypatch.setenv("S3_BUCKET", "no-such-bucket")
    assert found.failing()["s3 listing"].fix.startswith("Correct S3_BUCKET")
    monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert found.failing()["s3 listing"].fix.startswith("Check S3_ENDPOINT_URL")


def test_a_page_in_the_place_of_prefects_api_is_told_and_so_is_the_address_without_api(
    found: Report, prefect_server: str, page: str
) -> None:
    for url in (page, prefect_server.removesuffix("/api")):
        with temporary_settings({PREFECT_API_URL: url}):
            told = found.failing()["prefect answers"]
            assert "ends with /api" in told.fix, told


def test_bootstrap_names_the_address_that_is_a_page(
    prefect_server: str, page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", "--profile", "trial", "--plan", "--brief"])
    for url in (page, prefect_server.removesuffix("/api")):
        with temporary_settings({PREFECT_API_URL: url}):
            assert bootstrap() == 1
        assert "A server's API URL ends with /api" in capsys.readouterr().err


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server that answers everything with a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Log in</title>")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_each_way_in_which_airbyte_can_fail_is_told_with_its_own_fix(
    platform: Platform, found: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = platform.fault("status", operation="getConnection", status=503)
    assert "503" in found.failing()["airbyte answers"].said
    fault.end()
    fault = platform.fault("status", operation="getConnection", status=401)
    assert "AIRBYTE_CLIENT_SECRET" in found.failing()["airbyte credentials"].fix
    fault.end()
    fault = platform.fault("malformed_json", operation="getConnection")
    assert "AIRBYTE_SERVER_URL" in found.failing()["airbyte answers"].fix
    fault.end()
    httpx.patch(f"{platform.airbyte}/connections/{CONNECTION_ID}", json={"status": "inactive"}).raise_for_status()
    assert "inactive" in found.failing()["airbyte connection"].said
    monkeypatch.setenv("AIRBYTE_CONNECTION_ID", CONNECTION_ID.replace("7", "8"))
    assert "AIRBYTE_CONNECTION_ID" in found.failing()["airbyte connection"].fix
    monkeypatch.setenv("AIRBYTE_SERVER_URL", f"http://127.0.0.1:{free_ports(1)[0]}/api/public/v1")
    assert "AIRBYTE_SERVER_URL" in found.failing()["airbyte answers"].fix


def test_a_wrong_client_secret_is_told_before_anything_else_of_airbyte(
    platform: Platform, found: Report, tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_airbyte(tmp_path, platform.bucket, s3_url, client_id="id", client_secret="right") as url:
        monkeypatch.setenv("AIRBYTE_SERVER_URL", url)
        monkeypatch.setenv("AIRBYTE_CLIENT_ID", "id")
        monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "wrong")
        failing = found.failing()
        assert "AIRBYTE_CLIENT_SECRET" in failing["airbyte credentials"].fix
        assert "wrong" not in json.dumps([each.said for each in failing.values()])
        monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "right")
        assert "airbyte credentials" not in found.failing()
        faults = f"{url.removesuffix('/api/public/v1')}/_mock/faults"
        credentials = {"client_id": "id", "client_secret": "right"}
        token = httpx.post(f"{url}/applications/token", json=credentials).json()["access_token"]
        forbidden = {"kind": "status", "operation": "getConnection", "status": 403}
        httpx.post(faults, json=forbidden, headers={"Authorization": f"Bearer {token}"}).raise_for_status()
        assert "role Runner" in found.failing()["airbyte connection"].fix
        monkeypatch.setenv("AIRBYTE_SERVER_URL", url.removesuffix("/v1"))
        assert "base URL" in found.failing()["airbyte answers"].fix


def test_streams_that_dbt_reads_and_airbyte_does_not_sync_are_named() -> None:
    (missing,) = streams({"flights"}, {"flights", "weather"})
    assert (missing.state, "weather" in missing.said) == ("fail", True)
    (unread,) = streams({"flights", "hotels"}, {"flights"})
    assert (unread.state, "hotels" in unread.said) == ("warn", True)
    assert set(sources(PROJECT / "dbt_project")) == {"flights", "weather", "airlines", "airports", "planes"}


def test_blocks_and_deployments_that_differ_from_the_profile_are_named_without_their_secrets(
    bootstrapped: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bootstrapped
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "canary")
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "26")
    with get_client(sync_client=True) as client:
        gone = client.read_deployment_by_name("example_flow/trial-example-flow")
        client.delete_deployment(gone.id)
    failing = found.failing()
    assert "client_secret differs" in failing["blocks"].said
    assert "canary" not in failing["blocks"].said
    assert "freshness_threshold_hours: '25' -> '26'" in failing["blocks"].said
    assert "deployment example-flow: is missing" in failing["deployments"].said
    AirbyteConnection.delete("trial")
    assert "block airbyte-connection/trial: is missing" in found.failing()["blocks"].said


def test_a_prefect_server_that_does_not_answer_is_told(found: Report) -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_ports(1)[0]}/api"}):
        assert "PREFECT_API_URL" in found.failing()["prefect answers"].fix


def test_a_warehouse_that_is_open_elsewhere_is_a_warning_and_a_broken_one_a_failure(
    platform: Platform, found: Report
) -> None:
    code = f"import duckdb; c = duckdb.connect({str(platform.warehouse)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        assert found()["warehouse file"].state == "warn"
        holder.communicate(b"\n")
    platform.warehouse.write_bytes(b"no database" * 1000)
    assert str(platform.warehouse) in found.failing()["warehouse file"].fix


def test_a_warehouse_whose_folder_cannot_be_written_is_told(found: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PATH", "/dev/null/warehouse.duckdb")
    assert "WAREHOUSE_PATH" in found.failing()["warehouse folder"].fix


def test_snowflake_with_values_missing_names_them_all(found: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_TARGET", "snowflake")
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "acme")
    said = found.failing()["warehouse"].said
    assert "SNOWFLAKE_USER, SNOWFLAKE_DATABASE" in said
    assert "SNOWFLAKE_ACCOUNT" not in said


def test_a_snowflake_that_refuses_the_login_is_told_and_one_that_is_well_is_not(
    found: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {"account": "snowflake", "user": "PLATFORM", "database": "FLIGHTS", "role": "R", "warehouse": "W"}
    with running_emulator(tmp_path, password="right", **names) as emulator:
        values = {**names, "schema": "MARTS", "host": "127.0.0.1", "port": str(emulator.port), "protocol": "http"}
        for name, value in values.items():
            monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", value)
        monkeypatch.setenv("DBT_TARGET", "snowflake")
        monkeypatch.setenv("SNOWFLAKE_PASSWORD", "wrong-canary")
        refused = found.failing()["snowflake session"]
        assert "Incorrect username or password" in refused.said
        assert "canary" not in refused.said
        monkeypatch.setenv("SNOWFLAKE_PASSWORD", "right")
        well = found()
        assert [well[each].state for each in ("snowflake session", "snowflake grants", "raw")] == ["ok", "warn", "warn"]


def test_a_setting_of_the_wrong_form_is_the_only_finding(found: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "soon")
    findings = found()
    assert list(findings) == ["settings"]
    assert "FRESHNESS_THRESHOLD_HOURS is 'soon'" in findings["settings"].said


def test_a_check_that_hangs_is_left_behind_and_told() -> None:
    never = threading.Event()

    def hanging() -> list[Finding]:
        never.wait()
        return []

    well = Finding("well", "ok", "yes")
    silent, other = run({"hanging": hanging, "well": lambda: [well]}, seconds=3)
    never.set()
    assert (silent.check, silent.state) == ("hanging", "fail")
    assert "no answer" in silent.said
    assert other == well
