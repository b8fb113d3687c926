"""Times and lengths are written as Airbyte's server writes them."""

import pytest

from services.airbyte.jobs.model import ALLOWED_CHANGES, TERMINAL, JobStatus
from services.airbyte.names import schema_name, target_name
from services.airbyte.routes.wire import duration, instant, page


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(1_767_263_405_999_999, "2026-01-01T10:30:05Z"), (1_767_263_400_000_000, "2026-01-01T10:30Z")],
)
def test_an_instant_has_whole_seconds_and_none_that_are_zero(microseconds: int, text: str) -> None:
    assert instant(microseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "PT0S"), (3723, "PT1H2M3S"), (60, "PT1M"), (90_000, "PT25H"), (0.9, "PT0S")]
)
def test_a_duration_is_iso_8601_without_days(seconds: float, text: str) -> None:
    assert duration(int(seconds * 1_000_000)) == text


def test_a_full_last_page_leads_to_an_empty_one() -> None:
    assert page([{}], "http://host/jobs", [], 1, 0)["next"] == "http://host/jobs?limit=1&offset=1"
    assert page([], "http://host/jobs", [], 1, 1)["next"] == ""
    assert page([{}], "http://host/jobs", [], 1, 0)["previous"] == ""


def test_nothing_follows_a_terminal_status() -> None:
    assert all(not ALLOWED_CHANGES[status] for status in TERMINAL)
    assert set(ALLOWED_CHANGES) == set(JobStatus)


def test_a_file_is_named_after_what_it_holds() -> None:
    name = target_name("c", "s", 0, "inbound/s/_schema-x.csv.gz", "etag", 1)
    assert name.startswith("schema-x-")
    assert name.endswith(".parquet")
    changed = {
        target_name("d", "s", 0, "inbound/s/_schema-x.csv.gz", "etag", 1),
        target_name("c", "s", 1, "inbound/s/_schema-x.csv.gz", "etag", 1),
        target_name("c", "s", 0, "inbound/s/_schema-x.csv.gz", "other", 1),
        target_name("c", "s", 0, "inbound/s/_schema-x.csv.gz", "etag", 2),
    }
    assert len(changed | {name}) == 5
    assert schema_name({"a": "string"}) != schema_name({"a": "integer"})
