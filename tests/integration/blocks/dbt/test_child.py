"""dbt as a child process: it ends with its run, and a kill publishes nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.dbt.child import Child
from blocks.dbt.errors import DbtFailed
from blocks.dbt.project import Dbt
from blocks.duckdb_file import DuckDbLedger
from blocks.errors import ConfigurationError
from blocks.ledger import passed
from tests.integration.blocks.dbt.project import DBT, ENDLESS, Project

RUN = """
import sys
from pathlib import Path
from blocks.dbt.child import Child
from blocks.dbt.project import Dbt
variables = {"WAREHOUSE_PATH": sys.argv[2], "SNOWFLAKE_PASSWORD": "hidden"}
Dbt(Path(sys.argv[1]), "dev", variables, lambda line: print(line, flush=True), engine=Child(sys.argv[3])).run("run")
"""


class Known:
    """A dbt that writes down its process's id and its arguments."""

    def __init__(self, folder: Path) -> None:
        self.file, self.pid_file, self.arguments = folder / "known-dbt", folder / "pid", folder / "arguments"
        self.file.write_text(f'#!/bin/sh\necho "$@" > {self.arguments}\necho $$ > {self.pid_file}\nexec {DBT} "$@"\n')
        self.file.chmod(0o755)

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def is_there(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def test_a_child_that_is_killed_fails_its_command_and_publishes_nothing_of_it(project: Project, tmp_path: Path) -> None:
    known, ledger = Known(tmp_path), DuckDbLedger(project.warehouse)

    def kill(line: str) -> None:
        if "START sql table model main.endless" in line:
            os.kill(known.pid, signal.SIGKILL)

    dbt = Dbt(project.folder, "dev", project.dbt.variables, kill, ledger=ledger, engine=Child(str(known.file)))
    project.write("models/other.sql", "select 1 as id")
    dbt.run("build")
    project.write("models/orders.sql", "select 3 as id")
    project.write("models/endless.sql", "-- depends_on: {{ ref('orders') }}\n" + ENDLESS)
    with pytest.raises(DbtFailed, match="killed by signal 9"):
        dbt.run("build", "--select", "orders", "endless", "--exclude-resource-type", "test")
    state, _ = ledger.read()
    assert state.graph
    assert passed(state, state.graph) == {"model.shop.other"}
    dbt.run("test", "--select", "orders")
    state, _ = ledger.read()
    assert state.graph
    assert passed(state, state.graph) == {"model.shop.orders", "model.shop.other", "model.shop.totals"}


def test_a_child_ends_with_the_process_that_runs_it_and_has_no_secret_in_its_arguments(
    project: Project, tmp_path: Path
) -> None:
    project.write("models/endless.sql", ENDLESS)
    known = Known(tmp_path)
    command = [sys.executable, "-c", RUN, str(project.folder), str(project.warehouse), str(known.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert any("START sql table model main.endless" in line for line in run.stdout)
        assert known.is_there()
        run.kill()
    assert eventually(lambda: not known.is_there())
    assert "--project-dir" in known.arguments.read_text()
    assert "hidden" not in known.arguments.read_text()


def test_a_dbt_that_is_not_there_is_named_with_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="DBT_EXECUTABLE is 'no-dbt'"):
        Child("no-dbt")
