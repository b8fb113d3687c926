"""Profiles: files in profiles/ with the values for docker-compose.yml."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blocks.names import Names, is_own
from commands.compose.values import find_faults, secrets
from commands.errors import CommandError

PROJECT = Path(__file__).parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yml"
SCALE_FILE = PROJECT / "docker-compose.scale.yml"
MOUNTED_FILE = Path(__file__).with_name("mounted.yml")
COPIED_FILE = Path(__file__).with_name("copied.yml")
COPIED_LOCALSTACK_FILE = Path(__file__).with_name("copied-localstack.yml")
IMAGE_FILE = Path(__file__).with_name("image.yml")
SCALED_IMAGE_FILE = Path(__file__).with_name("image-scale.yml")
NO_SENSOR_FILE = Path(__file__).with_name("no-sensor.yml")
CA_FILE = Path(__file__).with_name("ca.yml")
PROXY_FILE = Path(__file__).with_name("proxy.yml")
DEFAULT_IMAGE = "prefect-orchestration"
"""The name of the platform's image if the profile does not set one."""

COPY = Path("data", "compose", "code")
"""Containers use this copy of the code if they cannot read the clone's files; see code.py."""

SECRETS_FILE = Path(__file__).with_name("secrets.yml")
SCALED_SECRETS_FILE = Path(__file__).with_name("secrets-scale.yml")
LINE = re.compile(r"\s*(#.*)?|(\w+)=([^\s'\"$#`\\]*)")


@dataclass(frozen=True)
class Profile:
    """A profile's name, its file and the file's values."""

    name: str
    file: Path
    values: dict[str, str]

    @property
    def clone(self) -> Path:
        """The folder of the clone that the profile belongs to."""
        return self.file.parents[1]

    @property
    def services(self) -> set[str]:
        """The optional services of docker-compose.yml that the profile runs."""
        return set(self.values.get("COMPOSE_PROFILES", "").split(","))

    @property
    def runs_by_itself(self) -> bool:
        """Whether the sensor and the schedules start runs."""
        return self.values.get("AUTOMATIC_RUNS") != "false"

    @property
    def image(self) -> str:
        """The platform's image with its tag; "" if containers run this clone's code."""
        values = self.values
        named = values.get("PLATFORM_IMAGE") and values.get("PLATFORM_TAG")
        return f"{values['PLATFORM_IMAGE']}:{values['PLATFORM_TAG']}" if named else ""

    def make(self, verb: str) -> str:
        """Return the make command of a verb for this profile, e.g. `make up PROFILE=production`."""
        return f"make {verb}" if self.name == "local" else f"make {verb} PROFILE={self.name}"

    @property
    def names(self) -> Names:
        """The names that the platform uses on its Prefect server."""
        return Names.of(self.name, self.values["PREFECT_API_URL"], self.values.get("PREFECT_NAMESPACE", ""))

    @property
    def blocks(self) -> str:
        """The name of the profile's saved blocks."""
        return self.names.blocks(self.name)

    @property
    def is_on_shared_server(self) -> bool:
        """Whether others may use the same Prefect server."""
        return not is_own(self.values["PREFECT_API_URL"])

    @property
    def secrets(self) -> set[str]:
        """The names of the profile's secrets."""
        return secrets(self.values)

    @property
    def secrets_folder(self) -> Path:
        """The folder with one file for each secret, named after its variable."""
        return self.file.parent / "secrets" / self.name

    @property
    def files(self) -> list[Path]:
        """The Compose files to merge over docker-compose.yml."""
        scaled, has_secrets, has_image = "scale" in self.services, bool(self.secrets), bool(self.image)
        is_copied = (self.clone / COPY).is_dir()
        wanted = {
            IMAGE_FILE: has_image,
            MOUNTED_FILE: not has_image and not is_copied,
            COPIED_FILE: not has_image and is_copied,
            COPIED_LOCALSTACK_FILE: is_copied,
            NO_SENSOR_FILE: not self.runs_by_itself,
            CA_FILE: bool(self.values.get("CA_FILE")),
            PROXY_FILE: any(self.values.get(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")),
            SECRETS_FILE: has_secrets,
            SCALE_FILE: scaled,
            SCALED_IMAGE_FILE: scaled and has_image,
            SCALED_SECRETS_FILE: scaled and has_secrets,
        }
        return [file for file, is_wanted in wanted.items() if is_wanted]


def load(name: str, folder: Path = PROJECT / "profiles", compose_file: Path = COMPOSE_FILE) -> Profile:
    """Load a profile and check that it has every value that the Compose file requires.

    Raises:
        CommandError: the profile does not exist, a line cannot be read, or values are missing. It names all of them.
    """
    file = folder / f"{name}.env"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.env")))
        raise CommandError(f"There is no profile {name!r}: {_short(file)} does not exist. Available profiles: {known}.")
    values = _read(file)
    needed = re.findall(r"\$\{(\w+):\?\}", compose_file.read_text())
    if missing := [key for key in dict.fromkeys(needed) if not values.get(key)]:
        raise CommandError(f"{_short(file)} has no value for {', '.join(missing)}. Set it there.")
    if values["PROFILE"] != name:
        raise CommandError(f"{_short(file)} says PROFILE={values['PROFILE']}. Change it to {name}, the file's name.")
    return Profile(name, file, values)


def check(profile: Profile) -> None:
    """Check that every value of a profile is set, well-formed and consistent with the others.

    Raises:
        CommandError: it lists every fault, one on each line.
    """
    if faults := [*find_faults(profile.values), *_unreadable(profile)]:
        raise CommandError("\n  ".join([f"{_short(profile.file)} cannot be used; nothing was started.", *faults]))


def _unreadable(profile: Profile) -> Iterator[str]:
    """Check CA_FILE and yield its faults. For a missing file, Docker would mount an empty folder."""
    if named := profile.values.get("CA_FILE"):
        file = Path(named)
        if not file.is_file():
            yield f"CA_FILE is {named!r}, but that file does not exist."
        elif not file.stat().st_mode & 0o004:
            yield f"CA_FILE is {named!r}, which containers cannot read. Run: chmod a+r {named}"
        elif not _has_certificates(file):
            yield (
                f"CA_FILE is {named!r}, which has no certificates in PEM format. To convert another format: "
                f"openssl x509 -inform der -in {named} -out ca.pem"
            )


def _has_certificates(file: Path) -> bool:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError):
        return False
    return bool(context.cert_store_stats()["x509"])


def _read(file: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise CommandError(f"{_short(file)} is not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise CommandError(f"{_short(file)} cannot be read: {error.strerror}. Give your user read access.") from None
    for number, line in enumerate(lines, start=1):
        where = f"{_short(file)}, line {number}"
        if not (match := LINE.fullmatch(line)):
            raise CommandError(
                f"{where} cannot be read: {_name(line)}. Write NAME=value; the value may not contain spaces, quotes, "
                "#, $ or backslashes."
            )
        if name := match[2]:
            if name in values:
                raise CommandError(f"{where}: {name} is set twice. Remove one.")
            values[name] = match[3]
    return values


def _name(line: str) -> str:
    """Return the name in a line. Its value is not shown, because it may be a secret."""
    match = re.match(r"\s*([A-Z][A-Z0-9_]*)\b", line)
    return match[1] if match else "it has no name"


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
