"""Prefect's database on PostgreSQL: what a run leaves there goes after its time, and the space is used again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from testcontainers.core.container import DockerContainer

from commands.compose.command_line import KEEP_DAYS, RETENTION
from commands.compose.profile import COMPOSE_FILE
from commands.embedded.processes import Processes, free_ports
from services.testing.fixtures import need_engine
from tests.e2e.test_production import eventually

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1800)]
SERVICES = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
ROUNDS, RUNS = 4, 6
PIPELINE = """
import sys
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact

@task
def step(number):
    get_run_logger().info("step %s: %s", number, "x" * 200)

@flow
def part():
    for number in range(5):
        step(number)

@flow
def pipeline():
    part()
    part()
    create_table_artifact([{"rows": "x" * 2000}], key="result")

for _ in range(int(sys.argv[1])):
    pipeline()
"""
AGE = """
update flow_run set end_time = end_time - interval '91 days' where end_time is not null;
update events set occurred = occurred - interval '8 days';
update event_resources set occurred = occurred - interval '8 days';
"""
LEFT = """
select (select count(*) from flow_run), (select count(*) from task_run), (select count(*) from flow_run_state),
       (select count(*) from task_run_state), (select count(*) from log), (select count(*) from artifact),
       (select count(*) from events where occurred < now() - interval '7 days'),
       (select count(*) from event_resources where occurred < now() - interval '7 days')
"""
SIZE = "select sum(pg_total_relation_size(relid)) from pg_stat_user_tables"


class Database:
    """Prefect's PostgreSQL, and the server's address."""

    def __init__(self, container: DockerContainer, api: str) -> None:
        self.container, self.api = container, api

    def sql(self, query: str) -> str:
        """What psql prints of a query, without a header."""
        command = ["psql", "--username=prefect", "--tuples-only", "--no-align", f"--command={query}"]
        code, said = self.container.exec(command)
        assert code == 0, said
        return str(said.decode()).strip()

    def run(self, count: int) -> None:
        """Run the pipeline some times."""
        environment = {**os.environ, "PREFECT_API_URL": self.api, "PREFECT_LOGGING_LEVEL": "WARNING"}
        subprocess.run([sys.executable, "-c", PIPELINE, str(count)], env=environment, check=True)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A server with Compose's settings for old runs, which looks for them every 2 s instead of every hour."""
    need_engine()
    declared = SERVICES["prefect-server"]["environment"]
    settings = {name: value for name, value in declared.items() if "DB_VACUUM" in name and value}
    settings |= {RETENTION: str(KEEP_DAYS * 86400), "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2"}
    port, at = free_ports(2)
    made = DockerContainer(SERVICES["postgres"]["image"])
    for name, value in {"USER": "prefect", "DB": "prefect", "PASSWORD": "prefect"}.items():
        made.with_env(f"POSTGRES_{name}", value)
    made.ports[5432] = ("127.0.0.1", at)
    with made as container, Processes(tmp_path / "logs") as processes:
        ready = ["pg_isready", "--host=127.0.0.1", "--username=prefect"]
        eventually(lambda: container.exec(ready)[0] == 0)
        url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://prefect:prefect@127.0.0.1:{at}/prefect"}
        home = {"PREFECT_HOME": str(tmp_path), "PREFECT_UI_STATIC_DIRECTORY": str(tmp_path / "ui")}
        app = ["-m", "uvicorn", "--factory", "services.prefect_app:create_app", "--port", str(port)]
        processes.start("prefect", app, {**settings, **url, **home})
        processes.wait_until_ready("prefect", f"http://127.0.0.1:{port}/api/health")
        yield Database(container, f"http://127.0.0.1:{port}/api")


def test_the_database_is_as_large_after_many_runs_as_after_a_few_once_their_time_is_over(database: Database) -> None:
    sizes = [int(database.sql(SIZE))]
    for _ in range(ROUNDS):
        database.run(RUNS)
        eventually(lambda: int(database.sql("select count(*) from events")) >= RUNS)
        sizes.append(int(database.sql(SIZE)))
        database.sql(AGE)
        eventually(lambda: database.sql(LEFT) == "0|0|0|0|0|0|0|0")
        database.sql("vacuum")  # which PostgreSQL does by itself within minutes
    empty, first, *later = sizes
    assert max(later) <= first + (first - empty), f"bytes, at first and after each {RUNS} runs: {sizes}"
