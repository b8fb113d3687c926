"""The verbs of `make dev`: the same as in Docker, or a reason."""

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands.compose.__main__ import _parser as parser_of_compose
from commands.embedded.verbs import ONLY_IN_DOCKER, SHARED_MODULES, choices, known_verbs, main, table

CLONE = Path(__file__).parents[3]
MAKEFILE = (CLONE / "Makefile").read_text()


def test_every_verb_of_docker_is_there_or_says_why_not() -> None:
    assert choices(parser_of_compose()) - {"up"} == known_verbs()


def test_the_page_of_commands_has_every_verb() -> None:
    found = re.search(
        r"<!-- verbs: .*? -->\n(.*)<!-- end of verbs -->", (CLONE / "docs/commands.md").read_text(), re.DOTALL
    )
    assert found
    assert found[1].strip() == table()


@pytest.mark.parametrize("name", ONLY_IN_DOCKER)
def test_a_verb_that_is_not_there_says_why_and_how_to_mean_docker(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--apply=", "--", "anything"]) == 1
    assert ONLY_IN_DOCKER[name] in (said := capsys.readouterr().err)
    assert f"make {name} PROFILE=local" in said


@pytest.mark.parametrize(
    ("variables", "arguments", "dev"),
    [
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:4566"}, [], True),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:4566"}, ["PROFILE=production"], False),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:4566", "PROFILE": "production"}, [], False),
        ({}, [], False),
    ],
)
def test_make_asks_the_platform_that_a_terminal_is_for(
    variables: dict[str, str], arguments: list[str], dev: bool
) -> None:
    plain = {name: value for name, value in os.environ.items() if name not in ("S3_ENDPOINT_URL", "PROFILE")}
    named = bool(arguments) or "PROFILE" in variables
    verbs = sorted(known_verbs())
    command = ["make", "--dry-run", *verbs, *arguments]
    done = subprocess.run(command, cwd=CLONE, env={**plain, **variables}, check=True, capture_output=True, text=True)
    # Each verb's recipe is one command, and make prints them in the order of the verbs.
    for name, line in zip(verbs, done.stdout.splitlines(), strict=True):
        module = SHARED_MODULES.get(name, "commands.embedded.verbs")
        here = dev or (name == "dbt" and not named)  # dbt also runs without a platform
        assert (f"-m {module}" in line) == here, name
        assert ('runpy.run_module("commands.compose"' in line) != here, name


def test_the_modules_of_verbs_are_there() -> None:
    assert all(find_spec(each) for each in SHARED_MODULES.values())


def test_a_verb_of_a_platform_that_does_not_run_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERTS_DIR", str(tmp_path / "dev" / "alerts"))
    for command in (["ps"], ["run", "full_pipeline"], ["drop", "a.csv"]):
        assert main(command) == 1
        assert "make dev" in capsys.readouterr().err
    assert main(["down"]) == 0
    (tmp_path / "dev").mkdir()
    assert main(["reset", "--yes"]) == 0
    assert not (tmp_path / "dev").exists()
