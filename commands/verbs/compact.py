"""`make compact`."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform
from commands.verbs.run import start_and_follow


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("stream", help="stream to compact; empty for all streams")


def do(platform: Platform, options: Namespace) -> int:
    """Merge raw's small files."""
    prefect = platform.prefect
    platform.need("worker")
    return start_and_follow(prefect, "compact", {"stream": options.stream})
