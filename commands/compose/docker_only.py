"""The verbs that work only in Docker."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from commands.compose.backup import backup, restore
from commands.compose.code import update_copy
from commands.compose.command_line import Compose, check_engine
from commands.compose.image import make_image
from commands.compose.offline import verify_offline
from commands.compose.profile import Profile, check
from commands.compose.project import adopt, project_name
from commands.compose.promote import promote
from commands.compose.secrets import prepare
from commands.compose.up import up
from commands.options import flag


@dataclass(frozen=True)
class DockerVerb:
    """A verb that works only in Docker.

    Attributes:
        help: what it does.
        why: why `make dev` does not have it, as a clause.
        arguments: declares the verb's arguments.
        do: runs the verb and returns its exit code.
    """

    help: str
    why: str
    arguments: Callable[[ArgumentParser], None]
    do: Callable[[Profile, Namespace], int]


def open_profile(profile: Profile) -> None:
    """Check a profile, generate its missing secrets, update the copy of the code, and check Docker.

    Raises:
        CommandError: the profile or Docker cannot be used.
    """
    check(profile)
    prepare(profile)
    update_copy(profile)
    check_engine()


def project_of(profile: Profile) -> Compose:
    """Check a profile and return its Compose project.

    Raises:
        CommandError: see `open_profile`; or the project belongs to another clone.
    """
    open_profile(profile)
    return Compose(profile, project=project_name(profile))


def _up(parser: ArgumentParser) -> None:
    flag(parser, "--yes", "YES", "change a shared Prefect server without asking")
    flag(parser, "--takeover", "TAKEOVER", "replace what another clone registered on the shared Prefect server")


def _promote(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="origin", default="local", help="profile to compare with (default: local)")
    flag(parser, "--apply", "APPLY", "make the changes")
    flag(parser, "--takeover", "TAKEOVER", "replace what another clone registered on the shared Prefect server")


def _restore(parser: ArgumentParser) -> None:
    parser.add_argument("source", help="backup to restore")
    flag(parser, "--yes", "YES", "replace existing data without asking")


def _one(name: str, meaning: str) -> Callable[[ArgumentParser], None]:
    def arguments(parser: ArgumentParser) -> None:
        parser.add_argument(name, help=meaning)

    return arguments


def _image(profile: Profile, options: Namespace) -> int:
    check_engine()
    return make_image(profile, options.tag)


def _adopt(profile: Profile, options: Namespace) -> int:
    open_profile(profile)
    if options.project:
        adopt(profile, options.project)
    print(f"This clone uses the Compose project {project_name(profile)}.")
    return 0


DOCKER_VERBS = {
    "up": DockerVerb(
        "Build and start the platform.",
        "it always starts the platform in Docker",
        _up,
        lambda profile, options: up(project_of(profile), options.yes, options.takeover),
    ),
    "promote": DockerVerb(
        "Show what deploying a profile would change, and deploy it.",
        "`make dev` does not use profiles",
        _promote,
        lambda profile, options: promote(project_of(profile), options.origin, options.apply, options.takeover),
    ),
    "backup": DockerVerb(
        "Back up all state that cannot be rebuilt.",
        "stop `make dev` and copy its folder instead",
        _one("to", "file to write"),
        lambda profile, options: backup(project_of(profile), options.to),
    ),
    "restore": DockerVerb(
        "Restore the platform from a backup.",
        "stop `make dev` and copy its folder back instead",
        _restore,
        lambda profile, options: restore(project_of(profile), options.source, options.yes),
    ),
    "adopt": DockerVerb(
        "Reuse the volumes of another clone or an earlier version.",
        "`make dev` keeps its data in a folder of the clone",
        _one("project", "Compose project to reuse"),
        _adopt,
    ),
    "image": DockerVerb(
        "Build a production image from the newest commit.",
        "`make dev` runs this clone's code",
        _one("tag", "tag of the image, e.g. 2027-01-31"),
        _image,
    ),
    "verify-offline": DockerVerb(
        "Check that a temporary copy works without internet access.",
        "a local process cannot be cut off from the network",
        lambda _: None,
        lambda profile, _: verify_offline(project_of(profile)),
    ),
}
