"""A profile: the file in profiles/ that gives docker-compose.yml its values."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blocks.names import Names, is_own
from services.compose.values import secrets, wrong

PROJECT = Path(__file__).parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yml"
SCALE_FILE = PROJECT / "docker-compose.scale.yml"
MOUNTED_FILE = Path(__file__).with_name("mounted.yml")
COPIED_FILE = Path(__file__).with_name("copied.yml")
COPIED_LOCALSTACK_FILE = Path(__file__).with_name("copied-localstack.yml")
IMAGE_FILE = Path(__file__).with_name("image.yml")
SCALED_IMAGE_FILE = Path(__file__).with_name("image-scale.yml")
HELD_FILE = Path(__file__).with_name("held.yml")
CA_FILE = Path(__file__).with_name("ca.yml")
PROXY_FILE = Path(__file__).with_name("proxy.yml")
DEFAULT_IMAGE = "prefect-orchestration"
"""What the platform's image is called where a profile does not name it."""

COPY = Path("data", "compose", "code")
"""The copy of the clone's code that containers use where they cannot read the clone's own, see code.py."""

SECRETS_FILE = Path(__file__).with_name("secrets.yml")
SCALED_SECRETS_FILE = Path(__file__).with_name("secrets-scale.yml")
LINE = re.compile(r"\s*(#.*)?|(\w+)=([^\s'\"$#`\\]*)")


class ComposeError(Exception):
    """The platform cannot do what it was asked for; the text says what to do."""


@dataclass(frozen=True)
class Profile:
    """A profile's name, its file and the file's values."""

    name: str
    file: Path
    values: dict[str, str]

    @property
    def clone(self) -> Path:
        """The folder of the clone that it belongs to."""
        return self.file.parents[1]

    @property
    def services(self) -> set[str]:
        """The optional services of docker-compose.yml that it runs."""
        return set(self.values.get("COMPOSE_PROFILES", "").split(","))

    @property
    def runs_by_itself(self) -> bool:
        """Whether its sensor and its schedules start runs."""
        return self.values.get("AUTOMATIC_RUNS") != "false"

    @property
    def image(self) -> str:
        """The platform's image that it names, with its tag; "" where this clone's code runs."""
        values = self.values
        named = values.get("PLATFORM_IMAGE") and values.get("PLATFORM_TAG")
        return f"{values['PLATFORM_IMAGE']}:{values['PLATFORM_TAG']}" if named else ""

    def make(self, verb: str) -> str:
        """The command that runs a verb of make for this profile, e.g. `make up PROFILE=production`."""
        return f"make {verb}" if self.name == "local" else f"make {verb} PROFILE={self.name}"

    @property
    def names(self) -> Names:
        """The names of its things on its Prefect server."""
        return Names.of(self.name, self.values["PREFECT_API_URL"], self.values.get("PREFECT_NAMESPACE", ""))

    @property
    def blocks(self) -> str:
        """The name of its saved blocks."""
        return self.names.blocks(self.name)

    @property
    def is_on_shared_server(self) -> bool:
        """Whether others may use its Prefect server, too."""
        return not is_own(self.values["PREFECT_API_URL"])

    @property
    def secrets(self) -> set[str]:
        """The names of its secrets."""
        return secrets(self.values)

    @property
    def secrets_folder(self) -> Path:
        """Where its secrets lie, a file each, called as the variable is."""
        return self.file.parent / "secrets" / self.name

    @property
    def files(self) -> list[Path]:
        """Compose files that it merges over docker-compose.yml."""
        scaled, has_secrets, has_image = "scale" in self.services, bool(self.secrets), bool(self.image)
        is_copied = (self.clone / COPY).is_dir()
        wanted = {
            IMAGE_FILE: has_image,
            MOUNTED_FILE: not has_image and not is_copied,
            COPIED_FILE: not has_image and is_copied,
            COPIED_LOCALSTACK_FILE: is_copied,
            HELD_FILE: not self.runs_by_itself,
            CA_FILE: bool(self.values.get("CA_FILE")),
            PROXY_FILE: any(self.values.get(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")),
            SECRETS_FILE: has_secrets,
            SCALE_FILE: scaled,
            SCALED_IMAGE_FILE: scaled and has_image,
            SCALED_SECRETS_FILE: scaled and has_secrets,
        }
        return [file for file, is_wanted in wanted.items() if is_wanted]


def load(name: str, folder: Path = PROJECT / "profiles", compose_file: Path = COMPOSE_FILE) -> Profile:
    """The profile of that name; nothing that its Compose file asks for is missing.

    Raises:
        ComposeError: there is no such profile, a line cannot be read, or values are missing: it names them all.
    """
    file = folder / f"{name}.env"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.env")))
        raise ComposeError(
            f"There is no profile {name!r}: {_short(file)} is missing. Profiles that are there: {known}."
        )
    values = _read(file)
    needed = re.findall(r"\$\{(\w+):\?\}", compose_file.read_text())
    if missing := [key for key in dict.fromkeys(needed) if not values.get(key)]:
        raise ComposeError(f"{_short(file)} gives no value for {', '.join(missing)}. Set what is missing there.")
    if values["PROFILE"] != name:
        raise ComposeError(f"{_short(file)} says PROFILE={values['PROFILE']}: make that {name}, as the file is called.")
    return Profile(name, file, values)


def check(profile: Profile) -> None:
    """Make sure that every value of a profile is there, well-formed and fits the others.

    Raises:
        ComposeError: it names every value that is not, a line each.
    """
    if faults := [*wrong(profile.values), *_unreadable(profile)]:
        raise ComposeError("\n  ".join([f"{_short(profile.file)} cannot be used; nothing was started.", *faults]))


def _unreadable(profile: Profile) -> Iterator[str]:
    """What is wrong with the certificates; Docker would mount an empty folder in the place of a missing file."""
    if named := profile.values.get("CA_FILE"):
        file = Path(named)
        if not file.is_file():
            yield f"CA_FILE is {named!r}, and there is no such file."
        elif not file.stat().st_mode & 0o004:
            yield f"CA_FILE is {named!r}, which containers cannot read: chmod a+r {named}"
        elif not _has_certificates(file):
            yield (
                f"CA_FILE is {named!r}, which holds no certificates in PEM format. To convert another format: "
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
        raise ComposeError(f"{_short(file)} is not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise ComposeError(f"{_short(file)} cannot be read: {error.strerror}. Let your user read it.") from None
    for number, line in enumerate(lines, start=1):
        where = f"{_short(file)}, line {number}"
        if not (match := LINE.fullmatch(line)):
            raise ComposeError(
                f"{where} cannot be read: {_name(line)}. Expected is NAME=value, the value without spaces, quotes, "
                "#, $ and backslashes."
            )
        if name := match[2]:
            if name in values:
                raise ComposeError(f"{where}: {name} is there twice. Remove one.")
            values[name] = match[3]
    return values


def _name(line: str) -> str:
    """What may be told of a line that may hold a secret: its name."""
    match = re.match(r"\s*([A-Z][A-Z0-9_]*)\b", line)
    return match[1] if match else "it has no name"


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
