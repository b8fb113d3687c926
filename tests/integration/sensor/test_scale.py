"""The sensor's cost: bounded by what arrives and by S3's own pages, not by what the bucket holds."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from services.content import PROJECT

MOST_MB = 150


def polled(objects: int, *arguments: str) -> dict[str, Any]:
    """One poll by a process of its own, against a synthetic S3 of so many objects, ten of them new."""
    command = [sys.executable, "benchmarks/sensor_polls.py", "--objects", str(objects), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_of_a_million_objects_the_ten_new_ones_are_found_a_page_at_a_time_in_150_mb() -> None:
    found = polled(1_000_000)
    assert (found["files"], found["list_calls"]) == (10, 1000)
    assert found["peak_mb"] < MOST_MB


def test_a_sensor_that_stays_and_finds_nothing_lists_once_a_poll_and_writes_nothing() -> None:
    found = polled(10, "--idle-seconds", "7")
    assert found["idle_polls"] >= 1
    assert abs(found["idle_list_calls"] - found["idle_polls"]) <= 1  # counted amid a poll
    assert found["idle_writes"] == 0
