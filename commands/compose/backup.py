"""`make backup` and `make restore`: save everything that cannot be rebuilt in one file.

Data in external systems (S3's files, Snowflake's tables, Prefect Cloud's history) is not included. Neither are
secrets: keep them in a vault. The saved blocks in a backup cannot be read without the encryption key.
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

from commands.compose.code import prepare_code
from commands.compose.command_line import Compose
from commands.compose.image import need_image
from commands.compose.profile import Profile
from commands.compose.project import DockerProjects
from commands.compose.secrets import secret
from commands.compose.up import profile_lock
from commands.errors import CommandError

FORMAT = 1
OVERLAY = Path(__file__).with_name("backup.yml")
VOLUMES = ("lake", "warehouse", "published", "alerts", "airbyte-state", "snowflake")
"""Volumes to save, mounted below /data in the container that copies."""

WRITERS = ("sensor", "worker", "airbyte", "snowflake", "watch")
PAUSE_ATTEMPTS = 3
MANIFEST, PREFECT, LANDING, DATA = "manifest.json", "prefect.dump", "landing.tar", "volumes.tar"
PG = ("--username=prefect", "--dbname=prefect")
FREE_SLOTS = "update concurrency_limit_v2 set active_slots = 0"
"""After a restore, no run holds a slot any more, and a backup does not say which run held one."""


def backup(compose: Compose, to: str) -> int:
    """Write a backup of a running platform. Its writers are paused, so all parts show the same moment.

    Raises:
        CommandError: the platform is not running, the file exists or cannot be written, or a part cannot be copied.
    """
    target = _new_file(to, compose.profile)
    compose.need("worker", *(["postgres"] if "prefect" in compose.profile.services else []))
    with profile_lock(compose), _partial_file(target) as part, tempfile.TemporaryDirectory(dir=part.parent) as folder:
        with _paused_writers(compose):
            _save(compose, Path(folder))
        with tarfile.open(part, "w") as archive:
            for name in (MANIFEST, PREFECT, LANDING, DATA):
                if (file := Path(folder, name)).exists():
                    archive.add(file, name)
    size = target.stat().st_size / 1e6
    print(
        f"Saved the platform {compose.project} in {target} ({size:.1f} MB), without its secrets. Keep those in a vault."
    )
    return 0


def restore(compose: Compose, source: str, agreed: bool) -> int:
    """Restore a platform's volumes and Prefect's database from a backup.

    Raises:
        CommandError: the file is not a backup of this profile, its encryption key differs, or a platform already exists
            and nobody agreed to replace it.
    """
    with profile_lock(compose), _open_backup(source) as archive:
        manifest = _manifest(archive, source)
        _check(compose.profile, manifest, source)
        need_image(compose.profile)
        prepare_code(compose.profile)
        compose.build()
        _remove_existing(compose, agreed)
        _restore_parts(compose, archive)
    print(f"Restored the backup of {manifest['at']}. `{compose.profile.make('up')}` starts the platform.")
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


def _restore_parts(compose: Compose, archive: tarfile.TarFile) -> None:
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
    """Return the command line that runs `command` in a container with all volumes and the profile's secrets."""
    return replace(compose, files=[*compose.files, str(OVERLAY)]).command(
        "run", "--rm", "--no-deps", "-T", "bootstrap", *command
    )


@contextmanager
def _paused_writers(compose: Compose) -> Iterator[None]:
    """Pause the writing services. Each survives being killed at any moment, so their files are consistent."""
    running = [name for name in WRITERS if name not in compose.missing(*WRITERS)]
    paused, stopped = list[str](), list[str]()
    try:
        for name in running:
            # Docker cannot pause a container that is just starting a process. Stop it then, as `make down` does.
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


def _remove_existing(compose: Compose, agreed: bool) -> None:
    project = compose.project or ""
    if not (there := DockerProjects().volumes(project)):
        return
    if not agreed:
        raise CommandError(
            f"The platform {project} already exists, with {', '.join(there)}. Nothing was changed. To replace all of "
            "it with the backup, add YES=1."
        )
    compose.everything().output("down", "--volumes", "--remove-orphans")
    DockerProjects().remove_volumes(project)


def _check(profile: Profile, manifest: dict[str, Any], source: str) -> None:
    if manifest["format"] != FORMAT:
        raise CommandError(f"{source} has format {manifest['format']}, but this version reads {FORMAT}.")
    for name, value in (("profile", profile.name), ("target", profile.values["DBT_TARGET"])):
        if manifest[name] != value:
            raise CommandError(
                f"{source} has the {name} {manifest[name]!r}, but this platform has {value!r}. Nothing was changed."
            )
    if manifest["key"] != _key(profile):
        raise CommandError(
            f"{source} was made with another PREFECT_SERVER_ENCRYPTION_KEY; its blocks cannot be read without it. "
            f"Put that key into {profile.secrets_folder}. Nothing was changed."
        )


def _key(profile: Profile) -> str:
    """Return a digest of the encryption key (32 random bytes), to compare keys; "" if the profile has none."""
    text = secret(profile, "PREFECT_SERVER_ENCRYPTION_KEY")
    return blake2b(text.encode(), digest_size=8, person=b"backup").hexdigest() if text else ""


def _new_file(to: str, profile: Profile) -> Path:
    if not to:
        raise CommandError(f"TO is missing. Usage: {profile.make('backup')} TO=platform.tar")
    if (target := Path(to).absolute()).exists():
        raise CommandError(f"{target} exists already. Choose another TO.")
    if not target.parent.is_dir():
        raise CommandError(f"The folder {target.parent} does not exist. Create it, or choose another TO.")
    return target


@contextmanager
def _partial_file(target: Path) -> Iterator[Path]:
    """Yield a file that only this user may read; rename it to `target` once it is complete."""
    part = target.with_name(f".{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        yield part
        part.replace(target)
    except OSError as error:
        raise CommandError(
            f"{target} cannot be written: {error.strerror or error}. Free some space there, or choose another TO."
        ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _open_backup(source: str) -> Iterator[tarfile.TarFile]:
    """Open a backup and check that it is complete."""
    if not source:
        raise CommandError("FROM is missing. Usage: make restore FROM=platform.tar")
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(source, "r:"))
            archive.getmembers()
        except (OSError, tarfile.TarError) as error:
            raise CommandError(f"FROM={source} cannot be read as a backup: {error}. Nothing was changed.") from error
        yield archive


def _manifest(archive: tarfile.TarFile, source: str) -> dict[str, Any]:
    missing = {MANIFEST, LANDING, DATA} - _files(archive)
    try:
        manifest: dict[str, Any] = json.loads(b"" if missing else _content(archive, MANIFEST).read())
    except ValueError:
        why = f": it lacks {', '.join(sorted(missing))}" if missing else ""
        raise CommandError(f"FROM={source} is not a backup of this platform{why}. Nothing was changed.") from None
    return manifest


def _files(archive: tarfile.TarFile) -> set[str]:
    """Return the names of the parts in a backup."""
    return {member.name for member in archive if member.isfile()}


def _content(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    return cast(IO[bytes], archive.extractfile(name))  # None only for what `_files` leaves out


def _write(file: Path, command: list[str]) -> None:
    with file.open("wb") as out:
        _check_exit(subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False), file.name)


def _read(archive: tarfile.TarFile, name: str, command: list[str]) -> None:
    """Stream a part of a backup to a command's standard input."""
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as process:
            # If the command has ended early, its errors say why.
            with suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as taken:
                shutil.copyfileobj(_content(archive, name), taken)
            code = process.wait()
        errors.seek(0)
        _check_exit(subprocess.CompletedProcess(command, code, stderr=errors.read()), name)


def _check_exit(done: subprocess.CompletedProcess[bytes], what: str) -> None:
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        full = " Free some disk space, then run this again." if "No space left on device" in said else ""
        raise CommandError(f"{what} could not be copied: {said or f'exit code {done.returncode}'}{full}")
