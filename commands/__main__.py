"""Run a verb of the Makefile: `python -m commands [--dev | --profile NAME] VERB`.

For a platform in Docker, this needs only Python's standard library.
"""

import argparse
import sys

import blocks  # noqa: F401 - sets up output and proxies, as in every other program of the platform
from commands.compose.docker_only import DOCKER_VERBS, project_of
from commands.compose.doctor import report_unusable
from commands.compose.platform import DockerPlatform
from commands.compose.profile import load
from commands.errors import CommandError
from commands.verbs import (
    alerts,
    compact,
    cursor,
    dbt,
    doctor,
    down,
    drop,
    logs,
    ps,
    remove_file,
    reset,
    run,
    sql,
)
from commands.verbs.verb import Verb

VERBS = {
    "alerts": Verb(alerts.do, alerts.arguments, passes_on=True),
    "compact": Verb(compact.do, compact.arguments),
    "cursor": Verb(cursor.do, cursor.arguments, passes_on=True),
    "dbt": Verb(dbt.do, dbt.arguments, passes_on=True),
    "doctor": Verb(doctor.do, doctor.arguments),
    "down": Verb(down.do),
    "drop": Verb(drop.do, drop.arguments),
    "logs": Verb(logs.do, logs.arguments),
    "ps": Verb(ps.do),
    "remove-file": Verb(remove_file.do, remove_file.arguments),
    "reset": Verb(reset.do, reset.arguments),
    "run": Verb(run.do, run.arguments),
    "sql": Verb(sql.do, sql.arguments),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code. If it cannot run, print why and return 1."""
    options = parse(arguments)
    try:
        return _on_dev(options) if options.dev else _in_docker(options)
    except CommandError as error:
        if not options.dev and vars(options).get("json"):
            return report_unusable(options.profile, error)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _in_docker(options: argparse.Namespace) -> int:
    profile = load(options.profile)
    if verb := DOCKER_VERBS.get(options.verb):
        return verb.do(profile, options)
    return VERBS[options.verb].do(DockerPlatform(project_of(profile)), options)


def _on_dev(options: argparse.Namespace) -> int:
    if verb := DOCKER_VERBS.get(options.verb):
        there = f"To use the platform in Docker: make {options.verb} PROFILE=local"
        raise CommandError(f"`{options.verb}` works only in Docker: {verb.why}. {there}")
    from blocks.errors import PlatformError
    from blocks.settings import Settings
    from commands.embedded.platform import DevPlatform

    try:
        return VERBS[options.verb].do(DevPlatform(Settings()), options)
    except PlatformError as error:
        raise CommandError(str(error)) from error


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. If it is wrong, print the error and exit."""
    line = sys.argv[1:] if arguments is None else arguments
    options, more = (parser := _parser()).parse_known_args(line)
    verb = VERBS.get(options.verb)
    if more and not (verb and verb.passes_on and options.verb in line[: line.index(more[0])]):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if verb and verb.passes_on:
        options.command = [*more, *options.command]  # argparse returns options before the first word apart
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--profile", default="local", help="use the platform of profiles/NAME.env (default: local)")
    where.add_argument("--dev", action="store_true", help="use the platform of `make dev`")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        verb.arguments(verbs.add_parser(name, help=verb.help, description=verb.help, add_help=not verb.passes_on))
    for name, only in DOCKER_VERBS.items():
        only.arguments(verbs.add_parser(name, help=only.help, description=only.help))
    return parser


def table() -> str:
    """Return the table of both platforms' verbs for docs/commands.md."""
    there = dict.fromkeys(VERBS, "yes") | {name: f"no: {verb.why}" for name, verb in DOCKER_VERBS.items()}
    rows = [f"| `{name}` | {there[name]} |" for name in sorted(there)]
    return "\n".join(["| verb | with `make dev` |", "| --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
