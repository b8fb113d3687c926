"""The platform whose sensor waits for S3's events, as a line of the profile says, in another region than usual."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.testing import Platform
from services.testing.fixtures import owner
from tests.e2e.conftest import sample_is_published
from tests.e2e.landing import THREE, land_flights, numbers

pytestmark = pytest.mark.exhaustive
QUEUE = "http://localstack:4566/000000000000/landing-events"


@pytest.fixture(scope="module")
def platform(project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    profile = project / "profiles" / "local.env"
    profile.write_text(profile.read_text().replace("SENSOR_QUEUE_URL=\n", f"SENSOR_QUEUE_URL={QUEUE}\n"))
    profile.write_text(profile.read_text().replace("REGION=us-east-1", "REGION=eu-central-1"))
    with Platform(project, owner=owner(pytestconfig)) as running:
        running.eventually(lambda: sample_is_published(running), "the sample's marts", seconds=240)
        yield running


def test_a_dropped_file_becomes_rows_by_its_event(platform: Platform) -> None:
    land_flights(platform, day=1)
    assert platform.eventually(lambda: numbers(platform, 1) or None, "the flights that landed") == THREE
    saved = platform.prefect("POST", "block_documents/filter", {})
    assert QUEUE in [block["data"].get("queue_url") for block in saved]


def test_no_event_is_left_in_the_queue_once_its_run_was_accepted(platform: Platform) -> None:
    land_flights(platform, day=2)
    platform.eventually(lambda: numbers(platform, 2) or None, "the flights that landed")
    assert platform.eventually(lambda: messages(platform) == 0 or None, "an empty queue", seconds=30)


def messages(platform: Platform) -> int:
    """How many messages the queue holds, those that the sensor has in hand among them."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    command = ["awslocal", "sqs", "get-queue-attributes", "--queue-url", QUEUE, "--attribute-names", *names]
    printed = platform.compose(
        "exec", "--no-TTY", "localstack", *command, "--query", "Attributes.*", "--output", "text"
    )
    return sum(map(int, printed.split()))
