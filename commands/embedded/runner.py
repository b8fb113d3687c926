"""Runs the pipeline on request, in one warm process. It reads a JSON list of keys per line, and prints a JSON answer.

Prefect and dbt take about 8 s to import. Here that happens once, while the services start.
"""

import json
import sys
from queue import SimpleQueue
from typing import Any, TextIO

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from blocks.dbt.in_process import warm_up
from blocks.landing import LandedFile
from commands.embedded.lifeline import follow_parent
from flows.full_pipeline import full_pipeline


def main(answers: TextIO = sys.stdout) -> None:
    """Answer each list of keys with a pipeline run for these files, until the parent ends."""
    requests: SimpleQueue[str] = SimpleQueue()
    follow_parent(requests.put)
    warm_up()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    # With Prefect's heartbeat thread, each run would end up to a second later. The parent watches these runs instead.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        while keys := requests.get():
            print(json.dumps(run_pipeline(json.loads(keys))), file=answers, flush=True)


def run_pipeline(keys: list[str]) -> dict[str, Any]:
    """Return the pipeline's result, or its error."""
    try:
        return full_pipeline(files=[LandedFile(key=key) for key in keys]).model_dump(mode="json")
    except Exception as error:  # noqa: BLE001 - the parent shows any error
        return {"error": str(error)}


if __name__ == "__main__":
    main()
