"""A production profile runs an image that it names, and nothing of the clone that it lies in."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from commands.compose import image
from commands.compose.command_line import Compose
from commands.compose.image import make_image, need_image
from commands.compose.profile import (
    COMPOSE_FILE,
    IMAGE_FILE,
    MOUNTED_FILE,
    SCALE_FILE,
    SCALED_IMAGE_FILE,
    Profile,
    check,
    load,
)
from commands.errors import CommandError
from tests.unit.compose.profile_texts import changed

OURS = "prefect-orchestration:"


def test_no_service_of_the_compose_file_mounts_code_of_the_clone() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith(OURS)}
    assert len(ours) > 3
    assert [each for one in ours.values() for each in one.get("volumes", ()) if each.startswith(".")] == []


def test_every_service_of_the_platforms_image_runs_the_one_that_the_profile_names() -> None:
    for file, overlay in ((COMPOSE_FILE, IMAGE_FILE), (SCALE_FILE, SCALED_IMAGE_FILE)):
        services = yaml.safe_load(file.read_text().replace("!reset", ""))["services"]
        named = yaml.safe_load(overlay.read_text().replace("!reset", ""))["services"]
        ours = {name for name, each in services.items() if each.get("image", "").startswith(OURS) or "extends" in each}
        assert ours == named.keys()
        assert {each["image"] for each in named.values()} == {"${PLATFORM_IMAGE:?}:${PLATFORM_TAG:?}"}


def test_the_clones_code_is_mounted_where_stand_ins_run_and_no_image_is_named(production: Profile) -> None:
    assert MOUNTED_FILE in load("local").files
    assert MOUNTED_FILE not in production.files
    assert IMAGE_FILE in production.files
    assert production.image == "prefect-orchestration:2027-01-31"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"PLATFORM_TAG": "latest"}, "PLATFORM_TAG is 'latest'.*not latest"),
        ({"PLATFORM_TAG": ""}, "PLATFORM_IMAGE and PLATFORM_TAG go together"),
        ({"PLATFORM_TAG": "", "PLATFORM_IMAGE": ""}, r"make image TAG=… PROFILE=production"),
    ],
)
def test_a_production_profile_without_an_image_or_its_tag_is_refused(
    tmp_path: Path, values: dict[str, str], said: str
) -> None:
    (tmp_path / "production.env").write_text(changed("production", **values))
    with pytest.raises(CommandError, match=said):
        check(load("production", tmp_path))


def test_a_missing_image_stops_the_start_and_the_command_that_builds_it_is_named(
    production: Profile, docker: Path
) -> None:
    with pytest.raises(CommandError, match=r":2027-01-31.*`make image PROFILE=production TAG=2027"):
        need_image(production)
    (docker / "commit").write_text("abc")
    need_image(production)


def test_an_image_that_a_registry_does_not_give_is_named_with_what_was_said(production: Profile, docker: Path) -> None:
    (docker / "bin" / "docker").write_text("#!/bin/sh\necho no such manifest >&2; exit 1\n")
    production.values["PLATFORM_IMAGE"] = "registry.example.com/data/platform"
    with pytest.raises(CommandError, match=r"registry\.example\.com/data/platform:2027.*no such manifest.*make image"):
        need_image(production)


def test_nothing_is_built_at_the_start_of_a_profile_that_names_an_image(production: Profile, docker: Path) -> None:
    Compose(production).build()
    assert not (docker / "told").exists()


def test_an_image_is_built_of_the_commit_alone_and_says_which(
    production: Profile, docker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image(production, "2027-01-31")
    built = (docker / "told").read_text().splitlines()[-1]
    commit = subprocess.run(
        ["git", "-C", docker, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert f"--build-arg=VERSION=2027-01-31 --build-arg=COMMIT={commit}" in built
    assert "The profile names this image." in capsys.readouterr().out
    assert built.split()[-1] != str(production.clone)


def test_a_tag_stays_with_its_commit(production: Profile, docker: Path) -> None:
    (docker / "commit").write_text("f" * 40)
    with pytest.raises(CommandError, match=r"orchestration:v1 already exists, built from commit f{12};"):
        make_image(production, "v1")


@pytest.mark.parametrize("tag", ["", "latest", "a b", "-v1"])
def test_a_tag_that_names_no_version_is_refused(production: Profile, docker: Path, tag: str) -> None:
    with pytest.raises(CommandError, match="is not a valid tag"):
        make_image(production, tag)


def test_the_image_holds_its_commit_as_a_label_and_as_variables_of_its_processes() -> None:
    text = (COMPOSE_FILE.parent / "Dockerfile").read_text()
    assert f"{image.REVISION}=$COMMIT" in text
    assert re.search(r"^ENV PLATFORM_VERSION=\$VERSION PLATFORM_COMMIT=\$COMMIT$", text, re.MULTILINE)
