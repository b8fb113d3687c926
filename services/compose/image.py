"""The image that a production profile names: built from a commit, found by its tag, never changed under its tag."""

import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from services.compose.engine import check_builder, from_outside
from services.compose.forms import TAG
from services.compose.profile import DEFAULT_IMAGE, ComposeError, Profile

REVISION = "org.opencontainers.image.revision"


def make_image(profile: Profile, tag: str) -> int:
    """Build the platform's image from the newest commit of this clone, under the profile's image name and this tag.

    What is not committed is not in it.

    Raises:
        ComposeError: the tag is not valid or belongs to another commit, nothing is committed, or the build fails.
    """
    if not re.fullmatch(TAG, tag):
        raise ComposeError(
            f"TAG={tag} is not a valid version. Use letters, digits, '.', '_' and '-', but not latest. "
            "For example: make image TAG=2027-01-31"
        )
    image, commit = f"{profile.values.get('PLATFORM_IMAGE') or DEFAULT_IMAGE}:{tag}", _git(profile, "rev-parse", "HEAD")
    there = commit_of(image)
    if there is not None and there != commit:
        raise ComposeError(
            f"{image} is there already, built from commit {there[:12] or 'unknown'}, and this is {commit[:12]}. Choose "
            f"another TAG, so that the former one stays what it was; `docker rmi {image}` gives it up."
        )
    if changed := _git(profile, "status", "--porcelain", "--untracked-files=no").splitlines():
        print(f"{len(changed)} files have changes that are not committed; the image is of commit {commit[:12]}.")
    check_builder()
    with tempfile.TemporaryDirectory(prefix="platform-image-") as folder:
        _export(profile.clone, commit, Path(folder))
        _build(profile, image, tag, commit, folder)
    used = image == profile.image
    print(f"Built {image} from commit {commit[:12]}.", end=" ")
    print("It is the one that the profile names." if used else f"To run it: PLATFORM_TAG={tag} in the profile.")
    return 0


def _export(clone: Path, commit: str, folder: Path) -> None:
    archived = folder.with_suffix(".tar")
    _run("git", "-C", str(clone), "archive", f"--output={archived}", commit).check_returncode()
    with tarfile.open(archived) as files:
        files.extractall(folder, filter="data")
    archived.unlink()


def _build(profile: Profile, image: str, tag: str, commit: str, folder: str) -> None:
    given = {"pip": "PIP_CONFIG_FILE", "ca": "BUILD_CA_FILE"}
    secrets = [f"--secret=id={name},src={from_outside(profile, value)}" for name, value in given.items()]
    arguments = [f"--build-arg=VERSION={tag}", f"--build-arg=COMMIT={commit}"]
    command = ["docker", "build", f"--tag={image}", *arguments, *secrets, folder]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise ComposeError(f"{image} cannot be built; see above. docs/platform.md says what helps.")


def need_image(profile: Profile) -> None:
    """Make sure that the image which the profile names is on this machine; one of a registry is pulled.

    Raises:
        ComposeError: it is not there.
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
        said = f" Its registry does not give it: {why}. If it asks for a log-in: docker login {host}."
    tag = profile.values["PLATFORM_TAG"]
    raise ComposeError(
        f"The image {profile.image}, which {profile.file.name} names, is not on this machine.{said} Nothing was "
        f"started. Build it with `{profile.make('image')} TAG={tag}`, or correct PLATFORM_TAG."
    )


def commit_of(image: str) -> str | None:
    """The commit that an image on this machine was built from, "" where it does not say; None where it is not there."""
    template = f'{{{{index .Config.Labels "{REVISION}"}}}}'
    done = _run("docker", "image", "inspect", "--format", template, image)
    return None if done.returncode else done.stdout.strip()


def _has_registry(image: str) -> bool:
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host)


def _git(profile: Profile, *arguments: str) -> str:
    done = _run("git", "-C", str(profile.clone), *arguments)
    if done.returncode:
        raise ComposeError(
            f"The commit of {profile.clone} cannot be found: {done.stderr.strip()}. An image says which commit it is "
            "of, so build it in a git clone."
        )
    return done.stdout.strip()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
