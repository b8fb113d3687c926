"""`make ps`."""

from argparse import Namespace

from commands.platform import Platform


def do(platform: Platform, _: Namespace) -> int:
    """List the services and their health."""
    return platform.ps()
