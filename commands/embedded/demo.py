"""The demo: loads the landing folder's files through the whole pipeline, on services that end with it."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from blocks import lake, warehouse
from blocks.errors import counted
from commands.embedded.only_one import describe, only_one
from commands.embedded.processes import Processes, free_ports
from commands.embedded.report import Part, report
from commands.embedded.stack import Stack, landing_files
from commands.embedded.warm_flows import WarmFlows
from services.content import BUCKET, PREFIX, short

OTHER_DEMO_SECONDS = 120.0
NO_SOURCE = "There is no source yet. Turn a file into one, then try again: make source FILE=orders.csv"


class Narrator:
    """Prints each step, and how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[Status]:
        """Show a step while it runs, then its duration. Without a terminal, print a line for each."""
        begun = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(f"… {name}: {doing}", highlight=False)
        with self.console.status(f"{name}: {doing}") as status:
            yield status
        self.seconds[name] = time.monotonic() - begun
        self.console.print(f"[green]✓[/green] {name} [dim]{self.seconds[name]:.1f} s[/dim]", highlight=False)


def state_of(data: Path) -> Path:
    """Return the folder with the state of the last demo."""
    return data / "demo" / "state"


def published_of(data: Path) -> Path:
    """Return the file with the tables that the last demo published."""
    return data / "published" / "warehouse.duckdb"


@contextmanager
def fresh_services(data: Path, narrator: Narrator) -> Iterator[tuple[Stack, WarmFlows]]:
    """Start services without earlier state, and a process that runs flows. Stop them when the block ends.

    Raises:
        PlatformError: a service did not start.
    """
    state = state_of(data)
    shutil.rmtree(state, ignore_errors=True)
    s3, airbyte, prefect = free_ports(3)
    stack = Stack(state, published_of(data), s3, airbyte, prefect)
    stack.published.parent.mkdir(parents=True, exist_ok=True)
    with Processes(state / "logs") as processes:
        with narrator.step("services", "S3, the mock Airbyte, Prefect's server and dbt are starting") as status:
            stack.start(processes)
            flows = WarmFlows(processes, stack.variables)
            stack.wait_until_ready(processes)
            flows.wait_until_ready(status)
        yield stack, flows


def demo(data: Path, console: Console) -> None:
    """Start the services, load all files except the last, then the last, and print a report.

    Raises:
        PlatformError: something failed. The message says what.
    """
    files, narrator = landing_files(), Narrator(console)
    if not files:
        console.print(NO_SOURCE)
        return
    last = last_of(files)
    with fresh_services(data, narrator) as (stack, flows):
        console.print(
            f"  Prefect {stack.prefect_url}  S3 {stack.s3_url}  Airbyte {stack.airbyte_url}",
            style="dim",
            soft_wrap=True,
        )
        before = [file for file in files if file != last]
        parts = [_part(narrator, stack, flows, counted(len(before), "file"), before)]
        if last:
            parts.append(_part(narrator, stack, flows, "the last file", [last]))
    report(console, parts, narrator.seconds, stack)


def last_of(files: Sequence[Path]) -> Path | None:
    """Return the last file, by name, of the stream with the most files, or None if no stream has two files."""
    streams = Counter(file.parent for file in files)
    [(stream, count)] = streams.most_common(1)
    return max(file for file in files if file.parent == stream) if count > 1 else None


def _part(narrator: Narrator, stack: Stack, flows: WarmFlows, name: str, files: list[Path]) -> Part:
    with narrator.step(f"land {name}", f"{_describe_files(files)} to s3://{BUCKET}/{PREFIX}"):
        keys = stack.land(files)
    with narrator.step(f"pipeline on {name}", "the flow full_pipeline starts") as status:
        result = flows.pipeline(keys, status)
    counts = {**lake.rows(stack.state / "lake"), **warehouse.tables(stack.published)}
    return Part(name=name, files=len(files), rows=counts, result=result)


def _describe_files(files: Sequence[Path]) -> str:
    """Describe files in a few words, a single one by its name."""
    return f"{files[0].parent.name}/{files[0].name} goes" if len(files) == 1 else f"{len(files)} files go"


def main(data: Path) -> int:
    """Run the demo. If it fails, print one paragraph to standard error and return 1."""
    console, errors = Console(), Console(stderr=True)
    try:
        with only_one(data / "demo", "make demo", "End it, then try again.", OTHER_DEMO_SECONDS, console.print):
            demo(data, console)
    except KeyboardInterrupt:
        errors.print("\nStopped. No process is left. `make demo` starts from scratch.")
        return 130
    except Exception as error:  # noqa: BLE001 - the user needs the message; the logs have the traceback
        known = describe(error, data)
        errors.print(f"\n[red]The demo failed.[/red] {escape(known)} Logs: {escape(short(data))}/demo/state/logs")
        return 1
    return 0
