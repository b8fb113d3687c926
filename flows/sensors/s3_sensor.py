"""The sensor: finds new files in the landing bucket and starts pipeline runs for them, once for each version."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.logging import get_logger
from pydantic import BaseModel, ValidationError

from blocks import connections
from blocks.errors import ConfigurationError, PlatformError, shown
from blocks.landing import LandedFile
from blocks.prefect_client import PrefectUnavailable
from blocks.s3_events import LONG_POLL_SECONDS, Notifications
from flows.assets import link_to_page
from flows.sensors.arrivals import Arrivals
from flows.sensors.cursor import OVERLAP, CursorStore
from flows.sensors.poll import Runs, Sensor, Watch
from flows.sensors.runs import DeploymentRuns, DeploymentUnknown, run_name
from flows.tags import tag_with_version

PIPELINE = "full_pipeline/full-pipeline"
"""The deployment that a sensor runs by default."""

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 1e9
POLL_SECONDS, OWN_POLL_SECONDS = 5, 1
"""Pause between two polls: on AWS, where each listing costs money, and on an S3 server of your own."""
RESTS, LONGEST_REST_SECONDS = 4, 10
"""A sensor rests at least RESTS times as long as its listing took, so that a large bucket does not keep a CPU busy."""
BEAT_SECONDS = 20
"""How often the heartbeat file is touched between two polls."""

SECONDS = (
    (
        "overlap",
        OVERLAP.seconds,
        "how much older than the newest file a late file may be and still be found",
    ),
    ("quiet", 0, "minimum age of a file; newer ones are left for a later poll"),
    ("reconcile", 3600, "with SENSOR_QUEUE_URL, how often the bucket is listed in case an event was lost"),
)


class SensorResult(BaseModel):
    """The files for which runs were started."""

    files: list[LandedFile] = []


def sensor(
    runs: Runs, wait_seconds: float, bucket: str | None, prefix: str | None, profile: str | None = None, **watch: Any
) -> Sensor:
    """Return a sensor that waits for events for up to `wait_seconds`. Defaults come from the profile.

    Raises:
        ConfigurationError: a setting or a parameter cannot be used.
        blocks.landing.LandingUnavailable, blocks.s3_events.QueueUnusable
    """
    landing = connections.Connections(profile).landing
    prefix = landing.prefix if prefix is None else prefix
    try:
        chosen = Watch(bucket=bucket or landing.bucket, prefix=prefix, **watch)
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]} is {each['input']}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(f"The sensor cannot use its parameters. {wrong}. Correct the parameter.") from None
    store = CursorStore(landing.get_client(), chosen.bucket, chosen.prefix, chosen.pattern)
    arrivals = None
    if url := landing.queue_url:
        wait = min(LONG_POLL_SECONDS, int(wait_seconds))
        arrivals = Arrivals(Notifications(landing.get_queue_client(), url, chosen.bucket, wait))
    return Sensor(chosen, store, runs, arrivals)


@flow(name="s3_file_sensor", on_running=[tag_with_version])
def s3_file_sensor(
    bucket: str | None = None,
    prefix: str | None = None,
    pattern: str = "*",
    poll_seconds: float = 10,
    max_polls: int = 1,
    max_batch: int = 1000,
    overlap_seconds: float = 3600,
    quiet_seconds: float = 0,
    reconcile_seconds: float = 3600,
    deployment: str = PIPELINE,
    profile: str | None = None,
) -> SensorResult:
    """Look for new files in the landing bucket and start a run of the pipeline for them.

    Args:
        bucket: landing bucket. The default is the profile's, or S3_BUCKET.
        prefix: prefix of the files' keys. The default is the profile's, or S3_PREFIX.
        pattern: glob that the key below the prefix must match, e.g. `orders/*.csv.gz`.
        poll_seconds: pause between two polls. With SENSOR_QUEUE_URL, how long a poll waits for events.
        max_polls: number of polls. Use 1 with a schedule.
        max_batch: maximum number of files in one pipeline run.
        overlap_seconds: how much older than the newest file a late file may be and still be found.
        quiet_seconds: minimum age of a file. Newer ones are left for a later poll, since they may change again.
        reconcile_seconds: with SENSOR_QUEUE_URL, how often the bucket is listed in case an event was lost.
        deployment: deployment to run for each batch, as `flow/deployment`.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.
    """
    link_to_page()
    active = sensor(
        DeploymentRuns(deployment, profile, connections.names()),
        poll_seconds,
        bucket,
        prefix,
        profile,
        pattern=pattern,
        max_batch=max_batch,
        overlap=timedelta(seconds=overlap_seconds),
        quiet=timedelta(seconds=quiet_seconds),
        reconcile=timedelta(seconds=reconcile_seconds),
    )
    found = SensorResult()
    for turn in range(max_polls):
        if turn:
            time.sleep(poll_seconds)
        batch = active.poll()
        found.files += batch.files if batch else []
    get_run_logger().info("started runs for %d files", len(found.files))
    return found


class Heartbeat:
    """A file that is touched after each successful poll, and during a poll whenever S3 or SQS answers.

    After a failed poll, only a complete poll counts, because a poll may fail at the same call each time after other
    calls have succeeded.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.failing = file, False

    def follow(self, active: Sensor) -> None:
        """Touch the file whenever the sensor gets an answer."""
        clients = [active.store.s3, *([active.arrivals.queue.sqs] if active.arrivals else [])]
        for client in clients:
            client.meta.events.register("after-call", self.on_answer, unique_id=f"heartbeat-{id(self)}")

    def poll_ended(self, succeeded: bool) -> None:
        """Record whether a poll succeeded."""
        self.failing = not succeeded
        self.touch()

    def touch(self) -> None:
        """Touch the file, unless the last poll failed."""
        if not self.failing:
            self.file.touch()

    def on_answer(self, parsed: Mapping[str, Any], **_: Any) -> None:
        """Handle boto3's event for an answer."""
        if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            self.touch()


def watch_forever(
    first: Sensor, new_sensor: Callable[[], Sensor], poll_seconds: float, heartbeat: Path | None = None
) -> None:
    """Poll until the process ends. An idle poll is one listing, or one wait for events, and creates no flow run.

    `Heartbeat` says when the file `heartbeat` is touched. After a poll that S3 or Prefect did not answer, a new sensor
    takes over, because the access key may have changed.
    """
    logger, watch = get_logger("sensor"), first.watch
    active: Sensor | None = first
    logger.info("watching s3://%s/%s every %g s", watch.bucket, shown(watch.prefix), poll_seconds)
    beat = Heartbeat(heartbeat) if heartbeat else None
    while True:
        begun = time.monotonic()
        try:
            active = active or new_sensor()
            if beat:
                beat.follow(active)
            batch = active.poll()
        except PlatformError as error:
            logger.warning("%s Trying again in %g s.", error, poll_seconds)
            active = batch = None
        if beat:
            beat.poll_ended(succeeded=active is not None)
        if batch:
            logger.info("started a run for %s", run_name(batch))
        else:
            took = 0.0 if active and active.arrivals else time.monotonic() - begun
            _rest(max(begun + poll_seconds, time.monotonic() + min(RESTS * took, LONGEST_REST_SECONDS)), beat)


def _rest(until: float, beat: Heartbeat | None) -> None:
    """Sleep until a time of the monotonic clock, and keep touching the heartbeat."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, BEAT_SECONDS))
        if beat:
            beat.touch()


def main(arguments: list[str] | None = None) -> int:
    """Look once for new files, as a flow run. With --watch, keep watching and run a deployment when files arrive."""
    options = vars(_parser().parse_args(arguments))
    heartbeat, deployment = options.pop("heartbeat"), options.pop("watch")
    try:
        if deployment:
            _watch(deployment, heartbeat, **options)
        else:
            s3_file_sensor(**{name: value for name, value in options.items() if value is not None})
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _watch(
    deployment: str, heartbeat: Path | None, profile: str | None, poll_seconds: float | None, **options: Any
) -> None:
    spans: dict[str, Any] = {name: timedelta(seconds=options.pop(f"{name}_seconds")) for name, _, _ in SECONDS}
    names = connections.names(profile)
    profile = names.blocks(profile) if profile else None
    runs = DeploymentRuns(deployment, profile, names)

    def new_sensor() -> Sensor:
        return sensor(runs, LONG_POLL_SECONDS, profile=profile, **options, **spans)

    first = new_sensor()
    try:
        runs.is_busy()
    except DeploymentUnknown:
        raise
    except PrefectUnavailable as error:
        get_logger("sensor").warning("%s", error)
    if poll_seconds is None:
        poll_seconds = OWN_POLL_SECONDS if connections.Connections(profile).landing.endpoint_url else POLL_SECONDS
    watch_forever(first, new_sensor, poll_seconds, heartbeat)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--watch", metavar="DEPLOYMENT", help="keep watching and run this deployment (flow/deployment)")
    parser.add_argument("--profile", help="name of the saved blocks to connect with")
    parser.add_argument("--heartbeat", type=Path, help="with --watch, file to touch while polls succeed")
    parser.add_argument("--bucket", help="landing bucket (default: the profile's, or S3_BUCKET)")
    parser.add_argument("--prefix", help="prefix of the keys (default: the profile's, or S3_PREFIX)")
    parser.add_argument("--pattern", default="*", help="glob that the key below the prefix must match (default: *)")
    parser.add_argument("--max-batch", type=int, default=1000, help="maximum files in one run (default: 1000)")
    pause = f"pause between two polls (default: {POLL_SECONDS}, or {OWN_POLL_SECONDS} if S3_ENDPOINT_URL is set)"
    parser.add_argument("--poll-seconds", type=_pause, help=pause)
    for name, seconds, meaning in SECONDS:
        parser.add_argument(f"--{name}-seconds", type=_seconds, default=seconds, help=f"{meaning} (default: {seconds})")
    return parser


def _seconds(text: str, least: float = 0) -> float:
    with suppress(ValueError):
        if least <= (seconds := float(text)) <= LONGEST_PAUSE:
            return seconds
    raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from {least:g} to {LONGEST_PAUSE:g}")


def _pause(text: str) -> float:
    """Parse a pause between two polls. Without a minimum, a sensor would list S3 as fast as it can."""
    return _seconds(text, SHORTEST_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
