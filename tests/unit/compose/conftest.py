"""A production profile in a clone of its own, and a `docker` that only notes what it is asked."""

import subprocess
from pathlib import Path

import pytest

from commands.compose.profile import Profile, load
from tests.unit.compose.profile_texts import TEXTS


@pytest.fixture
def production(tmp_path: Path) -> Profile:
    """The production example, filled in, in a clone with one commit."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "production.env").write_text(TEXTS["production"])
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--message", "First"]):
        own = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "-C", tmp_path, *own, *command], check=True)
    return load("production", tmp_path / "profiles")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `docker`. It has one image if the file `commit` names its commit, and logs its calls."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "docker"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n[ "$1" = image ] || exit 0\ncat {tmp_path}/commit\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    return tmp_path
