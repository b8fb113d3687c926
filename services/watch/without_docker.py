"""Replace the commands for Docker with those for `make dev`. All other commands are the same."""

LOGS = {"prefect-server": "prefect"}
"""Logs of `make dev` whose names differ from the service's name in Docker."""


def without_docker(text: str) -> str:
    """Replace each such command in a text."""
    return text.replace("docker system df; docker image prune", "df -h").replace("make up", "make down; make dev")
