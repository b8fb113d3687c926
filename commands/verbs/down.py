"""`make down`."""

from argparse import Namespace

from commands.platform import Platform


def do(platform: Platform, _: Namespace) -> int:
    """Stop the platform and keep its data."""
    return platform.stop()
