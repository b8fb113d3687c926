"""What containers read of this clone: its files, or a copy where they could not use these.

A container's user is neither the clone's owner nor in its group. Under umask 027 or 077 it may not read the files, and
a checkout from Windows may have scripts that no Linux shell runs. The clone stays as it is: a copy is made.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from services.compose.profile import COPY, ComposeError, Profile

CODE = ("blocks", "flows", "schedules", "services", "dbt_project", "prefect.yaml")
MOUNTED = tuple(map(Path, (*CODE, "localstack/init", "localstack/landing")))
"""What docker-compose.yml mounts of the clone."""

NOT_READ = {"__pycache__", "target", "logs", "dbt_packages", ".user.yml"}
IN_PLACE = Path("prefect.yaml")
"""A file that is mounted by itself: a container would not see another in its place."""

NOTE = (
    "Containers cannot use this clone's files as they are: {why}. They run a copy, which each verb of make brings up "
    "to date; a run that the sensor starts uses what the last verb found."
)


def bring_code(profile: Profile) -> str:
    """Bring the copy up to date where one is needed or in use; return why it is needed, or "".

    Raises:
        ComposeError: the copy cannot be written.
    """
    why = why_copied(profile.clone)
    copy = profile.clone / COPY
    try:
        if why or copy.is_dir():
            _bring(profile.clone, copy)
    except OSError as error:
        raise ComposeError(
            f"{error.filename or copy} cannot be copied for the containers: {error.strerror}."
        ) from error
    return why


def choose_code(profile: Profile) -> None:
    """Before containers are made: say that they use a copy, or remove one that is no longer needed."""
    if why := bring_code(profile):
        print(NOTE.format(why=why), flush=True)
    else:
        shutil.rmtree(profile.clone / COPY, ignore_errors=True)


def why_copied(clone: Path) -> str:
    """Return what keeps containers from using the clone's own files, with the name of one; "" where nothing does."""
    for file in _read(clone):
        mode = (clone / file).stat().st_mode
        if not mode & 0o004:
            return f"{file} is not readable to other users"
        if file.suffix == ".sh" and b"\r\n" in (clone / file).read_bytes():
            return f"{file} has CRLF line ends"
        if file.suffix == ".sh" and file.match("localstack/*/*/*") and not mode & 0o001:
            return f"{file} is not executable"
    closed = (each for each in _folders(clone) if (clone / each).stat().st_mode & 0o005 != 0o005)
    return next((f"{each} is closed to other users" for each in closed), "")


def _bring(clone: Path, copy: Path) -> None:
    copy.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o700)  # what the clone closes to other users stays closed to them
    wanted = set(_read(clone))
    for file in wanted:
        _bring_file(clone / file, copy / file, in_place=file == IN_PLACE)
    for mounted in MOUNTED:
        if (clone / mounted).is_dir():
            (copy / mounted).mkdir(parents=True, exist_ok=True)
    for old in [each for each in copy.rglob("*") if each.is_file() and each.relative_to(copy) not in wanted]:
        old.unlink()
    for folder in [copy, *(each for each in copy.rglob("*") if each.is_dir())]:
        folder.chmod(0o755)


def _bring_file(source: Path, target: Path, in_place: bool) -> None:
    content = source.read_bytes()
    if source.suffix == ".sh":
        content = content.replace(b"\r\n", b"\n")
    if not target.is_file() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = target if in_place else target.with_name(f".{target.name}.new")
        written.write_bytes(content)
        written.replace(target)
    target.chmod(0o755 if source.suffix == ".sh" else 0o644)


def _read(clone: Path) -> Iterator[Path]:
    """The files that are mounted, relative to the clone."""
    for mounted in MOUNTED:
        if (clone / mounted).is_file():
            yield mounted
        for folder, folders, files in os.walk(clone / mounted):
            folders[:] = [each for each in folders if each not in NOT_READ]
            yield from (Path(folder, name).relative_to(clone) for name in files if name not in NOT_READ)


def _folders(clone: Path) -> Iterator[Path]:
    yield from dict.fromkeys(each.parent for each in _read(clone) if each.parent != Path())
