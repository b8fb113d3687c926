"""Runs the pipeline on its own services if no platform is running."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from blocks.errors import PlatformError
from blocks.hand_out import tables
from blocks.landing import LandedFile
from blocks.warehouse import DuckDbWarehouse
from commands.embedded.demo import Narrator, fresh_services, published_of, state_of
from commands.embedded.only_one import only_one
from commands.embedded.report import first_rows
from commands.embedded.stack import DATA, Stack, landing_files
from commands.sources.outcome import Outcome, tests_of
from services.content import short

OTHER_SECONDS = 300.0
NEXT_SECOND = 1.01
"""S3 dates objects to the second, and the newest file must be loaded last."""


NOTHING_RUNS = (
    "No platform runs here, so there is no bucket or Airbyte to ask. Start `make dev` or `make up`, then try again."
)


class NothingRuns(PlatformError):
    """The request needs a platform, and none is running."""


class OwnServices:
    """S3, the mock Airbyte, Prefect and dbt for one run, with all files of the landing folder."""

    where = "on its own services, since no platform runs here"

    def __init__(self, console: Console, data: Path = DATA) -> None:
        self._console, self._data = console, data

    def run(self, name: str, landed: Path, rebuilds: bool) -> Outcome:  # noqa: ARG002 - this always builds from scratch
        """Run the pipeline on all landed files, and return the outcome of one source.

        Raises:
            PlatformError: a service or the pipeline failed.
        """
        alone = only_one(self._data / "demo", "make demo or make source", "End it, then try again.", OTHER_SECONDS)
        with alone, self._running(landed) as (stack, result):
            nodes = result["dbt"]["nodes"]
            return Outcome(name, first_rows(stack.published, name), tests_of(nodes, name), short(stack.published))

    def ask(self, target: Path, what: str, subject: str = "") -> None:  # noqa: ARG002 - nothing runs that could be asked
        """Answer `tables` from what the last run left, and refuse other requests, since these services start empty.

        Raises:
            NothingRuns: another request.
        """
        if what != "tables":
            raise NothingRuns(NOTHING_RUNS)
        state = state_of(self._data)
        last_run = DuckDbWarehouse(state / "warehouse.duckdb", state / "lake", published_of(self._data))
        target.write_text(tables(last_run).model_dump_json(), encoding="utf-8")

    def load(self, name: str, files: Sequence[LandedFile]) -> Outcome:  # noqa: ARG002 - nothing runs
        """Refuse the request, since nothing runs."""
        raise NothingRuns(NOTHING_RUNS)

    def build(self, names: Sequence[str], full_refresh: bool) -> list[Outcome]:  # noqa: ARG002 - nothing runs
        """Refuse the request, since nothing runs."""
        raise NothingRuns(NOTHING_RUNS)

    @contextmanager
    def _running(self, newest: Path) -> Iterator[tuple[Stack, dict[str, Any]]]:
        narrator = Narrator(self._console)
        with fresh_services(self._data, narrator) as (stack, flows):
            with narrator.step("pipeline", "the files land, and the flow full_pipeline starts") as status:
                keys = stack.land(file for file in landing_files() if file != newest)
                time.sleep(NEXT_SECOND)
                result = flows.pipeline([*keys, *stack.land([newest])], status)
            yield stack, result
