"""The verbs of `make dev`: the same as in Docker, or a reason."""

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands.__main__ import VERBS, main, parse, table
from commands.compose.docker_only import DOCKER_VERBS
from commands.embedded.only_one import only_one

CLONE = Path(__file__).parents[3]
MAKEFILE = (CLONE / "Makefile").read_text()


def test_the_page_of_commands_has_every_verb() -> None:
    found = re.search(
        r"<!-- verbs: .*? -->\n(.*)<!-- end of verbs -->", (CLONE / "docs/commands.md").read_text(), re.DOTALL
    )
    assert found
    assert found[1].strip() == table()


@pytest.mark.parametrize(
    "arguments",
    [["up"], ["promote", "--apply="], ["backup", "--", "a"], ["restore", "--", "a"], ["adopt", "a"], ["image", "a"],
     ["verify-offline"]],
)  # fmt: skip
def test_a_verb_that_is_not_there_says_why_and_how_to_mean_docker(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dev", *arguments]) == 1
    assert DOCKER_VERBS[arguments[0]].why in (said := capsys.readouterr().err)
    assert f"make {arguments[0]} PROFILE=local" in said


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
    verbs = sorted({*VERBS, *DOCKER_VERBS} - {"up"})  # `make up` always means Docker
    command = ["make", "--dry-run", *verbs, *arguments]
    done = subprocess.run(command, cwd=CLONE, env={**plain, **variables}, check=True, capture_output=True, text=True)
    # Each verb's recipe is one command, and make prints them in the order of the verbs.
    for name, line in zip(verbs, done.stdout.splitlines(), strict=True):
        if name == "dbt" and not named:  # dbt also runs without a platform
            assert "-m blocks.dbt_command" in line
            continue
        assert ("-m commands --dev" in line) == dev, name
        assert ('runpy.run_module("commands"' in line) != dev, name
        assert f" {name} " in f"{line} ", name


def test_the_programs_that_verbs_run_are_there() -> None:
    code = "".join(file.read_text() for file in (CLONE / "commands").glob("*/*.py"))
    modules = {*re.findall(r'"((?:blocks|flows|services|commands)\.[a-z_.]+)"', code)}
    assert len(modules) > 10
    assert [each for each in modules if not find_spec(each)] == []


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.passes_on])
@pytest.mark.parametrize("line", [["--help"], ["--log-level", "debug", "build"], ["list", "--json"], ["a", "--", "b"]])
def test_a_programs_own_options_reach_it_in_their_order(verb: str, line: list[str]) -> None:
    assert parse([verb, *line]).command == line


@pytest.mark.parametrize("line", [["ps", "--wide"], ["--wide", "cursor", "show"]])
def test_an_option_that_no_verb_has_is_refused(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(line)
    assert "--wide" in capsys.readouterr().err


def test_a_verb_of_a_platform_that_does_not_run_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERTS_DIR", str(tmp_path / "dev" / "alerts"))
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    for command in (["ps"], ["run", "full_pipeline"], ["drop", "--stream=a", str(file)], ["compact", ""]):
        assert main(["--dev", *command]) == 1
        assert "make dev" in capsys.readouterr().err
    assert main(["--dev", "down"]) == 0


def test_a_reset_deletes_what_make_dev_has_made_and_says_nothing_of_data_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERTS_DIR", str(tmp_path / "dev" / "alerts"))
    with only_one(tmp_path / "dev", "make dev", ""):
        pass
    assert main(["--dev", "reset", "--yes"]) == 0
    assert not (tmp_path / "dev").exists()
    assert "kept" not in capsys.readouterr().out


def test_a_reset_refuses_a_folder_that_is_not_of_make_dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal may have an S3_ENDPOINT_URL of its own, such as MinIO's, and the default folder, data/."""
    monkeypatch.setenv("ALERTS_DIR", str(tmp_path / "data" / "alerts"))
    (other := tmp_path / "data" / "demo" / "mine").mkdir(parents=True)
    assert main(["--dev", "reset", "--yes"]) == 1
    assert "Nothing was deleted" in capsys.readouterr().err
    assert other.exists()
