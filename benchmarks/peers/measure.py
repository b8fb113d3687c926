"""Measure a build of a day's flights with this platform and with other orchestrators, compared with plain `dbt build`.

Each peer has its own environment below data/bench/peers, with pinned versions. All build the same dbt project with the
same dbt, in turn, each time from a copy of the same warehouse. The first round is a warm-up. What exists before a build
is not counted: Prefect's running server, Airflow's database, Dagster's manifest.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import duckdb

from benchmarks import history
from benchmarks.figures import ROOT, Figure, figure
from commands.embedded.processes import Processes, free_ports

HERE, ENVIRONMENTS = Path(__file__).parent, ROOT / "data" / "bench" / "peers"
PEERS = ("prefect-dbt", "dagster", "airflow")
DBT, OURS = "dbt build on its own", "dbt_transform"
PROJECT = ROOT / "dbt_project"
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
    "SCARF_ANALYTICS": "false",
}


class Failed(Exception):
    """A peer cannot be installed or does not build. The text says why."""


@dataclass
class Tool:
    """A tool that builds: its command, its folder, and its processor and wall-clock times in seconds."""

    name: str
    command: list[str]
    folder: Path
    variables: Mapping[str, str]
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    def run(self, *command: str) -> tuple[float, float]:
        """Run a command, and return the processor time of all its processes and the wall-clock time, in seconds."""
        begun = time.monotonic()
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(command, env=os.environ | self.variables, cwd=ROOT, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(
                f"{self.name}: skipped, because {command[0]} failed. {_end((self.folder / 'log').read_text())}"
            )
        return usage.ru_utime + usage.ru_stime, time.monotonic() - begun

    def build(self, first: history.Platform) -> None:
        """Build the new rows of the lake on a copy of the first warehouse."""
        file = self.folder / "warehouse.duckdb"
        shutil.copy(first.folder / "warehouse.duckdb", file)
        before = _flights(file)
        processor, clock = self.run(*self.command)
        if _flights(file) <= before:
            raise Failed(f"{self.name}: skipped, because it built nothing. {_end((self.folder / 'log').read_text())}")
        self.processor.append(processor)
        self.clock.append(clock)


def figures(rounds: int, folder: Path) -> list[Figure]:
    """Measure all tools in turn. Leave out a peer that fails or cannot be installed, and print the reason."""
    first = history.Platform(folder / "first", history.MONTH)
    first.build()
    first.day()
    with _prefect_server(folder / "prefect") as url:
        tools = list(_tools(first, folder, url))
        for _ in range(rounds + 1):
            for tool in list(tools):
                try:
                    tool.build(first)
                except Failed as reason:
                    print(reason)
                    tools.remove(tool)
    floor, *others = tools
    return [
        figure(f"a day's build by {tool.name}, {kind}", median(ours[1:]), median(least[1:]), "s", rounds, history.MONTH)
        for kind, of in (("processor time", "processor"), ("by the clock", "clock"))
        for tool in others
        for ours, least in [(getattr(tool, of), getattr(floor, of))]
    ]


def _tools(first: history.Platform, folder: Path, url: str) -> Iterator[Tool]:
    dbt = str(Path(sys.executable).with_name("dbt"))
    yield _tool(DBT, [dbt, "build"], first, folder, url)
    yield _tool(OURS, [sys.executable, "-m", "benchmarks.peers.with_ours"], first, folder, url)
    for name in PEERS:
        try:
            python = _installed(name)
            tool = _tool(name, [python, str(HERE / f"with_{name.replace('-', '_')}.py")], first, folder, url)
            if name == "airflow":
                tool.run(str(Path(python).with_name("airflow")), "db", "migrate")
            yield tool
        except Failed as reason:
            print(reason)


def _tool(name: str, command: list[str], first: history.Platform, folder: Path, url: str) -> Tool:
    """Return a tool with its own folder, after parsing the project there."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    (own / "dagster.yaml").write_text("telemetry: {enabled: false}")
    variables = {
        **NO_TELEMETRY,
        "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}",
        "LAKE_DIR": str(first.folder / "lake"),
        "WAREHOUSE_PATH": str(own / "warehouse.duckdb"),
        "PUBLISHED_PATH": str(own / "published.duckdb"),
        "FRESHNESS_THRESHOLD_HOURS": "25",
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(own / "target"),
        "DBT_LOG_PATH": str(own / "logs"),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(own / "prefect"),
        "DAGSTER_HOME": str(own),
        "AIRFLOW_HOME": str(own),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE),
    }
    tool = Tool(name, command, own, variables)
    tool.run(str(Path(command[0]).with_name("dbt")), "parse")
    return tool


def _installed(name: str) -> str:
    """Create or update the environment of a peer, and return its Python."""
    python = ENVIRONMENTS / name / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    make = [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ENVIRONMENTS / name)]
    fill = [*uv, "pip", "sync", "--quiet", "--compile-bytecode", "--python", str(python), str(HERE / f"{name}.txt")]
    for command in (make, fill):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{name}: skipped, because it cannot be installed. {_end(done.stderr)}")
    return str(python)


@contextmanager
def _prefect_server(home: Path) -> Iterator[str]:
    """Run a separate Prefect server, and yield the URL of its API."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    with Processes(home / "logs") as processes:
        variables = {**NO_TELEMETRY, "PREFECT_HOME": str(home)}
        processes.start("prefect", ["-m", "commands.embedded.prefect_server", str(port)], variables)
        processes.wait_until_ready("prefect", f"{url}/health")
        yield url


def _flights(file: Path) -> int:
    with duckdb.connect(str(file), read_only=True) as connection:
        ((rows,),) = connection.execute("select count(*) from fct_flights").fetchall()
    return int(rows)


def _end(text: str) -> str:
    return " ".join(text.split())[-400:]
