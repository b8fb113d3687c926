"""Runs flows on request, in one warm process: one request a line on standard input, one JSON answer a line.

Prefect and dbt take some 8 s to import; here that happens once, beside the start of the services.
"""

import json
import sys
from queue import SimpleQueue
from typing import Any, TextIO

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from blocks.dbt import warm_up
from flows.sensors.s3_sensor import s3_file_sensor
from services.embedded.lifeline import follow_parent


def main(answers: TextIO = sys.stdout) -> None:
    """Answer `sensor` with a run of the sensor, which runs the pipeline on what it finds; end with the parent."""
    requests: SimpleQueue[str] = SimpleQueue()
    follow_parent(requests.put)
    warm_up()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    # A heartbeat thread makes every flow run end up to a second late; these runs are watched by the parent.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        while requests.get() == "sensor":
            print(json.dumps(run_sensor()), file=answers, flush=True)


def run_sensor() -> dict[str, Any]:
    """The sensor's result, or what went wrong."""
    try:
        return s3_file_sensor().model_dump(mode="json")
    except Exception as error:  # noqa: BLE001 - the parent shows it, whatever it is
        return {"error": str(error)}


if __name__ == "__main__":
    main()
