"""Command-line helpers: yes-or-no options, JSON and questions. Standard library only."""

import argparse
import json
from typing import Any

SWITCH_VALUES = dict.fromkeys(("1", "true", "yes", "y", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "n", "off", ""), False
)
"""The values that a yes-or-no option accepts."""


def flag(parser: argparse.ArgumentParser, option: str, variable: str, meaning: str) -> None:
    """Add a yes-or-no option. Without a value it means yes; the Makefile passes the value of `variable`."""

    def value(text: str) -> bool:
        word = text.strip().lower()
        if word not in SWITCH_VALUES:
            known = ", ".join(filter(None, SWITCH_VALUES))
            raise argparse.ArgumentTypeError(f"{variable}={text} is not a yes-or-no value. Use one of {known}.")
        return SWITCH_VALUES[word]

    parser.add_argument(option, type=value, nargs="?", const=True, default=False, metavar=variable, help=meaning)


def parameters(text: str) -> dict[str, Any]:
    """Parse a run's parameters from a JSON object."""
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise argparse.ArgumentTypeError(f'{text} is not a JSON object such as {{"select": "orders"}}')
    return parameters


def answer(question: str) -> str:
    """Ask a question and return the answer in lower case; "" at the end of the input."""
    try:
        return input(question).strip().lower()
    except EOFError:
        print()
        return ""
