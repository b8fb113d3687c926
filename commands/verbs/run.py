"""`make run`."""

from argparse import ArgumentParser, Namespace
from typing import Any

from commands.options import parameters
from commands.platform import Platform
from commands.prefect_api import Prefect

RUN_SECONDS = 3600.0


def arguments(parser: ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("flow", help="name of a deployment, or of a flow (starts its main deployment)")
    parser.add_argument("--parameters", type=parameters, default={}, help='JSON object: {"NAME": VALUE, ...}')


def do(platform: Platform, options: Namespace) -> int:
    """Run a deployment and follow it."""
    return run(platform, options.flow, options.parameters)


def run(platform: Platform, flow: str, parameters: dict[str, Any]) -> int:
    """Start a run and follow it. Return 0 if it completed.

    Raises:
        CommandError: the platform is not running, or the deployment or a parameter does not exist.
    """
    prefect = platform.prefect
    platform.need("worker")
    return start_and_follow(prefect, flow, parameters)


def start_and_follow(prefect: Prefect, flow: str, parameters: dict[str, Any]) -> int:
    """Start a run and follow it. Return 0 if it completed.

    Raises:
        CommandError: the deployment or a parameter does not exist.
    """
    return prefect.follow(prefect.start(flow, parameters), print, RUN_SECONDS)
