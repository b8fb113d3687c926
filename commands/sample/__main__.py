"""`make sample`: restore the sample, remove it, or run the platform's tests on it."""

import sys

from blocks.host import isolate


def main() -> int:
    """Run one command. If it fails, print one paragraph to standard error and return 1."""
    isolate("commands.sample")
    import argparse

    from rich.console import Console
    from rich.markup import escape

    from blocks.errors import PlatformError
    from commands.options import flag
    from commands.sample.checkout import run_tests
    from commands.sample.files import Sample
    from commands.sample.move import remove, restore
    from commands.sources.asking import confirm
    from services.content import PROJECT

    parser = argparse.ArgumentParser(prog="python -m commands.sample", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{restore,remove,test}")
    for name, about in (("restore", "restore the sample"), ("remove", "remove the sample")):
        flag(commands.add_parser(name, help=about), "--yes", "YES", "answer every question with yes")
    commands.add_parser("test", help="run pytest with the sample as the only content; the other arguments go to pytest")
    # argparse would parse pytest's options as its own.
    options = parser.parse_args(sys.argv[1:2] if sys.argv[1:2] == ["test"] else None)
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        if options.command == "test":
            return run_tests(sys.argv[2:])
        work = remove if options.command == "remove" else restore
        return work(Sample(PROJECT), console, lambda question: confirm(console, question, options.yes))
    except KeyboardInterrupt:
        return 130
    except PlatformError as error:
        Console(stderr=True).print(f"[red]make sample failed.[/red] {escape(str(error))}", soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
