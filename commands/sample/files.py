"""The files of the sample, and where they are."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import PlatformError
from services.content import CONNECTIONS_FILE

LIST = Path("tests", "sample", "files.txt")
"""File with the patterns of the sample's files, relative to the checkout."""
AWAY = Path("tests", "sample_content")
"""The folder of the sample after its removal, laid out like a checkout."""
SOURCES_FILE = Path("dbt_project", "models", "staging", "sources.yml")
SHARED = (CONNECTIONS_FILE, SOURCES_FILE)
"""Files with entries of the sample and of others. In AWAY, they have only the sample's entries."""
PLACES = (
    "dbt_project/models",
    "dbt_project/snapshots",
    "dbt_project/seeds",
    "dbt_project/analyses",
    "dbt_project/tests",
    "localstack/landing",
)
"""Folders of the user's content."""
PACKAGES = ("packages.yml", "dependencies.yml", "package-lock.yml")
KEPT = ("dbt_project/tests/generic/", "localstack/landing/.gitkeep")
"""Paths below PLACES that belong to the platform."""


class SampleError(PlatformError):
    """The sample is not where it should be, or cannot be moved. Nothing was changed."""


@dataclass(frozen=True)
class Sample:
    """The sample of a checkout, in its place or moved away."""

    root: Path

    @property
    def is_in_place(self) -> bool:
        """Return whether it is in the places of content."""
        return (self.root / LIST).is_file()

    @property
    def home(self) -> Path:
        """The folder that has it, laid out like a checkout.

        Raises:
            SampleError: the sample is missing.
        """
        for folder in (self.root, self.root / AWAY):
            if (folder / LIST).is_file():
                return folder
        raise SampleError(
            f"There is no sample, which the platform's tests need: neither {LIST} nor {AWAY / LIST} exists. "
            f"Restore it from git's history: git checkout COMMIT -- {AWAY}."
        )

    def files(self) -> list[Path]:
        """Return its files, relative to the checkout, without the shared ones."""
        home = self.home
        lines = (home / LIST).read_text(encoding="utf-8").splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        found = {file for pattern in patterns for file in home.glob(pattern) if file.is_file()}
        return sorted(file.relative_to(home) for file in found)

    def streams(self) -> list[str]:
        """Return the names of its streams, which are the folders that its files land in."""
        landing = Path("localstack", "landing")
        return sorted({file.parent.name for file in self.files() if file.parent.parent == landing})

    def others(self) -> list[Path]:
        """Return the user's own files in the places of content."""
        own = {*self.files()} if self.is_in_place else set()
        return [each for each in files_in(self.root) if each not in own and each not in SHARED and is_content(each)]

    def changed(self) -> list[str]:
        """Return its files that differ from the last commit, or none if the checkout is not a git repository."""
        command = ["git", "status", "--porcelain", "-z", "--", *map(str, self.files())]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603
        return [line[3:] for line in done.stdout.split("\0") if line] if not done.returncode else []


def is_content(file: Path) -> bool:
    """Return whether a file of a checkout is content, and not a part of the platform."""
    path, places = file.as_posix(), tuple(f"{each}/" for each in PLACES)
    is_of_packages = file.parent == Path("dbt_project") and file.name in PACKAGES
    return is_of_packages or (path.startswith(places) and not path.startswith(KEPT))


def files_in(root: Path) -> Iterator[Path]:
    """Return the files of a checkout, committed or not, except those that git ignores.

    Raises:
        SampleError: the checkout is not a git repository.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SampleError(
            f"git cannot list the files of {root}: {done.stderr.strip()} Work in a clone, then try again."
        )
    listed = dict.fromkeys(Path(name) for name in done.stdout.split("\0") if name)
    return (file for file in listed if (root / file).is_file())
