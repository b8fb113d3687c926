"""The steps of `make source`: read the file, show it, ask, write, run and report."""

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
from commands.embedded.only_one import describe
from commands.errors import CommandError
from commands.sources import listing
from commands.sources.asking import confirm, resolve_drift
from commands.sources.connection import StreamRefused, describe_streams, facts_of_stream, spec_of_stream, why_not
from commands.sources.declared import is_generated, read_declared
from commands.sources.drift import Drift, declared_key, drift
from commands.sources.facts import facts_of
from commands.sources.folder import Folder, folder_of, is_url
from commands.sources.outcome import Outcome
from commands.sources.project import Change, Project, apply
from commands.sources.reading import FileRefused, read
from commands.sources.relations import days_until_stale, late_after, relationships
from commands.sources.running import PipelineRunner, platform_of, published_of
from commands.sources.shown import show_diff, show_facts, show_result, show_streams
from commands.sources.spec import Spec, spec_of
from commands.sources.typed import Refused, check_name, check_same, chosen_stream, key_columns, name_from_file


def run(options: argparse.Namespace) -> int:
    """Run a command, and return its exit code."""
    # If the output is not a terminal, no width limits a line, so tables are not wrapped.
    console, errors = Console(width=None if sys.stdout.isatty() else 200), Console(stderr=True)
    source = Sources(
        console, Project(), options.data.absolute(), getattr(options, "yes", False), getattr(options, "profile", "")
    )
    try:
        if options.command == "add":
            return add_source(source, options)
        if options.command == "list":
            return source.show()
        return source.remove(options.name)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the user needs the message, not a traceback
        known = str(error) if isinstance(error, CommandError) else describe(error, options.data)
        errors.print(f"[red]make source failed.[/red] {escape(known)}", soft_wrap=True)
        return 1


class Sources:
    """The commands for sources."""

    def __init__(self, console: Console, project: Project, data: Path, yes: bool, profile: str = "") -> None:
        self._console, self._project, self._data, self._yes = console, project, data, yes
        self._profile = profile

    def add(self, path: str, name: str, key: str, mart: str) -> int:
        """Make a source from a file, or compare the file with its existing source.

        Raises:
            PlatformError: the file, the name or the key cannot be used, or the pipeline fails.
        """
        if not (file := Path(path)).is_file():
            raise FileRefused(f"The file {str(file)!r} does not exist. Usage: make source FILE=path/to/orders.csv.")
        name = check_name(name, "NAME") if name else name_from_file(file.name)
        with tempfile.TemporaryDirectory(prefix="source-") as folder:
            known = read_declared(self._project, name)
            if known:
                check_same(known, key_columns(key), mart)
                return self._add_next_file(file, known, Path(folder))
            return self._add_first_file(file, name, key, mart, Path(folder))

    def add_url(self, url: str, name: str, key: str, mart: str) -> int:
        """Make a source from a folder of the landing bucket, or compare one of its files with its existing source.

        Raises:
            PlatformError: the folder, a file, the name or the key cannot be used; or the pipeline fails.
        """
        platform = platform_of(self._console, self._data, self._profile)
        with tempfile.TemporaryDirectory(prefix="source-") as temporary:
            work = Path(temporary)
            folder = folder_of(
                url, lambda prefix: Files.model_validate_json(ask_platform(platform, work, "files", prefix))
            )
            stream = self._project.stream_of(folder.files[0].key.removeprefix(folder.root))
            if not folder.is_file:
                return self._add_folder(platform, folder, name, key, mart, work)
            known = read_declared(self._project, name or stream) if name or stream else None
            if known is None:
                raise Refused(
                    f"No source is declared for {url}. Name its folder to make one: "
                    f"make source FILE={url.rpartition('/')[0]}/."
                )
            check_same(known, key_columns(key), mart)
            return self._compare_landed(platform, folder.files[0], known, work)

    def _add_folder(self, platform: PipelineRunner, folder: Folder, name: str, key: str, mart: str, work: Path) -> int:
        """Make a source from a folder: from its oldest file, and from what the later files have in addition."""
        name = check_name(name, "NAME") if name else name_from_file(folder.name)
        if name in self._project.declared():
            raise Refused(
                f"The stream {name} exists already, and its files are loaded as they arrive. Choose another NAME=, or "
                f"compare one file: make source FILE=s3://…/{Path(folder.files[-1].key).name}."
            )
        spec: Spec | None = None
        for number, file in enumerate(folder.files):
            (own := work / str(number)).mkdir()
            local = download(platform, file, own)
            if spec is None:
                spec = replace(self._propose_spec(local, name, key, mart, own), globs=folder.globs(name))
                continue
            facts = facts_of(read(local, own, spec.format), [], own)
            self._console.print(f"{local.name}: {counted(facts.reading.rows, 'row')}", highlight=False)
            spec = self._resolve(spec, drift(spec, facts, own))
            if spec is None:
                return self._report_refusal(local.name)
        if spec and not spec.late_days:
            spec = replace(spec, late_days=late_after(file.date.date() for file in folder.files))
        changes = self._project.changes_to_write(spec) if spec else []
        show_diff(self._console, self._project, changes)
        if not self._confirm(f"\nWrite this and load {counted(len(folder.files), 'file')}?"):
            return 1
        apply(changes)
        return self._report(platform.load(name, folder.files), changes)

    def _compare_landed(self, platform: PipelineRunner, file: LandedFile, known: Spec, work: Path) -> int:
        """Compare a file that is already in raw with its source, and rebuild the tables with the accepted changes."""
        local = download(platform, file, work)
        spec = self._compare(local, known, work)
        if spec is None:
            return self._report_refusal(local.name)
        changes = self._plan_changes(spec, known)
        if not any(change.owned for change in changes):
            self._console.print("There is nothing to write, so the tables stay as they are.", highlight=False)
            return 0
        if not self._confirm("\nWrite this and rebuild the tables?"):
            return 1
        apply(changes)
        return self._report(platform.build([known.name], True)[0], changes)

    def add_streams(self, name: str) -> int:
        """Make sources from the Airbyte connection's streams that are in raw and not declared yet.

        Raises:
            PlatformError: no platform runs, Airbyte or the warehouse refuses a request, or the pipeline fails.
        """
        platform = platform_of(self._console, self._data, self._profile)
        with tempfile.TemporaryDirectory(prefix="source-") as temporary:
            work = Path(temporary)
            streams = Streams.model_validate_json(ask_platform(platform, work, "streams", "")).streams
            known = set(self._project.raw_tables())
            show_streams(self._console, describe_streams(streams, known))
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
                changes = self._project.changes_to_write(spec_of_stream(stream, facts), in_airbyte=True)
                show_diff(self._console, self._project, changes)
                if self._confirm(f"\nWrite this for the stream {stream.name}?"):
                    apply(changes)
                    written[stream.table] = changes
        if not written:
            self._console.print("Nothing was written.", highlight=False)
            return 0 if self._yes or not new else 1
        for outcome in platform.build(list(written), False):
            self._report(outcome, written[outcome.name])
        return 0

    def _add_first_file(self, file: Path, name: str, key: str, mart: str, work: Path) -> int:
        spec = self._propose_spec(file, name, key, mart, work)
        changes = self._project.changes_to_write(spec)
        show_diff(self._console, self._project, changes)
        if not self._confirm(f"\nWrite this and load {file.name}?"):
            return 1
        return self._write_and_load(name, file, changes)

    def _propose_spec(self, file: Path, name: str, key: str, mart: str, work: Path) -> Spec:
        """Show what a file contains, and return the spec to declare for it."""
        self._project.check_name(name, check_name(mart, "MART") if mart else "")
        facts = facts_of(read(file, work), key_columns(key), work)
        show_facts(self._console, facts)
        spec = spec_of(name, facts, mart)
        if mart and not spec.day:
            raise Refused(f"MART={mart} needs a column of dates or times, and {file.name} has none. Leave it out.")
        related = relationships(facts, self._project, published_of(self._data), work)
        referring = {test.column for test in related}
        others = [test for test in spec.tests if test.kind != "accepted_values" or test.column not in referring]
        return replace(spec, tests=[*others, *related], late_days=days_until_stale(facts, work))

    def _add_next_file(self, file: Path, known: Spec, work: Path) -> int:
        """Compare another file with its source, ask about each difference, and load the file."""
        spec = self._compare(file, known, work)
        if spec is None:
            return self._report_refusal(file.name)
        changes = self._plan_changes(spec, known)
        # A column that may be missing changes no value in the tables.
        was = {column.name: replace(column, optional=False) for column in known.columns}
        now = [replace(column, optional=False) for column in spec.columns]
        rebuilds = any(was.get(column.name, column) != column for column in now)
        if not self._confirm(f"\nLoad {file.name}?"):
            return 1
        return self._write_and_load(known.name, file, changes, rebuilds)

    def _compare(self, file: Path, known: Spec, work: Path) -> Spec | None:
        """Return the spec after a person decided on each difference, or None if the file is rejected."""
        facts = facts_of(read(file, work, known.format), [], work)
        found = drift(known, facts, work)
        show_facts(self._console, facts, declared_key(known, found))
        self._console.print(f"\n{file.name} is another file of the source {known.name}.", highlight=False)
        if not found:
            self._console.print("It matches what is declared.", highlight=False)
        return self._resolve(known, found)

    def _plan_changes(self, spec: Spec, known: Spec) -> list[Change]:
        """Return the changes to write, and show them with their owner."""
        changes = self._project.changes_to_write(spec) if spec != known else []
        before = self._project.changes_to_write(known) if changes else []
        wanted = {(each.path, each.entry): each.after for each in before if not each.owned}
        # A file that a person owns always differs from the generated one, so only a new difference counts.
        new_changes = [each for each in changes if not each.owned and wanted.get((each.path, each.entry)) != each.after]
        if changes and (new_changes or not is_generated(self._project, known.name)):
            self._console.print(f"The source {known.name} is yours. Change it by hand, as shown.", highlight=False)
            changes = [replace(change, owned=False) for change in changes]
        for path in {each.path for each in before if each.owned} & {each.path for each in changes if each.owned}:
            self._console.print(
                f"[yellow]note[/yellow] {escape(self._project.short(path))} was edited by hand, and the diff undoes "
                "that, because the file is generated. To keep your edits, delete the line `Generated by` above them.",
                highlight=False,
                soft_wrap=True,
            )
        show_diff(self._console, self._project, changes)
        return changes

    def _resolve(self, spec: Spec, found: Sequence[Drift]) -> Spec | None:
        """Return the spec after a person decided on each difference, or None if the file is rejected."""
        return resolve_drift(self._console, spec, found, self._yes)

    def _report_refusal(self, file: str) -> int:
        self._console.print(f"{file} was rejected. Nothing was changed.", highlight=False)
        return 1

    def _write_and_load(self, name: str, file: Path, changes: list[Change], rebuilds: bool = False) -> int:
        apply(changes)
        landed = self._project.land(file, name)
        return self._load(name, landed, changes, rebuilds)

    def _load(self, name: str, landed: Path, changes: list[Change], rebuilds: bool) -> int:
        platform = platform_of(self._console, self._data, self._profile)
        self._console.print(f"Running the pipeline {platform.where}.", highlight=False)
        try:
            outcome = platform.run(name, landed, rebuilds)
        except (PlatformError, CommandError) as error:
            raise PlatformError(
                f"{error} The written files stay. Correct them, or remove them: make source NAME={name} REMOVE=1."
            ) from error
        return self._report(outcome, changes)

    def _report(self, outcome: Outcome, changes: Sequence[Change]) -> int:
        name = outcome.name
        show_result(self._console, name, outcome.rows, outcome.tests)
        edit = ", ".join(self._project.short(each.path) for each in changes if each.path.suffix == ".sql")
        self._console.print(
            f"\ntable {name} in {escape(outcome.table)}\nedit  {edit or 'no file was written'}", highlight=False
        )
        return 0

    def remove(self, name: str) -> int:
        """Remove a source's files and entries, and its files in the landing folder unless its stream stays."""
        name = check_name(name, "NAME")
        changes = self._project.changes_to_remove(name)
        if not any(change.owned for change in changes):
            raise Refused(f"`make source` did not write a source {name}. `make sources` lists the sources.")
        stream_stays = any(each.path == self._project.connections and not each.owned for each in changes)
        folder = self._project.landing / name
        landed = [] if stream_stays else sorted(folder.glob("*"))
        show_diff(self._console, self._project, changes)
        if stream_stays and folder.exists():
            self._console.print(
                f"The files in {self._project.short(folder)} stay, because the stream stays.", highlight=False
            )
        for file in landed:
            self._console.print(f"delete {self._project.short(file)}", highlight=False)
        if not self._confirm(f"\nRemove the source {name}?"):
            return 1
        apply(changes)
        for file in landed:
            file.unlink()
        if landed:
            landed[0].parent.rmdir()
        self._console.print("Its rows stay in raw and in the tables until these are rebuilt.", highlight=False)
        return 0

    def show(self) -> int:
        """List the sources, with the rows and files of the platform that runs here, or else those of the last run."""
        platform, found = platform_of(self._console, self._data, self._profile), Tables()
        with tempfile.TemporaryDirectory(prefix="source-") as work:
            try:
                found = Tables.model_validate_json(ask_platform(platform, Path(work), "tables", ""))
                why = "" if found.rows or found.newest else "no platform runs here, and none has left tables."
            except PlatformError as error:
                why = str(error)
        if why:
            note = f"[yellow]note[/yellow] The rows and newest files are not known: {escape(why)}"
            self._console.print(note, highlight=False, soft_wrap=True)
        listing.show(self._console, listing.listed(self._project, found))
        return 0

    def _confirm(self, question: str) -> bool:
        return confirm(self._console, question, self._yes)


def add_source(source: Sources, options: argparse.Namespace) -> int:
    """Add a file, a place in S3 or the connection's streams, and return the exit code."""
    if options.origin:
        return source.add_streams(chosen_stream(options))
    add = source.add_url if is_url(options.file) else source.add
    return add(options.file, options.name, options.key, options.mart)


def ask_platform(platform: PipelineRunner, work: Path, what: str, subject: str) -> bytes:
    """Ask the platform, and return its answer."""
    platform.ask(target := work / f"{what}.json", what, subject)
    return target.read_bytes()


def download(platform: PipelineRunner, file: LandedFile, work: Path) -> Path:
    """Download an object of the landing bucket, and return the path of the copy."""
    platform.ask(target := work / Path(file.key).name, "file", file.key)
    return target
