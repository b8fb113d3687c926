"""The steps of `make source`: look, show, ask, write, run, report."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.errors import PlatformError, counted
from blocks.hand_out import Files, Streams, Tables
from blocks.landing import LandedFile
from services.compose.profile import ComposeError
from services.embedded.only_one import in_words
from services.sources import listing
from services.sources.asking import agreed, taken
from services.sources.connection import StreamRefused, described, facts_of_stream, spec_of_stream, why_not
from services.sources.declared import declared, is_generated
from services.sources.drift import Drift, declared_key, drift
from services.sources.facts import facts_of
from services.sources.folder import Folder, folder_of, is_url
from services.sources.outcome import Outcome
from services.sources.project import Change, Project, apply
from services.sources.reading import FileRefused, read
from services.sources.relations import days_until_stale, late_after, relationships
from services.sources.running import Platform, platform_of, published_of
from services.sources.shown import show_diff, show_facts, show_result, show_streams
from services.sources.spec import Spec, spec_of
from services.sources.typed import Refused, check_same, columns_of, from_connection, named, of_file


def run(options: argparse.Namespace) -> int:
    """Run a command; its exit code."""
    # Where no terminal bounds a line, tables keep theirs whole.
    console, errors = Console(width=None if sys.stdout.isatty() else 200), Console(stderr=True)
    source = Sources(
        console, Project(), options.data.absolute(), getattr(options, "yes", False), getattr(options, "profile", "")
    )
    try:
        if options.command == "add":
            return added(source, options)
        if options.command == "list":
            return source.show()
        return source.remove(options.name)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody here
        known = str(error) if isinstance(error, ComposeError) else in_words(error, options.data)
        errors.print(f"[red]make source failed.[/red] {escape(known)}", soft_wrap=True)
        return 1


class Sources:
    """What a person types about sources."""

    def __init__(self, console: Console, project: Project, data: Path, yes: bool, profile: str = "") -> None:
        self._console, self._project, self._data, self._yes = console, project, data, yes
        self._profile = profile

    def add(self, path: str, name: str, key: str, mart: str) -> int:
        """Make a source of a file, or check the file against its source.

        Raises:
            PlatformError: the file, the name or the key cannot be used; or the pipeline fails on it.
        """
        if not (file := Path(path)).is_file():
            raise FileRefused(f"The file {str(file)!r} does not exist. Usage: make source FILE=path/to/orders.csv.")
        name = named(name, "NAME") if name else of_file(file.name)
        with tempfile.TemporaryDirectory(prefix="source-") as folder:
            known = declared(self._project, name)
            if known:
                check_same(known, columns_of(key), mart)
                return self._another(file, known, Path(folder))
            return self._first(file, name, key, mart, Path(folder))

    def add_url(self, url: str, name: str, key: str, mart: str) -> int:
        """Make a source of a folder of the landing bucket, or check one of its files against its source.

        Raises:
            PlatformError: the folder, a file, the name or the key cannot be used; or the pipeline fails.
        """
        platform = platform_of(self._console, self._data, self._profile)
        with tempfile.TemporaryDirectory(prefix="source-") as temporary:
            work = Path(temporary)
            folder = folder_of(url, lambda prefix: Files.model_validate_json(asked(platform, work, "files", prefix)))
            stream = self._project.stream_of(folder.files[0].key.removeprefix(folder.root))
            if not folder.is_file:
                return self._folder(platform, folder, name, key, mart, work)
            known = declared(self._project, name or stream) if name or stream else None
            if known is None:
                raise Refused(
                    f"No source is declared for {url}. Name its folder to make one: "
                    f"make source FILE={url.rpartition('/')[0]}/."
                )
            check_same(known, columns_of(key), mart)
            return self._landed(platform, folder.files[0], known, work)

    def _folder(self, platform: Platform, folder: Folder, name: str, key: str, mart: str, work: Path) -> int:
        """Make a source of a folder by its oldest file and what the others have besides."""
        name = named(name, "NAME") if name else of_file(folder.name)
        if name in self._project.declared():
            raise Refused(
                f"The stream {name} is there already, and its files are loaded as they arrive. Choose another NAME=, "
                f"or compare one file: make source FILE=s3://…/{Path(folder.files[-1].key).name}."
            )
        spec: Spec | None = None
        for number, file in enumerate(folder.files):
            (own := work / str(number)).mkdir()
            local = fetched(platform, file, own)
            if spec is None:
                spec = replace(self._spec(local, name, key, mart, own), globs=folder.globs(name))
                continue
            facts = facts_of(read(local, own, spec.format), [], own)
            self._console.print(f"{local.name}: {counted(facts.reading.rows, 'row')}", highlight=False)
            spec = self._taken(spec, drift(spec, facts, own))
            if spec is None:
                return self._refused(local.name)
        if spec and not spec.late_days:
            spec = replace(spec, late_days=late_after(file.date.date() for file in folder.files))
        changes = self._project.written(spec) if spec else []
        show_diff(self._console, self._project, changes)
        if not self._agreed(f"\nWrite this and load {counted(len(folder.files), 'file')}?"):
            return 1
        apply(changes)
        return self._report(platform.load(name, folder.files), changes)

    def _landed(self, platform: Platform, file: LandedFile, known: Spec, work: Path) -> int:
        """Compare a file that is in raw already with its source, and build the tables anew with what is taken up."""
        local = fetched(platform, file, work)
        spec = self._compared(local, known, work)
        if spec is None:
            return self._refused(local.name)
        changes = self._changes(spec, known)
        if not any(change.owned for change in changes):
            self._console.print("Nothing is to be written: the tables stay as they are.", highlight=False)
            return 0
        if not self._agreed("\nWrite this and build the tables anew?"):
            return 1
        apply(changes)
        return self._report(platform.build([known.name], True)[0], changes)

    def add_streams(self, name: str) -> int:
        """Make sources of the streams of the Airbyte connection that are in raw and not declared yet.

        Raises:
            PlatformError: nothing runs, Airbyte or the warehouse refuses, or the pipeline fails.
        """
        platform = platform_of(self._console, self._data, self._profile)
        with tempfile.TemporaryDirectory(prefix="source-") as temporary:
            work = Path(temporary)
            streams = Streams.model_validate_json(asked(platform, work, "streams", "")).streams
            known = set(self._project.raw_tables())
            show_streams(self._console, described(streams, known))
            new = [each for each in streams if each.table not in known and not why_not(each)]
            new = [each for each in new if name in ("", each.name, each.table)]
            written: dict[str, list[Change]] = {}
            for number, stream in enumerate(new):
                (own := work / str(number)).mkdir()
                self._project.check_name(stream.table, "")
                platform.ask(rows := own / "rows.parquet", "rows", stream.table)
                try:
                    facts = facts_of_stream(stream, rows, own)
                except StreamRefused as error:
                    self._console.print(f"[yellow]note[/yellow] {escape(str(error))}", highlight=False, soft_wrap=True)
                    continue
                show_facts(self._console, facts)
                changes = self._project.written(spec_of_stream(stream, facts), in_airbyte=True)
                show_diff(self._console, self._project, changes)
                if self._agreed(f"\nWrite this for the stream {stream.name}?"):
                    apply(changes)
                    written[stream.table] = changes
        if not written:
            self._console.print("Nothing was written.", highlight=False)
            return 0 if self._yes or not new else 1
        for outcome in platform.build(list(written), False):
            self._report(outcome, written[outcome.name])
        return 0

    def _first(self, file: Path, name: str, key: str, mart: str, work: Path) -> int:
        spec = self._spec(file, name, key, mart, work)
        changes = self._project.written(spec)
        show_diff(self._console, self._project, changes)
        if not self._agreed(f"\nWrite this and load {file.name}?"):
            return 1
        return self._write_and_load(name, file, changes)

    def _spec(self, file: Path, name: str, key: str, mart: str, work: Path) -> Spec:
        """Show what a file is, and return what to declare of it."""
        self._project.check_name(name, named(mart, "MART") if mart else "")
        facts = facts_of(read(file, work), columns_of(key), work)
        show_facts(self._console, facts)
        spec = spec_of(name, facts, mart)
        if mart and not spec.day:
            raise Refused(f"MART={mart} needs a column of dates or times, and {file.name} has none. Leave it out.")
        related = relationships(facts, self._project, published_of(self._data), work)
        referring = {test.column for test in related}
        others = [test for test in spec.tests if test.kind != "accepted_values" or test.column not in referring]
        return replace(spec, tests=[*others, *related], late_days=days_until_stale(facts, work))

    def _another(self, file: Path, known: Spec, work: Path) -> int:
        """Check another file of a source, ask what to do with each difference, and load it."""
        spec = self._compared(file, known, work)
        if spec is None:
            return self._refused(file.name)
        changes = self._changes(spec, known)
        # That a column may be missing changes no value of the tables.
        was = {column.name: replace(column, optional=False) for column in known.columns}
        now = [replace(column, optional=False) for column in spec.columns]
        rebuilds = any(was.get(column.name, column) != column for column in now)
        if not self._agreed(f"\nLoad {file.name}?"):
            return 1
        return self._write_and_load(known.name, file, changes, rebuilds)

    def _compared(self, file: Path, known: Spec, work: Path) -> Spec | None:
        """What to declare once a person has decided how another file differs; None where it is refused."""
        facts = facts_of(read(file, work, known.format), [], work)
        found = drift(known, facts, work)
        show_facts(self._console, facts, declared_key(known, found))
        self._console.print(f"\n{file.name} is another file of the source {known.name}.", highlight=False)
        if not found:
            self._console.print("It is as declared.", highlight=False)
        return self._taken(known, found)

    def _changes(self, spec: Spec, known: Spec) -> list[Change]:
        """What is to be written; it is shown, and whose it is."""
        changes = self._project.written(spec) if spec != known else []
        before = self._project.written(known) if changes else []
        wanted = {(each.path, each.entry): each.after for each in before if not each.owned}
        # What a person has taken over differs from what would be written anyway: it counts where that changes.
        stays = [each for each in changes if not each.owned and wanted.get((each.path, each.entry)) != each.after]
        if changes and (stays or not is_generated(self._project, known.name)):
            self._console.print(f"The source {known.name} is yours: change it by hand, as shown.", highlight=False)
            changes = [replace(change, owned=False) for change in changes]
        for path in {each.path for each in before if each.owned} & {each.path for each in changes if each.owned}:
            self._console.print(
                f"[yellow]note[/yellow] {escape(self._project.short(path))} was edited by hand where it is generated: "
                "the diff takes that back. To keep it, delete the line `Generated by` above it.",
                highlight=False,
                soft_wrap=True,
            )
        show_diff(self._console, self._project, changes)
        return changes

    def _taken(self, spec: Spec, found: Sequence[Drift]) -> Spec | None:
        """What to declare once a person has decided on each difference; None where the file is refused."""
        return taken(self._console, spec, found, self._yes)

    def _refused(self, file: str) -> int:
        self._console.print(f"{file} was refused; nothing was changed.", highlight=False)
        return 1

    def _write_and_load(self, name: str, file: Path, changes: list[Change], rebuilds: bool = False) -> int:
        apply(changes)
        landed = self._project.land(file, name)
        return self._load(name, landed, changes, rebuilds)

    def _load(self, name: str, landed: Path, changes: list[Change], rebuilds: bool) -> int:
        platform = platform_of(self._console, self._data, self._profile)
        self._console.print(f"The pipeline runs {platform.where}.", highlight=False)
        try:
            outcome = platform.run(name, landed, rebuilds)
        except (PlatformError, ComposeError) as error:
            raise PlatformError(
                f"{error} What was written stays; correct it, or take it out: make source NAME={name} REMOVE=1."
            ) from error
        return self._report(outcome, changes)

    def _report(self, outcome: Outcome, changes: Sequence[Change]) -> int:
        name = outcome.name
        show_result(self._console, name, outcome.rows, outcome.tests)
        edit = ", ".join(self._project.short(each.path) for each in changes if each.path.suffix == ".sql")
        self._console.print(
            f"\ntable {name} in {escape(outcome.table)}\nedit  {edit or 'nothing was written'}", highlight=False
        )
        return 0

    def remove(self, name: str) -> int:
        """Take out what was written for a source, and its files in the landing folder unless its stream stays."""
        name = named(name, "NAME")
        changes = self._project.removed(name)
        if not any(change.owned for change in changes):
            raise Refused(
                f"There is no source {name} that make source wrote. `make sources` lists those that are there."
            )
        stays = any(each.path == self._project.connections and not each.owned for each in changes)
        folder = self._project.landing / name
        landed = [] if stays else sorted(folder.glob("*"))
        show_diff(self._console, self._project, changes)
        if stays and folder.exists():
            self._console.print(
                f"The files in {self._project.short(folder)} stay, as the stream does.", highlight=False
            )
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

    def show(self) -> int:
        """List the sources, with the rows and files of the platform that runs here, else of the last run."""
        platform, there = platform_of(self._console, self._data, self._profile), Tables()
        with tempfile.TemporaryDirectory(prefix="source-") as work:
            try:
                there = Tables.model_validate_json(asked(platform, Path(work), "tables", ""))
                why = "" if there.rows or there.newest else "nothing runs here, and nothing that has run is left."
            except PlatformError as error:
                why = str(error)
        if why:
            note = f"[yellow]note[/yellow] Rows and newest files are not known: {escape(why)}"
            self._console.print(note, highlight=False, soft_wrap=True)
        listing.show(self._console, listing.listed(self._project, there))
        return 0

    def _agreed(self, question: str) -> bool:
        return agreed(self._console, question, self._yes)


def added(source: Sources, options: argparse.Namespace) -> int:
    """Add what a person names: a file, a place in S3, or the connection's streams; the exit code."""
    if options.origin:
        return source.add_streams(from_connection(options))
    add = source.add_url if is_url(options.file) else source.add
    return add(options.file, options.name, options.key, options.mart)


def asked(platform: Platform, work: Path, what: str, subject: str) -> bytes:
    """What the platform answers."""
    platform.ask(target := work / f"{what}.json", what, subject)
    return target.read_bytes()


def fetched(platform: Platform, file: LandedFile, work: Path) -> Path:
    """Download an object of the landing bucket; return where it is."""
    platform.ask(target := work / Path(file.key).name, "file", file.key)
    return target
