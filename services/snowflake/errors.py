"""Errors with Snowflake's codes and messages, which clients rely on."""

from snowflake.connector.errors import ProgrammingError


def unsupported(what: str) -> ProgrammingError:
    """Return the error for a feature that the emulator does not have, or cannot provide as Snowflake does."""
    return ProgrammingError(msg=f"Unsupported feature: {what}", errno=2, sqlstate="0A000")


def syntax_error(what: str) -> ProgrammingError:
    """Return the error for SQL that Snowflake does not have."""
    return ProgrammingError(
        msg=f"SQL compilation error:\nsyntax error: Snowflake has no {what}.", errno=1003, sqlstate="42000"
    )


def unknown(kind: str, name: str, *, errno: int = 2043) -> ProgrammingError:
    """Return the error for an object that does not exist, or that the role may not see. `errno` depends on `kind`."""
    return ProgrammingError(
        msg=f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", errno=errno, sqlstate="02000"
    )


def denied(what: str) -> ProgrammingError:
    """Return the error for a missing privilege."""
    return ProgrammingError(
        msg=f"SQL access control error:\nInsufficient privileges{what}", errno=3001, sqlstate="42501"
    )
