"""dbt's packages are installed once, whether the project's folder can be written or not."""

import os
import shutil
from pathlib import Path

import pytest

from blocks import dbt_packages
from blocks.dbt.project import Dbt

PACKAGE = "{name: dates, version: 1.0.0, config-version: 2}"
PROJECT = """\
name: local_data_platform
version: 1.0.0
config-version: 2
profile: local_data_platform
packages-install-path: "{{ env_var('DBT_PACKAGES_INSTALL_PATH', 'dbt_packages') }}"
"""
PROFILES = "local_data_platform: {target: dev, outputs: {dev: {type: duckdb, path: ':memory:'}}}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package beside it."""
    folder = tmp_path / "project"
    for name, text in (("dbt_project.yml", PROJECT), ("profiles.yml", PROFILES)):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "packages.yml").write_text("packages:\n  - local: ../dates\n")
    (tmp_path / "dates").mkdir()
    (tmp_path / "dates" / "dbt_project.yml").write_text(PACKAGE)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the image has packages installed: outside the project."""
    monkeypatch.setenv("DBT_PACKAGES_INSTALL_PATH", str(tmp_path / "packages"))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    return tmp_path / "packages"


@pytest.fixture
def read_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, in a folder that is read-only to whoever asks; root could write it nevertheless."""
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != project and access(path, mode))
    return project


def install(project: Path) -> tuple[list[str], list[str]]:
    """Install; what was said, and what dbt said."""
    said: list[str] = []
    by_dbt: list[str] = []
    dbt_packages.install(Dbt(project, "dev", {}, by_dbt.append), said.append)
    return said, by_dbt


def test_a_read_only_project_gets_its_packages_once_and_is_not_written(read_only: Path, elsewhere: Path) -> None:
    before = sorted(read_only.iterdir())
    said, by_dbt = install(read_only)
    assert said == [dbt_packages.NO_LOCK]
    assert any("Installing" in line for line in by_dbt)
    assert sorted(read_only.iterdir()) == before
    assert (elsewhere / "dates" / "dbt_project.yml").read_text() == PACKAGE
    assert install(read_only) == ([], [])


def test_changed_package_files_are_installed_again(read_only: Path, elsewhere: Path, tmp_path: Path) -> None:
    install(read_only)
    shutil.copytree(tmp_path / "dates", tmp_path / "times")
    (tmp_path / "times" / "dbt_project.yml").write_text(PACKAGE.replace("dates", "times"))
    (read_only / "packages.yml").write_text("packages: [{local: ../dates}, {local: ../times}]")
    install(read_only)
    assert (elsewhere / "times" / "dbt_project.yml").is_file()
    assert install(read_only) == ([], [])


def test_a_project_that_can_be_written_gets_a_lock(project: Path, elsewhere: Path) -> None:
    install(project)
    assert (project / "package-lock.yml").is_file()
    assert install(project) == ([], [])


def test_packages_that_were_removed_are_missing(project: Path, elsewhere: Path) -> None:
    assert dbt_packages.are_missing(project)
    install(project)
    assert not dbt_packages.are_missing(project)
    shutil.rmtree(elsewhere)
    assert dbt_packages.are_missing(project)
