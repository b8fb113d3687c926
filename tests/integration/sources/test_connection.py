"""The streams of the Airbyte connection become sources, with types from what raw has."""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from blocks import hand_out
from blocks.landing import LandedFile
from commands.embedded.stack import CONNECTION_ID
from commands.sources import command
from commands.sources.connection import why_not
from commands.sources.declared import is_generated, read_declared
from commands.sources.outcome import Outcome
from commands.sources.spec import Spec
from tests.integration.airbyte.running_mock import served
from tests.integration.dbt.project import Platform, broken
from tests.integration.sources.desk import Desk, empty_desk

STREAMS = """\
      streams:
        - {name: parcels, primaryKey: [id]}
        - name: notes
          columns: {Day: string, "Zip Code": string, size: string}
        - {name: later, columns: {id: integer}}
destinations"""
CHOSEN = """\
      streams:
        - {name: parcels, syncMode: incremental_append}
        - {name: notes, syncMode: incremental_append}
        - {name: later, syncMode: incremental_append}
"""
PARCELS = "id,weight,sent\n1,2.5,2013-01-01\n2,3.25,2013-01-02\n"
NEWER = "id,weight,sent\n2,4.5,2013-01-03\n3,,2013-01-04\n"
NOTES = "Day,Zip Code,size\n05.12.2013,01210,1.5\n24.12.2013,94103,2\n"


class Running:
    """A platform whose raw is a desk's, and whose Airbyte is the mock."""

    where = "here"

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def ask(self, target: Path, what: str, subject: str = "") -> None:
        with target.open("wb") as out:
            hand_out.answer(what, subject, out)

    def build(self, names: Sequence[str], full_refresh: bool) -> list[Outcome]:
        assert not full_refresh
        assert broken(self._platform.build()) == [], self._platform.warnings
        return [Outcome(name, [], [], "here") for name in names]

    def run(self, *_: Any) -> Outcome:
        raise NotImplementedError

    def load(self, name: str, files: Sequence[LandedFile]) -> Outcome:
        raise NotImplementedError


@pytest.fixture
def desk(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A project whose connection has three streams, of which two are in raw and none is declared."""
    desk = empty_desk(tmp_path)
    config = desk.project.connections
    text = config.read_text().replace("      streams: []\ndestinations", STREAMS)
    config.write_text(text.replace("      streams: []\n", CHOSEN))
    for number, (stream, content) in enumerate((("parcels", PARCELS), ("parcels", NEWER), ("notes", NOTES))):
        (file := tmp_path / f"{number}.csv").write_text(content)
        desk.project.land(file, stream)
    desk.sync(s3_url, tmp_path / "lake")
    with served(desk.mock(s3_url, tmp_path / "lake")) as url:
        monkeypatch.setenv("AIRBYTE_SERVER_URL", f"{url}/api/public/v1")
        monkeypatch.setenv("AIRBYTE_CONNECTION_ID", CONNECTION_ID)
        monkeypatch.setenv("LAKE_DIR", str(tmp_path / "lake"))
        monkeypatch.setenv("WAREHOUSE_PATH", str(tmp_path / "other.duckdb"))
        yield desk


def types(spec: Spec | None) -> dict[str, str]:
    assert spec
    return {column.name: column.type for column in spec.columns}


def test_streams_in_raw_become_tested_tables_and_the_others_are_named(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = desk.platform(tmp_path / "lake")
    monkeypatch.setattr(command, "platform_of", lambda *_: Running(platform))
    before = desk.project.connections.read_text()

    def typed() -> str:
        out = Console(file=io.StringIO(), width=200)
        assert command.Sources(out, desk.project, tmp_path, yes=True).add_streams("") == 0
        return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    said = typed()
    assert "raw has no row of later. Sync it again once its source has rows." in said
    parcels, notes = read_declared(desk.project, "parcels"), read_declared(desk.project, "notes")
    assert types(parcels) == {"id": "bigint", "weight": "double", "sent": "date"}
    assert types(notes) == {"day": "date", "zip_code": "varchar", "size": "decimal(18,1)"}
    assert parcels
    assert parcels.key == ["id"]
    assert platform.rows("select id, weight, cast(sent as varchar) from parcels order by id") == [
        (1, 2.5, "2013-01-01"),
        (2, 4.5, "2013-01-03"),
        (3, None, "2013-01-04"),
    ]
    assert platform.rows("select zip_code, cast(size as varchar) from notes order by 1") == [
        ("01210", "1.5"),
        ("94103", "2.0"),
    ]
    shown = Console(file=io.StringIO(), width=200)
    assert command.Sources(shown, desk.project, tmp_path, yes=True).show() == 0
    assert re.search(r"^parcels .* 1\.csv \(20\d\d-\d\d-\d\d \d\d:\d\d UTC\)", shown.file.getvalue(), re.M)  # type: ignore[attr-defined]
    assert desk.project.connections.read_text() == before, "Airbyte has the streams already"
    assert read_declared(desk.project, "later") is None
    assert "Nothing was written." in typed()


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("later", [], "raw has no table later yet. Sync it first: make run FLOW=airbyte_sync"),
        ("select", ["id", "_ab_source_file_url"], "Rename the stream, for example to select_"),
        ("people", ["id"], "its rows do not come from files"),
        ("orders", ["id", "_ab_source_file_url"], ""),
    ],
)
def test_a_stream_that_cannot_be_a_source_yet_says_why(table: str, columns: list[str], said: str) -> None:
    stream = hand_out.OfferedStream(name=table, table=table, connection="Desk", columns=columns)
    assert said in why_not(stream)
    assert bool(why_not(stream)) is bool(said)


@pytest.mark.exhaustive
def test_what_was_written_is_taken_out(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "platform_of", lambda *_: Running(desk.platform(tmp_path / "lake")))
    source = command.Sources(Console(file=io.StringIO()), desk.project, tmp_path, yes=True)
    before = desk.project.sources_yml.read_text()
    assert source.add_streams("notes") == 0
    assert read_declared(desk.project, "parcels") is None
    assert is_generated(desk.project, "notes"), "the stream itself is a person's, and what is made of it is not"
    assert source.remove("notes") == 0
    assert desk.project.sources_yml.read_text() == before
    assert not (desk.project.models / "marts" / "notes.sql").exists()
