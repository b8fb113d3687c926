"""Where the bucket tells what arrives: the same batches as from listings, from moto and from LocalStack."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from blocks.prefect_client import PrefectUnavailable
from blocks.s3_events import MOST_LETTER, Notifications, QueueUnusable
from flows.sensors.poll import Sensor
from flows.sensors.s3_sensor import sensor
from services.content import BUCKET
from tests.integration.sensor.conftest import Landing
from tests.unit.sensor.world import FakeRuns, World

WAIT_SECONDS = 30
KEYS = ["inbound/a/plain.csv", "inbound/a/b c+d%20e.csv", "inbound/é/日本 🛩.csv", "inbound/a/%2B &=?#.csv"]


@pytest.fixture
def world() -> World:
    """Takes the place of Prefect."""
    return World()


def looking(world: World, **watch: Any) -> Sensor:
    return sensor(FakeRuns(world), 1, None, None, **watch)


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not look():
        assert time.monotonic() < deadline


def waiting(landing: Landing) -> int:
    """Messages in the queue, in sight or not."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = landing.sqs.get_queue_attributes(QueueUrl=landing.queue, AttributeNames=names)["Attributes"]
    return sum(map(int, counts.values()))


def keys(world: World) -> list[str]:
    world.end_runs(iter(()))
    return [key for key, *_ in world.handed_on()]


def test_a_file_of_any_name_is_handed_on_once_and_its_message_deleted(landing: Landing, world: World) -> None:
    watching = looking(world)
    assert watching.poll() is None  # the first look is a listing
    for key in KEYS:
        landing.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    eventually(lambda: watching.poll() is None and sorted(keys(world)) == sorted(KEYS))
    assert waiting(landing) == 0
    assert "list" not in world.effects


def test_a_multipart_upload_is_handed_on_with_the_date_of_its_start(landing: Landing, world: World) -> None:
    watching = looking(world)
    watching.poll()
    key = "inbound/a/parts.csv"
    upload = landing.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = landing.s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    landing.s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
    )
    eventually(lambda: watching.poll() is None and keys(world) == [key])
    (run,) = world.runs.values()
    listed = landing.s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"][0]
    assert run.batch.files[0].last_modified == listed["LastModified"]
    assert run.batch.files[0].etag == listed["ETag"].strip('"')


def test_switching_between_listings_and_events_repeats_and_loses_nothing(
    landing: Landing, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn, queue in enumerate(["", landing.queue, "", landing.queue]):
        monkeypatch.setenv("SENSOR_QUEUE_URL", queue)
        key = f"inbound/a/{turn}.csv"
        landing.s3.put_object(Bucket=BUCKET, Key=key, Body=str(turn).encode())
        eventually(lambda key=key: looking(world).poll() is None and key in keys(world))
    eventually(lambda: looking(world).poll() is None and waiting(landing) == 0)
    assert keys(world) == [f"inbound/a/{turn}.csv" for turn in range(4)]


def test_what_the_events_lost_is_found_by_the_next_reconciling_listing(landing: Landing, world: World) -> None:
    looking(world).poll()
    landing.s3.put_object(Bucket=BUCKET, Key="inbound/a/lost.csv", Body=b"x")
    eventually(lambda: waiting(landing) == 1)
    landing.lose_messages()
    assert looking(world).poll() is None
    assert looking(world, reconcile=timedelta(0)).poll()
    assert keys(world) == ["inbound/a/lost.csv"]


ELSEWHERE = '{"Records": [{"eventName": "x", "s3": {"bucket": {"name": "a\\u0001\\ud800"}, "object": {"key": "k"}}}]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("no notification", "Expecting value"),
        ("[" * 50_000, "recursion"),
        (ELSEWHERE, r"it is about the bucket a\x01\ud800"),
        (ELSEWHERE + " " * 260_000, "it is about the bucket"),
    ],
)
def test_a_message_that_cannot_be_read_becomes_a_dead_letter_with_its_reason(
    landing: Landing, world: World, body: str, reason: str
) -> None:
    watching = looking(world)
    watching.poll()
    landing.sqs.send_message(QueueUrl=landing.queue, MessageBody=body)
    dead: list[Any] = []

    def look() -> bool:
        watching.poll()
        dead.extend(
            landing.sqs.receive_message(QueueUrl=f"{landing.queue}-dead", MessageAttributeNames=["All"]).get(
                "Messages", []
            )
        )
        return bool(dead)

    eventually(look)
    assert [each["Body"] for each in dead] == [body[:MOST_LETTER]]
    assert reason in dead[0]["MessageAttributes"]["reason"]["StringValue"]
    assert waiting(landing) == 0


def test_a_file_that_is_still_changing_is_left_in_the_queue_until_it_has_come_to_rest(
    landing: Landing, world: World
) -> None:
    watching = looking(world, quiet=timedelta(seconds=3))
    watching.poll()
    landing.s3.put_object(Bucket=BUCKET, Key="inbound/a/hot.csv", Body=b"x")
    eventually(lambda: waiting(landing) == 1)
    assert watching.poll() is None
    assert waiting(landing) == 1
    eventually(watching.poll)
    assert keys(world) == ["inbound/a/hot.csv"]
    assert waiting(landing) == 0


def test_a_message_is_deleted_only_after_the_run_was_accepted(landing: Landing, world: World) -> None:
    watching = looking(world)
    watching.poll()
    landing.s3.put_object(Bucket=BUCKET, Key="inbound/a/x.csv", Body=b"x")
    eventually(lambda: waiting(landing) == 1)
    world.fates = ["", "", "", "throttled"]  # Prefect refuses the run
    with pytest.raises(PrefectUnavailable):
        watching.poll()
    assert waiting(landing) == 1
    assert watching.poll()
    assert keys(world) == ["inbound/a/x.csv"]
    eventually(lambda: watching.poll() is None and waiting(landing) == 0)
    assert keys(world) == ["inbound/a/x.csv"]


def test_a_queue_without_dead_letters_or_that_is_not_there_is_named(landing: Landing) -> None:
    url = landing.sqs.create_queue(QueueName="bare")["QueueUrl"]
    with pytest.raises(QueueUnusable, match=r"no dead-letter queue"):
        Notifications(landing.sqs, url, BUCKET)
    with pytest.raises(QueueUnusable, match=r"nobody.*SENSOR_QUEUE_URL"):
        Notifications(landing.sqs, landing.queue.replace("landing-events", "nobody"), BUCKET)
