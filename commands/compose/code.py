"""Give containers code that they can read: this clone's files, or a copy of them.

A container's user is neither the clone's owner nor in its group. Under umask 027 or 077 it may not read the files. A
checkout from Windows may have scripts that Linux shells cannot run. The clone is not changed: containers get a copy.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from commands.compose.profile import COPY, Profile
from commands.errors import CommandError

CODE = ("blocks", "commands", "flows", "schedules", "services", "dbt_project", "prefect.yaml")
MOUNTED = tuple(map(Path, (*CODE, "localstack/init", "localstack/landing")))
"""What docker-compose.yml mounts from the clone."""

IGNORED = {"__pycache__", "target", "logs", "dbt_packages", ".user.yml"}
OVERWRITTEN = Path("prefect.yaml")
"""A single mounted file. It is overwritten, because containers would not see a new file that replaces it."""

NOTE = (
    "Containers cannot use this clone's files: {why}. They run a copy, which every make verb updates. A run that the "
    "sensor starts uses the copy as the last verb left it."
)


def update_copy(profile: Profile) -> str:
    """Update the copy if one is needed or in use. Return why it is needed, or "".

    Raises:
        CommandError: the copy cannot be written.
    """
    why = why_copied(profile.clone)
    copy = profile.clone / COPY
    try:
        if why or copy.is_dir():
            _copy_files(profile.clone, copy)
    except OSError as error:
        raise CommandError(
            f"{error.filename or copy} cannot be copied for the containers: {error.strerror}."
        ) from error
    return why


def prepare_code(profile: Profile) -> None:
    """Before containers are created: print that they use a copy, or remove a copy that is no longer needed."""
    if why := update_copy(profile):
        print(NOTE.format(why=why), flush=True)
    else:
        shutil.rmtree(profile.clone / COPY, ignore_errors=True)


def why_copied(clone: Path) -> str:
    """Return why containers cannot use the clone's files, with one such file; "" if they can."""
    for file in _mounted_files(clone):
        mode = (clone / file).stat().st_mode
        if not mode & 0o004:
            return f"{file} is not readable to other users"
        if file.suffix == ".sh" and b"\r\n" in (clone / file).read_bytes():
            return f"{file} has CRLF line ends"
        if file.suffix == ".sh" and file.match("localstack/*/*/*") and not mode & 0o001:
            return f"{file} is not executable"
    closed = (each for each in _folders(clone) if (clone / each).stat().st_mode & 0o005 != 0o005)
    return next((f"{each} is closed to other users" for each in closed), "")


def _copy_files(clone: Path, copy: Path) -> None:
    copy.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o700)  # other users of this machine may not read the clone, so they may not read the copy
    wanted = set(_mounted_files(clone))
    for file in wanted:
        _copy_file(clone / file, copy / file, in_place=file == OVERWRITTEN)
    for mounted in MOUNTED:
        if (clone / mounted).is_dir():
            (copy / mounted).mkdir(parents=True, exist_ok=True)
    for old in [each for each in copy.rglob("*") if each.is_file() and each.relative_to(copy) not in wanted]:
        old.unlink()
    for folder in [copy, *(each for each in copy.rglob("*") if each.is_dir())]:
        folder.chmod(0o755)


def _copy_file(source: Path, target: Path, in_place: bool) -> None:
    content = source.read_bytes()
    if source.suffix == ".sh":
        content = content.replace(b"\r\n", b"\n")
    if not target.is_file() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = target if in_place else target.with_name(f".{target.name}.new")
        written.write_bytes(content)
        written.replace(target)
    target.chmod(0o755 if source.suffix == ".sh" else 0o644)


def _mounted_files(clone: Path) -> Iterator[Path]:
    """Yield the mounted files, relative to the clone."""
    for mounted in MOUNTED:
        if (clone / mounted).is_file():
            yield mounted
        for folder, folders, files in os.walk(clone / mounted):
            folders[:] = [each for each in folders if each not in IGNORED]
            yield from (Path(folder, name).relative_to(clone) for name in files if name not in IGNORED)


def _folders(clone: Path) -> Iterator[Path]:
    yield from dict.fromkeys(each.parent for each in _mounted_files(clone) if each.parent != Path())
