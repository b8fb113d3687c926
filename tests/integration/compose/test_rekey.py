"""The key that encrypts Prefect's saved blocks can be replaced, and nobody has to save a block again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from commands.embedded.processes import Processes, free_ports
from services.bootstrap.prefect_yaml import PROJECT

pytestmark = [pytest.mark.exhaustive, pytest.mark.skipif(not Path("/proc").is_dir(), reason="keys are found in /proc")]
KEY = "PREFECT_SERVER_ENCRYPTION_KEY"
REKEY = ("-m", "services.rekey")
SAVE = "from prefect.blocks.system import Secret; Secret(value='kept').save('a')"
LOAD = "from prefect.blocks.system import Secret; print(Secret.load('a').get())"


@contextmanager
def server(home: Path, key: str) -> Iterator[dict[str, str]]:
    """A server with a database in a folder; the environment of its clients."""
    port = str(free_ports(1)[0])
    environment = {"PREFECT_HOME": str(home), "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui")}
    with Processes(home / "logs") as processes:
        app = ["-m", "uvicorn", "--factory", "services.prefect_app:create_app", "--port", port]
        processes.start("prefect", app, environment | ({KEY: key} if key else {}))
        processes.wait_until_ready("prefect", f"http://127.0.0.1:{port}/api/health")
        yield {**os.environ, **environment, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}


def python(environment: dict[str, str], *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, input=given, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("is_first", [False, True], ids=["another key", "the first key"])
def test_a_saved_block_is_read_with_the_new_key_once_the_server_has_it(tmp_path: Path, is_first: bool) -> None:
    former, new, unknown = (Fernet.generate_key().decode() for _ in range(3))

    with server(tmp_path, "" if is_first else former) as environment:
        saved = python(environment, "-c", SAVE)
        assert saved.returncode == 0, saved.stderr
        for _ in range(2):  # a second time changes nothing
            done = python(environment, *REKEY, given=new)
            assert done.returncode == 0, done.stderr
    if not is_first:  # no process has a key that reads the block
        assert "cannot be read" in python(environment, *REKEY, given=unknown).stderr
    with server(tmp_path, new) as environment:
        assert python(environment, "-c", LOAD).stdout == "kept\n"
