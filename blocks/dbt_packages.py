"""Installs dbt's packages once for each state of the package files, even if the project's folder is read-only."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import yaml

from blocks.dbt.project import Dbt
from blocks.settings import Settings

LOCK = "package-lock.yml"
FILES = ("packages.yml", "dependencies.yml", LOCK)
DEPTH = ("a",) * 8
"""Folders above a project's copy, so that relative paths can lead out of the project."""

NO_LOCK = (
    f"The dbt project has no {LOCK}, and its folder is read-only here. Run `make dbt ARGS=deps` and commit that file, "
    "so that every installation has the same versions."
)


def digest(project: Path) -> str:
    """Return a digest of the project's path and its package files."""
    found = hashlib.sha256(str(project.absolute()).encode())
    for file in _files(project):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()


def are_missing(project: Path) -> bool:
    """Return whether the project names packages, but their folder is empty."""
    return bool(_files(project)) and not _has_packages(project)


def install(dbt: Dbt, say: Callable[[str], None]) -> None:
    """Install the packages in the package files, unless they are installed already.

    Raises:
        DbtFailed: dbt cannot install them.
    """
    project = dbt.project_dir.absolute()
    mark = _folder(project) / f".{digest(project)}"
    if mark.exists() or not (_files(project) or _has_packages(project)):
        return
    if _files(project) and not os.access(project, os.W_OK):
        if not (project / LOCK).exists():
            say(NO_LOCK)
        _install_from_a_copy(dbt, project)
    else:
        dbt.run("deps")  # writes its lock beside the package files
        mark = _folder(project) / f".{digest(project)}"
    if mark.parent.is_dir():
        for old in mark.parent.glob(".*"):
            if old.is_file():
                old.unlink()
        mark.touch()


def _install_from_a_copy(dbt: Dbt, project: Path) -> None:
    """Run `dbt deps` in a copy of the project, since it writes its lock file into the project's folder."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, *DEPTH)
        copy.mkdir(parents=True)
        for file in [project / "dbt_project.yml", project / "profiles.yml", *_files(project)]:
            with suppress(FileNotFoundError):
                shutil.copyfile(file, copy / file.name)
        for relative in _local_packages(project):
            link = Path(os.path.normpath(copy / relative))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.normpath(project / relative))
        folder = _folder(project)
        variables = {**dbt.variables, "DBT_PACKAGES_INSTALL_PATH": str(folder)}
        Dbt(copy, dbt.target, variables, dbt.log, engine=dbt.engine).run("deps")
        for installed in folder.iterdir():
            if installed.is_symlink():  # a local package, linked through the copy, which is deleted
                package = installed.resolve()
                installed.unlink()
                installed.symlink_to(package)


def _local_packages(project: Path) -> set[str]:
    """Return the relative paths of local packages."""
    declared = [yaml.safe_load(file.read_text()) or {} for file in _files(project)]
    paths = [package.get("local", "") for each in declared for package in each.get("packages") or []]
    return {path for path in paths if path and not Path(path).is_absolute()}


def _files(project: Path) -> list[Path]:
    return [project / name for name in FILES if (project / name).is_file()]


def _has_packages(project: Path) -> bool:
    folder = _folder(project)
    return folder.is_dir() and any(folder.iterdir())


def _folder(project: Path) -> Path:
    """Return the folder for packages in dbt_project.yml."""
    return project.absolute() / Settings().dbt_packages_install_path
