"""What SQL may not do here: read or write files, use the network, load extensions, change DuckDB's settings.

DuckDB itself refuses it (`close_to_files`). `forbidden` adds what DuckDB must be able to do for the emulator within its
own folder, but what no client's statement may do; Snowflake has none of it.
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


def close_to_files(connection: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Let SQL reach files below these folders alone, for as long as the process lives; nothing can be loaded or set."""
    allowed = ", ".join("'" + f"{folder.absolute()}/".replace("'", "''") + "'" for folder in folders)
    connection.execute(f"set allowed_directories = [{allowed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set python_enable_replacements = false")
    connection.execute("set lock_configuration = true")


def forbidden(sql: str) -> str | None:
    """Return the word for which a client's statement is refused, or None."""
    try:
        tokens = Tokenizer().tokenize(sql)
    except TokenError:
        return None  # no statement at all
    if not tokens:
        return None
    first = tokens[0].text.upper()
    if first in _STATEMENTS or (first == "COPY" and not _is(tokens, 1, "INTO")):
        return first
    calls = pairwise(tokens)
    return next((name.text.upper() for name, after in calls if _is_call(name, after)), None)


def _is(tokens: list[Token], number: int, word: str) -> bool:
    return len(tokens) > number and tokens[number].text.upper() == word


def _is_call(name: Token, after: Token) -> bool:
    is_name = name.token_type not in (TokenType.STRING, TokenType.NUMBER)
    return is_name and after.token_type is TokenType.L_PAREN and bool(_FUNCTIONS.fullmatch(name.text))
