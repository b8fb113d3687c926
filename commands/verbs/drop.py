"""`make drop`."""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import IO, Any

from commands.errors import CommandError
from commands.platform import Platform
from commands.prefect_api import Prefect, printable
from services.content import LANDING

SENSOR_SECONDS = 60.0
RUN_SECONDS = 900.0
USAGE = "Usage: make drop FILE=path/to/new.csv STREAM=orders"


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", help="file to upload")
    parser.add_argument("--stream", help="stream of the file (default: the name of its folder)")


def do(platform: Platform, options: Namespace) -> int:
    """Upload a file to landing, wait for the sensor to start a run, and follow it."""
    if not options.file:
        raise CommandError(f"Name a file. {USAGE}")
    return drop(platform, Path(options.file), options.stream)


def drop(platform: Platform, file: Path, stream: str | None) -> int:
    """Upload a file to landing, wait for the sensor to start a run, and follow it. Return 0 if it completed.

    Raises:
        CommandError: the file or its stream does not exist, or the sensor does not start a run.
    """
    bucket, prefix = platform.landing
    with open_file(file) as content:
        key = f"{prefix}{stream or stream_of(file)}/{file.name}"
        prefect = platform.prefect
        platform.need("sensor", "worker")
        before = {run["id"] for run in prefect.pipelines()}
        size = str(os.fstat(content.fileno()).st_size)
        landed = json.loads(platform.output("sensor", "blocks.land", key, platform.blocks, size, stdin=content))
    print(f"landed s3://{bucket}/{printable(key)}")
    if not landed["new"]:
        print("The bucket already has this content under this key, so no run starts.")
        return 0
    return prefect.follow(run_for(prefect, key, landed["etag"], before, platform.make("logs")), print, RUN_SECONDS)


def open_file(file: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        CommandError: it does not exist, or this user may not read it.
    """
    try:
        if file.is_file():
            return file.open("rb")
    except OSError as error:
        raise CommandError(f"The file {str(file)!r} cannot be read: {error.strerror}.") from error
    raise CommandError(f"The file {str(file)!r} does not exist. {USAGE}")


def stream_of(file: Path) -> str:
    """Return the stream of a file: the name of its folder.

    Raises:
        CommandError: no stream has the name of the folder.
    """
    streams = sorted(folder.name for folder in LANDING.iterdir() if folder.is_dir())
    folder = file.absolute().parent.name
    if not streams:
        raise CommandError(f"No stream exists yet. Create one from the file: make source FILE={file}.")
    if folder not in streams:
        raise CommandError(f"Which stream is {file.name} for? Set STREAM to one of {', '.join(streams)}.")
    return folder


def run_for(prefect: Prefect, key: str, etag: str, before: set[str], make: str) -> dict[str, Any]:
    """Wait for the run that loads this version of a file. Ignore the runs in `before`."""
    begun = time.monotonic()
    while time.monotonic() - begun < SENSOR_SECONDS:
        for run in prefect.pipelines():
            files = run["parameters"].get("files") or []
            if run["id"] not in before and any(file["key"] == key and file["etag"] == etag for file in files):
                return run
        time.sleep(0.5)
    raise CommandError(
        f"The sensor did not start a run for {key} within {SENSOR_SECONDS:.0f} s. To see why: {make} SERVICE=sensor"
    )
