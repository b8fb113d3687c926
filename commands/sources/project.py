"""The three places that declare a source: the connections' YAML, the dbt project and the landing folder."""

import difflib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from wcmatch.glob import GLOBSTAR, SPLIT, globmatch

from blocks.errors import PlatformError
from commands.embedded.stack import CONNECTION_ID
from commands.readers import still_read
from commands.sample.files import PLACES
from commands.sources import entries, render
from commands.sources.spec import Spec
from services.content import CONNECTIONS, CONNECTIONS_FILE, LANDING, PROJECT


class NameTaken(PlatformError):
    """A model of the user or of another source has this name already."""


class StillRead(PlatformError):
    """A file that stays reads something that would be removed. Nothing was changed."""


@dataclass(frozen=True)
class Change:
    """A file with its text before (None if it does not exist) and after (None if it is removed).

    With `owned`, the file is changed. Otherwise a person owns it, and the change is only shown. `entry` is the name of
    an entry that a person owns in a shared file.
    """

    path: Path
    before: str | None
    after: str | None
    owned: bool = True
    entry: str = ""


@dataclass(frozen=True)
class Project:
    """The places of the user's content, and the connection that new streams belong to."""

    root: Path = PROJECT
    connections: Path = CONNECTIONS
    landing: Path = LANDING
    connection_id: str = CONNECTION_ID

    @property
    def models(self) -> Path:
        """The folder of the dbt project's models."""
        return self.root / "dbt_project" / "models"

    @property
    def sources_yml(self) -> Path:
        """The file that declares raw's tables."""
        return self.models / "staging" / "sources.yml"

    def config(self) -> dict[str, Any]:
        """Load the connections' YAML."""
        found: dict[str, Any] = yaml.safe_load(self.connections.read_text(encoding="utf-8"))
        return found

    @property
    def streams(self) -> list[entries.Step]:
        """The steps to the source's list of streams."""
        return ["sources", {"sourceId": self._connection["sourceId"]}, "configuration", "streams"]

    @property
    def choices(self) -> list[entries.Step]:
        """The steps to the connection's list of synced streams."""
        return ["connections", {"connectionId": self.connection_id}, "configurations", "streams"]

    @property
    def tables(self) -> list[entries.Step]:
        """The steps to the list of tables in raw."""
        return ["sources", {"name": "raw"}, "tables"]

    @property
    def _connection(self) -> dict[str, Any]:
        config = self.config()
        found = next((each for each in config["connections"] if each["connectionId"] == self.connection_id), None)
        if found is None:
            raise PlatformError(
                f"{self.connections} has no connection {self.connection_id}. Declare it there, or correct "
                "AIRBYTE_CONNECTION_ID."
            )
        return dict(found)

    def declared(self) -> dict[str, dict[str, Any]]:
        """Return the streams of the connection's source, by name."""
        source = self._connection["sourceId"]
        config = next(each for each in self.config()["sources"] if each["sourceId"] == source)
        return {each["name"]: each for each in config["configuration"]["streams"]}

    def raw_tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables in raw that sources.yml declares, by name."""
        document = yaml.safe_load(self.sources_yml.read_text(encoding="utf-8"))
        tables = [
            table for source in document["sources"] if source["name"] == "raw" for table in source["tables"] or ()
        ]
        return {str(each["name"]): each for each in tables}

    def stream_of(self, path: str) -> str:
        """Return the stream that reads a file, by its path below the source's prefix, or "" if none does."""
        for name, stream in self.declared().items():
            if globmatch(path, stream.get("globs") or [f"{name}/**"], flags=GLOBSTAR | SPLIT):
                return name
        return ""

    def changes_to_write(self, spec: Spec, in_airbyte: bool = False) -> list[Change]:
        """Return the changes that write a source. Changes to a person's own files are only shown.

        With `in_airbyte`, Airbyte has the stream already, so it is not declared for the mock.

        Raises:
            commands.sources.entries.NotEditable: a YAML file has an unexpected shape.
        """
        table = (self.tables, render.source(spec))
        found = self._put_entries(self.sources_yml, spec.name, [table])
        if not in_airbyte and (spec.name in self.declared() or spec.name not in self.raw_tables()):
            lines = [render.stream(spec), render.choice(spec)]
            found = [
                *self._put_entries(self.connections, spec.name, list(zip(self._lists, lines, strict=False))),
                *found,
            ]
        for name, text in render.models(spec).items():
            found.append(_file_change(self.models / name, text))
        return [change for change in found if change.before != change.after]

    def changes_to_remove(self, name: str) -> list[Change]:
        """Return the changes that remove a source. What a person owns stays.

        Raises:
            StillRead: a file that stays reads something that would be removed.
        """
        found = [
            *self._remove_entries(self.connections, name, self._lists),
            *self._remove_entries(self.sources_yml, name, [self.tables]),
        ]
        found += [_file_change(path, None) for path in self.files_of(name)]
        found = [change for change in found if change.before != change.after]
        self._check_readers(name, found)
        return found

    def files_of(self, name: str) -> list[Path]:
        """Return a source's existing models: its staging model, its table, and the tables built from that."""
        names = [f"staging/stg_{name}", f"marts/{name}", *(f"marts/{each}" for each in self.aggregates(name))]
        paths = [self.models / f"{each}{suffix}" for each in names for suffix in (".sql", ".yml")]
        return [path for path in paths if path.exists()]

    def ownership(self, name: str) -> list[bool]:
        """Return, for each entry and file of a source, whether `make source` owns it."""
        lists = [*((self.connections, steps) for steps in self._lists), (self.sources_yml, self.tables)]
        own = [entries.is_own(path.read_text(encoding="utf-8"), steps, name, render.ENTRY) for path, steps in lists]
        return [
            *(each for each in own if each is not None),
            *(_file_change(path, None).owned for path in self.files_of(name)),
        ]

    def aggregates(self, name: str) -> list[str]:
        """Return the generated tables that are built from a source's table."""
        ref = f"ref('{name}')"
        found = [path for path in (self.models / "marts").glob("*.sql") if path.stem != name]
        texts = {path.stem: path.read_text(encoding="utf-8") for path in found}
        return sorted(each for each, text in texts.items() if text.startswith(render.IN_SQL) and ref in text)

    def check_name(self, name: str, mart: str) -> None:
        """Check that the source would not replace a model of the user or of another source.

        Raises:
            NameTaken: it would.
        """
        if mart in (name, f"stg_{name}"):
            raise NameTaken(f"MART={mart} is a table of the source itself. Choose another name for it.")
        for model in filter(None, (f"stg_{name}", name, mart)):
            remedy = "Choose another MART=." if model == mart else "Give the source another name: NAME=."
            for path in self._models_called(model):
                if owner := self._owner(path):
                    if owner != name:
                        raise NameTaken(f"{model} is a table of {owner}. {remedy}")
                else:
                    raise NameTaken(
                        f"{self.short(path)} is a model of your own, and the source needs that name. {remedy}"
                    )

    def _models_called(self, name: str) -> list[Path]:
        """Return the files from which dbt builds a relation of this name."""
        places = {"models": (".sql", ".py"), "snapshots": (".sql",), "seeds": (".csv",)}
        files = [
            path
            for folder, suffixes in places.items()
            for path in (self.root / "dbt_project" / folder).rglob("*.*")
            if path.suffix in suffixes
        ]
        return sorted(path for path in files if path.stem.lower() == name)

    def _owner(self, model: Path) -> str:
        """Return the source that a generated model belongs to, or "" if a person owns it."""
        text = model.read_text(encoding="utf-8") if model.suffix == ".sql" else ""
        found = re.search(r"source\('raw', '(\w+)'\)", text) or re.search(r"ref\('(\w+)'\)", text)
        return found[1] if found and text.startswith(render.IN_SQL) else ""

    def _check_readers(self, name: str, changes: Sequence[Change]) -> None:
        """Check that no file that stays reads what the changes remove.

        Raises:
            StillRead: a file does.
        """
        removed_files = {change.path for change in changes if change.owned and change.after is None}
        removed_names = {path.stem for path in removed_files if path.suffix == ".sql"}
        if any(change.path == self.sources_yml and change.owned for change in changes):
            removed_names.add(name)
        files = [
            path for place in PLACES for path in sorted((self.root / place).rglob("*.*")) if path not in removed_files
        ]
        if message := still_read(
            self.root, (path.relative_to(self.root) for path in files), removed_names, f"the source {name}"
        ):
            raise StillRead(message)

    @property
    def _lists(self) -> list[list[entries.Step]]:
        """The steps to the lists in the connections' YAML that have an entry for each stream."""
        return [self.streams, *([self.choices] if "configurations" in self._connection else [])]

    def _put_entries(
        self, path: Path, name: str, places: Sequence[tuple[Sequence[entries.Step], Sequence[str]]]
    ) -> list[Change]:
        """Return the changes that write an entry's lines into lists: those to make, then those only to show."""
        before = after = path.read_text(encoding="utf-8")
        for steps, lines in places:
            after = entries.put(after, steps, name, lines, render.ENTRY)
        wanted = after
        for steps, lines in places:
            wanted = entries.put(wanted, steps, name, lines, render.ENTRY, even_unmarked=True)
        if yaml.safe_load(wanted) == yaml.safe_load(after):
            wanted = after
        return [Change(path, before, after), Change(path, after, wanted, owned=False, entry=name)]

    def _remove_entries(self, path: Path, name: str, lists: Sequence[Sequence[entries.Step]]) -> list[Change]:
        """Return the change that removes an entry from lists. It is only shown if a person owns one of the entries."""
        before = after = path.read_text(encoding="utf-8")
        owned = all(entries.is_own(before, steps, name, render.ENTRY) is not False for steps in lists)
        for steps in lists:
            after = entries.remove(after, steps, name, render.ENTRY, even_unmarked=not owned)
        return [Change(path, before, after, owned, "" if owned else name)]

    def short(self, path: Path) -> str:
        """Return a path relative to the project's folder."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def diff(self, changes: Sequence[Change]) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        for change in changes:
            short = self.short(change.path)
            before, after = ((text or "").splitlines() for text in (change.before, change.after))
            names = (
                "/dev/null" if change.before is None else f"a/{short}",
                "/dev/null" if change.after is None else f"b/{short}",
            )
            yield from difflib.unified_diff(before, after, *names, lineterm="")

    def land(self, file: Path, name: str) -> Path:
        """Copy a file into its stream's landing folder, and return the path of the copy."""
        target = self.landing / name / file.name.lstrip("._")
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.resolve() != target.resolve():
            shutil.copyfile(file, target)
        return target


def project_of(root: Path) -> Project:
    """Return the places of content in a checkout."""
    return Project(root, root / CONNECTIONS_FILE, root / "localstack" / "landing")


def apply(changes: Sequence[Change]) -> None:
    """Write the changes, except those to what a person owns."""
    for change in changes:
        if not change.owned:
            continue
        if change.after is None:
            change.path.unlink()
        else:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = change.path.with_name(f".{change.path.name}.tmp")
            temporary.write_text(change.after, encoding="utf-8")
            temporary.replace(change.path)


def _file_change(path: Path, after: str | None) -> Change:
    before = path.read_text(encoding="utf-8") if path.exists() else None
    mark = render.IN_SQL if path.suffix == ".sql" else render.IN_YAML
    return Change(path, before, after, before is None or before.startswith(mark))
