"""Build and find the image that a production profile names. A tag always means the same commit."""

import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from commands.compose.command_line import check_builder, value_or_override
from commands.compose.forms import TAG
from commands.compose.profile import DEFAULT_IMAGE, Profile
from commands.errors import CommandError

REVISION = "org.opencontainers.image.revision"


def make_image(profile: Profile, tag: str) -> int:
    """Build the platform's image from the newest commit of this clone, with the profile's image name and this tag.

    Uncommitted changes are not included.

    Raises:
        CommandError: the tag is invalid or belongs to another commit, nothing is committed, or the build fails.
    """
    if not re.fullmatch(TAG, tag):
        raise CommandError(
            f"TAG={tag} is not a valid tag. Use letters, digits, '.', '_' and '-', but not latest. "
            "For example: make image TAG=2027-01-31"
        )
    image, commit = f"{profile.values.get('PLATFORM_IMAGE') or DEFAULT_IMAGE}:{tag}", _git(profile, "rev-parse", "HEAD")
    there = commit_of(image)
    if there is not None and there != commit:
        raise CommandError(
            f"{image} already exists, built from commit {there[:12] or 'unknown'}; this clone is at {commit[:12]}. "
            f"Choose another TAG, or remove the old image with `docker rmi {image}`."
        )
    if changed := _git(profile, "status", "--porcelain", "--untracked-files=no").splitlines():
        print(f"{len(changed)} files have uncommitted changes, which the image of commit {commit[:12]} does not have.")
    check_builder()
    with tempfile.TemporaryDirectory(prefix="platform-image-") as folder:
        _export(profile.clone, commit, Path(folder))
        _build(profile, image, tag, commit, folder)
    used = image == profile.image
    print(f"Built {image} from commit {commit[:12]}.", end=" ")
    print("The profile names this image." if used else f"To run it, set PLATFORM_TAG={tag} in the profile.")
    return 0


def _export(clone: Path, commit: str, folder: Path) -> None:
    archived = folder.with_suffix(".tar")
    _run("git", "-C", str(clone), "archive", f"--output={archived}", commit).check_returncode()
    with tarfile.open(archived) as files:
        files.extractall(folder, filter="data")
    archived.unlink()


def _build(profile: Profile, image: str, tag: str, commit: str, folder: str) -> None:
    given = {"pip": "PIP_CONFIG_FILE", "ca": "BUILD_CA_FILE"}
    secrets = [f"--secret=id={name},src={value_or_override(profile, value)}" for name, value in given.items()]
    arguments = [f"--build-arg=VERSION={tag}", f"--build-arg=COMMIT={commit}"]
    command = ["docker", "build", f"--tag={image}", *arguments, *secrets, folder]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise CommandError(f"{image} cannot be built; see above. docs/platform.md has more help.")


def need_image(profile: Profile) -> None:
    """Check that the profile's image is on this machine. Pull it if it comes from a registry.

    Raises:
        CommandError: the image is not on this machine and cannot be pulled.
    """
    if not profile.image or commit_of(profile.image) is not None:
        return
    said = ""
    if _has_registry(profile.image):
        print(f"Pulling {profile.image}", flush=True)
        pulled = _run("docker", "pull", "--quiet", profile.image)
        if not pulled.returncode:
            return
        why = (pulled.stderr.strip().splitlines() or ["no answer"])[-1].rstrip(".")
        host = profile.image.partition("/")[0]
        said = f" It could not be pulled: {why}. If the registry requires a login, run: docker login {host}."
    tag = profile.values["PLATFORM_TAG"]
    raise CommandError(
        f"The image {profile.image} of {profile.file.name} is not on this machine.{said} Nothing was started. "
        f"Build it with `{profile.make('image')} TAG={tag}`, or correct PLATFORM_TAG."
    )


def commit_of(image: str) -> str | None:
    """Return the commit that an image was built from; "" if it has no label, None if it is not on this machine."""
    template = f'{{{{index .Config.Labels "{REVISION}"}}}}'
    done = _run("docker", "image", "inspect", "--format", template, image)
    return None if done.returncode else done.stdout.strip()


def _has_registry(image: str) -> bool:
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host)


def _git(profile: Profile, *arguments: str) -> str:
    done = _run("git", "-C", str(profile.clone), *arguments)
    if done.returncode:
        raise CommandError(
            f"The commit of {profile.clone} cannot be found: {done.stderr.strip()}. An image is labelled with its "
            "commit, so build it in a git clone."
        )
    return done.stdout.strip()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
