"""Measure what a poll costs on a large bucket: `python benchmarks/sensor_polls.py --objects 1000000`.

This process imports what the sensor's process imports, and polls a synthetic S3 through boto3. It polls once with 10
new files. With --idle-seconds, it then keeps polling as `--watch` does. It prints JSON: calls, seconds, CPU seconds and
peak memory in MB.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

from blocks.batches import Batch, Failed, Outcome
from blocks.landing import LandedFile
from blocks.settings import environment
from flows.sensors.cursor import Cursor
from flows.sensors.poll import Sensor
from flows.sensors.s3_sensor import sensor, watch_forever

SERVER = Path(__file__).with_name("synthetic_s3.py")
NEW = 10
POLL_SECONDS = 5
HANDED_ON_BEFORE = datetime(2013, 1, 31, tzinfo=UTC)


class NoRuns:
    """A pipeline that is never busy and never ends."""

    def is_busy(self) -> bool:
        """Return False."""
        return False

    def start(self, _batch: Batch) -> str:
        """Start nothing. Without a run id, the sensor follows nothing."""
        return ""

    def outcomes(self, _run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """Return no outcomes."""
        return {}

    def discard(self, run_id: str) -> None:
        """Do nothing, because there are no runs."""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Do nothing."""

    def show_failed(self, place: str, parked: list[Failed]) -> None:
        """Do nothing."""


def measured(url: str, idle_seconds: float) -> dict[str, float]:
    """Poll once for the new files, then keep polling for `idle_seconds` without new files. Return the costs."""
    looking = sensor(NoRuns(), 0, "landing", "inbound/")
    looking.store.save(Cursor(floor=HANDED_ON_BEFORE), "")
    begun, cpu = time.monotonic(), time.process_time()
    batch = looking.poll()
    found = {
        "files": len(batch.files) if batch else 0,
        "list_calls": _calls(url)["list"],
        "seconds": round(time.monotonic() - begun, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
    if idle_seconds:
        found |= _idle(looking, url, idle_seconds)
    return {**found, "peak_mb": _peak_mb()}


def _peak_mb() -> int:
    """Return the peak memory of this process, in MB."""
    if sys.platform == "darwin":
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
    # On Linux, ru_maxrss also counts the memory that the parent had when it forked.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return round(int(peak) / 1e3)


def _idle(looking: Sensor, url: str, seconds: float) -> dict[str, float]:
    before, cpu = _calls(url), time.process_time()
    Thread(target=watch_forever, args=[looking, lambda: looking, POLL_SECONDS], daemon=True).start()
    time.sleep(seconds)
    after = _calls(url)
    percent = 100 * (time.process_time() - cpu) / seconds
    calls = {name: after[name] - before.get(name, 0) for name in after}
    return {
        "idle_polls": calls["get"],
        "idle_list_calls": calls["list"],
        "idle_writes": calls["put"],
        "idle_percent_of_a_core": round(percent, 2),
    }


def _calls(url: str) -> dict[str, int]:
    with urlopen(f"{url}/calls") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


def main() -> None:
    """Start the synthetic S3, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000, help="objects in the bucket (default: 1000000)")
    parser.add_argument("--idle-seconds", type=float, default=0, help="how long to keep polling (default: 0)")
    options = parser.parse_args()
    objects: int = options.objects
    command = [sys.executable, str(SERVER), str(objects), str(NEW)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip() if server.stdout else ''}"
            variables = {
                "S3_ENDPOINT_URL": url,
                "SENSOR_QUEUE_URL": "",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            with environment(variables):
                print(json.dumps({"objects": objects, **measured(url, options.idle_seconds)}))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
