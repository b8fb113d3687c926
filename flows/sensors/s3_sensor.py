"""The sensor: finds the files that arrived in the landing bucket and hands them to the pipeline, each version once."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from prefect import flow, get_run_logger
from prefect.deployments import run_deployment
from prefect.logging import get_logger
from pydantic import BaseModel, Field

from blocks.cursor import Batch, CursorMoved, CursorStore
from blocks.errors import PlatformError
from blocks.landing import LandedFile, listing, s3_client
from blocks.settings import Settings
from flows.full_pipeline import PipelineResult, full_pipeline

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun


class SensorResult(BaseModel):
    """The files handed on, and what the pipeline made of them where it ran right here: a result a batch."""

    files: list[LandedFile] = []
    results: list[PipelineResult] = []


class Watch(BaseModel):
    """What is watched: where, which keys, and how much is handed on together."""

    bucket: str
    prefix: str
    pattern: str = "*"
    max_batch: int = Field(1000, gt=0)
    overlap: timedelta = timedelta(hours=1)


def watch(
    bucket: str | None, prefix: str | None, pattern: str, max_batch: int, overlap_seconds: float
) -> tuple[Watch, CursorStore]:
    """What to watch, with the environment's values where none are given, and the cursor that goes with it."""
    settings = Settings()
    chosen = Watch(
        bucket=bucket or settings.s3_bucket,
        prefix=settings.s3_prefix if prefix is None else prefix,
        pattern=pattern,
        max_batch=max_batch,
        overlap=timedelta(seconds=overlap_seconds),
    )
    return chosen, CursorStore(s3_client(settings), chosen.bucket, chosen.prefix, chosen.pattern)


def poll(watch: Watch, store: CursorStore, hand_on: Callable[[Batch], None]) -> Batch | None:
    """Look once; hand on the files that are new, if any.

    The batch is written into the cursor before it is handed on and crossed off afterwards, so that after a crash
    between any two steps the very same batch, with the same idempotency key, is handed on again.

    Returns:
        The batch; None where nothing is new, or where another sensor was first and has it.
    """
    cursor, tag = store.load()
    batch = cursor.pending
    try:
        if not batch:
            files = listing(store.s3, watch.bucket, watch.prefix, watch.pattern)
            batch = cursor.next_batch(files, watch.overlap, watch.max_batch)
            if not batch:
                return None
            tag = store.save(cursor.claimed(batch), tag)
        hand_on(batch)
        store.save(cursor.advanced(batch, watch.overlap), tag)
    except CursorMoved:
        return None
    return batch


def hand_to_deployment(deployment: str, profile: str | None) -> Callable[[Batch], None]:
    """Hand a batch to a deployment of the pipeline: one flow run a batch, however often it is asked for."""

    def hand_on(batch: Batch) -> None:
        run = cast(
            "FlowRun",
            run_deployment(
                deployment,
                parameters={"files": [file.model_dump(mode="json") for file in batch.files], "profile": profile},
                idempotency_key=batch.idempotency_key,
                flow_run_name=f"{len(batch.files)} files from {batch.files[0].key}",
                timeout=0,
                as_subflow=False,
            ),
        )
        get_logger("sensor").info("%d files: flow run %s", len(batch.files), run.name)

    return hand_on


@flow(name="s3_file_sensor")
def s3_file_sensor(
    bucket: str | None = None,
    prefix: str | None = None,
    pattern: str = "*",
    poll_seconds: float = 10,
    max_polls: int = 1,
    max_batch: int = 1000,
    overlap_seconds: float = 3600,
    deployment: str | None = None,
    profile: str | None = None,
) -> SensorResult:
    """Look for new files in the landing bucket and run the pipeline on them.

    Args:
        bucket: landing bucket; S3_BUCKET without it.
        prefix: where files land; S3_PREFIX without it.
        pattern: glob that the key below the prefix must match, e.g. `flights/*.csv.gz`.
        poll_seconds: pause between two polls.
        max_polls: how often to look; 1 looks once, which suits a schedule.
        max_batch: how many files one pipeline run takes at most.
        overlap_seconds: how far before the newest file seen a file may be dated and still be found.
        deployment: deployment to run for each batch, as `flow/deployment`; without it the pipeline runs right here.
        profile: name of the saved blocks that the pipeline connects with; without one, the environment decides.

    """
    logger = get_run_logger()
    chosen, store = watch(bucket, prefix, pattern, max_batch, overlap_seconds)

    def run_here(batch: Batch) -> None:
        logger.info("%d new files, from %s to %s", len(batch.files), batch.files[0].key, batch.files[-1].key)
        found.results.append(full_pipeline(files=batch.files, profile=profile))

    found = SensorResult()
    hand_on = hand_to_deployment(deployment, profile) if deployment else run_here
    for turn in range(max_polls):
        if turn:
            time.sleep(poll_seconds)
        batch = poll(chosen, store, hand_on)
        found.files += batch.files if batch else []
    logger.info("%d files handed on", len(found.files))
    return found


def stay(deployment: str, poll_seconds: float, profile: str | None, heartbeat: Path | None = None) -> None:
    """Watch until the process is ended: an idle poll is one listing, and no flow run.

    The file `heartbeat` is touched after each look that S3 and Prefect answered.
    """
    logger = get_logger("sensor")
    chosen, store = watch(None, None, "*", 1000, 3600)
    hand_on = hand_to_deployment(deployment, profile)
    logger.info("watching s3://%s/%s every %g s for %s", chosen.bucket, chosen.prefix, poll_seconds, deployment)
    while True:
        try:
            batch = poll(chosen, store, hand_on)
            if heartbeat:
                heartbeat.touch()
        except PlatformError as error:
            logger.warning("%s Trying again in %g s.", error, poll_seconds)
            batch = None
        if not batch:
            time.sleep(poll_seconds)


def main(arguments: list[str] | None = None) -> None:
    """Look once, as a flow run; with --watch, stay and run a deployment whenever files arrive."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--watch", metavar="DEPLOYMENT", help="stay, and run this deployment (flow/deployment)")
    parser.add_argument("--poll-seconds", type=float, default=5, help="pause between two polls (default: 5)")
    parser.add_argument("--profile", help="name of the saved blocks that the pipeline connects with")
    parser.add_argument("--heartbeat", type=Path, help="file to touch after each look that succeeded")
    options = parser.parse_args(arguments)
    if not options.watch:
        s3_file_sensor(profile=options.profile)
        return
    try:
        stay(options.watch, options.poll_seconds, options.profile, options.heartbeat)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
