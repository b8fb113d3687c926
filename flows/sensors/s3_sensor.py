"""The sensor: finds the files that arrived in the landing bucket and hands them to the pipeline, each version once."""

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
from blocks.cursor import OVERLAP, CursorStore
from blocks.errors import ConfigurationError, PlatformError, shown
from blocks.landing import LandedFile
from blocks.notifications import LONG_POLL_SECONDS, Notifications
from blocks.prefect_client import PrefectUnavailable
from blocks.runs import DeploymentRuns, DeploymentUnknown, run_name
from flows.assets import link_to_page
from flows.sensors.arrivals import Arrivals
from flows.sensors.poll import Runs, Sensor, Watch
from flows.tags import tag_with_version

PIPELINE = "full_pipeline/full-pipeline"
"""The deployment that a sensor runs where nothing else was chosen."""

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 1e9
POLL_SECONDS, OWN_POLL_SECONDS = 5, 1
"""From one look to the next: at AWS, where each listing costs money, and at an S3 of one's own."""
RESTS, LONGEST_REST_SECONDS = 4, 10
"""How long a sensor rests at least, in times that the listing took: a large bucket must not keep a processor busy."""
BEAT_SECONDS = 20
"""How often the heartbeat is touched between two looks."""

SECONDS = (
    (
        "overlap",
        OVERLAP.seconds,
        "how far before the newest file seen a file may be dated and still be found",
    ),
    ("quiet", 0, "a file changed more recently is left for later"),
    ("reconcile", 3600, "with SENSOR_QUEUE_URL, how often the bucket is listed for what events lost"),
)


class SensorResult(BaseModel):
    """The files for which runs were started."""

    files: list[LandedFile] = []


def sensor(
    runs: Runs, wait_seconds: float, bucket: str | None, prefix: str | None, profile: str | None = None, **watch: Any
) -> Sensor:
    """A sensor, with the profile's values where none are given; it waits for events up to `wait_seconds`.

    Raises:
        ConfigurationError: a setting or a parameter cannot be used.
        blocks.landing.LandingUnavailable, blocks.notifications.QueueUnusable
    """
    landing = connections.landing(profile)
    prefix = landing.prefix if prefix is None else prefix
    try:
        chosen = Watch(bucket=bucket or landing.bucket, prefix=prefix, **watch)
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]} is {each['input']}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(f"The sensor cannot watch so. {wrong}. Correct the parameter.") from None
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
        bucket: landing bucket; the profile's, or S3_BUCKET, without it.
        prefix: where files land; the profile's, or S3_PREFIX, without it.
        pattern: glob that the key below the prefix must match, e.g. `orders/*.csv.gz`.
        poll_seconds: pause between two polls; with SENSOR_QUEUE_URL, how long a poll waits for events.
        max_polls: how often to look; 1 looks once, which suits a schedule.
        max_batch: how many files one pipeline run takes at most.
        overlap_seconds: how far before the newest file seen a file may be dated and still be found.
        quiet_seconds: a file changed more recently is left for later, since it may be changed again.
        reconcile_seconds: with SENSOR_QUEUE_URL, how often the bucket is listed for what events lost.
        deployment: deployment to run for each batch, as `flow/deployment`.
        profile: name of the saved blocks to connect with; without one, the environment decides.
    """
    link_to_page()
    looking = sensor(
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
        batch = looking.poll()
        found.files += batch.files if batch else []
    get_run_logger().info("started runs for %d files", len(found.files))
    return found


class Heartbeat:
    """A file that is touched while looks succeed, and while one goes on whose calls S3 or SQS answer.

    After a look that failed, only a whole look counts: it may fail each time at the same call, after others.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.failing = file, False

    def follow(self, looking: Sensor) -> None:
        """Listen to the answers that a sensor gets."""
        clients = [looking.store.s3, *([looking.arrivals.queue.sqs] if looking.arrivals else [])]
        for client in clients:
            client.meta.events.register("after-call", self.answered, unique_id=f"heartbeat-{id(self)}")

    def looked(self, well: bool) -> None:
        """Take note of how a look ended."""
        self.failing = not well
        self.touch()

    def touch(self) -> None:
        """Touch the file, unless the last look failed."""
        if not self.failing:
            self.file.touch()

    def answered(self, parsed: Mapping[str, Any], **_: Any) -> None:
        """Take note of an answer of boto3's."""
        if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            self.touch()


def stay(first: Sensor, another: Callable[[], Sensor], poll_seconds: float, heartbeat: Path | None = None) -> None:
    """Watch until the process is ended: an idle poll is one listing, or one wait for events, and no flow run.

    The file `heartbeat` is touched as `Heartbeat` says. After a look that S3 or Prefect did not answer, `another`
    sensor goes on: the access key may have been changed.
    """
    logger, watch = get_logger("sensor"), first.watch
    looking: Sensor | None = first
    logger.info("watching s3://%s/%s every %g s", watch.bucket, shown(watch.prefix), poll_seconds)
    beat = Heartbeat(heartbeat) if heartbeat else None
    while True:
        begun = time.monotonic()
        try:
            looking = looking or another()
            if beat:
                beat.follow(looking)
            batch = looking.poll()
        except PlatformError as error:
            logger.warning("%s Trying again in %g s.", error, poll_seconds)
            looking = batch = None
        if beat:
            beat.looked(well=looking is not None)
        if batch:
            logger.info("handed on %s", run_name(batch))
        else:
            took = 0.0 if looking and looking.arrivals else time.monotonic() - begun
            _rest(max(begun + poll_seconds, time.monotonic() + min(RESTS * took, LONGEST_REST_SECONDS)), beat)


def _rest(until: float, beat: Heartbeat | None) -> None:
    """Sleep, and be seen to live, until a time of the monotonic clock."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, BEAT_SECONDS))
        if beat:
            beat.touch()


def main(arguments: list[str] | None = None) -> int:
    """Look once, as a flow run; with --watch, stay and run a deployment whenever files arrive."""
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

    def made() -> Sensor:
        return sensor(runs, LONG_POLL_SECONDS, profile=profile, **options, **spans)

    first = made()
    try:
        runs.busy()
    except DeploymentUnknown:
        raise
    except PrefectUnavailable as error:
        get_logger("sensor").warning("%s", error)
    if poll_seconds is None:
        poll_seconds = OWN_POLL_SECONDS if connections.landing(profile).endpoint_url else POLL_SECONDS
    stay(first, made, poll_seconds, heartbeat)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--watch", metavar="DEPLOYMENT", help="stay, and run this deployment (flow/deployment)")
    parser.add_argument("--profile", help="name of the saved blocks to connect with")
    parser.add_argument("--heartbeat", type=Path, help="with --watch, file to touch while looks succeed")
    parser.add_argument("--bucket", help="landing bucket (default: the profile's, or S3_BUCKET)")
    parser.add_argument("--prefix", help="where files land (default: the profile's, or S3_PREFIX)")
    parser.add_argument("--pattern", default="*", help="glob that the key below the prefix must match (default: *)")
    parser.add_argument("--max-batch", type=int, default=1000, help="files of one run, at most (default: 1000)")
    pause = f"from one poll to the next (default: {POLL_SECONDS}; {OWN_POLL_SECONDS} where S3_ENDPOINT_URL is set)"
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
    """Seconds between two polls; without a pause a sensor would ask S3 as fast as it can."""
    return _seconds(text, SHORTEST_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
