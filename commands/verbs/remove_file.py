"""`make remove-file`."""

from argparse import ArgumentParser, Namespace

from commands.options import answer, flag
from commands.platform import Platform
from commands.verbs.run import start_and_follow


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", help="the object's key in the landing bucket")
    flag(parser, "--yes", "YES", "skip the confirmation")


def do(platform: Platform, options: Namespace) -> int:
    """Remove a file from landing, raw and the tables, after asking."""
    prefect = platform.prefect
    platform.need("worker")
    plan = [f"--profile={platform.blocks}", "--", "removal", options.file]
    print(platform.output("worker", "blocks.hand_out", *plan))
    if not options.yes and answer("Remove the file? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    return start_and_follow(prefect, "remove_file", {"key": options.file})
