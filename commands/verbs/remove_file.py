"""`make remove-file`: remove a file from landing, raw and the tables."""

from argparse import ArgumentParser, Namespace

from commands.options import answer, flag
from commands.platform import Platform
from commands.verbs.run import run


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", help="the object's key in the landing bucket")
    flag(parser, "--yes", "YES", "do not ask")


def do(platform: Platform, options: Namespace) -> int:
    """Remove a file from landing, raw and the tables, after asking."""
    profile = [f"--profile={platform.blocks}"] if platform.blocks else []
    if code := platform.exec("worker", "blocks.hand_out", *profile, "--", "removal", options.file):
        return code
    if not options.yes and answer("Remove the file? [y/N] ") != "y":
        print("Nothing was removed.")
        return 1
    return run(platform, "remove_file", {"key": options.file})
