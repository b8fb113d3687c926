"""What a poll costs on a bucket of so many objects: `python benchmarks/sensor_polls.py --objects 1000000`.

A process of its own, with all that the sensor's process imports, polls a synthetic S3 through boto3: once with 10 new
files, then idle. Prints JSON: calls, seconds, CPU seconds, peak memory in MB.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from blocks.batches import Batch, Failed, Outcome
from blocks.cursor import Cursor
from blocks.landing import LandedFile
from blocks.settings import environment
from flows.sensors.s3_sensor import sensor

SERVER = Path(__file__).with_name("synthetic_s3.py")
NEW = 10
HANDED_ON_BEFORE = datetime(2013, 1, 31, tzinfo=UTC)


class NoRuns:
    """A pipeline that is never busy and never ends."""

    def busy(self) -> bool:
        """Never."""
        return False

    def start(self, _batch: Batch) -> str:
        """Nothing is run, and nothing followed."""
        return ""

    def outcomes(self, _run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """None ends."""
        return {}

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Nobody listens."""

    def show_parked(self, parked: list[Failed]) -> None:
        """Nobody looks."""


def measured(url: str) -> dict[str, float]:
    """Poll once for the new files and once more for nothing; what it took."""
    looking = sensor(NoRuns(), 0, "landing", "inbound/")
    looking.store.save(Cursor(floor=HANDED_ON_BEFORE), "")
    before = _calls(url)
    begun, cpu = time.monotonic(), time.process_time()
    batch = looking.poll()
    found = {"seconds": time.monotonic() - begun, "cpu_seconds": time.process_time() - cpu}
    if looking.poll():
        raise RuntimeError("a second poll found the same files")
    after = _calls(url)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "files": len(batch.files) if batch else 0,
        "list_calls_a_poll": (after["list"] - before.get("list", 0)) / 2,
        "peak_mb": peak / (1e6 if sys.platform == "darwin" else 1e3),
        **{name: round(value, 1) for name, value in found.items()},
    }


def _calls(url: str) -> dict[str, int]:
    with urlopen(f"{url}/calls") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


def main() -> None:
    """Start the synthetic S3, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000, help="objects in the bucket (default: 1000000)")
    objects: int = parser.parse_args().objects
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
                print(json.dumps({"objects": objects, **measured(url)}))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
