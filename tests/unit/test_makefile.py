"""The Makefile's verbs begin right, or with one line, whatever Python and folder a person has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PYTHON = f'"{sys.executable}"'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile, with an environment that looks ready."""
    folder = tmp_path / "it's [a] clone"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "requirements-lineage.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / ".venv" / ".ready").write_text(f"{folder.resolve()}\n")
    return folder


def script(file: Path, commands: str) -> None:
    file.write_text(f"#!/bin/sh\n{commands}\n")
    file.chmod(0o755)


def make(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_an_environment_is_made_anew_where_its_folder_or_its_python_is_another(clone: Path) -> None:
    assert "Nothing to be done" in make(clone, "-n", "install").stdout
    moved = clone.rename(clone.parent / "moved")
    assert "Installing into .venv" in make(moved, "-n", "install").stdout
    (moved / ".venv" / ".ready").write_text(f"{moved.resolve()}\n")
    assert "Nothing to be done" in make(moved, "-n", "install").stdout
    (moved / ".venv" / "bin" / "python").unlink()
    (moved / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    assert "Installing into .venv" in make(moved, "-n", "install").stdout


def test_an_installed_environment_works_in_a_locale_without_the_letters_of_the_folders_name(clone: Path) -> None:
    folder = clone.rename(clone.parent / "Plätform ﬁx")
    (folder / ".venv" / ".ready").unlink()
    (folder / "ours.py").touch()
    script(folder / "python", f'case "$*" in *venv*) set -- -m venv --without-pip --clear .venv;; esac\n{PYTHON} "$@"')
    script(folder / "uv", "pwd > $(echo .venv/lib/python*/site-packages)/_local_data_platform.pth")
    made = make(folder, "install", f"PYTHON={folder}/python", "UV=./uv")
    assert made.returncode == 0, made.stderr
    started = [folder / ".venv" / "bin" / "python", "-I", "-X", "utf8=0", "-c", "import ours"]
    assert subprocess.run(started, env={"LC_ALL": "C"}, check=False).returncode == 0


@pytest.mark.parametrize("verb", ["install", "demo", "test", "up", "ps"])
def test_an_old_python_is_refused_in_one_line(clone: Path, verb: str) -> None:
    (clone / ".venv" / ".ready").unlink()
    old = clone / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = make(clone, verb, f"PYTHON={old}")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0].startswith("Python 3.11 or newer is needed.")
    assert len(refused.stderr.splitlines()) == 2
    assert refused.stdout == ""


def test_no_variable_of_pythons_leads_a_verb_to_modules_of_a_persons_own(tmp_path: Path) -> None:
    for name in ("argparse.py", "json.py", "pydantic.py", "services.py"):
        (tmp_path / name).write_text('raise RuntimeError("a module of a person\'s own")')
    hostile = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "/nowhere", "PYTHONWARNINGS": "error"}
    said = make(PROJECT, "promote", "PROFILE=no-such-profile", f"PYTHON={sys.executable}", **hostile)
    assert "a module of a person's own" not in said.stderr
    assert "no-such-profile" in said.stderr


def test_make_alone_lists_every_verb_by_subject_with_those_of_the_first_day_first() -> None:
    listed = make(PROJECT).stdout
    verbs = re.findall(r"^  make ([a-z0-9-]+)", listed, re.MULTILINE)
    assert verbs[:9] == ["demo", "dev", "up", "drop", "source", "sources", "sample", "sql", "down"]
    assert sorted({*verbs, "help"}) == sorted(
        re.findall(r"(?m)^([a-z0-9-]+):.*## ", (PROJECT / "Makefile").read_text())
    )
    assert listed.strip().startswith("Getting started\n")


def test_a_line_of_make_help_fits_100_columns() -> None:
    assert [line for line in make(PROJECT).stdout.splitlines() if len(line) > 100] == []
