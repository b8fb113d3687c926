"""The sensor: finds the files that arrived in the landing bucket and hands them to the pipeline, each version once."""

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.logging import get_logger
from pydantic import BaseModel

from blocks.batches import Batch
from blocks.cursor import CursorStore
from blocks.errors import PlatformError
from blocks.landing import LandedFile, s3_client
from blocks.notifications import LONG_POLL_SECONDS, Notifications, sqs_client
from blocks.runs import DeploymentRuns, PrefectRuns, run_name
from blocks.settings import Settings
from flows.full_pipeline import PipelineResult, full_pipeline
from flows.sensors.arrivals import Arrivals
from flows.sensors.poll import Runs, Sensor, Watch

SECONDS = (
    ("overlap", 3600, "how far before the newest file seen a file may be dated and still be found"),
    ("quiet", 0, "a file changed more recently is left for later"),
    ("reconcile", 3600, "with SENSOR_QUEUE_URL, how often the bucket is listed for what events lost"),
)


class SensorResult(BaseModel):
    """The files handed on, and what the pipeline made of them where it ran right here: a result a batch."""

    files: list[LandedFile] = []
    results: list[PipelineResult] = []


class RightHere(PrefectRuns):
    """Runs the pipeline in this process, as part of the sensor's own flow run."""

    def __init__(self, profile: str | None) -> None:
        self.profile = profile
        self.states: list[State[PipelineResult]] = []

    def busy(self) -> bool:
        """Never: a run has ended before the next poll."""
        return False

    def start(self, batch: Batch) -> str:
        """Run the pipeline to its end; the run's id."""
        state = full_pipeline(files=batch.files, profile=self.profile, return_state=True)
        self.states.append(state)
        return str(state.state_details.flow_run_id)


def sensor(runs: Runs, wait_seconds: float, bucket: str | None, prefix: str | None, **watch: Any) -> Sensor:
    """A sensor, with the environment's values where none are given; it waits for events up to `wait_seconds`."""
    settings = Settings()
    prefix = settings.s3_prefix if prefix is None else prefix
    chosen = Watch(bucket=bucket or settings.s3_bucket, prefix=prefix, **watch)
    store = CursorStore(s3_client(settings), chosen.bucket, chosen.prefix, chosen.pattern)
    arrivals = None
    if url := settings.sensor_queue_url:
        wait = min(LONG_POLL_SECONDS, int(wait_seconds))
        arrivals = Arrivals(Notifications(sqs_client(url), url, chosen.bucket, wait))
    return Sensor(chosen, store, runs, arrivals)


@flow(name="s3_file_sensor")
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
    deployment: str | None = None,
    profile: str | None = None,
) -> SensorResult:
    """Look for new files in the landing bucket and run the pipeline on them.

    Args:
        bucket: landing bucket; S3_BUCKET without it.
        prefix: where files land; S3_PREFIX without it.
        pattern: glob that the key below the prefix must match, e.g. `flights/*.csv.gz`.
        poll_seconds: pause between two polls; with SENSOR_QUEUE_URL, how long a poll waits for events.
        max_polls: how often to look; 1 looks once, which suits a schedule.
        max_batch: how many files one pipeline run takes at most.
        overlap_seconds: how far before the newest file seen a file may be dated and still be found.
        quiet_seconds: a file changed more recently is left for later, since it may be changed again.
        reconcile_seconds: with SENSOR_QUEUE_URL, how often the bucket is listed for what events lost.
        deployment: deployment to run for each batch, as `flow/deployment`; without it the pipeline runs right here.
        profile: name of the saved blocks that the pipeline connects with; without one, the environment decides.

    """
    here = RightHere(profile)
    looking = sensor(
        DeploymentRuns(deployment, profile) if deployment else here,
        poll_seconds,
        bucket,
        prefix,
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
    get_run_logger().info("%d files handed on", len(found.files))
    found.results = [state.result() for state in here.states]
    return found


def stay(looking: Sensor, poll_seconds: float, heartbeat: Path | None = None) -> None:
    """Watch until the process is ended: an idle poll is one listing, or one wait for events, and no flow run.

    The file `heartbeat` is touched after each look that S3 and Prefect answered.
    """
    logger, watch = get_logger("sensor"), looking.watch
    logger.info("watching s3://%s/%s every %g s", watch.bucket, watch.prefix, poll_seconds)
    while True:
        begun = time.monotonic()
        try:
            batch = looking.poll()
            if heartbeat:
                heartbeat.touch()
        except PlatformError as error:
            logger.warning("%s Trying again in %g s.", error, poll_seconds)
            batch = None
        if batch:
            logger.info("handed on %s", run_name(batch))
        else:
            time.sleep(max(0, begun + poll_seconds - time.monotonic()))


def main(arguments: list[str] | None = None) -> None:
    """Look once, as a flow run; with --watch, stay and run a deployment whenever files arrive."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--watch", metavar="DEPLOYMENT", help="stay, and run this deployment (flow/deployment)")
    parser.add_argument("--profile", help="name of the saved blocks that the pipeline connects with")
    parser.add_argument("--heartbeat", type=Path, help="with --watch, file to touch after each look that succeeded")
    parser.add_argument("--bucket", help="landing bucket (default: S3_BUCKET)")
    parser.add_argument("--prefix", help="where files land (default: S3_PREFIX)")
    parser.add_argument("--pattern", default="*", help="glob that the key below the prefix must match (default: *)")
    parser.add_argument("--max-batch", type=int, default=1000, help="files of one run, at most (default: 1000)")
    parser.add_argument("--poll-seconds", type=float, default=5, help="from one poll to the next (default: 5)")
    for name, seconds, meaning in SECONDS:
        parser.add_argument(f"--{name}-seconds", type=float, default=seconds, help=f"{meaning} (default: {seconds})")
    options = vars(parser.parse_args(arguments))
    heartbeat = options.pop("heartbeat")
    if not (deployment := options.pop("watch")):
        s3_file_sensor(**options)
        return
    poll_seconds, profile = options.pop("poll_seconds"), options.pop("profile")
    spans: dict[str, Any] = {name: timedelta(seconds=options.pop(f"{name}_seconds")) for name, _, _ in SECONDS}
    looking = sensor(DeploymentRuns(deployment, profile), LONG_POLL_SECONDS, **options, **spans)
    try:
        stay(looking, poll_seconds, heartbeat)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
