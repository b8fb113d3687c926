"""Run a verb of the Makefile: `python -m commands.compose VERB`."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blocks  # noqa: F401 - sets up output and proxies, as in every other program of the platform
from commands.compose.backup import backup, restore
from commands.compose.code import update_copy
from commands.compose.doctor import doctor, report_unusable
from commands.compose.drop import drop
from commands.compose.engine import PYTHON, Compose, check_engine
from commands.compose.image import make_image
from commands.compose.offline import verify_offline
from commands.compose.prefect_api import prefect_of
from commands.compose.profile import ComposeError, check, load
from commands.compose.project import Engine, adopt, forget, project_name
from commands.compose.promote import promote
from commands.compose.secrets import prepare
from commands.compose.up import up

RUN_SECONDS = 3600.0
SWITCH_VALUES = dict.fromkeys(("1", "true", "yes", "y", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "n", "off", ""), False
)
"""The values that a yes-or-no option accepts."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code. If it cannot run, print why and return 1."""
    options = _parser().parse_args(arguments)
    try:
        profile = load(options.profile)
        if options.tag is not None:
            check_engine()
            return make_image(profile, options.tag)
        check(profile)
        prepare(profile)
        update_copy(profile)
        check_engine()
        if options.adopt:
            adopt(profile, options.adopt)
        compose = Compose(profile, project=project_name(profile))
        code: int = options.do(compose, options)
    except ComposeError as error:
        if vars(options).get("json"):
            return report_unusable(options.profile, error)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands.compose", description=__doc__)
    parser.add_argument("--profile", default="local", help="file in profiles/, without .env (default: local)")
    parser.set_defaults(adopt="", tag=None)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, do: Callable[[Compose, argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name)
        added.set_defaults(do=do)
        return added

    starting = verb("up", lambda compose, options: up(compose, options.yes, options.takeover))
    flag(starting, "--yes", "YES", "change a shared Prefect server without asking")
    flag(starting, "--takeover", "TAKEOVER", "replace what another clone registered there")
    verb("image", lambda *_: 0).add_argument("tag", help="tag of the image, e.g. 2027-01-31")
    verb("down", lambda compose, _: compose.everything().run("down", "--remove-orphans"))
    verb("backup", lambda compose, options: backup(compose, options.to)).add_argument("to", help="file to write")
    restoring = verb("restore", lambda compose, options: restore(compose, options.source, options.yes))
    restoring.add_argument("source", help="backup to restore")
    flag(restoring, "--yes", "YES", "replace the existing platform")
    verb("ps", lambda compose, _: compose.run("ps", "--all"))
    verb("verify-offline", lambda compose, _: verify_offline(compose))
    verb("doctor", lambda compose, options: doctor(compose, options.json)).add_argument("--json", action="store_true")
    promoting = verb(
        "promote", lambda compose, options: promote(compose, options.origin, options.apply, options.takeover)
    )
    promoting.add_argument("--from", dest="origin", default="local", help="profile to compare with (default: local)")
    flag(promoting, "--apply", "APPLY", "make the changes")
    flag(promoting, "--takeover", "TAKEOVER", "replace what another clone registered there")
    verb("adopt", lambda compose, _: print(f"This clone's project is {compose.project}.") or 0).add_argument("adopt")
    flag(verb("reset", reset), "--yes", "YES", "do not ask")
    verb("logs", logs).add_argument("service", nargs="*")
    verb("cursor", cursor).add_argument("command", nargs=argparse.REMAINDER)
    verb("alerts", alerts).add_argument("command", nargs=argparse.REMAINDER)
    verb("dbt", dbt).add_argument("command", nargs=argparse.REMAINDER)
    verb("sql", sql).add_argument("query", nargs="*")
    removing = verb("remove-file", remove_file)
    removing.add_argument("file", help="the object's key in the landing bucket")
    flag(removing, "--yes", "YES", "do not ask")
    running = verb("run", run)
    running.add_argument("flow", help="name of a deployment, or of a flow to run its main deployment")
    running.add_argument("--parameters", type=parameters, default={}, help='JSON object: {"NAME": VALUE, ...}')
    verb("compact", compact).add_argument("stream", help="stream whose files to merge; empty for all streams")
    dropping = verb("drop", lambda compose, options: drop(compose, options.file, options.stream))
    dropping.add_argument("file", type=Path)
    dropping.add_argument("--stream", help="stream of the file (default: the name of its folder)")
    return parser


def flag(parser: argparse.ArgumentParser, option: str, variable: str, meaning: str) -> None:
    """Add a yes-or-no option. Without a value it means yes; the Makefile passes the value of `variable`."""

    def value(text: str) -> bool:
        word = text.strip().lower()
        if word not in SWITCH_VALUES:
            known = ", ".join(filter(None, SWITCH_VALUES))
            raise argparse.ArgumentTypeError(f"{variable}={text} is neither yes nor no. Use one of {known}.")
        return SWITCH_VALUES[word]

    parser.add_argument(option, type=value, nargs="?", const=True, default=False, metavar=variable, help=meaning)


def logs(compose: Compose, options: argparse.Namespace) -> int:
    """Follow the logs of services until Ctrl-C."""
    return compose.run("logs", "--follow", "--tail", "200", *options.service)


def run(compose: Compose, options: argparse.Namespace) -> int:
    """Run a deployment and follow it. Return 0 if it completed."""
    return start_and_follow(compose, options.flow, options.parameters)


def start_and_follow(compose: Compose, flow: str, parameters: dict[str, Any]) -> int:
    """Start a run and follow it. Return 0 if it completed."""
    prefect = prefect_of(compose)
    compose.need("worker")
    return prefect.follow(prefect.start(flow, parameters), print, RUN_SECONDS)


def cursor(compose: Compose, options: argparse.Namespace) -> int:
    """Show or change the sensor's cursor and batches: show, rewind, skip, release."""
    verb, arguments = options.command[:1], options.command[1:]
    # The watch's container has the credentials and keeps running if the sensor dies, which is when this is needed most.
    compose.need("watch")
    command = [*PYTHON, "blocks.cursor_command", *verb, "--profile", compose.profile.blocks, *arguments]
    return compose.run("exec", "-T", "watch", *command)


def alerts(compose: Compose, options: argparse.Namespace) -> int:
    """List the alerts that the local receiver got, or send a test alert."""
    # List from the page's container: the most important alert says that the watch is down.
    service = "watch" if "test" in options.command else "console"
    compose.need(service)
    return compose.run("exec", "-T", service, *PYTHON, "services.watch", *options.command)


def dbt(compose: Compose, options: argparse.Namespace) -> int:
    """Run a dbt command on the platform's data: in the worker, with the connections of the profile."""
    compose.need("worker")
    command = [*PYTHON, "blocks.dbt_command", "--blocks", compose.profile.blocks, *options.command]
    return compose.run("exec", *_terminal(), "worker", *command)


def sql(compose: Compose, options: argparse.Namespace) -> int:
    """Run a query on the published tables, or open a prompt."""
    compose.need("worker")
    profile = compose.profile
    snowflake = profile.values["DBT_TARGET"] == "snowflake"
    module = ["blocks.snowflake_sql", "--profile", profile.blocks, "--"] if snowflake else ["blocks.sql"]
    return compose.run("exec", *_terminal(), "worker", *PYTHON, *module, *options.query)


def _terminal() -> list[str]:
    """Return the option of `docker compose exec` for a command without a terminal, if there is none."""
    return [] if sys.stdin.isatty() and sys.stdout.isatty() else ["-T"]


def remove_file(compose: Compose, options: argparse.Namespace) -> int:
    """Remove a file from landing, raw and the tables after asking. Return 0 if the run completed."""
    prefect = prefect_of(compose)
    compose.need("worker")
    plan = ["flows.remove_file", "--profile", compose.profile.blocks, "--plan", "--", options.file]
    if code := compose.run("exec", "-T", "worker", *PYTHON, *plan):
        return code
    if not options.yes and answer("Remove the file? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    return prefect.follow(prefect.start("remove_file", {"key": options.file}), print, RUN_SECONDS)


def compact(compose: Compose, options: argparse.Namespace) -> int:
    """Merge raw's small files. Return 0 if the run completed."""
    return start_and_follow(compose, "compact", {"stream": options.stream})


def reset(compose: Compose, options: argparse.Namespace) -> int:
    """Remove the containers and, after asking, all their data."""
    engine, project = Engine(), compose.project or ""
    print(f"This removes all data of the platform {project}: raw rows, tables, Prefect's history, Airbyte's jobs.")
    print("\n".join(f"  {name}" for name in engine.volumes(project)) or "  It has no volumes.")
    if not options.yes and answer("Remove it? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    if code := compose.everything().run("down", "--volumes", "--remove-orphans"):
        return code
    engine.remove_volumes(project)
    forget(project)
    if compose.profile.is_on_shared_server:
        url = compose.profile.values["PREFECT_API_URL"]
        print(f"What the profile registered on {url} stays there. docs/production.md says how to remove it.")
    return 0


def answer(question: str) -> str:
    """Ask a question and return the answer in lower case; "" if there is no input to read."""
    try:
        return input(question).strip().lower()
    except EOFError:
        print()
        return ""


def parameters(text: str) -> dict[str, Any]:
    """Parse a run's parameters from a JSON object."""
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise argparse.ArgumentTypeError(f'{text} is not a JSON object such as {{"select": "orders"}}')
    return parameters


if __name__ == "__main__":
    sys.exit(main())
