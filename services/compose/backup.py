"""`make backup` and `make restore`: everything of a platform that cannot be made again, in one file.

What lies in systems elsewhere (S3's files, Snowflake's tables, Prefect Cloud's history) is theirs to keep. Secrets are
not in a back-up: they belong in a vault, and without the encryption key the saved blocks in it cannot be read.
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, cast

from services.compose.code import choose_code
from services.compose.engine import Compose
from services.compose.image import need_image
from services.compose.profile import ComposeError, Profile
from services.compose.project import Engine
from services.compose.secrets import secret
from services.compose.up import alone

FORMAT = 1
OVERLAY = Path(__file__).with_name("backup.yml")
VOLUMES = ("lake", "warehouse", "published", "alerts", "airbyte-state", "snowflake")
"""Folders of /data in the container that copies."""

WRITERS = ("sensor", "worker", "airbyte", "snowflake", "watch")
PAUSE_ATTEMPTS = 3
MANIFEST, PREFECT, LANDING, DATA = "manifest.json", "prefect.dump", "landing.tar", "volumes.tar"
PG = ("--username=prefect", "--dbname=prefect")
FREE_SLOTS = "update concurrency_limit_v2 set active_slots = 0"
"""No run that held a slot when the back-up was made is alive, and who held it is not in the back-up."""


def backup(compose: Compose, to: str) -> int:
    """Write a back-up of a running platform; its writers stand still meanwhile, so that all parts are of one moment.

    Raises:
        ComposeError: the platform does not run, the file is there already or cannot be written, or a part fails.
    """
    target = _new(to, compose.profile)
    compose.need("worker", *(["postgres"] if "prefect" in compose.profile.services else []))
    with alone(compose), _part(target) as part, tempfile.TemporaryDirectory(dir=part.parent) as folder:
        with _still(compose):
            _save(compose, Path(folder))
        with tarfile.open(part, "w") as archive:
            for name in (MANIFEST, PREFECT, LANDING, DATA):
                if (file := Path(folder, name)).exists():
                    archive.add(file, name)
    size = target.stat().st_size / 1e6
    print(f"{target} holds the platform {compose.project} ({size:.1f} MB), without its secrets: keep those in a vault.")
    return 0


def restore(compose: Compose, source: str, agreed: bool) -> int:
    """Make a platform's volumes and Prefect's database what they were when the back-up was made.

    Raises:
        ComposeError: the file is not a back-up of this profile, its encryption key differs, or a platform exists here
            already and nobody agreed to replace it.
    """
    with alone(compose), _opened(source) as archive:
        manifest = _manifest(archive, source)
        _check(compose.profile, manifest, source)
        need_image(compose.profile)
        choose_code(compose.profile)
        compose.build()
        _empty(compose, agreed)
        _bring_back(compose, archive)
    print(f"Restored what was saved at {manifest['at']}. `{compose.profile.make('up')}` starts it.")
    return 0


def _save(compose: Compose, folder: Path) -> None:
    profile = compose.profile
    manifest = {
        "format": FORMAT,
        "profile": profile.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": profile.values["DBT_TARGET"],
        "services": sorted(profile.services),
        "image": profile.image,
        "key": _key(profile),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    if "prefect" in profile.services:
        _write(folder / PREFECT, compose.command("exec", "-T", "postgres", "pg_dump", *PG, "--format=custom"))
    everything = ["--everything"] if "localstack" in profile.services else []
    _write(folder / LANDING, _copier(compose, "python", "-m", "blocks.landing_archive", "save", *everything))
    _write(folder / DATA, _copier(compose, "tar", "--create", "--file=-", "--directory=/data", *VOLUMES))


def _bring_back(compose: Compose, archive: tarfile.TarFile) -> None:
    _read(archive, DATA, _copier(compose, "tar", "--extract", "--file=-", "--directory=/data", "--no-overwrite-dir"))
    waited = ("up", "--detach", "--no-build", "--wait", "--wait-timeout", "300")
    if PREFECT in _files(archive):
        compose.output(*waited, "postgres")
        _read(
            archive,
            PREFECT,
            compose.command("exec", "-T", "postgres", "pg_restore", *PG, "--no-owner", "--exit-on-error"),
        )
        compose.output("exec", "-T", "postgres", "psql", *PG, "--set=ON_ERROR_STOP=1", f"--command={FREE_SLOTS}")
    if "localstack" in compose.profile.services:
        compose.output(*waited, "localstack")
    _read(archive, LANDING, _copier(compose, "python", "-m", "blocks.landing_archive", "restore"))


def _copier(compose: Compose, *command: str) -> list[str]:
    """A command in a container that has the profile's values and secrets, and all of the volumes."""
    return replace(compose, files=[*compose.files, str(OVERLAY)]).command(
        "run", "--rm", "--no-deps", "-T", "bootstrap", *command
    )


@contextmanager
def _still(compose: Compose) -> Iterator[None]:
    """Let what writes stand still: all can bear to be killed, so that what is on the disk then is whole."""
    running = [name for name in WRITERS if name not in compose.missing(*WRITERS)]
    paused, stopped = list[str](), list[str]()
    try:
        for name in running:
            # A container that just starts a process cannot be frozen: then it ends, as with `make down`.
            if any(compose.succeeds("pause", name) for _ in range(PAUSE_ATTEMPTS)):
                paused.append(name)
            else:
                compose.output("stop", name)
                stopped.append(name)
        yield
    finally:
        for verb, names in (("unpause", paused), ("start", stopped)):
            if names:
                compose.output(verb, *names)


def _empty(compose: Compose, agreed: bool) -> None:
    project = compose.project or ""
    if not (there := Engine().volumes(project)):
        return
    if not agreed:
        raise ComposeError(
            f"The platform {project} is here already, with {', '.join(there)}. Nothing was changed. To replace all of "
            "it by the back-up, add YES=1."
        )
    compose.everything().output("down", "--volumes", "--remove-orphans")
    Engine().remove_volumes(project)


def _check(profile: Profile, manifest: dict[str, Any], source: str) -> None:
    if manifest["format"] != FORMAT:
        raise ComposeError(f"{source} has format {manifest['format']}, and this version reads {FORMAT}.")
    for name, value in (("profile", profile.name), ("target", profile.values["DBT_TARGET"])):
        if manifest[name] != value:
            raise ComposeError(f"{source} is of {name} {manifest[name]!r}, and this is {value!r}. Nothing was changed.")
    if manifest["key"] != _key(profile):
        raise ComposeError(
            f"{source} was made with another PREFECT_SERVER_ENCRYPTION_KEY, and its blocks cannot be read without it. "
            f"Put the former one into {profile.secrets_folder}. Nothing was changed."
        )


def _key(profile: Profile) -> str:
    """What tells one encryption key, 32 random bytes, from another; "" where the profile has none."""
    text = secret(profile, "PREFECT_SERVER_ENCRYPTION_KEY")
    return blake2b(text.encode(), digest_size=8, person=b"backup").hexdigest() if text else ""


def _new(to: str, profile: Profile) -> Path:
    if not to:
        raise ComposeError(f"Where to? {profile.make('backup')} TO=platform.tar")
    if (target := Path(to).absolute()).exists():
        raise ComposeError(f"{target} exists already. Choose another TO.")
    if not target.parent.is_dir():
        raise ComposeError(f"The folder {target.parent} does not exist. Create it, or choose another TO.")
    return target


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    """A file that takes the name of the target once it is whole; nobody else may read it."""
    part = target.with_name(f".{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        yield part
        part.replace(target)
    except OSError as error:
        raise ComposeError(
            f"{target} cannot be written: {error.strerror or error}. Make room there, or choose another TO."
        ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(source: str) -> Iterator[tarfile.TarFile]:
    """A back-up that is whole to its end."""
    if not source:
        raise ComposeError("Which back-up? make restore FROM=platform.tar")
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(source, "r:"))
            archive.getmembers()
        except (OSError, tarfile.TarError) as error:
            raise ComposeError(
                f"FROM={source} is not a back-up that can be read: {error}. Nothing was changed."
            ) from error
        yield archive


def _manifest(archive: tarfile.TarFile, source: str) -> dict[str, Any]:
    missing = {MANIFEST, LANDING, DATA} - _files(archive)
    try:
        manifest: dict[str, Any] = json.loads(b"" if missing else _content(archive, MANIFEST).read())
    except ValueError:
        why = f": it lacks {', '.join(sorted(missing))}" if missing else ""
        raise ComposeError(f"FROM={source} is not a back-up of this platform{why}. Nothing was changed.") from None
    return manifest


def _files(archive: tarfile.TarFile) -> set[str]:
    """The parts that a back-up has."""
    return {member.name for member in archive if member.isfile()}


def _content(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    return cast(IO[bytes], archive.extractfile(name))  # None only for what `_files` leaves out


def _write(file: Path, command: list[str]) -> None:
    with file.open("wb") as out:
        _succeed(subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False), file.name)


def _read(archive: tarfile.TarFile, name: str, command: list[str]) -> None:
    """Give a part of a back-up to a command, in pieces."""
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as process:
            # The command may have ended; then its errors say why.
            with suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as taken:
                shutil.copyfileobj(_content(archive, name), taken)
            code = process.wait()
        errors.seek(0)
        _succeed(subprocess.CompletedProcess(command, code, stderr=errors.read()), name)


def _succeed(done: subprocess.CompletedProcess[bytes], what: str) -> None:
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        full = " Make room on this machine, then run this again." if "No space left on device" in said else ""
        raise ComposeError(f"{what} could not be copied: {said or f'exit code {done.returncode}'}{full}")
