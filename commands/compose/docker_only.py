"""The verbs that only the platform in Docker has."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from commands.compose.backup import backup, restore
from commands.compose.code import update_copy
from commands.compose.engine import Compose, check_engine
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
    """A verb that `make dev` does not have.

    Attributes:
        why: why not.
        arguments: declares the verb's arguments.
        do: runs the verb and returns its exit code.
    """

    why: str
    arguments: Callable[[ArgumentParser], None]
    do: Callable[[Profile, Namespace], int]


def open_profile(profile: Profile) -> None:
    """Check a profile, generate its missing secrets, and check that Docker can run it.

    Raises:
        CommandError: the profile or Docker cannot be used.
    """
    check(profile)
    prepare(profile)
    update_copy(profile)
    check_engine()


def project_of(profile: Profile) -> Compose:
    """Return the Compose project of a profile, which can be used.

    Raises:
        CommandError: see `open_profile`; or the project belongs to another clone.
    """
    open_profile(profile)
    return Compose(profile, project=project_name(profile))


def _up(parser: ArgumentParser) -> None:
    flag(parser, "--yes", "YES", "change a shared Prefect server without asking")
    flag(parser, "--takeover", "TAKEOVER", "replace what another clone registered there")


def _promote(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="origin", default="local", help="profile to compare with (default: local)")
    flag(parser, "--apply", "APPLY", "make the changes")
    flag(parser, "--takeover", "TAKEOVER", "replace what another clone registered there")


def _restore(parser: ArgumentParser) -> None:
    parser.add_argument("source", help="backup to restore")
    flag(parser, "--yes", "YES", "replace the existing platform")


def _one(name: str, meaning: str) -> Callable[[ArgumentParser], None]:
    def arguments(parser: ArgumentParser) -> None:
        parser.add_argument(name, help=meaning)

    return arguments


def _image(profile: Profile, options: Namespace) -> int:
    check_engine()
    return make_image(profile, options.tag)


def _adopt(profile: Profile, options: Namespace) -> int:
    open_profile(profile)
    adopt(profile, options.project)
    print(f"This clone's project is {options.project}.")
    return 0


DOCKER_VERBS = {
    "up": DockerVerb(
        "it always starts the platform in Docker",
        _up,
        lambda profile, options: up(project_of(profile), options.yes, options.takeover),
    ),
    "promote": DockerVerb(
        "`make dev` has no profile to promote to another server",
        _promote,
        lambda profile, options: promote(project_of(profile), options.origin, options.apply, options.takeover),
    ),
    "backup": DockerVerb(
        "everything is in one folder, which you can copy while the platform is stopped",
        _one("to", "file to write"),
        lambda profile, options: backup(project_of(profile), options.to),
    ),
    "restore": DockerVerb(
        "everything is in one folder, which you can copy back before `make dev`",
        _restore,
        lambda profile, options: restore(project_of(profile), options.source, options.yes),
    ),
    "adopt": DockerVerb(
        "the folder of `make dev` belongs to this clone only", _one("project", "the Compose project"), _adopt
    ),
    "image": DockerVerb(
        "`make dev` runs the code of this clone", _one("tag", "tag of the image, e.g. 2027-01-31"), _image
    ),
    "verify-offline": DockerVerb(
        "unlike a container, a process cannot be cut off from the network",
        lambda _: None,
        lambda profile, _: verify_offline(project_of(profile)),
    ),
}
