"""`make sql`: query the published tables, or open a prompt."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("query", nargs="*", help="a statement; without one, a prompt opens")


def do(platform: Platform, options: Namespace) -> int:
    """Query the published tables, or open a prompt."""
    return platform.exec("worker", *platform.sql, *options.query, terminal=True)
