"""The real connector is the judge: source-s3 and the mock read the same files to the same types and values."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.airbyte.formats.settings import FORMATS, NOT_SUPPORTED
from tests.integration.airbyte.mock_config import mock_of
from tests.integration.airbyte.running_mock import Landing, Start
from tests.integration.airbyte.source_s3 import judge
from tests.integration.airbyte.source_s3.cases import CASES, Case
from tests.integration.airbyte.source_s3.differences import DIFFERENCES
from tests.integration.airbyte.source_s3.generated import STREAMS

EXAMPLES = int(os.environ.get("SOURCE_S3_EXAMPLES", "100"))
"""Streams that are made up in a run."""
STREAMS_AT_ONCE = 50
"""How many of them the connector reads in one process, which takes it eight seconds to start."""
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(580 + 5 * EXAMPLES)]
Judged = tuple[dict[str, judge.Outcome], dict[str, judge.Outcome], dict[str, Any]]
Compare = Callable[[dict[str, Case]], Judged]


@pytest.fixture(scope="session")
def python() -> Path:
    try:
        return judge.connector()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"airbyte-source-s3 cannot be installed here: {error}")


@pytest.fixture
def compare(python: Path, s3_url: str, landing: Landing, start: Start, tmp_path: Path) -> Compare:
    """Have both read the files of the cases, each case a stream."""

    def run(cases: dict[str, Case]) -> Judged:
        for name, case in cases.items():
            for file, content in case.files.items():
                landing.put(f"{name}/{file}", content)
        streams = [{"name": name, "format": case.format} for name, case in cases.items()]
        wanted = [{**stream, "globs": [f"inbound/{stream['name']}/**"]} for stream in streams]
        found, specification = judge.read_by_source_s3(python, s3_url, landing.bucket, wanted, tmp_path)
        with mock_of(start, landing, streams, tmp_path) as mock:
            attempt = mock.attempts(mock.sync()["jobId"])[-1]
            failures = [each["externalMessage"] for each in attempt.get("failureSummary", {"failures": []})["failures"]]
            said = {message.split("/inbound/")[1].split("/")[0]: message for message in failures}
            ours = {name: judge.read_by_mock(mock.lake, name, said.get(name, "")) for name in cases}
        return found, ours, specification

    return run


def test_the_mock_reads_what_source_s3_reads_but_for_the_differences_that_are_wanted(compare: Compare) -> None:
    theirs, ours, _ = compare(CASES)
    found = {name: judge.difference(theirs[name], ours[name]) for name in CASES}
    unwanted = [f"{name}: {said}" for name, said in found.items() if said and not CASES[name].differs]
    assert not unwanted, "\n".join(unwanted)
    assert [name for name, case in CASES.items() if case.differs and not found[name]] == []
    assert {case.differs for case in CASES.values() if case.differs} == set(DIFFERENCES)


def test_the_settings_of_a_format_are_those_of_source_s3_with_its_defaults(compare: Compare) -> None:
    *_, specification = compare({"plain": CASES["plain"]})
    streams = specification["connectionSpecification"]["properties"]["streams"]["items"]["properties"]
    theirs = {each["properties"]["filetype"]["const"]: each["properties"] for each in streams["format"]["oneOf"]}
    assert set(theirs) == {*FORMATS, *NOT_SUPPORTED}
    for filetype, ours in FORMATS.items():
        defaults = asdict(ours())
        assert set(theirs[filetype]) == set(defaults)
        for name, setting in theirs[filetype].items():
            if "default" in setting and name != "header_definition":
                assert _unordered(setting["default"]) == _unordered(defaults[name]), name


def _unordered(value: Any) -> Any:
    return set(value) if isinstance(value, list) else value


@given(st.lists(STREAMS, min_size=STREAMS_AT_ONCE, max_size=STREAMS_AT_ONCE))
@settings(
    max_examples=1 + EXAMPLES // STREAMS_AT_ONCE,  # the first is the simplest of all
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
def test_generated_files_are_read_to_the_same_types_and_values(compare: Compare, streams: list[Case]) -> None:
    cases = {f"s{uuid4().hex[:12]}": case for case in streams}
    theirs, ours, _ = compare(cases)
    found = {name: judge.difference(theirs[name], ours[name]) for name in cases}
    unwanted = [f"{said}\n  {cases[name]}" for name, said in found.items() if said]
    assert not unwanted, "\n".join(unwanted)
