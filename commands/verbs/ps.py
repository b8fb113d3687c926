"""`make ps`: list the services and their states."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(_: ArgumentParser) -> None:
    """Declare the verb's arguments."""


def do(platform: Platform, _: Namespace) -> int:
    """List the services and their states."""
    return platform.ps()
