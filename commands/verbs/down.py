"""`make down`: stop the platform and keep its data."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(_: ArgumentParser) -> None:
    """Declare the verb's arguments."""


def do(platform: Platform, _: Namespace) -> int:
    """Stop the platform and keep its data."""
    return platform.stop()
