"""The verbs of `make dev`'s platform, for a terminal with its variables: `python -m commands.embedded.verbs run`.

They have the same options as the verbs of the platform in Docker (commands/compose).
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blocks import sql
from blocks.errors import PlatformError, shown
from blocks.land import land
from blocks.settings import PrefectServer, Settings
from blocks.systems import landing_from
from commands.compose.__main__ import RUN_SECONDS, answer, flag, parameters
from commands.compose.drop import open_file, run_for, stream_of
from commands.compose.prefect_api import Prefect
from commands.compose.profile import ComposeError
from commands.doctor.__main__ import main as doctor_main
from commands.embedded.only_one import holder
from commands.embedded.processes import pids
from commands.embedded.stack import short
from services.watch.without_docker import LOGS

STOP_SECONDS = 60.0
LINES = "200"
ONLY_IN_DOCKER = {
    "promote": "`make dev` has no profile to promote to another server",
    "backup": "everything is in one folder, which you can copy after `make down`",
    "restore": "everything is in one folder, which you can copy back before `make dev`",
    "adopt": "the folder of `make dev` belongs to this clone only",
    "image": "`make dev` runs the code of this clone",
    "verify-offline": "unlike a container, a process cannot be cut off from the network",
}
"""Verbs that only the platform in Docker has, and the reason."""
SHARED_MODULES = {
    "dbt": "blocks.dbt_command",
    "cursor": "blocks.cursor_command",
    "alerts": "services.watch",
    "remove-file": "flows.remove_file",
}
"""Verbs whose modules work on both platforms."""


class Dev:
    """The platform of `make dev`.

    Args:
        settings: the settings from its environment.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.state = settings, settings.alerts_dir.parent
        self.logs = self.state / "logs"
        self.prefect = Prefect(PrefectServer().api_url)

    @property
    def process(self) -> int | None:
        """The id of `make dev`'s process, or None if it is not running."""
        return holder(self.state / ".lock")

    def need(self) -> None:
        """Check that `make dev` is running.

        Raises:
            ComposeError: it is not.
        """
        if not self.process:
            raise ComposeError("The platform is not running. Start it in another terminal: make dev")

    def run(self, options: argparse.Namespace) -> int:
        """Run a deployment, and follow it."""
        return self.run_and_follow(options.flow, options.parameters)

    def run_and_follow(self, flow: str, parameters: dict[str, Any]) -> int:
        """Start a run, and follow it. Return 0 if it completed."""
        self.need()
        return self.prefect.follow(self.prefect.start(flow, parameters), print, RUN_SECONDS)

    def compact(self, options: argparse.Namespace) -> int:
        """Merge raw's small files."""
        return self.run_and_follow("compact", {"stream": options.stream})

    def drop(self, options: argparse.Namespace) -> int:
        """Put a file into landing, and follow the sensor's run on it."""
        self.need()
        landing = landing_from(self.settings)
        with open_file(options.file) as content:
            key = f"{landing.prefix}{options.stream or stream_of(options.file)}/{options.file.name}"
            before = {run["id"] for run in self.prefect.pipelines()}
            landed = land(key, content, landing, os.fstat(content.fileno()).st_size)
        print(f"landed s3://{landing.bucket}/{shown(key)}")
        if not landed["new"]:
            print("The bucket already had the same content, so no run starts.")
            return 0
        run = run_for(self.prefect, key, str(landed["etag"]), before, "make logs")
        return self.prefect.follow(run, print, RUN_SECONDS)

    def ps(self, _: argparse.Namespace) -> int:
        """List the running processes."""
        self.need()
        for name, pid in pids(self.logs).items():
            if _is_running(pid):
                print(f"{name:<10} {pid:>8}  {short(self._log(name))}")
        return 0

    def follow(self, options: argparse.Namespace) -> int:
        """Show the logs until Ctrl-C."""
        names = [LOGS.get(each, each) for each in options.service]
        known = sorted(each.stem for each in self.logs.glob("*.log"))
        if unknown := [each for each in names if each not in known]:
            raise ComposeError(f"There is no log {', '.join(unknown)}. The logs are: {', '.join(known)}.")
        os.execvp("tail", ["tail", "-n", LINES, "-F", *(str(self._log(each)) for each in names or known)])  # noqa: S606, S607

    def down(self, _: argparse.Namespace) -> int:
        """Stop `make dev`, as Ctrl-C does."""
        if pid := self.process:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self.process == pid:
                if time.monotonic() > deadline:
                    raise ComposeError(f"`make dev` (process {pid}) did not end within {STOP_SECONDS:.0f} s.")
                time.sleep(0.2)
        print(f"Stopped. The state stays in {short(self.state)}.")
        return 0

    def reset(self, options: argparse.Namespace) -> int:
        """Delete the state, after asking."""
        print(f"This removes everything in {short(self.state)}: `make dev`'s raw rows, tables and Prefect history.")
        if not options.yes and answer("Remove it? [y/N] ") != "y":
            print("Nothing was removed.")
            return 1
        self.down(options)
        shutil.rmtree(self.state, ignore_errors=True)
        return 0

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def table() -> str:
    """Return the table of both platforms' verbs for docs/commands.md."""
    rows = [
        f"| `{name}` | {f'no: {ONLY_IN_DOCKER[name]}' if name in ONLY_IN_DOCKER else 'yes'} |"
        for name in sorted(known_verbs())
    ]
    return "\n".join(["| verb | with `make dev` |", "| --- | --- |", *rows])


def known_verbs() -> set[str]:
    """Return all verbs that are known here, including those that are refused with a reason."""
    return {*choices(_parser()), *ONLY_IN_DOCKER, *SHARED_MODULES}


def choices(parser: argparse.ArgumentParser) -> set[str]:
    """Return the verbs of a parser."""
    return {name for action in parser._actions for name in (action.choices or ())}  # noqa: SLF001 - argparse has no other way


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands.embedded.verbs", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, do: Callable[[Dev, argparse.Namespace], int], text: str = "") -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text or (do.__doc__ or "").splitlines()[0])
        added.set_defaults(do=do)
        return added

    running = verb("run", Dev.run)
    running.add_argument("flow", help="the deployment, or the flow, for its main deployment")
    running.add_argument("--parameters", type=parameters, default={}, help='as JSON: {"NAME": VALUE, ...}')
    verb("compact", Dev.compact).add_argument("stream", help="stream whose files are merged (default: all)")
    dropping = verb("drop", Dev.drop)
    dropping.add_argument("file", type=Path)
    dropping.add_argument("--stream", help="the file's stream (default: the name of its folder)")
    verb("sql", lambda _, options: sql.main(options.query), "query the published tables").add_argument(
        "query", nargs="*"
    )
    verb("ps", Dev.ps)
    verb("logs", Dev.follow).add_argument("service", nargs="*")
    verb("down", Dev.down)
    flag(verb("reset", Dev.reset), "--yes", "YES", "do not ask")
    checking = verb("doctor", lambda _, options: doctor_main(["--profile", "", *options.more]), "check everything")
    checking.add_argument("more", nargs=argparse.REMAINDER)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb. Return its exit code, or print why it failed and return 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if why := ONLY_IN_DOCKER.get(name := next(iter(arguments), "")):
        print(f"Not with `make dev`: {why}. For the platform in Docker: make {name} PROFILE=local", file=sys.stderr)
        return 1
    options = _parser().parse_args(arguments)
    try:
        code: int = options.do(Dev(Settings()), options)
    except (ComposeError, PlatformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
