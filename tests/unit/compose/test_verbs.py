"""What the verbs run in Docker, and what they ask before they delete something."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from commands.__main__ import VERBS, parse
from commands.compose.command_line import Compose
from commands.compose.platform import DockerPlatform
from commands.compose.profile import load
from commands.platform import Platform
from tests.unit.compose.fake_docker import docker, script

__all__ = ["docker"]
PYTHON = "with-secrets python -m"


@pytest.fixture
def told(docker: Path, tmp_path: Path) -> Path:
    """The file with the command lines of a Docker in which every service runs."""
    script(docker, f'echo "$@" >> {tmp_path}/told; case "$*" in *" ps "*) echo worker; echo watch; echo console;; esac')
    return tmp_path / "told"


def run(line: list[str]) -> int:
    options = parse(line)
    return VERBS[options.verb].do(DockerPlatform(Compose(load("local"), project="p")), options)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            ["dbt", "show", "--select", "x"],
            f"exec -T worker {PYTHON} blocks.dbt_command --blocks local show --select x",
        ),
        (["cursor", "show"], f"exec -T watch {PYTHON} flows.sensors.cursor_command show --profile=local"),
        (["alerts", "list"], f"exec -T console {PYTHON} services.watch list"),
        (["alerts", "test"], f"exec -T watch {PYTHON} services.watch test"),
        (["sql", "--", "select 1"], f"exec -T worker {PYTHON} blocks.sql select 1"),
        (["logs", "worker"], "logs --follow --tail 200 worker"),
        (["ps"], "ps --all"),
        (["down"], "down --remove-orphans"),
    ],
)
def test_a_verb_runs_its_program_where_it_has_what_it_needs(line: list[str], expected: str, told: Path) -> None:
    assert run(line) == 0
    assert told.read_text().splitlines()[-1].endswith(expected)


def test_a_reset_that_nobody_confirms_removes_nothing(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert run(["reset"]) == 1
    assert "Nothing was removed." in capsys.readouterr().out
    assert " down " not in told.read_text()


@pytest.mark.parametrize(("answer", "yes", "started"), [("n", "no", False), ("y", "no", True), ("n", "yes", True)])
def test_a_file_is_removed_once_a_person_has_seen_the_effects_and_agreed(
    answer: str, yes: str, started: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[Any] = []
    prefect = SimpleNamespace(start=lambda *run: begun.append(run), follow=lambda *_: 0)
    platform = SimpleNamespace(blocks="", prefect=prefect, need=lambda _: None, output=lambda *_: "20 rows go")
    monkeypatch.setattr("builtins.input", lambda _: answer)
    options: Namespace = parse(["remove-file", f"--yes={yes}", "--", "a.csv"])
    assert VERBS["remove-file"].do(cast("Platform", platform), options) == (0 if started else 1)
    assert "20 rows go" in capsys.readouterr().out
    assert begun == ([("remove_file", {"key": "a.csv"})] if started else [])
