"""New secrets for a running platform take nothing from the runs under way."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from commands.compose.command_line import Compose
from commands.compose.profile import PROJECT, load
from commands.compose.rotate import DRAINS, without_runs
from commands.compose.secrets import prepare
from commands.errors import CommandError

FOLDER = PROJECT / "profiles"
SERVICES = {"services": {"prefect-server": {"labels": {"secrets": "new"}}, "worker": {"labels": {}}, "localstack": {}}}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a `docker` that notes what it is asked, and knows one container; the whole PATH otherwise."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("env", "sh", "cat"):
        (folder / tool).symlink_to(Path("/usr/bin") / tool)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def answers(folder: Path, label: str, command: str, drained: int = 0) -> None:
    (folder / "config").write_text(json.dumps(SERVICES))
    script = f"""#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in
  *" config --format json") cat {folder}/config ;;
  *" ps --quiet"*) echo 17a4 ;;
  inspect*Config.Cmd*) echo '17a4 {command}' ;;
  inspect*) echo 'prefect-server={label}' ;;
  exec*) exit {drained} ;;
esac"""
    (folder / "docker").write_text(script)
    (folder / "docker").chmod(0o755)


def asked(folder: Path) -> str:
    return (folder / "asked").read_text()


def test_a_secret_that_has_changed_lets_the_runs_end_and_the_worker_starts_again_if_the_platform_cannot(
    docker: Path,
) -> None:
    answers(docker, "old", DRAINS)
    with suppress(CommandError), without_runs(Compose(load("local"))):
        lines = asked(docker).splitlines()
        assert "exec --interactive 17a4 python -m services.drain" in lines
        assert lines[-1].endswith(" stop worker")
        raise CommandError("a service does not become healthy")
    assert asked(docker).splitlines()[-1].endswith(" start worker")


def test_the_saved_blocks_are_encrypted_with_a_new_key_while_the_server_has_the_former_one(
    docker: Path, tmp_path: Path
) -> None:
    answers(docker, "old", "an earlier version")
    values = (FOLDER / "rehearsal.env").read_text()
    (tmp_path / "rehearsal.env").write_text(values)
    profile = load("rehearsal", tmp_path)
    prepare(profile)
    with without_runs(Compose(profile)):
        pass
    assert asked(docker).splitlines()[-1].endswith("prefect-server with-secrets python -m services.rekey")
    profile.values["SECRETS"] = profile.values["SECRETS"].replace("PREFECT_SERVER_ENCRYPTION_KEY", "")
    (docker / "asked").unlink()
    with without_runs(Compose(profile)):
        pass
    assert "rekey" not in asked(docker)


@pytest.mark.parametrize(("label", "command"), [("new", DRAINS), ("old", "an earlier version")])
def test_where_no_secret_has_changed_or_the_worker_is_of_an_earlier_version_nothing_is_waited_for(
    docker: Path, label: str, command: str
) -> None:
    answers(docker, label, command)
    with without_runs(Compose(load("local"))):
        pass
    assert "services.drain" not in asked(docker)
    assert " stop " not in asked(docker)
