"""Find the name of this clone's Compose project. Compose finds containers, volumes and images by that name only.

A new project is named after the clone's folder and a hash of its path, so two clones never share one.
`data/compose.json` records the names, so a clone keeps its data when it is moved or renamed. A project that is not in
the record belongs to another clone, unless its containers were started from this folder.
"""

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from commands.compose import shell
from commands.compose.profile import PROJECT, Profile
from commands.errors import CommandError

RECORD = Path("data", "compose.json")
LABEL = "com.docker.compose.project"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
LONGEST_FOLDER = 30


@dataclass(frozen=True)
class DockerProjects:
    """What Docker knows about Compose projects."""

    def folders(self, project: str) -> set[Path]:
        """Return the folders from which the project's containers were started."""
        label = f'{{{{.Label "{LABEL}.working_dir"}}}}'
        return {Path(each) for each in _docker("ps", "--all", _project_filter(project), "--format", label) if each}

    def volumes(self, project: str) -> list[str]:
        """Return the names of the project's volumes, sorted."""
        return sorted(_docker("volume", "ls", _project_filter(project), "--format", "{{.Name}}"))

    def remove_volumes(self, project: str) -> None:
        """Remove the project's remaining volumes."""
        if left := self.volumes(project):
            _docker("volume", "rm", *left)


def project_name(profile: Profile, clone: Path = PROJECT, docker: DockerProjects | None = None) -> str:
    """Return the name of the profile's project in this clone, and record it.

    `COMPOSE_PROJECT_NAME` in the environment or the profile overrides it.

    Raises:
        CommandError: the project belongs to another clone, or its owner is unknown.
    """
    docker = docker or DockerProjects()
    with _record(clone) as projects:
        if wanted := shell.variables().get("COMPOSE_PROJECT_NAME") or profile.values.get("COMPOSE_PROJECT_NAME"):
            _claim(wanted, projects, clone, docker)
            projects.setdefault(wanted, "")
            return wanted
        for name, owner in projects.items():
            if owner == profile.name:
                return name
        name = _legacy(profile, projects, clone, docker) or _new(profile, clone, docker)
        projects[name] = profile.name
        return name


def adopt(profile: Profile, name: str, clone: Path = PROJECT, docker: DockerProjects | None = None) -> None:
    """Record an existing project of unknown owner as this clone's project for the profile.

    Raises:
        CommandError: the project does not exist, or has containers of another clone.
    """
    docker = docker or DockerProjects()
    if other := _other_clone(name, clone, docker):
        raise CommandError(_owned_by(name, other))
    if not NAME.fullmatch(name) or not (docker.volumes(name) or docker.folders(name)):
        raise CommandError(f"There is no Compose project {name!r} to adopt. `docker compose ls --all` lists projects.")
    with _record(clone) as projects:
        for each, owner in list(projects.items()):
            if owner == profile.name:
                projects[each] = ""
        projects[name] = profile.name


def forget(name: str, clone: Path = PROJECT) -> None:
    """Remove a deleted project from the record."""
    with _record(clone) as projects:
        projects.pop(name, None)


def _claim(name: str, projects: Mapping[str, str], clone: Path, docker: DockerProjects) -> None:
    if name in projects:
        return
    if other := _other_clone(name, clone, docker):
        raise CommandError(_owned_by(name, other))
    if _is_here(name, clone, docker):
        return
    if volumes := docker.volumes(name):
        raise CommandError(
            f"The Compose project {name} has volumes ({', '.join(volumes)}) of unknown owner. If they belong to this "
            f"clone, run `make adopt PROJECT={name}`. If not, choose another COMPOSE_PROJECT_NAME."
        )


def _legacy(profile: Profile, projects: Mapping[str, str], clone: Path, docker: DockerProjects) -> str | None:
    """Find a project of this clone that an earlier version named after only the folder or the profile."""
    for name in dict.fromkeys((_compose_default_name(clone.name), f"platform-{profile.name}")):
        if not NAME.fullmatch(name) or projects.get(name) or _other_clone(name, clone, docker):
            continue
        if name in projects or _is_here(name, clone, docker):
            return name
        if docker.volumes(name):
            _print_adopt_hint(
                f"The volumes of the Compose project {name} may belong to this clone, from an earlier version.",
                profile,
                name,
            )
    return None


def _new(profile: Profile, clone: Path, docker: DockerProjects) -> str:
    """Return an unused name. An earlier clone in the same folder may have used the name with this path's hash."""
    for attempt in range(100):
        name = _name(profile, clone, attempt)
        if not docker.volumes(name) and not docker.folders(name):
            return name
        if _is_here(name, clone, docker):
            return name
        _print_adopt_hint(
            f"The volumes of the Compose project {name} are from an earlier clone in this folder.", profile, name
        )
    raise CommandError(f"Every name for a Compose project of {clone} is in use. Set COMPOSE_PROJECT_NAME.")


def _print_adopt_hint(what: str, profile: Profile, name: str) -> None:
    also = "" if profile.name == "local" else f" PROFILE={profile.name}"
    print(f"{what} They are not changed. `make adopt PROJECT={name}{also}` uses them.", flush=True)


def _name(profile: Profile, clone: Path, attempt: int) -> str:
    """Return a name such as platform-1f3a5b7c; for a profile other than local, platform-1f3a5b7c-rehearsal."""
    digest = sha256(f"{clone.resolve()}{attempt or ''}".encode(errors="surrogateescape")).hexdigest()[:8]
    words = [_slug(clone.name)[:LONGEST_FOLDER].strip("-") or "platform", digest]
    return "-".join(words if profile.name == "local" else [*words, _slug(profile.name) or "profile"])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _compose_default_name(folder: str) -> str:
    """Return the project name that Compose itself gives a folder."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")


def _is_here(name: str, clone: Path, docker: DockerProjects) -> bool:
    return any(folder.is_dir() and folder.samefile(clone) for folder in docker.folders(name))


def _other_clone(name: str, clone: Path, docker: DockerProjects) -> Path | None:
    folders = docker.folders(name)
    return next((each for each in sorted(folders) if each.is_dir() and not each.samefile(clone)), None)


def _owned_by(name: str, folder: Path) -> str:
    return (
        f"The Compose project {name} belongs to the clone in {folder}. Run `make down` there first, or set another "
        "name in the environment of every verb: COMPOSE_PROJECT_NAME=other make up."
    )


@contextmanager
def _record(clone: Path) -> Iterator[dict[str, str]]:
    """Yield the clone's projects by name, each with its profile ("" if named by hand), and save changes at the end.

    Raises:
        CommandError: the record cannot be read or written.
    """
    file = clone / RECORD
    try:
        file.parent.mkdir(exist_ok=True)
        with _alone(file.parent):
            before = _read(file)
            projects = dict(_own_projects(before, clone))
            yield projects
            now = {"folder": str(clone.resolve()), "projects": projects}
            if now != before:
                _write(file, json.dumps(now, indent=2) + "\n")
    except OSError as error:
        raise CommandError(
            f"{file} cannot be written: {error.strerror}. It records the name of this clone's Compose project. "
            "Give your user write access, then run this again."
        ) from error


def _own_projects(record: Mapping[str, object], clone: Path) -> Mapping[str, str]:
    """Return the projects in a record. If the clone was copied, leave out those that the original still has."""
    projects = record.get("projects")
    if not isinstance(projects, dict):
        return {}
    origin = Path(str(record.get("folder")))
    if not origin.is_dir() or origin.samefile(clone):
        return projects
    others = _read(origin / RECORD).get("projects") or {}
    return {name: owner for name, owner in projects.items() if name not in others}  # type: ignore[operator]


def _read(file: Path) -> dict[str, object]:
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise CommandError(
            f"{file} is not JSON. Remove it, then run `make adopt PROJECT=NAME` for a project of yours."
        ) from None
    return record if isinstance(record, dict) else {}


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            os.close(handle)


def _project_filter(project: str) -> str:
    return f"--filter=label={LABEL}={project}"


def _docker(*arguments: str) -> list[str]:
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(done.stderr.strip() or f"`docker {' '.join(arguments[:2])}` failed.")
    return done.stdout.splitlines()
