"""`make sql`."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("query", nargs="*", help="statement to run (default: open a prompt)")


def do(platform: Platform, options: Namespace) -> int:
    """Query the published tables, or open a prompt."""
    return platform.exec("worker", *platform.sql, *options.query, prompts=True)
