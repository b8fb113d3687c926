"""Keep SQL from reading or writing files, using the network, loading extensions, and changing DuckDB's settings.

DuckDB itself refuses most of this (`restrict_files`). `forbidden_word` refuses the rest: features that the emulator
needs for its own folder, but clients must not use. Snowflake does not have them.
"""

import re
from itertools import pairwise
from pathlib import Path

import duckdb
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

_STATEMENTS = frozenset(
    ["ATTACH", "CHECKPOINT", "DETACH", "EXPORT", "FORCE", "IMPORT", "INSTALL", "LOAD", "PRAGMA", "RESET", "VACUUM"]
)
_FUNCTIONS = re.compile(
    r"read_\w+|parquet_(?!version)\w+|\w+_scan|glob|sniff_csv|getenv|query|query_table|duckdb_\w+|pragma_\w+|which_secret"
    r"|enable_\w+|from_substrait\w*",
    re.IGNORECASE,
)


def restrict_files(connection: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Restrict SQL to files below these folders, and forbid extensions and settings, until the process ends."""
    allowed = ", ".join("'" + f"{folder.absolute()}/".replace("'", "''") + "'" for folder in folders)
    connection.execute(f"set allowed_directories = [{allowed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set python_enable_replacements = false")
    connection.execute("set lock_configuration = true")


def forbidden_word(sql: str) -> str | None:
    """Return the word that makes a client's statement forbidden, or None."""
    try:
        tokens = Tokenizer().tokenize(sql)
    except TokenError:
        return None  # it is not SQL and will fail later
    if not tokens:
        return None
    first = tokens[0].text.upper()
    if first in _STATEMENTS or (first == "COPY" and not _is_word(tokens, 1, "INTO")):
        return first
    calls = pairwise(tokens)
    return next((name.text.upper() for name, after in calls if _is_call(name, after)), None)


def _is_word(tokens: list[Token], number: int, word: str) -> bool:
    return len(tokens) > number and tokens[number].text.upper() == word


def _is_call(name: Token, after: Token) -> bool:
    is_name = name.token_type not in (TokenType.STRING, TokenType.NUMBER)
    return is_name and after.token_type is TokenType.L_PAREN and bool(_FUNCTIONS.fullmatch(name.text))
