"""`make logs`."""

from argparse import ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("service", nargs="*", help="services to follow (default: all)")


def do(platform: Platform, options: Namespace) -> int:
    """Follow the services' logs until Ctrl-C."""
    return platform.logs(options.service)
