"""The content of a scenario's platform: one source, written like `make source` writes it."""

import tempfile
from dataclasses import replace
from pathlib import Path

from commands.scenarios.orders import FIRST_FILE, STREAM
from commands.sources.facts import facts_of
from commands.sources.project import apply, project_of
from commands.sources.reading import read
from commands.sources.spec import spec_of
from services.testing.checkout import checkout

BY_DAY = "orders_by_day"


def write(target: Path) -> None:
    """Make a checkout whose only source is orders, with a first file of them in its landing folder.

    `make source` writes value tests that warn. Here they fail the run, as if a person had changed that.
    """
    checkout(target)
    project = project_of(target)
    with tempfile.TemporaryDirectory(prefix="scenario-") as folder:
        work = Path(folder, "work")
        work.mkdir()
        file = Path(folder, FIRST_FILE.name)
        file.write_bytes(FIRST_FILE.content)
        spec = spec_of(STREAM, facts_of(read(file, work), [], work), BY_DAY)
        project.land(file, STREAM)
    strict = [replace(each, warns=False) if each.kind == "accepted_values" else each for each in spec.tests]
    apply(project.changes_to_write(replace(spec, tests=strict)))
