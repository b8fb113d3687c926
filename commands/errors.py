"""The error of the commands."""


class CommandError(Exception):
    """A command cannot do what was asked. The text says what to do."""
