"""Containers can read and run what they are given of a clone, whatever its modes and line ends."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from commands.compose.code import MOUNTED, prepare_code, update_copy, why_copied
from commands.compose.profile import (
    COMPOSE_FILE,
    COPIED_FILE,
    COPIED_LOCALSTACK_FILE,
    COPY,
    MOUNTED_FILE,
    PROJECT,
    Profile,
    load,
)

SCRIPT = "localstack/init/ready.d/10-landing.sh"


def private(clone: Path) -> None:
    for each in [clone, *clone.rglob("*")]:
        each.chmod(each.stat().st_mode & 0o700)


def windows(clone: Path) -> None:
    (clone / SCRIPT).write_bytes((clone / SCRIPT).read_bytes().replace(b"\n", b"\r\n"))


def not_executable(clone: Path) -> None:
    (clone / SCRIPT).chmod(0o644)


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    """The local profile of a clone with what is mounted, readable to all."""
    for mounted in (*MOUNTED, Path("profiles/local.env")):
        (tmp_path / mounted).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (PROJECT / mounted).is_dir() else shutil.copy
        copy(PROJECT / mounted, tmp_path / mounted)
    for each in tmp_path.rglob("*"):
        each.chmod(0o755 if each.is_dir() or each.suffix == ".sh" else 0o644)
    yield load("local", tmp_path / "profiles")
    for each in [tmp_path, *tmp_path.rglob("*")]:
        each.chmod(0o700)


def test_a_clone_that_containers_can_read_is_what_they_run(profile: Profile) -> None:
    assert update_copy(profile) == ""
    assert not (profile.clone / COPY).exists()
    assert COPIED_FILE not in profile.files


@pytest.mark.parametrize("spoil", [private, windows, not_executable])
def test_containers_are_given_a_copy_that_they_can_read_and_the_clone_stays_as_it_is(
    profile: Profile, spoil: Callable[[Path], None]
) -> None:
    spoil(profile.clone)
    before = {each: (each.stat().st_mode, each.read_bytes()) for each in profile.clone.rglob("*") if each.is_file()}
    assert update_copy(profile)
    assert COPIED_FILE in profile.files
    copy = profile.clone / COPY
    assert why_copied(copy) == ""
    assert {each.name for each in (copy / "flows").rglob("*.py")} == {p.name for p in (PROJECT / "flows").rglob("*.py")}
    assert b"\r" not in (copy / SCRIPT).read_bytes()
    assert os.access(copy / SCRIPT, os.X_OK)
    assert (
        before.items()
        <= {
            each: (each.stat().st_mode, each.read_bytes()) for each in profile.clone.rglob("*") if each.is_file()
        }.items()
    )
    assert copy.parent.stat().st_mode & 0o077 == 0


def test_a_later_verb_brings_changes_and_removals(profile: Profile) -> None:
    private(profile.clone)
    update_copy(profile)
    declared = (profile.clone / COPY / "prefect.yaml").stat().st_ino
    (profile.clone / "prefect.yaml").write_text("changed: 1\n")
    (profile.clone / "flows" / "example_flow.py").unlink()
    update_copy(profile)
    assert (profile.clone / COPY / "prefect.yaml").read_text() == "changed: 1\n"
    assert (profile.clone / COPY / "prefect.yaml").stat().st_ino == declared, "a mounted file is written in place"
    assert not (profile.clone / COPY / "flows" / "example_flow.py").exists()


def test_a_clone_that_has_become_readable_is_used_again(profile: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    (profile.clone / SCRIPT).chmod(0o700)
    prepare_code(profile)
    assert f"{SCRIPT} is not readable to other users" in capsys.readouterr().out
    (profile.clone / SCRIPT).chmod(0o755)
    prepare_code(profile)
    assert COPIED_FILE not in profile.files


def test_every_mount_of_the_clone_is_a_mount_of_the_copy() -> None:
    mounted, copied = of_the_clone(COMPOSE_FILE, MOUNTED_FILE), of_the_clone(COPIED_FILE, COPIED_LOCALSTACK_FILE)
    assert mounted.keys() == copied.keys()
    for name, mounts in mounted.items():
        there = copied[name]
        assert [each.replace("./", f"./{COPY}/", 1) for each in mounts] == there, name
        sources = [Path(each.split(":")[0]) for each in mounts]
        assert all({source, *source.parents} & set(MOUNTED) for source in sources)


def of_the_clone(*files: Path) -> dict[str, list[str]]:
    """What the services of Compose files mount of the clone."""
    services = [each for file in files for each in yaml.safe_load(file.read_text())["services"].items()]
    found = {name: [each for each in service.get("volumes", ()) if each.startswith("./")] for name, service in services}
    return {name: mounts for name, mounts in found.items() if mounts}


def test_git_gives_every_checkout_lf_line_ends() -> None:
    assert "* text=auto eol=lf" in (PROJECT / ".gitattributes").read_text().splitlines()
