"""`make drop`: a file goes into landing, and what that sets off is followed."""

import json
import os
import time
from pathlib import Path
from typing import IO, Any

from services.compose.engine import PYTHON, Compose
from services.compose.prefect_api import Prefect, prefect_of, printable
from services.compose.profile import ComposeError
from services.content import LANDING

SENSOR_SECONDS = 60.0
RUN_SECONDS = 900.0


def drop(compose: Compose, file: Path, stream: str | None) -> int:
    """Put a file into landing, wait for the sensor's run on it, follow that; the run's result.

    Raises:
        ComposeError: the file or its stream is not known, or the sensor starts no run.
    """
    profile = compose.profile
    with opened(file) as content:
        key = f"{profile.values['S3_PREFIX']}{stream or stream_of(file)}/{file.name}"
        prefect = prefect_of(compose)
        compose.need("sensor", "worker")
        before = {run["id"] for run in prefect.pipelines()}
        size = str(os.fstat(content.fileno()).st_size)
        put = ["exec", "-T", "sensor", *PYTHON, "blocks.land", key, profile.blocks, size]
        landed = json.loads(compose.output(*put, stdin=content))
    print(f"landed s3://{profile.values['S3_BUCKET']}/{printable(key)}")
    if not landed["new"]:
        print("The same content was there already: nothing is new, so nothing runs.")
        return 0
    return prefect.follow(run_for(prefect, key, landed["etag"], before, profile.make("logs")), print, RUN_SECONDS)


def opened(file: Path) -> IO[bytes]:
    """The file, open for reading.

    Raises:
        ComposeError: there is none, or this user may not read it.
    """
    try:
        if file.is_file():
            return file.open("rb")
    except OSError as error:
        raise ComposeError(f"The file {str(file)!r} cannot be read: {error.strerror}.") from error
    raise ComposeError(f"The file {str(file)!r} does not exist. Usage: make drop FILE=path/to/new.csv STREAM=orders.")


def stream_of(file: Path) -> str:
    """The stream that a file is for, by the name of its folder.

    Raises:
        ComposeError: its folder is not a stream's.
    """
    streams = sorted(folder.name for folder in LANDING.iterdir() if folder.is_dir())
    folder = file.absolute().parent.name
    if not streams:
        raise ComposeError(f"There is no stream yet. Make one of the file: make source FILE={file}.")
    if folder not in streams:
        raise ComposeError(f"Which stream is {file.name} for? Add STREAM=, one of {', '.join(streams)}.")
    return folder


def run_for(prefect: Prefect, key: str, etag: str, before: set[str], make: str) -> dict[str, Any]:
    """The run on a version of a file. Those `before` are of the same version, which was removed from landing since."""
    begun = time.monotonic()
    while time.monotonic() - begun < SENSOR_SECONDS:
        for run in prefect.pipelines():
            files = run["parameters"].get("files") or []
            if run["id"] not in before and any(file["key"] == key and file["etag"] == etag for file in files):
                return run
        time.sleep(0.5)
    raise ComposeError(
        f"The sensor started no run for {key} within {SENSOR_SECONDS:.0f} s: `{make} SERVICE=sensor` shows why."
    )
