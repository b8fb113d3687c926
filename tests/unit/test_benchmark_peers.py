"""Other orchestrators are measured with pinned versions; one that fails is left out with the reason."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks.peers.measure import HERE, PEERS, Failed, Tool


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_versions_are_pinned_and_its_dbt_is_the_platforms(name: str) -> None:
    pins = (HERE / f"{name}.txt").read_text().splitlines()
    assert all(re.match(r"[a-z0-9.-]+(\[[a-z,-]+\])?==\S+", line) for line in pins)
    lock = (HERE.parents[1] / "requirements.lock").read_text()
    for library in ("dbt-core", "dbt-duckdb", "duckdb"):
        (version,) = re.findall(rf"^{library}==(\S+)", "\n".join(pins), re.MULTILINE)
        assert f"{library}=={version} " in lock


def test_a_tool_that_fails_says_how_it_ended(tmp_path: Path) -> None:
    tool = Tool("a tool", [sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path, {})
    with pytest.raises(Failed, match=r"a tool: skipped, because .* failed. no such thing"):
        tool.run(*tool.command)
