"""Measure `full_pipeline` with a long history under `make dev`, compared with a sync and `dbt build` by hand.

A separate platform starts with the history in its lake. The pipeline loads one day, and the floor loads the next: a
sync requested through Airbyte's API, and then `make dbt ARGS=build`. The pipeline also publishes, counts rows and
checks freshness. Its time is Prefect's, from due to end.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event, Thread

import duckdb
import httpx

from benchmarks import history
from benchmarks.drop import PIPELINE, by_hand, due_to_end, settled
from benchmarks.figures import Figure, figure
from commands.embedded.stack import CONNECTION_ID
from services.testing.embedded import EmbeddedPlatform, descendants

LIMIT_MIB = 1536.0
"""The memory limit of the worker and its run."""
LOOK_SECONDS = 0.2
POLL_SECONDS = 0.25


def figures(rows: Sequence[int], rounds: int, folder: Path) -> list[Figure]:
    """Measure each history on a separate platform. The first round is a warm-up."""
    return [found for each in rows for found in _figures(each, rounds, folder)]


def _figures(rows: int, rounds: int, folder: Path) -> Iterator[Figure]:
    running = EmbeddedPlatform(folder / f"{rows}-rows")
    past = history.Platform(running.stack.state, rows)
    past.compact()
    ours, floor, memory = list[float](), list[float](), list[float]()
    with settled(running):
        running.pause("sensor")
        for round_ in range(rounds + 1):
            _land(running, 2 * round_ + 1, folder)
            with _peak(running) as peak:
                seconds = due_to_end(running, PIPELINE)
            _land(running, 2 * round_ + 2, folder)
            least = _synced(running) + by_hand(running)
            if round_:
                ours.append(seconds)
                floor.append(least)
                memory.append(max(peak))
    yield figure("full_pipeline from due to end, make dev", median(ours), median(floor), "s", rounds, past.rows)
    yield figure("memory of the worker and its run, make dev", median(memory), LIMIT_MIB, "MiB", rounds, past.rows)


def _land(running: EmbeddedPlatform, day: int, folder: Path) -> None:
    """Upload the flights and weather of a day in February, made from January's."""
    for stream in ("flights", "weather"):
        february = folder / f"{stream}-2013-02-{day:02}.csv.gz"
        query = f"""
            select * replace ('2' as month, replace(time_hour, '2013-01-', '2013-02-') as time_hour)
            from read_csv('{history.LANDING / stream}/*', all_varchar = true) where day = '{day}'
        """
        duckdb.sql(f"copy ({query}) to '{february}' (header, compression gzip)")
        key = f"{running.prefix}{stream}/{february.name}"
        running.s3().put_object(Bucket=running.bucket, Key=key, Body=february.read_bytes())


def _synced(running: EmbeddedPlatform) -> float:
    """Start a sync in Airbyte, wait until it has succeeded, and return the seconds."""
    begun = time.monotonic()
    body = {"connectionId": CONNECTION_ID, "jobType": "sync"}
    job = httpx.post(f"{running.airbyte_url}/jobs", json=body, trust_env=False).raise_for_status().json()
    while (status := running.airbyte(f"jobs/{job['jobId']}")["status"]) in ("pending", "running"):
        time.sleep(POLL_SECONDS)
    if status != "succeeded":
        raise SystemExit(f"Airbyte's job {job['jobId']} ended with the status {status}.")
    return time.monotonic() - begun


@contextmanager
def _peak(running: EmbeddedPlatform) -> Iterator[list[float]]:
    """Sample the memory of the worker and all its child processes, in MiB. Shared pages count once."""
    worker, found, done = running.processes.children["worker"].pid, list[float](), Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            found.append(sum(map(_mebibytes, [worker, *descendants(worker)])))

    looking = Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        done.set()
        looking.join()


def _mebibytes(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
