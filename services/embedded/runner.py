"""Runs the pipeline on request, in one warm process: a JSON list of keys a line in, a JSON answer a line out.

Prefect and dbt take some 8 s to import; here that happens once, beside the start of the services.
"""

import json
import sys
from queue import SimpleQueue
from typing import Any, TextIO

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from blocks.dbt.in_process import warm_up
from blocks.landing import LandedFile
from flows.full_pipeline import full_pipeline
from services.embedded.lifeline import follow_parent


def main(answers: TextIO = sys.stdout) -> None:
    """Answer each list of keys with a run of the pipeline on these files; end with the parent."""
    requests: SimpleQueue[str] = SimpleQueue()
    follow_parent(requests.put)
    warm_up()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    # A heartbeat thread makes every flow run end up to a second late; these runs are watched by the parent.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        while keys := requests.get():
            print(json.dumps(run_pipeline(json.loads(keys))), file=answers, flush=True)


def run_pipeline(keys: list[str]) -> dict[str, Any]:
    """Return the pipeline's result, or what went wrong."""
    try:
        return full_pipeline(files=[LandedFile(key=key) for key in keys]).model_dump(mode="json")
    except Exception as error:  # noqa: BLE001 - the parent shows it, whatever it is
        return {"error": str(error)}


if __name__ == "__main__":
    main()
