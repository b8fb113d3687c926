"""`make up`: everything is started, healthy, and what has landed has become tables."""

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

from services.compose.code import choose_code
from services.compose.engine import PORTS, STATES, Compose, steered, stuck
from services.compose.image import commit_of, need_image
from services.compose.prefect_api import prefect_of
from services.compose.profile import ComposeError
from services.compose.promote import bootstrap
from services.compose.rotate import without_runs

MARTS_SECONDS = 900.0
CHANGES = 3
"""What bootstrap's brief plan ends with where something would change."""

NO_SOURCE = "There is no source yet: `make source FILE=orders.csv` turns a file of yours into a table."
READY = ("test", "-f", "/data/published/warehouse.duckdb")


def up(compose: Compose, yes: bool = False, takeover: bool = False) -> int:
    """Build what has changed, start everything, wait for the first tables, and say where to look.

    Args:
        compose: the platform.
        yes: whether a Prefect server that others use too is changed without a question.
        takeover: whether what another clone has registered there under the same names is replaced.

    Raises:
        ComposeError: a port is taken, a service does not become healthy, or the first pipeline run fails; or a Prefect
            server that others use would be changed, and nobody agrees.
    """
    with alone(compose):
        begun = datetime.now(UTC)
        check_ports(compose)
        need_image(compose.profile)
        choose_code(compose.profile)
        if not compose.profile.image:
            print("Building what has changed; the first time takes some minutes.", flush=True)
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
def alone(compose: Compose) -> Iterator[None]:
    """Wait for another `make up` of the profile: two that make the same containers at once stop each other."""
    with compose.profile.file.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another `make up` of this profile is at work; waiting for its end.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def register(compose: Compose, yes: bool, takeover: bool) -> None:
    """Show what would change on a Prefect server that others use too; change it where that is agreed to.

    Raises:
        ComposeError: it cannot be changed, or nobody agrees; nothing was changed.
    """
    options, make = ["--takeover"] if takeover else [], compose.profile.make
    print(f"{compose.profile.values['PREFECT_API_URL']} is not this platform's own server. The plan:", flush=True)
    code = bootstrap(compose, "--plan", "--brief", *options)
    if code not in (0, CHANGES):
        raise ComposeError(f"Nothing was changed or started. `{make('doctor')}` says what stands in the way.")
    if not code and not takeover:
        return
    if not yes and answer("Change that? [y/N] ") != "y":
        raise ComposeError(f"Nothing was changed or started. `{make('up')} YES=1` does it without a question.")
    if bootstrap(compose, *options):
        raise ComposeError("Not all of it could be registered; see above. Nothing was started.")


def answer(question: str) -> str:
    """What a person types; nothing where there is nobody to ask."""
    if not sys.stdin.isatty():
        print(f"{question}There is no terminal to answer on.")
        return ""
    try:
        return input(question).strip().lower()
    except EOFError:
        print()
        return ""


def start(compose: Compose) -> None:
    """Start every service and wait until it is ready for work.

    Raises:
        ComposeError: one is not; its last lines are in the text.
    """
    begun = time.monotonic()
    if services := stuck(compose.output(*STATES)):
        compose.run("rm", "--stop", "--force", *services)
    compose.stop_what_is_no_longer_named()
    if compose.run("up", "--detach", "--no-build", "--wait", "--wait-timeout", "300", "--remove-orphans"):
        raise ComposeError(f"Not every service is ready.{steered()}\n{_what_failed(compose)}")
    print(f"All services are healthy after {time.monotonic() - begun:.0f} s.", flush=True)


def check_ports(compose: Compose) -> None:
    """Make sure that the platform's ports are free, or its own already.

    Raises:
        ComposeError: another program has one; it is named where that can be found out.
    """
    if taken := taken_ports(compose):
        raise ComposeError(
            f"{' '.join(taken)} End that, or take other ports, for example: "
            f"{compose.profile.make('up')} {' '.join(f'{name}=0' for name in PORTS)} (0 is any free one)."
        )


def taken_ports(compose: Compose) -> list[str]:
    """The platform's ports that another program has, each in a sentence."""
    own = compose.output("ps", "--format", "{{.Ports}}")
    published = [line for line in compose.output("config").splitlines() if line.strip().startswith("published: ")]
    ports = [int(line.split('"')[1]) for line in published]
    return [
        f"Port {port} is taken by {_holder(port)}."
        for port in ports
        if port and f":{port}->" not in own and _taken(port)
    ]


def wait_for_marts(compose: Compose, started: datetime) -> None:
    """Wait until tables are published, if a file has landed; on a platform that has some, they are there at once.

    Args:
        compose: the platform.
        started: when it was; runs from before say nothing of this start.

    Raises:
        ComposeError: a pipeline run failed before there were any, or none has published in time.
    """
    prefect, begun = prefect_of(compose), time.monotonic()
    snowflake = compose.profile.values["DBT_TARGET"] == "snowflake"
    if not has_landed(compose):
        print(NO_SOURCE, flush=True)
        return
    while snowflake or not compose.succeeds("exec", "-T", "worker", *READY):
        runs = prefect.pipelines()
        if snowflake and any(run["state_type"] == "COMPLETED" for run in runs):
            break  # its readers have the tables that dbt builds: there is no file to look for
        failed = [run for run in runs if run["state_type"] in ("FAILED", "CRASHED") and _ended(run) > started]
        if failed:
            raise ComposeError(f"The first pipeline run failed: {failed[0]['state']['message']}")
        if time.monotonic() - begun > MARTS_SECONDS:
            raise ComposeError(f"No tables after {MARTS_SECONDS:.0f} s; `{compose.profile.make('logs')}` shows why.")
        time.sleep(0.5)
    print(f"What has landed is in the tables after {time.monotonic() - begun:.0f} s more.", flush=True)


def has_landed(compose: Compose) -> bool:
    """Whether LocalStack's bucket has a file for Airbyte."""
    values = compose.profile.values
    url = f"localhost:4566/{values['S3_BUCKET']}?list-type=2&prefix={quote(values['S3_PREFIX'])}"
    listed = compose.output("exec", "-T", "localstack", "curl", "-fsS", url)
    return any(not key.startswith("_cursors/") for key in re.findall("<Key>(.*?)</Key>", listed))


def banner(compose: Compose) -> str:
    """Where to look, and what to try next."""
    page, prefect, airbyte, s3 = (
        compose.address(service, port)
        for service, port in (("console", 8300), ("prefect-server", 4200), ("airbyte", 8006), ("localstack", 4566))
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
        f"{profile.make('drop')} FILE=new.csv STREAM=orders": "puts a file into landing and follows what it sets off",
        f"{profile.make('logs')} SERVICE=worker": "what a service says",
        profile.make("down"): "stops everything; the data stay",
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


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    """The container or the process that listens on a port, as far as this user may know."""
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


def _what_failed(compose: Compose) -> str:
    """The last lines of each service that is neither healthy nor done."""
    listed = compose.output("ps", "--all", "--format", "{{.Service}},{{.State}},{{.Health}},{{.ExitCode}}")
    states = [line.split(",") for line in listed.splitlines()]
    good = (["running", "healthy", "0"], ["exited", "", "0"])
    bad = [service for service, *state in states if state not in good and state[0] != "created"]
    return compose.output("logs", "--no-color", "--tail", "15", *bad) if bad else ""
