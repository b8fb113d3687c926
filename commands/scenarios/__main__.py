"""`python -m commands.scenarios`: run the named failures, or the soak that picks from them."""

import argparse
import signal
import sys
from pathlib import Path

from blocks.host import isolate


def main(arguments: list[str] | None = None) -> int:
    """List the scenarios, run one or all of them, or soak. Return 1 if an outcome is wrong."""
    isolate("commands.scenarios")
    from blocks.settings import replace_environment
    from commands.embedded.stack import CREDENTIALS, DATA
    from commands.scenarios.engines import ENGINES

    replace_environment(CREDENTIALS)
    parser = argparse.ArgumentParser(prog="python -m commands.scenarios", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    playing = commands.add_parser("scenario", help="list the scenarios, or run some")
    playing.add_argument("names", nargs="*", metavar="NAME", help="names of scenarios, or `all` (default: list them)")
    soaking = commands.add_parser("soak", help="cause random failures while files arrive, then reconcile every row")
    soaking.add_argument("--minutes", type=float, default=20, help="how long files arrive, in minutes (default: 20)")
    soaking.add_argument("--seed", type=int, help="seed of an earlier soak, to repeat it (default: a new one)")
    for each in (playing, soaking):
        each.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="what the platform runs on")
        each.add_argument("--data", type=Path, default=DATA / "scenario", help="folder for the platform's state")
    commands.add_parser("table", help="print the table of docs/scenarios.md")
    options = parser.parse_args(arguments)
    # A shell starts its background jobs with SIGINT ignored. They, too, should end on SIGTERM.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    from commands.scenarios.play import play, show
    from commands.scenarios.soak import soak
    from commands.scenarios.table import table

    if options.command == "table":
        print(table())
        return 0
    try:
        if options.command == "soak":
            return soak(options.minutes, options.seed, options.engine, options.data.absolute())
        names = " ".join(options.names).split()
        return play(names, options.engine, options.data.absolute()) if names else show()
    except KeyboardInterrupt:
        print("Stopped. The scenarios' platform was removed.", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
