"""`make sample`: put the sample back, take it out, or run the platform's tests on it."""

import sys

from blocks.host import isolate


def main() -> int:
    """Run one command; 1, with one paragraph on standard error, where it cannot be done."""
    isolate("services.sample")
    import argparse

    from rich.console import Console
    from rich.markup import escape

    from blocks.errors import PlatformError
    from services.compose.__main__ import flag
    from services.content import PROJECT
    from services.sample.checkout import run_tests
    from services.sample.files import Sample
    from services.sample.move import put_back, take_out
    from services.sources.asking import confirm

    parser = argparse.ArgumentParser(prog="python -m services.sample", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{restore,remove,test}")
    for name, about in (("restore", "put the sample back"), ("remove", "take the sample out")):
        flag(commands.add_parser(name, help=about), "--yes", "YES", "answer every question with yes")
    commands.add_parser("test", help="run pytest where the sample is the only content; what follows is pytest's")
    # argparse would take pytest's options for its own.
    options = parser.parse_args(sys.argv[1:2] if sys.argv[1:2] == ["test"] else None)
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        if options.command == "test":
            return run_tests(sys.argv[2:])
        work = take_out if options.command == "remove" else put_back
        return work(Sample(PROJECT), console, lambda question: confirm(console, question, options.yes))
    except KeyboardInterrupt:
        return 130
    except PlatformError as error:
        Console(stderr=True).print(f"[red]make sample failed.[/red] {escape(str(error))}", soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
