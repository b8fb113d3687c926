"""`make cursor` and `make status`."""

from argparse import REMAINDER, ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("command", nargs=REMAINDER, help="show, rewind, skip, release or forget, with its options")


def do(platform: Platform, options: Namespace) -> int:
    """Show or change the sensor's cursor and its parked batches."""
    verb, more = options.command[:1], options.command[1:]
    # The watch has the credentials, and still runs when the sensor is down.
    return platform.exec("watch", "flows.sensors.cursor_command", *verb, f"--profile={platform.blocks}", *more)
