"""DuckDB's column types, and SQL expressions for DuckDB."""

DUCKDB_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp_with_timezone": "TIMESTAMPTZ",
    "timestamp_without_timezone": "TIMESTAMP",
    "date": "DATE",
    "object": "JSON",
    "array": "JSON",
    "union": "JSON",
}
NESTED = {"object": "OBJECT", "array": "ARRAY", "union": ""}
"""Types of nested values, and DuckDB's name for the JSON type that each accepts. A union accepts any."""


def name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


FINITE = ("number", "date", "timestamp_with_timezone", "timestamp_without_timezone")
"""Types that have infinite values in DuckDB, but not in warehouses and in JSON."""


def finite(value: str, type_: str) -> str:
    """Return SQL for the value, which raises an error if it is NaN or infinite."""
    stop = f"error('not finite')::{DUCKDB_TYPES[type_]}"
    return f"CASE WHEN {value} IS NULL OR isfinite({value}) THEN {value} ELSE {stop} END"


def has_not_finite(value: str) -> str:
    """Return SQL for whether a nested value's text has NaN or infinity outside of strings, which is not valid JSON."""
    outside = rf"""regexp_replace({value}, '"([^"\\]|\\.)*"', '', 'g')"""
    return f"(contains({value}, 'NaN') OR contains({value}, 'Inf')) AND regexp_matches({outside}, 'NaN|Inf')"


def column_type(duckdb_type: str) -> str:
    """Return the type of a stream's column for values of a DuckDB type."""
    if "TIMESTAMP" in duckdb_type and "[" not in duckdb_type and "(" not in duckdb_type:
        zoned = "WITH TIME ZONE" in duckdb_type or "TIMESTAMPTZ" in duckdb_type
        return "timestamp_with_timezone" if zoned else "timestamp_without_timezone"
    if duckdb_type.endswith("]"):
        return "array"
    if duckdb_type.startswith(("STRUCT", "MAP", "JSON", "UNION")):
        return "object" if duckdb_type.startswith(("STRUCT", "MAP")) else "union"
    if duckdb_type in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return "integer"
    if duckdb_type in ("FLOAT", "DOUBLE") or duckdb_type.startswith("DECIMAL"):
        return "number"
    return {"BOOLEAN": "boolean", "DATE": "date"}.get(duckdb_type, "string")


def digits(text: str) -> str:
    """Return SQL for the significant digits of a number's text: no sign, point, exponent, or zeros at either end.

    If a number was rounded, its digits differ from those of its text.
    """
    return f"trim(translate(split_part(lower({text}), 'e', 1), '+-._ ', ''), '0')"


def is_exact(text: str, double: str) -> str:
    """Return SQL for whether a double keeps all digits of a number's text.

    It does if the text has the digits of the double's shortest unique form, or of its form with 17 digits.
    """
    fewest, most = digits(f"{double}::VARCHAR"), digits(f"printf('%.17g', {double})")
    return f"{digits(text)} IN ({fewest}, {most})"


PLAIN = r"-?((0|[1-9][0-9]*)?\.[0-9]+([eE][+-]?[0-9]+)?|(0|[1-9][0-9]*)\.?([eE][+-][0-9]+)?)"
"""A regular expression for text that is safe to read as a number.

Text such as 00501, +49, 12E3, 1_000 or 0x1F may be a code, and would lose characters as a number.
"""
NOT_FINITE = "(?i:nan|[+-]?inf(inity)?)"
