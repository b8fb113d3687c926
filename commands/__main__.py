"""Run a verb of the Makefile: `python -m commands [--dev | --profile NAME] VERB`.

For a platform in Docker, this needs only Python's standard library.
"""

import argparse
import sys
from types import ModuleType

import blocks  # noqa: F401 - sets up output and proxies, as in every other program of the platform
from commands.compose.docker_only import DOCKER_VERBS, project_of
from commands.compose.doctor import report_unusable
from commands.compose.platform import DockerPlatform
from commands.compose.profile import load
from commands.errors import CommandError
from commands.platform import Platform
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

VERBS: dict[str, ModuleType] = {
    "alerts": alerts,
    "compact": compact,
    "cursor": cursor,
    "dbt": dbt,
    "doctor": doctor,
    "down": down,
    "drop": drop,
    "logs": logs,
    "ps": ps,
    "remove-file": remove_file,
    "reset": reset,
    "run": run,
    "sql": sql,
}
"""The verbs of every platform. Each module has `arguments(parser)` and `do(platform, options)`."""


PASSING_ON = ("alerts", "cursor", "dbt")
"""The verbs that pass all their arguments on to a program, `--help` too."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code. If it cannot run, print why and return 1."""
    options = parse(arguments)
    try:
        code: int = _on_dev(options) if options.dev else _in_docker(options)
    except CommandError as error:
        if not options.dev and vars(options).get("json"):
            return report_unusable(options.profile, error)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _in_docker(options: argparse.Namespace) -> int:
    profile = load(options.profile)
    if verb := DOCKER_VERBS.get(options.verb):
        return verb.do(profile, options)
    platform: Platform = DockerPlatform(project_of(profile))
    code: int = VERBS[options.verb].do(platform, options)
    return code


def _on_dev(options: argparse.Namespace) -> int:
    if verb := DOCKER_VERBS.get(options.verb):
        there = f"For the platform in Docker: make {options.verb} PROFILE=local"
        raise CommandError(f"Not with `make dev`: {verb.why}. {there}")
    from blocks.errors import PlatformError
    from blocks.settings import Settings
    from commands.embedded.platform import DevPlatform

    try:
        platform: Platform = DevPlatform(Settings())
        code: int = VERBS[options.verb].do(platform, options)
    except PlatformError as error:
        raise CommandError(str(error)) from error
    return code


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse a command line. It ends the process if the line is wrong."""
    options, more = (parser := _parser()).parse_known_args(arguments)
    if more and options.verb not in PASSING_ON:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if options.verb in PASSING_ON:
        options.command = [*more, *options.command]  # argparse leaves options before the first word aside
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--profile", default="local", help="the platform of profiles/NAME.env (default: local)")
    where.add_argument("--dev", action="store_true", help="the platform of `make dev`, in its terminal")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in VERBS.items():
        text, passes_on = (module.do.__doc__ or "").splitlines()[0], name in PASSING_ON
        module.arguments(verbs.add_parser(name, help=text, description=text, add_help=not passes_on))
    for name, verb in DOCKER_VERBS.items():
        verb.arguments(verbs.add_parser(name, help="only in Docker"))
    return parser


def table() -> str:
    """Return the table of the verbs for docs/commands.md."""
    there = dict.fromkeys(VERBS, "yes") | {name: f"no: {verb.why}" for name, verb in DOCKER_VERBS.items()}
    rows = [f"| `{name}` | {there[name]} |" for name in sorted(there)]
    return "\n".join(["| verb | with `make dev` |", "| --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
