"""`make compact`."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform
from commands.verbs.run import run


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("stream", help="stream to compact; empty for all streams")


def do(platform: Platform, options: Namespace) -> int:
    """Merge raw's small files."""
    return run(platform, "compact", {"stream": options.stream})
