"""`make up`: start everything, wait until it is healthy, and wait for the first tables."""

import fcntl
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from commands.compose.code import prepare_code
from commands.compose.command_line import STATES, Compose, docker_variables_hint, services_to_recreate
from commands.compose.image import commit_of, need_image
from commands.compose.prefect import prefect_of
from commands.compose.promote import bootstrap
from commands.compose.rotate import without_runs
from commands.compose.values import PORTS
from commands.errors import CommandError
from commands.options import answer
from services import ports

MARTS_SECONDS = 900.0
CHANGES = 3
"""The exit code of bootstrap's brief plan if something would change."""

NO_SOURCE = "There is no source yet: `make source FILE=orders.csv` turns a file of yours into a table."
READY = ("test", "-f", "/data/published/warehouse.duckdb")


def up(compose: Compose, yes: bool = False, takeover: bool = False) -> int:
    """Build what has changed, start everything, wait for the first tables, and print where to look.

    Args:
        compose: the platform.
        yes: whether to change a shared Prefect server without asking.
        takeover: whether to replace what another clone registered there under the same names.

    Raises:
        CommandError: a port is in use, a service does not become healthy, the first pipeline run fails, or nobody
            agreed to change a shared Prefect server.
    """
    with profile_lock(compose):
        begun = datetime.now(UTC)
        check_ports(compose)
        need_image(compose.profile)
        prepare_code(compose.profile)
        if not compose.profile.image:
            print("Building what has changed. The first build takes several minutes.", flush=True)
        compose.build()
        with without_runs(compose):
            if compose.profile.is_on_shared_server:
                register(compose, yes, takeover)
            start(compose)
        if "localstack" in compose.profile.services:
            wait_for_marts(compose, begun)
    print(banner(compose))
    return 0


@contextmanager
def profile_lock(compose: Compose) -> Iterator[None]:
    """Hold the profile's lock; wait for another `make up` first. Two at once would stop each other's containers."""
    with compose.profile.file.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another `make up` of this profile is running. Waiting for it to end.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def register(compose: Compose, yes: bool, takeover: bool) -> None:
    """Show what would change on a shared Prefect server, ask, and change it.

    Raises:
        CommandError: the changes cannot be made, or nobody agreed to them. Nothing was changed.
    """
    options, make = ["--takeover"] if takeover else [], compose.profile.make
    print(f"{compose.profile.values['PREFECT_API_URL']} is not this platform's own server. The plan:", flush=True)
    code = bootstrap(compose, "--plan", "--brief", *options)
    if code not in (0, CHANGES):
        raise CommandError(f"Nothing was changed or started. `{make('doctor')}` shows the reason.")
    if not code and not takeover:
        return
    if not yes and _answer("Make these changes? [y/N] ") != "y":
        raise CommandError(f"Nothing was changed or started. `{make('up')} YES=1` makes the changes without asking.")
    if bootstrap(compose, *options):
        raise CommandError("Some of it could not be registered; see above. Nothing was started.")


def _answer(question: str) -> str:
    """Ask a question and return the answer in lower case; "" without a terminal."""
    if not sys.stdin.isatty():
        print(f"{question}There is no terminal to answer on.")
        return ""
    return answer(question)


def start(compose: Compose) -> None:
    """Start every service and wait until it is ready for work.

    Raises:
        CommandError: a service is not ready; the text has the last lines of its log.
    """
    begun = time.monotonic()
    if services := services_to_recreate(compose.output(*STATES)):
        compose.run("rm", "--stop", "--force", *services)
    compose.stop_what_is_no_longer_named()
    if compose.run("up", "--detach", "--no-build", "--wait", "--wait-timeout", "300", "--remove-orphans"):
        raise CommandError(f"Not every service is ready.{docker_variables_hint()}\n{_failed_logs(compose)}")
    print(f"All services are healthy after {time.monotonic() - begun:.0f} s.", flush=True)


def check_ports(compose: Compose) -> None:
    """Check that no other program uses the platform's ports.

    Raises:
        CommandError: a port is in use; the text names the program if it can be found.
    """
    if taken := ports_in_use(compose):
        raise CommandError(
            f"{' '.join(taken)} Stop that program, or use other ports, for example: "
            f"{compose.profile.make('up')} {' '.join(f'{name}=0' for name in PORTS)} (0 is any free port)."
        )


def ports_in_use(compose: Compose) -> list[str]:
    """Return a sentence for each of the platform's ports that another program uses."""
    own = compose.output("ps", "--format", "{{.Ports}}")
    published = [line for line in compose.output("config").splitlines() if line.strip().startswith("published: ")]
    ports = [int(line.split('"')[1]) for line in published]
    return [
        f"Port {port} is in use by {_holder(port)}."
        for port in ports
        if port and f":{port}->" not in own and _is_in_use(port)
    ]


def wait_for_marts(compose: Compose, started: datetime) -> None:
    """Wait until tables are published, if a file has landed. Return at once if the platform has tables already.

    Args:
        compose: the platform.
        started: when this start began; earlier failed runs are ignored.

    Raises:
        CommandError: a pipeline run failed before it published tables, or none published in time.
    """
    prefect, begun = prefect_of(compose), time.monotonic()
    snowflake = compose.profile.values["DBT_TARGET"] == "snowflake"
    if not has_landed(compose):
        print(NO_SOURCE, flush=True)
        return
    while snowflake or not compose.succeeds("exec", "-T", "worker", *READY):
        runs = prefect.pipelines()
        if snowflake and any(run["state_type"] == "COMPLETED" for run in runs):
            break  # on Snowflake, readers query the tables that dbt builds, so there is no file to look for
        failed = [run for run in runs if run["state_type"] in ("FAILED", "CRASHED") and _ended(run) > started]
        if failed:
            raise CommandError(f"The first pipeline run failed: {failed[0]['state']['message']}")
        if time.monotonic() - begun > MARTS_SECONDS:
            raise CommandError(
                f"No tables were published within {MARTS_SECONDS:.0f} s. `{compose.profile.make('logs')}` shows why."
            )
        time.sleep(0.5)
    print(f"The files that landed are in the tables after {time.monotonic() - begun:.0f} s more.", flush=True)


def has_landed(compose: Compose) -> bool:
    """Return whether LocalStack's bucket has a file for Airbyte."""
    values = compose.profile.values
    url = f"localhost:{ports.S3}/{values['S3_BUCKET']}?list-type=2&prefix={quote(values['S3_PREFIX'])}"
    listed = compose.output("exec", "-T", "localstack", "curl", "-fsS", url)
    return any(not key.startswith("_cursors/") for key in re.findall("<Key>(.*?)</Key>", listed))


def banner(compose: Compose) -> str:
    """Return the text that `make up` ends with: addresses, and commands to try next."""
    page, prefect, airbyte, s3 = (
        compose.address(service) for service in ("console", "prefect-server", "airbyte", "localstack")
    )
    rows = [
        ("the page", page, ""),
        ("Prefect", prefect, ""),
        ("its API", prefect, "/docs"),
        ("Airbyte", airbyte, "/api/public/v1"),
        ("its API", airbyte, "/docs"),
        ("S3", s3, ""),
    ]
    places = "\n".join(f"  {name:<9} http://{address}{path}" for name, address, path in rows if address)
    profile = compose.profile
    code = (
        f", on the image {profile.image} (commit {(commit_of(profile.image) or 'unknown')[:12]})"
        if profile.image
        else ""
    )
    tries = {
        f"{profile.make('run')} FLOW=full_pipeline": "runs a deployment and follows its log",
        f"{profile.make('drop')} FILE=new.csv STREAM=orders": "uploads a file and follows the run that it starts",
        f"{profile.make('logs')} SERVICE=worker": "shows the log of a service",
        profile.make("down"): "stops everything and keeps the data",
    }
    width = max(map(len, tries)) + 2
    lines = "\n".join(f"  {command:<{width}}{meaning}" for command, meaning in tries.items())
    return f"""
The platform is up, with profile {profile.name}{code}. The page shows its state; start there.

{places}
  tables    {profile.make("sql")} Q="show all tables"

Try next:
{lines}
"""


def _ended(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["state"]["timestamp"])


def _is_in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    """Return the container or process that listens on a port, or how to find it if this user may not see it."""
    named = ["docker", "ps", "--filter", f"publish={port}", "--format", "the container {{.Names}}"]
    lsof = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    for command in (named, lsof):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.strip():
                return " ".join(done.stdout.split()) if command is named else _process(done.stdout)
    return f"another program (`sudo ss -ltnp sport = :{port}` names it)"


def _process(lsof: str) -> str:
    fields = {line[0]: line[1:] for line in reversed(lsof.split())}
    return f"{fields.get('c', 'a process')} (PID {fields.get('p', '?')})"


def _failed_logs(compose: Compose) -> str:
    """Return the last lines of the log of each service that is neither healthy nor finished."""
    listed = compose.output("ps", "--all", "--format", "{{.Service}},{{.State}},{{.Health}},{{.ExitCode}}")
    states = [line.split(",") for line in listed.splitlines()]
    good = (["running", "healthy", "0"], ["exited", "", "0"])
    bad = [service for service, *state in states if state not in good and state[0] != "created"]
    return compose.output("logs", "--no-color", "--tail", "15", *bad) if bad else ""
