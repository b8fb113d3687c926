"""What to type beside `make dev` instead of a command for Docker; all other commands are the same."""

LOGS = {"prefect-server": "prefect"}
"""The names of logs of `make dev` that are other than the service's in Docker."""


def without_docker(text: str) -> str:
    """Replace each command in a text, which may say more than the commands."""
    return text.replace("docker system df; docker image prune", "df -h").replace("make up", "make down; make dev")
