"""A clone's Compose project is its own: no other clone's data are taken, and a moved clone keeps its own."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from commands.compose.profile import PROJECT, Profile, load
from commands.compose.project import RECORD, DockerProjects, adopt, forget, project_name
from commands.errors import CommandError

LOCAL, REHEARSAL = load("local"), load("rehearsal")


@dataclass(frozen=True)
class Docker(DockerProjects):
    """An engine that holds what a test puts there."""

    started: dict[str, set[Path]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def folders(self, project: str) -> set[Path]:
        return self.started.get(project, set())

    def volumes(self, project: str) -> list[str]:
        return self.kept.get(project, [])

    def up(self, clone: Path, profile: Profile = LOCAL) -> str:
        """Start the platform of a clone; its project's name."""
        name = project_name(profile, clone, self)
        self.started[name], self.kept[name] = {clone}, [f"{name}_lake"]
        return name

    def down(self, name: str) -> None:
        self.started.pop(name)


@pytest.fixture(autouse=True)
def _no_name_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPOSE_PROJECT_NAME", raising=False)


@pytest.fixture
def docker() -> Docker:
    return Docker()


def clone(*parts: str | Path) -> Path:
    folder = Path(*parts)
    folder.mkdir(parents=True)
    return folder


def test_two_clones_of_one_folder_name_share_nothing(tmp_path: Path, docker: Docker) -> None:
    one, two = clone(tmp_path, "a", "platform"), clone(tmp_path, "b", "platform")
    names = {docker.up(one), docker.up(two), docker.up(one, REHEARSAL), docker.up(two, REHEARSAL)}
    assert len(names) == 4


@pytest.mark.parametrize("folder", ["データ", "-_-", "Ünïted Data", "[v2]", "it's 100%", "_x", "a" * 200, "9"])
def test_any_folder_has_a_name_that_compose_and_image_tags_take(tmp_path: Path, docker: Docker, folder: str) -> None:
    for profile in (LOCAL, REHEARSAL):
        name = project_name(profile, clone(tmp_path / profile.name, folder), docker)
        assert re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}", name)


def test_a_clone_that_is_moved_or_renamed_keeps_its_project(tmp_path: Path, docker: Docker) -> None:
    old = clone(tmp_path, "old")
    name = docker.up(old)
    docker.down(name)
    moved = old.rename(tmp_path / "new")
    assert docker.up(moved) == name
    assert project_name(LOCAL, moved, docker) == name


def test_a_copy_of_a_clone_has_a_project_of_its_own(tmp_path: Path, docker: Docker) -> None:
    original = clone(tmp_path, "original")
    name = docker.up(original)
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    assert docker.up(copy) != name
    assert docker.up(original) == name


def test_a_new_clone_in_the_place_of_a_moved_one_leaves_its_data_alone(
    tmp_path: Path, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    place = clone(tmp_path, "place")
    first = docker.up(place)
    docker.down(first)
    moved = place.rename(tmp_path / "moved")
    second = docker.up(clone(place))
    assert second != first
    assert f"make adopt PROJECT={first}" in capsys.readouterr().out
    assert docker.up(moved) == first


def test_the_project_of_an_earlier_version_is_kept_where_its_containers_are_this_clones(
    tmp_path: Path, docker: Docker
) -> None:
    mine, other = clone(tmp_path, "a", "Local_Data"), clone(tmp_path, "b", "Local_Data")
    docker.started["local_data"] = {mine}
    docker.kept["local_data"] = ["local_data_lake"]
    docker.started["platform-rehearsal"] = {mine}
    assert docker.up(mine) == "local_data"
    assert docker.up(mine, REHEARSAL) == "platform-rehearsal"
    assert not {docker.up(other), docker.up(other, REHEARSAL)} & {"local_data", "platform-rehearsal"}


@pytest.mark.parametrize("started", [set(), {Path("/a/folder/that/is/gone")}], ids=["down", "moved"])
def test_volumes_that_nothing_attributes_are_named_left_alone_and_can_be_adopted(
    tmp_path: Path, docker: Docker, capsys: pytest.CaptureFixture[str], started: set[Path]
) -> None:
    mine = clone(tmp_path, "flights")
    docker.kept["flights"], docker.started["flights"] = ["flights_lake"], started
    assert docker.up(mine) != "flights"
    assert "`make adopt PROJECT=flights` uses them" in capsys.readouterr().out
    adopt(LOCAL, "flights", mine, docker)
    assert project_name(LOCAL, mine, docker) == "flights"


def test_a_project_named_by_hand_is_used_by_the_clone_that_made_it_and_refused_to_others(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = clone(tmp_path, "mine"), clone(tmp_path, "other")
    own = docker.up(mine)
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "second")
    assert docker.up(mine) == "second"
    with pytest.raises(CommandError, match=f"belongs to the clone in {re.escape(str(mine))}"):
        project_name(LOCAL, other, docker)
    docker.down("second")
    assert project_name(LOCAL, mine, docker) == "second"
    with pytest.raises(CommandError, match=r"second_lake.*`make adopt PROJECT=second`"):
        project_name(LOCAL, other, docker)
    monkeypatch.delenv("COMPOSE_PROJECT_NAME")
    assert project_name(LOCAL, mine, docker) == own


def test_nothing_that_is_not_there_or_another_clones_can_be_adopted(tmp_path: Path, docker: Docker) -> None:
    name = docker.up(clone(tmp_path, "mine"))
    other = clone(tmp_path, "other")
    with pytest.raises(CommandError, match="belongs to the clone"):
        adopt(LOCAL, name, other, docker)
    with pytest.raises(CommandError, match="no Compose project 'nonsense'"):
        adopt(LOCAL, "nonsense", other, docker)


def test_a_project_that_was_removed_is_forgotten(tmp_path: Path, docker: Docker) -> None:
    mine = clone(tmp_path, "mine")
    forget(docker.up(mine), mine)
    assert '"projects": {}' in (mine / RECORD).read_text()


def test_a_record_that_cannot_be_written_or_read_is_named(tmp_path: Path, docker: Docker) -> None:
    blocked, broken = clone(tmp_path, "blocked"), clone(tmp_path, "broken")
    (blocked / "data").touch()
    (broken / "data").mkdir()
    (broken / RECORD).write_text("{")
    with pytest.raises(CommandError, match=r"compose\.json cannot be written"):
        project_name(LOCAL, blocked, docker)
    with pytest.raises(CommandError, match=r"compose\.json is not JSON"):
        project_name(LOCAL, broken, docker)


def test_git_ignores_the_record() -> None:
    assert f"/{RECORD.parts[0]}/" in (PROJECT / ".gitignore").read_text().split()
