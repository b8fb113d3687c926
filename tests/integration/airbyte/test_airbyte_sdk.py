"""The official SDK, unmodified, lists, syncs, waits, cancels and is refused, in its 0.x line and in its 1.x line."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import Landing, served

SDK = Path(__file__).with_name("sdk")
SCENARIOS = ["lists", "syncs_and_waits", "cancels", "clears", "is_told_of_errors"]
SCENARIOS += ["makes_and_deletes_a_connection", "tags", "is_refused_with_wrong_credentials", "renews_its_token"]


@pytest.fixture(scope="module", params=[pytest.param("0", marks=pytest.mark.exhaustive), "1"])
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
    with served(make_settings(client_id="me", client_secret="s3cret")) as url:
        yield url


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_official_sdk(sdk_python: Path, host: str, scenario: str) -> None:
    command = [sdk_python, "-I", SDK / "exercise.py", host, scenario]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
