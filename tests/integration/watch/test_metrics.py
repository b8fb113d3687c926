"""Prometheus finds at the server what the page about alerts says of it."""

import re
from pathlib import Path

import httpx

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"


def test_the_server_has_the_series_that_are_worth_an_alert(prefect_server: str) -> None:
    rows = re.findall(r"^\| `(\w+)(?:\{.*?\})?` \|", PAGE.read_text().partition("## Prometheus")[2], re.MULTILINE)
    own = set(rows) - {"up"}  # which Prometheus makes of each scrape
    assert len(rows) == 5
    found = httpx.get(f"{prefect_server}/api/metrics", trust_env=False).raise_for_status().text
    assert own <= {line.split()[2] for line in found.splitlines() if line.startswith("# TYPE ")}
