"""`make source`: turn a file into a tested table. `python -m commands.sources --help`."""

import sys
from pathlib import Path

from blocks.host import isolate


def main() -> int:
    """Run one command. If it fails, print one paragraph to standard error and return 1."""
    isolate("commands.sources")
    import argparse

    from commands.embedded.stack import DATA
    from commands.options import flag

    parser = argparse.ArgumentParser(prog="python -m commands.sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{add,remove,list}")
    add = commands.add_parser("add", help="make a source of a file, or check a file against its source")
    add.add_argument(
        "file", nargs="?", default="", help="CSV, JSON Lines or Parquet, plain or compressed; or an s3:// URL"
    )
    add.add_argument("--from", dest="origin", default="", help="connection, for the streams of the Airbyte connection")
    add.add_argument("--name", default="", help="name of the stream and the table (default: from the file's name)")
    add.add_argument("--key", default="", help="columns of the key, separated by commas (default: detected)")
    add.add_argument("--mart", default="", help="name of a second table, with sums by day")
    remove = commands.add_parser("remove", help="remove what add wrote")
    remove.add_argument("name")
    for each in (add, remove):
        flag(each, "--yes", "YES", "answer every question with yes")
    show = commands.add_parser("list", help="list the sources")
    for each in (add, show):
        each.add_argument("--profile", default="", help="profile of a platform in Docker (default: the running one)")
    for each in (add, remove, show):
        each.add_argument("--data", type=Path, default=DATA, help="folder with the platform's state")
    options = parser.parse_args()
    from commands.sources.command import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
