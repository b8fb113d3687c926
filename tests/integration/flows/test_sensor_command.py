"""The sensor's command line refuses what it cannot watch, and says why."""

import os
import subprocess
import sys

import pytest

from flows.sensors.s3_sensor import main
from services.content import PROJECT
from tests.integration.flows.platform import Platform


def used(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "flows/sensors/s3_sensor.py", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)


def test_a_sensor_that_cannot_watch_says_at_once_why(platform: Platform, prefect_server: str) -> None:
    for arguments, variables, reason in (
        (["--watch", "nonsense"], {}, "Prefect's server has no deployment nonsense"),
        (["--watch", "a/b", "--max-batch", "0"], {}, "max_batch is 0"),
        (["--watch", "a/b"], {"S3_ENDPOINT_URL": "ftp:"}, "Check S3_ENDPOINT_URL"),
    ):
        done = used(*arguments, **variables)
        assert done.returncode == 1
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
def test_a_pause_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--watch", "a/b", "--poll-seconds", seconds])
    assert f"{seconds} is not a number of seconds from 0.1" in capsys.readouterr().err


def test_the_sensor_says_how_it_is_used() -> None:
    assert "--watch" in used("--help").stdout
