"""Where the user's content is: the dbt project, the landing files, and the connections that load them."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
LANDING = PROJECT / "localstack" / "landing"
CONNECTIONS_FILE = Path("localstack", "connections.yaml")
"""Relative to the folder of a checkout."""
CONNECTIONS = PROJECT / CONNECTIONS_FILE
BUCKET, PREFIX = "my-data-lake-landing", "inbound/"
"""The default bucket and prefix of the connections' sources; a profile may set others."""


def short(path: Path) -> str:
    """Return a path relative to the project's folder, if it is in there."""
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)
