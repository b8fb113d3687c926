"""Runs Airbyte's source-s3 on each stream of a configuration, with the connector's own Python: discover, then read.

    python connector.py CONFIGURATION.json ANSWER.json

The answer has for each stream its JSON schema, its records, and what went wrong.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airbyte_cdk import AirbyteEntrypoint
from source_s3.v4 import SourceS3


def run(command: str, folder: Path, **files: Any) -> Iterator[dict[str, Any]]:
    """The messages of one run of the connector."""
    arguments = [command]
    for name, content in files.items():
        (path := folder / f"{name}.json").write_text(json.dumps(content))
        arguments += [f"--{name}", str(path)]
    source = SourceS3.create(configured_catalog_path=folder / "catalog.json" if "catalog" in files else None)
    entrypoint = AirbyteEntrypoint(source)
    yield from map(json.loads, entrypoint.run(entrypoint.parse_args(arguments)))


def answer(config: dict[str, Any], stream: dict[str, Any], folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"schema": {}, "records": [], "errors": []}
    try:
        config = {**config, "streams": [stream]}
        for message in run("discover", folder, config=config):
            for each in message.get("catalog", {}).get("streams", []):
                found["schema"] = each["json_schema"]["properties"]
                chosen = {"stream": each, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
        for message in run("read", folder, config=config, catalog={"streams": [chosen]}):
            if message["type"] == "RECORD":
                found["records"].append(message["record"]["data"])
            elif message.get("log", {}).get("level") in ("ERROR", "FATAL"):
                found["errors"].append(message["log"]["message"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the connector could not read the stream
        found["errors"].append(f"{type(error).__name__}: {error}")
    return found


def main(configuration: str, target: str) -> None:
    config = json.loads(Path(configuration).read_text())
    with tempfile.TemporaryDirectory() as folder:
        found = {stream["name"]: answer(config, stream, Path(folder)) for stream in config["streams"]}
        found["spec"] = next(each["spec"] for each in run("spec", Path(folder)) if each["type"] == "SPEC")
    Path(target).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
