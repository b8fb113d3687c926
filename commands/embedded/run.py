"""Runs one command on its own services with the landing folder's files. The services end with it; nothing is kept."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks import warehouse
from blocks.errors import PlatformError, counted
from blocks.settings import child_environment
from commands.embedded.processes import Processes, free_ports
from commands.embedded.stack import Stack, landing_files


def main(command: Sequence[str]) -> int:
    """Run the command with S3 and the landing folder's files, the mock Airbyte and Prefect. Return its exit code.

    Messages go to standard error, because standard output belongs to the command.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    # A shell starts its background jobs with SIGINT ignored. They, too, should end on SIGTERM.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if not shutil.which(command[0]):
            raise PlatformError(f"{command[0]} is not a program. Check its name, and whether it is on the PATH.")
        with tempfile.TemporaryDirectory(prefix="platform-") as folder:
            return _run(command, Path(folder), console)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (PlatformError, OSError) as error:
        console.print(f"[red]The command was not run.[/red] {escape(str(error))}")
        return 1


def _run(command: Sequence[str], folder: Path, console: Console) -> int:
    s3, airbyte, prefect = free_ports(3)
    stack = Stack(folder / "state", folder / "published" / "warehouse.duckdb", s3, airbyte, prefect)
    stack.published.parent.mkdir()
    with Processes(stack.state / "logs") as processes:
        console.print("Starting S3, the mock Airbyte and Prefect for this command only. Nothing of them is kept.")
        stack.start(processes)
        stack.wait_until_ready(processes)
        landed = stack.land(landing_files())
        console.print(f"{counted(len(landed), 'file')} from the landing folder landed.")
        # dbt would put its packages into the project's folder, which may be read-only.
        own = {**stack.variables, "DBT_PACKAGES_INSTALL_PATH": str(folder / "dbt_packages")}
        ended = subprocess.run(command, env=child_environment(own), check=False).returncode  # noqa: S603
        if stack.published.exists():
            tables = warehouse.tables(stack.published)
            console.print("Published:", ", ".join(f"{name} {rows:,}" for name, rows in tables.items()))
    return ended if ended >= 0 else 128 - ended
