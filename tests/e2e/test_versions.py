"""A platform whose profile names an image runs that image's code: other code in the clone changes nothing."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.testing import Platform
from services.testing.fixtures import owner
from tests.e2e.clone import Clone
from tests.e2e.conftest import sample_is_published

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
PIPELINE = "full_pipeline/full-pipeline"
PINNED = "PROFILE=pinned"
PREFIX = "team+a@b:1,x~(ü)!&;/k=v/in/"
"""As odd as a profile takes it."""


class Pinned:
    """A clone with a commit, and a platform whose profile names an image and its tag."""

    def __init__(self, folder: Path, owner: int) -> None:
        self.folder, self.file = folder, folder / "profiles" / "pinned.env"
        text = (folder / "profiles" / "local.env").read_text().replace("PROFILE=local", "PROFILE=pinned")
        text = text.replace("S3_PREFIX=inbound/", f"S3_PREFIX={PREFIX}")
        self.file.write_text(f"{text}PLATFORM_IMAGE=pinned-{owner}\nPLATFORM_TAG=one\n")
        self.image = f"pinned-{owner}"
        self.git("init", "-q")
        self.commit("As it is")
        self.platform = Platform(folder, "pinned", owner=owner)
        self.clone = Clone(folder, self.platform.name, self.platform.ports)

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True)

    def commit(self, subject: str) -> None:
        self.git("add", ".")
        self.git("commit", "-qm", subject)

    def make(self, *arguments: str) -> None:
        done = self.clone.make(*arguments, PINNED)
        assert done.returncode == 0, done.stdout

    def name(self, tag: str) -> None:
        """Name an image's tag in the profile, and start it."""
        self.file.write_text(re.sub(r"^PLATFORM_TAG=.*$", f"PLATFORM_TAG={tag}", self.file.read_text(), flags=re.M))
        self.make("up")

    def run(self) -> tuple[str, str, set[str]]:
        """Run the pipeline; the version of its tags, the one that the publication names, and the tables of readers."""
        run = self.platform.run(PIPELINE, seconds=900)
        assert run["state_type"] == "COMPLETED", run["state"]
        (tag,) = [each.removeprefix("version:") for each in run["tags"] if each.startswith("version:")]
        tables = self.platform.rows("select table_name from information_schema.tables")
        return tag, self.published()["version"], {name for (name,) in tables}

    def published(self) -> dict[str, Any]:
        """What the newest artifact `published` says."""
        wanted = {"artifacts": {"key": {"any_": ["published"]}}, "sort": "CREATED_DESC", "limit": 1}
        (artifact,) = self.platform.prefect("POST", "artifacts/filter", wanted)
        (row,) = json.loads(artifact["data"])
        return dict(row)


@pytest.fixture
def pinned(project: Path, pytestconfig: pytest.Config) -> Iterator[Pinned]:
    made = Pinned(project, owner(pytestconfig))
    try:
        yield made
    finally:
        made.platform.__exit__()
        images = [f"{made.image}:{tag}" for tag in ("one", "two")]
        subprocess.run(["docker", "rmi", "--force", *images], check=False, capture_output=True)


def test_other_code_runs_once_its_image_is_named_and_the_former_image_is_the_way_back(pinned: Pinned) -> None:
    pinned.make("image", "TAG=one")
    pinned.name("one")
    pinned.platform.eventually(lambda: sample_is_published(pinned.platform), "the sample's marts", seconds=900)

    (pinned.folder / "dbt_project" / "models" / "marts" / "only_in_two.sql").write_text("select 2 as version\n")
    pinned.commit("Add a model")
    tag, published, tables = pinned.run()
    assert (tag, published) == ("one", "one")
    assert "only_in_two" not in tables

    pinned.make("image", "TAG=two")
    pinned.name("two")
    tag, published, tables = pinned.run()
    assert (tag, published) == ("two", "two")
    assert "only_in_two" in tables

    pinned.name("one")
    tag, published, _ = pinned.run()
    assert (tag, published) == ("one", "one")
    assert sample_is_published(pinned.platform)
