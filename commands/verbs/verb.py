"""A verb: what `python -m commands` needs to know of it."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from commands.platform import Platform


@dataclass(frozen=True)
class Verb:
    """A verb that works in Docker and with `make dev`.

    Attributes:
        do: runs the verb on a platform, and returns its exit code. The first line of its docstring is the help text.
        arguments: declares the verb's arguments.
        passes_on: whether all arguments, including `--help`, go to another program, as `command`.
    """

    do: Callable[[Platform, Namespace], int]
    arguments: Callable[[ArgumentParser], None] = lambda _: None
    passes_on: bool = False

    @property
    def help(self) -> str:
        """What the verb does, in one line."""
        return (self.do.__doc__ or "").splitlines()[0]
