"""Do what `full_pipeline` does with files after the sync, without Prefect: `python -m benchmarks.day KEY…`.

It prints the cost of each step as JSON.
"""

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks.connections import Connections

SINCE = datetime.now(UTC) - timedelta(minutes=1)


def main(keys: Sequence[str]) -> None:
    """Process files that were loaded within the last minute."""
    began = time.time() - time.process_time()
    connections = Connections(None)
    warehouse, dbt = connections.warehouse(), connections.dbt(lambda _: None)
    steps: dict[str, Callable[[], object]] = {
        "arrived": lambda: warehouse.arrived(keys, SINCE),
        "dbt": lambda: dbt.run("build"),
        "published": warehouse.publish,
        "counted": lambda: (warehouse.published_tables(), warehouse.synced({1: SINCE})),
        "fresh": dbt.freshness,
    }
    found = {}
    for name, work in steps.items():
        before = time.process_time()
        work()
        found[name] = time.process_time() - before
    print(json.dumps({"day": time.process_time(), "clock": time.time() - began, "memory": _peak(), **found}))


def _peak() -> float:
    """Return the peak memory of this process, in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():  # macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # On Linux, getrusage also counts the memory that the parent had before it started this program.
    return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
