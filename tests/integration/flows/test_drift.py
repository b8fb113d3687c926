"""What a run's files have that is not as declared is told once, with what to type."""

import json
import time
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL

from blocks.dbt.results import DeclaredSource
from blocks.lake import Fill
from blocks.ledger import Drift
from blocks.warehouse import DuckDbWarehouse
from flows.drift import _columns, _plain
from flows.full_pipeline import full_pipeline
from tests.integration.flows.modes import DEFAULT, Mode, every_mode
from tests.integration.flows.platform import Platform, flights

EVENTS_SECONDS = 30


def changed(day: int, late: str = "") -> str:
    """A day's flights without `tailnum`, with a column `gate`, and perhaps with a delay that is no number."""
    header, *lines = (line.split(",") for line in flights(day).splitlines())
    at, delay = header.index("tailnum"), header.index("dep_delay")
    if late:
        lines[3][delay] = late
    rows = [[*header[:at], *header[at + 1 :], "gate"], *([*line[:at], *line[at + 1 :], "B 7"] for line in lines)]
    return "\n".join(map(",".join, rows)) + "\n"


def keep_text(platform: Platform, stream: str, column: str) -> None:
    """Have the mock load a column as text, as it does with all columns of a file that `make source` has declared."""
    with httpx.Client(base_url=platform.airbyte, timeout=60) as http:
        (source,) = http.get("/sources").raise_for_status().json()["data"]
        streams = source["configuration"]["streams"]
        next(each for each in streams if each["name"] == stream)["columns"][column] = "string"
        http.patch(f"/sources/{source['sourceId']}", json={"configuration": {"streams": streams}}).raise_for_status()


def ask(path: str, body: dict[str, Any]) -> Any:
    return httpx.post(f"{PREFECT_API_URL.value()}{path}", json=body, timeout=60).raise_for_status().json()


def artifacts() -> list[str]:
    """The texts of the artifacts about drift, newest first."""
    body = {"artifacts": {"key": {"any_": ["drift"]}}, "sort": "CREATED_DESC"}
    return [each["data"] for each in ask("/artifacts/filter", body)]


def events(of: str) -> list[str]:
    """What the events of an object's drift say, once they have arrived."""
    deadline = time.monotonic() + EVENTS_SECONDS
    while True:
        found = ask("/events/filter", {"filter": {"event": {"name": ["platform.drift"]}}, "limit": 50})["events"]
        said = sorted(each["payload"]["what"] for each in found if each["payload"]["file"] == of)
        if said or time.monotonic() > deadline:
            return said
        time.sleep(0.2)


@every_mode
def test_each_change_is_told_once_in_an_artifact_and_an_event(loaded: Platform, mode: Mode) -> None:
    before = len(artifacts())
    keep_text(loaded, "flights", "dep_delay")
    key = loaded.put(f"flights/2013-01-02-{loaded.bucket}.csv.gz", changed(2, "soon"))
    full_pipeline()
    assert len(artifacts()) == before + 1
    text = artifacts()[0]
    lines = [line for line in text.splitlines() if key in line]
    assert [line for line in lines if "Column `tailnum` is missing" in line], text
    assert [line for line in lines if "Column `gate` is new" in line and "A value is `B 7`" in line], text
    assert [line for line in lines if "1 value of `dep_delay` is not bigint, such as `soon`" in line], text
    assert all(f"`make source FILE='s3://{loaded.bucket}/{key}'`" in line for line in lines)
    assert len(events(key)) == len(lines)

    loaded.put("flights/2013-01-03.csv.gz", changed(3))
    full_pipeline()
    assert len(artifacts()) == before + 1, artifacts()[0]
    loaded.put("flights/2013-01-04.csv.gz", flights(4) if mode == DEFAULT else changed(4))
    full_pipeline()
    assert len(artifacts()) == before + 1, artifacts()[0]


@pytest.mark.exhaustive
def test_a_run_is_well_although_the_comparison_fails(loaded: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is away")

    before = len(artifacts())
    monkeypatch.setattr(DuckDbWarehouse, "fills", broken)
    loaded.put("flights/2013-01-02.csv.gz", changed(2))
    full_pipeline()
    assert loaded.count("fct_flights") == 40
    assert len(artifacts()) == before


@pytest.mark.parametrize(
    ("shares", "rows", "told"), [([1.0], 1, True), ([0.5], 9, False), ([0.5], 10, True), ([1.0, 0.1], 10, False)]
)
def test_a_column_is_missing_where_that_is_no_accident(shares: list[float], rows: int, told: bool) -> None:
    known = Drift()
    files = [Fill("orders", str(at), 100, {"note": int(share * 100)}) for at, share in enumerate(shares)]
    files.append(Fill("orders", "last", rows, {"note": 0}))
    declared = [DeclaredSource(id="source.raw.orders", table="orders", columns=["note"])]
    assert bool(list(_columns(files, declared, known))) is told
    assert json.loads(known.model_dump_json())["filled"] == {"orders": {"note": 0}}


def test_a_column_that_may_be_missing_is_not_told() -> None:
    declared = DeclaredSource(id="source.raw.orders", table="orders", columns=["note"], optional=["note"])
    files = [Fill("orders", "first", 100, {"note": 100}), Fill("orders", "last", 100, {"note": 0})]
    assert list(_columns(files, [declared], Drift())) == []


def test_a_column_is_new_where_the_first_file_did_not_have_it() -> None:
    known = Drift()
    declared = [DeclaredSource(id="source.raw.orders", table="orders", columns=["id"])]
    files = [Fill("orders", str(at), 5, {"id": 5, "left_out": 5, "later": 5 * at}) for at in range(3)]
    assert [each.id for each in _columns(files, declared, known)] == ["orders more later"]
    assert list(_columns(files, declared, known)) == []


def test_a_cell_of_the_table_holds_any_text() -> None:
    assert _plain("a|b`c\n") == "a\\|b'c\\n"
