"""`python -m commands.embedded demo`, `dev` or `run`: run the platform without Docker."""

import sys
from pathlib import Path

from blocks.host import isolate


def main() -> int:
    """Run the demo, the platform, or a command."""
    isolate("commands.embedded")
    import argparse

    from blocks.settings import replace_environment
    from commands.embedded.stack import CREDENTIALS, DATA
    from services import ports

    replace_environment(CREDENTIALS)
    parser = argparse.ArgumentParser(prog="python -m commands.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,dev,run}")
    demo = commands.add_parser("demo", help="run the whole pipeline once on the landing folder, and print a report")
    demo.add_argument("--data", type=Path, default=DATA, help="folder for the state and the result")
    dev = commands.add_parser("dev", help="serve the platform until Ctrl-C")
    dev.add_argument(
        "--prefect-port", type=int, default=ports.PREFECT, help="Prefect's UI and API (default: %(default)s)"
    )
    dev.add_argument("--s3-port", type=int, default=ports.S3, help="S3 (default: %(default)s)")
    dev.add_argument("--airbyte-port", type=int, default=ports.AIRBYTE, help="the mock Airbyte (default: %(default)s)")
    dev.add_argument("--console-port", type=int, default=ports.CONSOLE, help="the page (default: %(default)s)")
    dev.add_argument("--data", type=Path, default=DATA, help="folder for the state, in dev/")
    dev.add_argument("--events", action="store_true", help="let the sensor use S3's events instead of listings")
    run = commands.add_parser("run", help="run one command, such as a flow, on its own services")
    run.add_argument("line", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. python flows/full_pipeline.py")
    options = parser.parse_args()
    if options.command == "run":
        if not options.line:
            run.error("name a command, e.g. python flows/full_pipeline.py")
        from commands.embedded.run import main as run_main

        return run_main(options.line)
    if options.command == "demo":
        from commands.embedded.demo import main as demo_main

        return demo_main(options.data.absolute())
    from commands.embedded.dev import main as dev_main

    chosen = options.s3_port, options.airbyte_port, options.prefect_port, options.console_port
    return dev_main(options.data.absolute(), *chosen, options.events)


if __name__ == "__main__":
    sys.exit(main())
