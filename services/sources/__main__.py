"""`make source`: a file becomes a tested table. `python -m services.sources --help`."""

import sys
from pathlib import Path

from blocks.host import isolate


def main() -> int:
    """Run one command; 1, with one paragraph on standard error, where it cannot be done."""
    isolate("services.sources")
    import argparse

    from services.compose.__main__ import flag
    from services.embedded.stack import DATA

    parser = argparse.ArgumentParser(prog="python -m services.sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{add,remove,list}")
    add = commands.add_parser("add", help="make a source of a file, or check a file against its source")
    add.add_argument(
        "file", nargs="?", default="", help="CSV, JSON Lines or Parquet, perhaps compressed; or an s3:// URL"
    )
    add.add_argument("--from", dest="origin", default="", help="connection: the streams of the Airbyte connection")
    add.add_argument("--name", default="", help="of the stream and the table (default: the file's)")
    add.add_argument("--key", default="", help="columns of the key, with commas between them (default: found out)")
    add.add_argument("--mart", default="", help="name of a table with sums by day, which is made as well")
    remove = commands.add_parser("remove", help="take out what add wrote")
    remove.add_argument("name")
    for each in (add, remove):
        flag(each, "--yes", "YES", "answer every question with yes")
    show = commands.add_parser("list", help="list the sources")
    for each in (add, show):
        each.add_argument("--profile", default="", help="of a platform in Docker (default: what runs here)")
    for each in (add, remove, show):
        each.add_argument("--data", type=Path, default=DATA, help="folder of the platform's state")
    options = parser.parse_args()
    from services.sources.command import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
