"""`make verify-offline`: run a second copy of the platform on a network without internet access."""

import time
from pathlib import Path

from commands.compose.command_line import PYTHON, Compose
from commands.compose.up import NO_SOURCE, READY, has_landed, start
from commands.errors import CommandError
from services import ports

PIPELINE_SECONDS = 300.0
TABLES = "select schema_name, table_name, estimated_size as rows from duckdb_tables() order by all"
WAY_OUT = "import socket; socket.create_connection(('1.1.1.1', 443), timeout=5)"
PREFECT = f"http://prefect-server:{ports.PREFECT}/"
# Check that the pages load scripts and styles only from their own server, not from a CDN.
PAGES = f"""
import re, urllib.request
for url in {PREFECT!r}, {PREFECT + "docs"!r}, "http://airbyte:{ports.AIRBYTE}/docs":
    page = urllib.request.urlopen(url).read().decode()
    assert not (foreign := re.findall(r'(?:src|href)="((?:https?:)?//[^"]+)', page)), foreign
"""


def verify_offline(platform: Compose) -> int:
    """Start everything without internet access, run the pipeline, show its tables, then remove everything.

    Raises:
        CommandError: a service did not start, the network has internet access, or no tables were published.
    """
    compose = platform.beside("offline", Path(__file__).with_name("offline.yml"))
    try:
        start(compose)
        if compose.succeeds("exec", "-T", "worker", "python", "-c", WAY_OUT):
            raise CommandError("The network of this check has internet access, so the check proves nothing.")
        if landed := has_landed(compose):
            _wait_for_tables(compose)
        if not compose.succeeds("exec", "-T", "worker", "python", "-c", PAGES):
            raise CommandError("A page of Prefect or of the mock Airbyte loads files from another server.")
        if landed:
            compose.run("exec", "-T", "worker", *PYTHON, "blocks.sql", TABLES)
            print("Verified: files become published tables without internet access.")
        else:
            print(f"Verified: every service starts without internet access. {NO_SOURCE}")
    finally:
        compose.run("down", "--volumes", "--remove-orphans")
    return 0


def _wait_for_tables(compose: Compose) -> None:
    deadline = time.monotonic() + PIPELINE_SECONDS
    while not compose.succeeds("exec", "-T", "worker", *READY):
        if time.monotonic() > deadline:
            log = compose.output("logs", "--no-color", "--tail", "40", "worker")
            raise CommandError(
                f"No tables were published within {PIPELINE_SECONDS:.0f} s. The worker's log ends with:\n{log}"
            )
        time.sleep(1)
