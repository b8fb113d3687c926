"""The steps of `make source`: look, show, ask, write, run, report."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.errors import PlatformError
from services.embedded.only_one import in_words
from services.sources import listing
from services.sources.facts import facts_of
from services.sources.names import identifier, table_name
from services.sources.project import Change, Project, apply
from services.sources.reading import FileRefused, read
from services.sources.running import platform_of, published_of
from services.sources.shown import show_diff, show_facts, show_result
from services.sources.spec import spec_of

YES = ("1", "true", "yes", "y", "on")


class Refused(PlatformError):
    """What was typed cannot be done; nothing was written."""


def run(options: argparse.Namespace) -> int:
    """Run a command; its exit code."""
    console, errors = Console(), Console(stderr=True)
    source = Sources(console, Project(), options.data.absolute(), str(getattr(options, "yes", "")).lower() in YES)
    try:
        if options.command == "add":
            return source.add(Path(options.file), options.name, options.key, options.mart)
        if options.command == "list":
            listing.show(console, listing.listed(Project(), published_of(options.data.absolute())))
            return 0
        return source.remove(options.name)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody here
        errors.print(f"[red]make source failed.[/red] {escape(in_words(error, options.data))}", soft_wrap=True)
        return 1


class Sources:
    """What a person types about sources."""

    def __init__(self, console: Console, project: Project, data: Path, yes: bool) -> None:
        self._console, self._project, self._data, self._yes = console, project, data, yes

    def add(self, file: Path, name: str, key: str, mart: str) -> int:
        """Make a source of a file.

        Raises:
            PlatformError: the file, the name or the key cannot be used; or the pipeline fails on it.
        """
        if not file.is_file():
            raise FileRefused(f"The file {str(file)!r} does not exist. Usage: make source FILE=path/to/orders.csv.")
        name = named(name or table_name(file.name), "NAME")
        with tempfile.TemporaryDirectory(prefix="source-") as folder:
            work = Path(folder)
            self._project.check_name(name, named(mart, "MART") if mart else "")
            reading = read(file, work)
            facts = facts_of(reading, [each.strip() for each in key.split(",") if each.strip()], work)
            show_facts(self._console, facts)
            spec = spec_of(name, facts, mart)
            if mart and not spec.day:
                raise Refused(
                    f"MART={mart} needs a column of dates or times, and {file.name} has none. Leave MART= out."
                )
            changes = self._project.written(spec)
        show_diff(self._console, self._project, changes)
        if not self._agreed(f"\nWrite this and load {file.name}?"):
            return 1
        apply(changes)
        landed = self._project.land(file, name)
        return self._load(name, landed, changes)

    def _load(self, name: str, landed: Path, changes: list[Change]) -> int:
        platform = platform_of(self._console, self._data)
        self._console.print(f"The pipeline runs {platform.where}.", highlight=False)
        try:
            outcome = platform.run(name, landed)
        except PlatformError as error:
            raise PlatformError(
                f"{error} What was written stays; correct it, or take it out: make source NAME={name} REMOVE=1."
            ) from error
        show_result(self._console, name, outcome.rows, outcome.tests)
        edit = ", ".join(self._project.short(each.path) for each in changes if each.path.suffix == ".sql")
        self._console.print(
            f"\ntable {name} in {escape(outcome.table)}\nedit  {edit or 'nothing was written'}", highlight=False
        )
        return 0

    def remove(self, name: str) -> int:
        """Take out what was written for a source, and its files in the landing folder."""
        name = named(name, "NAME")
        changes = self._project.removed(name)
        landed = sorted((self._project.landing / name).glob("*")) if changes else []
        if not changes:
            raise Refused(
                f"There is no source {name} that make source wrote. `make sources` lists those that are there."
            )
        show_diff(self._console, self._project, changes)
        for file in landed:
            self._console.print(f"delete {self._project.short(file)}", highlight=False)
        if not self._agreed(f"\nTake the source {name} out?"):
            return 1
        apply(changes)
        for file in landed:
            file.unlink()
        if landed:
            landed[0].parent.rmdir()
        self._console.print("What the tables and raw hold of it stays until they are rebuilt.", highlight=False)
        return 0

    def _agreed(self, question: str) -> bool:
        if self._yes:
            return True
        if not sys.stdin.isatty():
            self._console.print(f"{question} There is no terminal to answer on: YES=1 says yes. Nothing was changed.")
            return False
        if input(f"{question} [y/N] ").strip().lower() in YES:
            return True
        self._console.print("Nothing was changed.")
        return False


def named(name: str, variable: str) -> str:
    """Return a name that a person typed, if both warehouses take it.

    Raises:
        Refused: they do not.
    """
    if (possible := identifier(name)) != name:
        raise Refused(f"{variable}={name} is not a name that both warehouses take. Choose another, such as {possible}.")
    return name
