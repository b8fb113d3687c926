"""The official SDK, unmodified, lists, syncs, waits, cancels and is refused, in its 0.x line and in its 1.x line."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from services.airbyte.app import create_app
from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import Landing

SDK = Path(__file__).with_name("sdk")
SCENARIOS = ["lists", "syncs_and_waits", "cancels", "clears", "is_told_of_errors"]
SCENARIOS += ["is_refused_with_wrong_credentials", "renews_its_token"]


@pytest.fixture(scope="module", params=["0", "1"])
def sdk_python(request: pytest.FixtureRequest) -> Path:
    """An interpreter beside this one that has the SDK's line alone: the two lines cannot share an environment."""
    lock = SDK / f"airbyte-api-{request.param}.lock"
    home = Path(sys.prefix) / "sdk" / f"{request.param}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    uv, python = Path(sys.prefix) / "bin" / "uv", home / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, home], check=True)
    sync = [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", lock]
    subprocess.run(sync, check=True, timeout=240)
    return python


@pytest.fixture
def host(make_settings: Callable[..., Settings], landing: Landing) -> Iterator[str]:
    """The root of a mock that asks for credentials, has two rows to load and takes faults."""
    landing.put("shops/a.csv", "id,name\n7,shop\n8,other\n")
    settings = make_settings(client_id="me", client_secret="s3cret")
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the mock ended while it started"
        assert time.monotonic() < deadline, "the mock does not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_official_sdk(sdk_python: Path, host: str, scenario: str) -> None:
    command = [sdk_python, "-I", SDK / "exercise.py", host, scenario]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
