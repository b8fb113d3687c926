"""`python -m services.compose VERB`: what the Makefile's verbs do."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blocks  # noqa: F401 - output and proxies, as everywhere
from services.compose.backup import backup, restore
from services.compose.code import bring_code
from services.compose.doctor import doctor, refused
from services.compose.drop import drop
from services.compose.engine import PYTHON, Compose, check_engine
from services.compose.image import make_image
from services.compose.offline import verify_offline
from services.compose.prefect_api import prefect_of
from services.compose.profile import ComposeError, check, load
from services.compose.project import Engine, adopt, forget, project_name
from services.compose.promote import promote
from services.compose.secrets import prepare
from services.compose.up import up

RUN_SECONDS = 3600.0
WORDS = dict.fromkeys(("1", "true", "yes", "y", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "n", "off", ""), False
)
"""What a person writes for a switch."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code, or 1 with a text where it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        profile = load(options.profile)
        if options.tag is not None:
            check_engine()
            return make_image(profile, options.tag)
        check(profile)
        prepare(profile)
        bring_code(profile)
        check_engine()
        if options.adopt:
            adopt(profile, options.adopt)
        compose = Compose(profile, project=project_name(profile))
        code: int = options.do(compose, options)
    except ComposeError as error:
        if vars(options).get("json"):
            return refused(options.profile, error)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.compose", description=__doc__)
    parser.add_argument("--profile", default="local", help="file in profiles/, without .env (default: local)")
    parser.set_defaults(adopt="", tag=None)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, do: Callable[[Compose, argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name)
        added.set_defaults(do=do)
        return added

    starting = verb("up", lambda compose, options: up(compose, options.yes, options.takeover))
    flag(starting, "--yes", "YES", "change a Prefect server that others use too without a question")
    flag(starting, "--takeover", "TAKEOVER", "replace what another clone has registered there")
    verb("image", lambda *_: 0).add_argument("tag", help="of the image, e.g. 2027-01-31")
    verb("down", lambda compose, _: compose.everything().run("down", "--remove-orphans"))
    verb("backup", lambda compose, options: backup(compose, options.to)).add_argument("to", help="the new file")
    restoring = verb("restore", lambda compose, options: restore(compose, options.source, options.yes))
    restoring.add_argument("source", help="the back-up")
    flag(restoring, "--yes", "YES", "replace the platform that is here")
    verb("ps", lambda compose, _: compose.run("ps", "--all"))
    verb("verify-offline", lambda compose, _: verify_offline(compose))
    verb("doctor", lambda compose, options: doctor(compose, options.json)).add_argument("--json", action="store_true")
    promoting = verb(
        "promote", lambda compose, options: promote(compose, options.origin, options.apply, options.takeover)
    )
    promoting.add_argument("--from", dest="origin", default="local", help="profile to compare with (default: local)")
    flag(promoting, "--apply", "APPLY", "do it")
    flag(promoting, "--takeover", "TAKEOVER", "replace what another clone has registered there")
    verb("adopt", lambda compose, _: print(f"This clone's project is {compose.project}.") or 0).add_argument("adopt")
    flag(verb("reset", reset), "--yes", "YES", "do not ask")
    verb("logs", logs).add_argument("service", nargs="*")
    verb("cursor", cursor).add_argument("command", nargs=argparse.REMAINDER)
    verb("alerts", alerts).add_argument("command", nargs=argparse.REMAINDER)
    verb("sql", sql).add_argument("query", nargs="*")
    removing = verb("remove-file", remove_file)
    removing.add_argument("file", help="the object's key in the landing bucket")
    flag(removing, "--yes", "YES", "do not ask")
    running = verb("run", run)
    running.add_argument("flow", help="the deployment, or the flow whose main one it is")
    running.add_argument("--parameters", type=parameters, default={}, help='as JSON: {"NAME": VALUE, ...}')
    verb("compact", compact).add_argument("stream", help="stream whose files are merged; all without it")
    dropping = verb("drop", lambda compose, options: drop(compose, options.file, options.stream))
    dropping.add_argument("file", type=Path)
    dropping.add_argument("--stream", help="stream that the file is for; without it, its folder's name")
    return parser


def flag(parser: argparse.ArgumentParser, option: str, variable: str, meaning: str) -> None:
    """Add an option that is yes without a value, and otherwise what make's variable says."""

    def value(text: str) -> bool:
        word = text.strip().lower()
        if word not in WORDS:
            known = ", ".join(filter(None, WORDS))
            raise argparse.ArgumentTypeError(f"{variable}={text} is neither yes nor no: write one of {known}.")
        return WORDS[word]

    parser.add_argument(option, type=value, nargs="?", const=True, default=False, metavar=variable, help=meaning)


def logs(compose: Compose, options: argparse.Namespace) -> int:
    """What services say, until Ctrl-C."""
    return compose.run("logs", "--follow", "--tail", "200", *options.service)


def run(compose: Compose, options: argparse.Namespace) -> int:
    """Run a deployment and follow it; 0 where it completed."""
    return followed(compose, options.flow, options.parameters)


def followed(compose: Compose, flow: str, parameters: dict[str, Any]) -> int:
    """Start a run and follow it; 0 where it completed."""
    prefect = prefect_of(compose)
    compose.need("worker")
    return prefect.follow(prefect.start(flow, parameters), print, RUN_SECONDS)


def cursor(compose: Compose, options: argparse.Namespace) -> int:
    """The sensor's cursor and batches: show, rewind, skip, release."""
    verb, arguments = options.command[:1], options.command[1:]
    # The watch has what is needed, and lives where the sensor has died: then the question matters most.
    compose.need("watch")
    command = [*PYTHON, "blocks.cursor_command", *verb, "--profile", compose.profile.blocks, *arguments]
    return compose.run("exec", "-T", "watch", *command)


def alerts(compose: Compose, options: argparse.Namespace) -> int:
    """The alerts that the local receiver took, or a test of the whole chain."""
    # The page's container sees the messages too: the one that matters most says that the watch is dead.
    service = "watch" if "test" in options.command else "console"
    compose.need(service)
    return compose.run("exec", "-T", service, *PYTHON, "services.watch", *options.command)


def sql(compose: Compose, options: argparse.Namespace) -> int:
    """A query, or a prompt, on the published tables."""
    compose.need("worker")
    terminal = [] if sys.stdin.isatty() else ["-T"]
    profile = compose.profile
    snowflake = profile.values["DBT_TARGET"] == "snowflake"
    module = ["blocks.snowflake_sql", "--profile", profile.blocks, "--"] if snowflake else ["blocks.sql"]
    return compose.run("exec", *terminal, "worker", *PYTHON, *module, *options.query)


def remove_file(compose: Compose, options: argparse.Namespace) -> int:
    """Take a file out of landing, raw and the tables, after a question; 0 where the run completed."""
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
    """Merge raw's small files; 0 where the run completed."""
    return followed(compose, "compact", {"stream": options.stream})


def reset(compose: Compose, options: argparse.Namespace) -> int:
    """Remove the containers and, after a question, all that they have kept."""
    engine, project = Engine(), compose.project or ""
    print(f"This removes all that the platform {project} keeps: raw rows, tables, Prefect's history, Airbyte's jobs.")
    print("\n".join(f"  {name}" for name in engine.volumes(project)) or "  It has no volume.")
    if not options.yes and answer("Remove it? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    if code := compose.everything().run("down", "--volumes", "--remove-orphans"):
        return code
    engine.remove_volumes(project)
    forget(project)
    if compose.profile.is_on_shared_server:
        url = compose.profile.values["PREFECT_API_URL"]
        print(f"What the profile has registered on {url} stays there; docs/production.md says how to remove it.")
    return 0


def answer(question: str) -> str:
    """What a person types to a question, in lower case; nothing where nobody can."""
    try:
        return input(question).strip().lower()
    except EOFError:
        print()
        return ""


def parameters(text: str) -> dict[str, Any]:
    """A run's parameters, as a person types them: a JSON object."""
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise argparse.ArgumentTypeError(f'{text} is not a JSON object such as {{"select": "orders"}}')
    return parameters


if __name__ == "__main__":
    sys.exit(main())
