"""A `docker` that is a script of the test's own."""

from pathlib import Path

import pytest


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH but for the system's, so that `docker` is what a test writes there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("env", "sh"):
        (folder / tool).symlink_to(Path("/usr/bin") / tool)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(folder: Path, text: str) -> None:
    (folder / "docker").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "docker").chmod(0o755)
