"""What to type beside `make dev` instead of a command for Docker; `. data/dev/env` makes a terminal one of its own."""

import re
from pathlib import Path

from blocks.names import main_deployment

LOGS = {"prefect-server": "prefect"}
"""The names of logs of `make dev` that are other than the service's in Docker."""


def without_docker(text: str, logs: Path) -> str:
    """Replace each command in a text.

    Args:
        text: may say more than the commands.
        logs: the folder of the services' logs.
    """
    text = re.sub(r"make logs SERVICE=([\w-]+)", lambda found: f"tail {logs}/{LOGS.get(found[1], found[1])}.log", text)
    run = r"make run FLOW=(\w+)"
    text = re.sub(run, lambda found: f"prefect deployment run {found[1]}/{main_deployment(found[1])}", text)
    text = re.sub(r"make drop FILE=(\S+) STREAM=(\w+)", r"cat \1 | python -m blocks.land inbound/\2/\1", text)
    text = re.sub(r"make (?:ps|logs)\b", f"tail {logs}/*.log", text)
    text = text.replace("make sql Q=", "python -m blocks.sql ")
    text = text.replace("docker system df; docker image prune", "df -h")
    return text.replace("make up", "make dev, after you have ended it")
