"""`make alerts` and `make alert-test`."""

from argparse import REMAINDER, ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("command", nargs=REMAINDER, help="list or test, with its options")


def do(platform: Platform, options: Namespace) -> int:
    """List the alerts that the local receiver received, or send a test alert."""
    # The page's container also works if the watch is down, and one of the alerts says so.
    service = "watch" if "test" in options.command else "console"
    return platform.exec(service, "services.watch", *options.command)
