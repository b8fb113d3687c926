"""`python -m commands.embedded run COMMAND`: services that live as long as one command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.content import PROJECT

LOOK = """
import os, sys, urllib.request
with urllib.request.urlopen(os.environ["AIRBYTE_SERVER_URL"] + "/health") as answer:
    print(answer.status, os.environ["S3_BUCKET"], os.environ.get("AIRBYTE_CLIENT_ID"), flush=True)
sys.stdin.read()
sys.exit(3)
"""


def started(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "commands.embedded", "run", *command],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(folder), "AIRBYTE_CLIENT_ID": "a person's own"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_command_finds_the_services_and_its_exit_code_is_the_result(tmp_path: Path) -> None:
    with started(tmp_path, sys.executable, "-c", LOOK) as run:
        out, err = run.communicate(timeout=240)
    assert (run.returncode, out) == (3, "200 my-data-lake-landing None\n"), err
    assert "35 files from the landing folder landed." in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive)])
def test_one_that_is_ended_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, sys.executable, "-c", LOOK) as run:
        assert run.stdout
        assert run.stdout.readline()
        run.send_signal(number)
        run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    with started(tmp_path, "no-such-command") as run:
        _, err = run.communicate(timeout=240)
    assert run.returncode == 1
    assert "no-such-command is not a program. Check its name" in err
    assert "Starting" not in err


def test_without_a_command_it_says_how(tmp_path: Path) -> None:
    with started(tmp_path) as run:
        _, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "name a command" in err
