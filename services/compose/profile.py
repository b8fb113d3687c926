"""A profile: the file in profiles/ that gives docker-compose.yml its values."""

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yml"
SCALE_FILE = "docker-compose.scale.yml"


class ComposeError(Exception):
    """The platform cannot do what it was asked for; the text says what to do."""


@dataclass(frozen=True)
class Profile:
    """A profile's name, its file and the file's values."""

    name: str
    file: Path
    values: dict[str, str]

    @property
    def services(self) -> set[str]:
        """The optional services of docker-compose.yml that it runs."""
        return set(self.values.get("COMPOSE_PROFILES", "").split(","))

    @property
    def files(self) -> list[str]:
        """Compose files that it merges over docker-compose.yml, in the same folder."""
        return [SCALE_FILE] if "scale" in self.services else []


def load(name: str, folder: Path = PROJECT / "profiles", compose_file: Path = COMPOSE_FILE) -> Profile:
    """The profile of that name; nothing that docker-compose.yml asks for is missing.

    Raises:
        ComposeError: there is no such profile, or values are missing: it names them all.
    """
    file = folder / f"{name}.env"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.env")))
        raise ComposeError(
            f"There is no profile {name!r}: {_short(file)} is missing. Profiles that are there: {known}."
        )
    values = dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE))
    needed = re.findall(r"\$\{(\w+):\?\}", compose_file.read_text())
    if missing := [key for key in dict.fromkeys(needed) if not values.get(key)]:
        raise ComposeError(f"{_short(file)} gives no value for {', '.join(missing)}. Set what is missing there.")
    if values["PROFILE"] != name:
        raise ComposeError(f"{_short(file)} says PROFILE={values['PROFILE']}: make that {name}, as the file is called.")
    return Profile(name, file, values)


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
