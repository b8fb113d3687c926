"""What the platform of a scenario has as its content: one source, written as `make source` writes one."""

import tempfile
from dataclasses import replace
from pathlib import Path

from services.scenarios.orders import FIRST_FILE, STREAM
from services.sources.facts import facts_of
from services.sources.project import apply, project_of
from services.sources.reading import read
from services.sources.spec import spec_of
from services.testing.checkout import checkout

BY_DAY = "orders_by_day"


def write(target: Path) -> None:
    """Make a checkout whose only source are orders, with a first file of them in its landing folder.

    `make source` writes tests of values that warn; a person has made these stop the run.
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
