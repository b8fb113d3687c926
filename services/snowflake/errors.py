"""Failures in Snowflake's words, with its codes: what clients decide by."""

from snowflake.connector.errors import ProgrammingError


def unsupported(what: str) -> ProgrammingError:
    """Return the error for what the emulator cannot do as Snowflake does."""
    return ProgrammingError(msg=f"Unsupported feature: {what}", errno=2, sqlstate="0A000")


def syntax_error(what: str) -> ProgrammingError:
    """Return the error for what is not Snowflake's SQL."""
    return ProgrammingError(
        msg=f"SQL compilation error:\nsyntax error: Snowflake has no {what}.", errno=1003, sqlstate="42000"
    )


def unknown(kind: str, name: str, *, errno: int = 2043) -> ProgrammingError:
    """Return the error for an object that is not there, or that the role must not know of; `errno` is by its kind."""
    return ProgrammingError(
        msg=f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", errno=errno, sqlstate="02000"
    )


def denied(what: str) -> ProgrammingError:
    """Return the error for what the role has no privilege for."""
    return ProgrammingError(
        msg=f"SQL access control error:\nInsufficient privileges{what}", errno=3001, sqlstate="42501"
    )
