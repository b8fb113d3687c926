"""Measure what the platform costs on this machine, compared with a lower bound: `python -m benchmarks`."""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import compaction, drop, history, pipeline
from benchmarks.figures import LATEST, ROOT, draw, keep, show
from benchmarks.peers import measure as peers
from commands.sample.files import Sample

PARTS = ("history", "pipeline", "compaction", *drop.ENGINES, "peers")
OPTIONAL = ("compose", "peers")


def main() -> None:
    """Measure the parts one after the other. Print and save the figures of each as soon as it ends."""
    parser = argparse.ArgumentParser(prog="make bench ONLY=… ARGS=…", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of {', '.join(PARTS)} (default: all but compose and peers)")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000], help="flights in each history")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each part (default: 3)")
    arguments = parser.parse_args()
    chosen = arguments.only.replace(",", " ").split() or [part for part in PARTS if part not in OPTIONAL]
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"unknown: {', '.join(unknown)}. Choose from {', '.join(PARTS)}.")
    if not Sample(ROOT).is_in_place:
        parser.error("The benchmarks need the sample, which was removed. `make sample` restores it.")
    console = Console()
    for part in chosen:
        console.print(f"{part}: measuring. Other work on this machine changes the figures.", highlight=False)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            if part == "history":
                found = history.figures(arguments.rows, arguments.rounds, Path(folder))
            elif part == "pipeline":
                found = pipeline.figures(arguments.rows, arguments.rounds, Path(folder))
            elif part == "compaction":
                found = compaction.figures(arguments.rounds, Path(folder))
            elif part == "peers":
                found = peers.figures(arguments.rounds, Path(folder))
            else:
                found = drop.figures(part, arguments.rounds, Path(folder))
        keep(found)
        show(found, console)
    for file in (LATEST, *draw()):
        console.print(f"Written: {file.relative_to(ROOT)}", highlight=False)


if __name__ == "__main__":
    main()
