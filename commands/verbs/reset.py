"""`make reset`."""

from argparse import ArgumentParser, Namespace

from commands.options import answer, flag
from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    flag(parser, "--yes", "YES", "skip the confirmation")


def do(platform: Platform, options: Namespace) -> int:
    """Stop the platform and, after asking, remove its data."""
    print(platform.describe_data())
    if not options.yes and answer("Remove it? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    return platform.remove()
