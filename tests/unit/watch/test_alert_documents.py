"""The page about alerts says what the watch does."""

import re
from pathlib import Path

from services.watch.causes import CAUSES, table

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"


def test_the_page_of_alerts_has_every_cause_as_the_watch_tells_it() -> None:
    found = re.search(r"<!-- causes: .*? -->\n(.*)<!-- end of causes -->", PAGE.read_text(), re.DOTALL)
    assert found
    assert found[1].strip() == table()


def test_every_cause_says_what_it_means_for_the_tables_and_what_to_type() -> None:
    assert all(each.impact and each.command and each.begins and each.ends for each in CAUSES.values())
