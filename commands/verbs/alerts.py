"""`make alerts` and `make alert-test`: list the alerts that the local receiver got, or send a test alert."""

from argparse import REMAINDER, ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("command", nargs=REMAINDER, help="list or test, with its options")


def do(platform: Platform, options: Namespace) -> int:
    """List the alerts that the local receiver got, or send a test alert."""
    # List from the page's container: the most important alert says that the watch is down.
    service = "watch" if "test" in options.command else "console"
    return platform.exec(service, "services.watch", *options.command)
