"""Real parts for the blocks: moto's S3 server, a running mock Airbyte, a Prefect server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import uvicorn

from blocks.landing import AwsAccess, s3_client
from blocks.settings import Settings
from tests.integration.servers import serving

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(autouse=True)
def no_variables_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read from the environment; the tests decide what stands there."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that sets environment variables; the working directory is empty."""

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    monkeypatch.chdir(tmp_path)
    return set_all


@pytest.fixture
def s3(s3_url: str) -> "S3Client":
    return s3_client("landing", AwsAccess(s3_url))


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    s3.create_bucket(Bucket=(name := f"landing-{uuid4().hex[:12]}"))
    return name


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve an ASGI application on a free port; gives its address."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(
            serving(uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")))
        )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where this user may mount one."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mount = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if shutil.which("mount")
        else None
    )
    if not mount or mount.returncode:
        pytest.skip(f"no small file system can be mounted here: {mount.stderr.strip() if mount else 'no mount'}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def held() -> Callable[[Path], AbstractContextManager[int]]:
    """Another process has a DuckDB file open; gives its PID."""

    @contextmanager
    def hold(path: Path) -> Iterator[int]:
        script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", script, str(path)], **pipes) as process:
            assert process.stdout
            assert process.stdout.readline() == b"open\n"
            yield process.pid
            process.communicate(timeout=30)

    return hold
