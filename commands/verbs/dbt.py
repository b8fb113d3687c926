"""`make dbt`."""

from argparse import REMAINDER, ArgumentParser, Namespace

from commands.platform import Platform


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("command", nargs=REMAINDER, help="dbt's command and options")


def do(platform: Platform, options: Namespace) -> int:
    """Run a dbt command on the platform's data."""
    command = ["--blocks", platform.blocks, *options.command]
    return platform.exec("worker", "blocks.dbt_command", *command, prompts=True)
