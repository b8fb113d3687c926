"""`make doctor`."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def do(platform: Platform, options: Namespace) -> int:
    """Check everything that the platform connects to, without changing anything."""
    return platform.doctor(options.json)
