"""Measure the time from a file's arrival to its published rows, under `make dev` or in Compose.

A separate platform loads the sample. Then files of flights land one after the other. The times are Prefect's: when the
task `publish` of the file's run ended, and when runs were due and ended. The floor is `make dbt ARGS=build` in the same
round, with nothing new to build.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import ROOT, Figure, figure
from services.testing import Platform
from services.testing.embedded import EmbeddedPlatform
from services.testing.running import Running

PIPELINE, TRANSFORM = "full_pipeline/full-pipeline", "dbt_transform/dbt-transform"
FLIGHTS = sorted((ROOT / "localstack" / "landing" / "flights").glob("*.csv.gz"))
ENGINES = ("dev", "compose")
ROWS = 27_004
PAUSE_SECONDS = 5.3
"""The pause after a run. It is not a multiple of the sensor's interval, so files arrive at varying points of it."""


def figures(engine: str, rounds: int, folder: Path) -> list[Figure]:
    """Land a file in each round, and compare. The first round is a warm-up."""
    found: dict[str, list[float]] = {"published": [], "transform": [], "floor": []}
    with settled(EmbeddedPlatform(folder / "state") if engine == "dev" else Platform()) as running:
        for round_, file in enumerate(FLIGHTS[-rounds - 1 :]):
            seconds = {
                "published": _published(running, file),
                "transform": due_to_end(running, TRANSFORM),
                "floor": by_hand(running),
            }
            if round_:
                for name, value in seconds.items():
                    found[name].append(value)
    floor = median(found["floor"])
    where = "make dev" if engine == "dev" else "Compose"
    return [
        figure(f"drop to published, {where}", median(found["published"]), floor, "s", rounds, ROWS),
        figure(f"dbt_transform from due to end, {where}", median(found["transform"]), floor, "s", rounds, ROWS),
    ]


@contextmanager
def settled(platform: Platform | EmbeddedPlatform) -> Iterator[Running]:
    """Start a platform, and yield it once it has published its first tables and is idle."""
    with platform as running:
        running.eventually(lambda: running.rows("select 1 from fct_flights limit 1") or None, "the first tables", 900)
        running.eventually(lambda: _is_idle(running) or None, "an idle platform")
        yield running


def _is_idle(running: Running) -> bool:
    return all(run["state_type"] not in ("PENDING", "RUNNING") for run in running.flow_runs())


def _published(running: Running, file: Path) -> float:
    key = f"{running.prefix}flights/again-{file.name}"
    time.sleep(PAUSE_SECONDS)
    begun = time.time()
    running.s3().put_object(Bucket=running.bucket, Key=key, Body=file.read_bytes())

    def ended() -> dict[str, Any] | None:
        runs = [run for run in running.flow_runs(PIPELINE) if key in str(run["parameters"].get("files"))]
        return next((run for run in runs if run["state_type"] == "COMPLETED"), None)

    run = running.eventually(ended, f"the run for {key}")
    below = {"flow_runs": {"parent_flow_run_id": {"any_": [run["id"]]}}, "task_runs": {"name": {"like_": "publish"}}}
    (publish,) = running.prefect("POST", "task_runs/filter", below)
    return datetime.fromisoformat(publish["end_time"]).timestamp() - begun


def due_to_end(running: Running, deployment: str) -> float:
    """Run a deployment, and return the seconds from its scheduled time to its end, by Prefect's clock."""
    run = running.run(deployment)
    if run["state_type"] != "COMPLETED":
        raise SystemExit(f"A run of {deployment} did not complete: {run['state']['message']}")
    due, end = (datetime.fromisoformat(run[name]) for name in ("expected_start_time", "end_time"))
    return (end - due).total_seconds()


def by_hand(running: Running) -> float:
    """Run `make dbt ARGS=build`, and return the seconds by the clock."""
    build = ["python", "-m", "blocks.dbt_command", "build"]
    begun = time.monotonic()
    if isinstance(running, Platform):
        running.compose("exec", "-T", "worker", *build)
    elif isinstance(running, EmbeddedPlatform):
        subprocess.run(
            [sys.executable, *build[1:]], env=running.stack.variables, cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
    return time.monotonic() - begun
