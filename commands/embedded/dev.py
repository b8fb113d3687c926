"""The platform in the foreground: runs its services on their usual ports and serves the deployments until Ctrl-C."""

import importlib.util
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.errors import PlatformError, shown
from blocks.host import LOCAL_HOSTS, NO_PROXY_ENTRY, PROXY
from blocks.incidents import LOOKED
from blocks.settings import foreign_variables
from commands.embedded.only_one import describe, only_one
from commands.embedded.processes import Processes, check_port, free_ports
from commands.embedded.stack import Stack, landing_files
from services.content import BUCKET, PROJECT, short

POOL = "local"
IF_IN_USE = "Stop it, or use another folder and other ports: `python -m commands.embedded dev --help`."
MODULE = ["-m", "commands.embedded.lifeline"]
COMMANDS = {
    "worker": [*MODULE, "services.worker", "--pool", POOL, "--name", "make-dev"],
    "sensor": [*MODULE, "flows.sensors.s3_sensor", "--watch", "full_pipeline/full-pipeline"],
    "alerts": [*MODULE, "services.receiver"],
    "watch": [*MODULE, "services.watch"],
    "console": [*MODULE, "services.console"],
}
"""The processes that start once the services answer and the deployments are registered."""


class Tail:
    """Prints the lines that running processes append to their logs, each after the process's name."""

    def __init__(self, processes: Processes, console: Console) -> None:
        self.processes, self.console = processes, console
        self.read = {log: log.stat().st_size for log in processes.logs.glob("*.log")}

    def show(self) -> None:
        """Print the new lines."""
        for log in map(self.processes.log, self.processes.children):
            with log.open("rb") as file:
                file.seek(self.read.get(log, 0))
                text = file.read()
            whole = text.rfind(b"\n") + 1
            self.read[log] = self.read.get(log, 0) + whole
            for line in text[:whole].decode(errors="replace").splitlines():
                self.console.print(f"[cyan]{log.stem:<9}[/cyan] {escape(shown(line))}", highlight=False, soft_wrap=True)


def main(data: Path, s3_port: int, airbyte_port: int, prefect_port: int, console_port: int, events: bool) -> int:
    """Serve until Ctrl-C. If something fails, print one paragraph to standard error and return 1."""
    console, errors = Console(), Console(stderr=True)
    state = data / "dev"
    # A shell starts its background jobs with SIGINT ignored. They, too, should end on SIGTERM.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with only_one(state, "make dev", IF_IN_USE):
            check_folder(PROJECT)
            ports = {"S3": s3_port, "Airbyte": airbyte_port, "Prefect": prefect_port, "the page": console_port}
            for service, port in ports.items():
                check_port(port, service)
            published, (alerts_port,) = state / "published" / "warehouse.duckdb", free_ports(1)
            stack = Stack(state, published, s3_port, airbyte_port, prefect_port, events, alerts_port, console_port)
            with Processes(state / "logs") as processes:
                serve(console, stack, processes)
    except KeyboardInterrupt:
        console.print(f"Stopped. No process is left. The state stays in {escape(short(state))}.", soft_wrap=True)
        return 0
    except (PlatformError, OSError) as error:
        errors.print(f"[red]`make dev` failed.[/red] {escape(describe(error, data))}", highlight=False)
        return 1
    return 0


def check_folder(folder: Path) -> None:
    """Check that no module of the user shadows one that the platform imports.

    Prefect puts the folder first on the import path of its runs.

    Raises:
        blocks.errors.PlatformError: a module does.
    """
    for file in [*folder.glob("*.py"), *folder.glob("*/__init__.py")]:
        name = file.parent.name if file.name == "__init__.py" else file.stem
        known = importlib.util.find_spec(name) if name.isidentifier() else None
        if known and known.origin != str(file):
            raise PlatformError(
                f"{file} has the name of a module that the platform imports from {known.origin}, and flow runs would "
                "import yours instead. Rename it, then try again."
            )


def serve(console: Console, stack: Stack, processes: Processes) -> None:
    """Start everything, print the addresses, and show the logs until a process ends or Ctrl-C is pressed.

    Raises:
        commands.embedded.processes.ServiceFailed: a process ended.
    """
    tail = Tail(processes, console)
    with console.status("S3, the mock Airbyte and Prefect are starting"):
        stack.start(processes)
        stack.wait_until_ready(processes)
        first = not stack.samples_landed.exists()
        stack.land(landing_files() if first else [])
        stack.samples_landed.touch()
    with console.status("registering the deployments of prefect.yaml"):
        deploy(processes, stack)
    with console.status("the worker, the sensor and the page are starting"):
        for name in COMMANDS:
            start(processes, stack, name)
        processes.wait_until_ready("console", f"{stack.console_url}/health")
    (stack.state / "env").write_text(script(stack.variables), encoding="utf-8")
    console.print(_banner(stack, first), highlight=False, soft_wrap=True)
    while True:
        tail.show()
        processes.check()
        time.sleep(0.2)


def deploy(processes: Processes, stack: Stack) -> None:
    """Register the deployments of prefect.yaml.

    Raises:
        commands.embedded.processes.ServiceFailed: they could not be registered.
    """
    code = processes.start("deploy", ["-m", "commands.embedded.deploy"], stack.variables).wait()
    if code:
        processes.check()
    del processes.children["deploy"]


def start(processes: Processes, stack: Stack, name: str) -> None:
    """Start one of COMMANDS."""
    where = {
        "sensor": ["--heartbeat", str(stack.alerts / LOOKED)],
        "console": ["--port", str(stack.console_port)],
        "alerts": ["--port", str(stack.alerts_port), "--folder", str(stack.alerts)],
    }
    stack.alerts.mkdir(parents=True, exist_ok=True)
    processes.start(name, [*COMMANDS[name], *where.get(name, [])], stack.variables)


def script(variables: Mapping[str, str]) -> str:
    """Return the shell script that sets the platform's variables, and unsets those of other accounts and proxies."""
    unset_accounts = f"env | awk -F= 'toupper($1) ~ /{foreign_variables()}/ {{print \"unset \" $1}}'"
    unset_proxies = (
        "env | awk 'match($0, /^[A-Za-z]+_(proxy|PROXY)=/) && tolower($0) !~ /^no_/ "
        '&& substr($0, RLENGTH + 1) !~ proxy {print "unset " substr($0, 1, RLENGTH - 1)}\' '
        f"proxy={shlex.quote(PROXY)}"
    )
    no_proxy = (
        r"""printf '%s' "${no_proxy:-${NO_PROXY:-}}" | tr ', ' '\n\n' | tr -d '[]' """
        f"| awk '$0 ~ entry {{printf \"%s,\", $0}}' entry={shlex.quote(NO_PROXY_ENTRY)} -"
    )
    lines = [
        f'eval "$({unset_accounts})"',
        f'eval "$({unset_proxies})"',
        '[ -e "${SSL_CERT_FILE:-/}" ] || unset SSL_CERT_FILE',
        '[ -e "${SSL_CERT_DIR:-/}" ] || unset SSL_CERT_DIR',
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'export NO_PROXY="$({no_proxy}){LOCAL_HOSTS}"',
        'export no_proxy="$NO_PROXY"',
        # Prefect's commands print characters that some terminals cannot show.
        "export PYTHONIOENCODING=:replace",
        f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"',
    ]
    return "\n".join(lines) + "\n"


def _banner(stack: Stack, first: bool) -> str:
    landed = "The files that had landed are there again" if not first else "The landing folder's files have landed"
    if not landing_files():
        landed = "There is no source yet: `make source FILE=orders.csv` turns a file into a table"
    return f"""
[bold]The platform is up.[/bold] {landed}; the sensor runs the pipeline on new files within seconds.

  the page  {stack.console_url}  shows the platform's state; start here
  Prefect   {stack.prefect_url}
  Airbyte   {stack.airbyte_url}
  S3        {stack.s3_url}  (bucket {BUCKET})
  tables    {escape(short(stack.published))}

In another terminal, first: [bold]. {escape(short(stack.state / "env"))}[/bold]   then, for example:
  prefect deployment run full_pipeline/full-pipeline
  python flows/full_pipeline.py
  make alerts

Ctrl-C ends everything; the state stays in {escape(short(stack.state))}.
"""
