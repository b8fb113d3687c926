"""The functions that the emulator allows. It refuses all others.

sqlglot and DuckDB have hundreds more, and some of them return another value than on Snowflake. Before you add a name,
add a statement with Snowflake's documented result to tests/integration/snowflake/statements.py. Not all functions below
have one yet.
"""

import re

from sqlglot import Dialect, Expr, exp
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

from services.snowflake.errors import syntax_error, unsupported

_COMPARED = """
    Abs Acos AddMonths And AnyValue ApproxDistinct ArgMax ArgMin Array ArrayAgg ArrayAppend ArrayConcat
    ArrayConstructCompact ArrayContains ArrayMax ArrayMin ArrayOverlaps ArrayPosition ArraySize ArraySlice ArrayToString
    Ascii Asin Atan Atan2 Avg ByteLength JSONKeys Sign ToArray WidthBucket
    Base64DecodeString Base64Encode BitLength BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg Booland Boolnot Boolor
    BoolxorAgg Case Cast Cbrt Ceil CheckJson Chr Coalesce Concat ConcatWs Contains ConvertTimezone Corr Cos Count
    CountIf CovarPop CovarSamp CumeDist CurrentAccount CurrentDatabase CurrentDate CurrentRole CurrentSchema
    CurrentTime CurrentTimestamp CurrentUser CurrentVersion CurrentWarehouse DateAdd DateDiff DateFromParts
    DateTrunc Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Dayname DecodeCase Degrees DenseRank DynamicIdentifier
    EndsWith EqualNull Exists Exp Explode Extract FirstValue Flatten Floor GenerateSeries Generator GetExtract
    Greatest GroupConcat Grouping Hex HexDecodeString Hour If Initcap IsArray IsNullValue JSONExtract JSONFormat
    JSONObject JarowinklerSimilarity Lag LastDay LastValue Lead Least Left Length Levenshtein Ln Localtime
    Localtimestamp Log LogicalAnd LogicalOr Lower MD5 Max Median Min Minute Mode Month Monthname MonthsBetween
    NextDay NthValue Ntile Nullif Nvl2 ObjectAgg Or Pad ParseJSON PercentRank PercentileCont PercentileDisc Pi Pow
    PreviousDay Quarter Radians Rand Randstr Rank RegexpCount RegexpExtract RegexpInstr RegexpLike RegexpReplace
    RegrIntercept RegrR2 RegrSlope Repeat Replace Reverse Right Round RowNumber SHA SHA2 Second Seq4 Seq8 Sin Space
    Split SplitPart Sqrt StarMap StartsWith Stddev StddevPop StddevSamp StrPosition StrToTime StripNullValue Strtok
    Struct Stuff Substring Sum Tan Time TimeAdd TimeFromParts TimeSlice TimeToStr TimestampFromParts TimestampTrunc
    ToBoolean ToChar ToDouble ToNumber ToVariant Translate Trim Trunc TryCast TsOrDsToDate TsOrDsToTime Typeof
    Unicode Uniform UnixToTime Upper Uuid Variance VariancePop Week WeekOfYear Xor Year YearOfWeek YearOfWeekIso
"""
KNOWN_FUNCTIONS = frozenset(_COMPARED.split())
"""Functions that sqlglot knows, by sqlglot's names."""
NAMED_FUNCTIONS = frozenset(
    [
        "HAVERSINE",
        "RESULT_SCAN",
        "TO_DATE",
        "TO_OBJECT",
        "TO_TIMESTAMP",
        "TO_TIMESTAMP_LTZ",
        "TO_TIMESTAMP_NTZ",
        "TO_TIMESTAMP_TZ",
    ]
    + [f"TRY_TO_TIMESTAMP{kind}" for kind in ("", "_LTZ", "_NTZ", "_TZ")]
)
"""Functions that sqlglot does not know."""


_ALTERNATIVES = {
    "HASH": "Use MD5 or SHA2.",
    "HASH_AGG": "Use MD5 or SHA2 of the rows.",
    "TO_BINARY": "Use HEX_DECODE_BINARY.",
    "INTDIV": "Use FLOOR of a division.",
}
"""What to use instead of functions that only Snowflake can compute."""
_DUCKDB_ONLY: dict[type[Expr], str] = {exp.Filter: "FILTER (WHERE …)", exp.Returning: "RETURNING"}
_JOINS = ("SEMI", "ANTI", "POSITIONAL")
_DUCKDB_STATEMENTS = ("FROM", "PIVOT", "UNPIVOT", "SUMMARIZE")
_DUCKDB_CREATE = re.compile(r"\s*create\s+(?:or\s+replace\s+)?(macro|type|index|unique\s+index)\b", re.IGNORECASE)


def check_words(sql: str) -> None:
    """Refuse DuckDB's own statements and its power operator `^`.

    Raises:
        ProgrammingError: the statement has one. The message names it.
    """
    try:
        tokens = Dialect.get_or_raise("snowflake").tokenize(sql)
    except TokenError:
        return
    if tokens and (word := tokens[0].text.upper()) in _DUCKDB_STATEMENTS:
        raise syntax_error(f"statement {word}")
    if made := _DUCKDB_CREATE.match(sql):
        raise syntax_error(f"CREATE {made[1].upper()}")
    if any(token.token_type is TokenType.CARET for token in tokens):
        raise syntax_error("operator ^: use POWER or BITXOR")


def check_syntax(statement: Expr) -> None:
    """Refuse syntax that DuckDB has, but Snowflake does not.

    Raises:
        ProgrammingError: the statement has such syntax. The error is Snowflake's syntax error and names it.
    """
    for node in statement.walk():
        word = _DUCKDB_ONLY.get(type(node), "")
        match node:
            case exp.Distinct() if node.args.get("on"):
                word = "DISTINCT ON"
            case exp.Join() if node.args.get("kind") in _JOINS:
                word = f"{node.args['kind']} JOIN"
            case exp.Limit() if (options := node.args.get("limit_options")) and options.args.get("percent"):
                word = "PERCENT"
        if word:
            raise syntax_error(word)


def _snowflake_name(function: Expr) -> str:
    """Return a function's name on Snowflake, which may differ from sqlglot's."""
    return function.sql(dialect="snowflake").partition("(")[0].upper()


def check(statement: Expr) -> None:
    """Refuse functions that were not compared with Snowflake.

    Raises:
        ProgrammingError: the statement has one. The message names it.
    """
    for function in statement.find_all(exp.Func):
        named = isinstance(function, exp.Anonymous)
        name = function.name.upper() if named else _snowflake_name(function)
        if name not in NAMED_FUNCTIONS if named else type(function).__name__ not in KNOWN_FUNCTIONS:
            if name in _ALTERNATIVES:
                raise unsupported(f"the emulator cannot compute {name} as Snowflake does. {_ALTERNATIVES[name]}")
            raise unsupported(
                f"the emulator's function {name} was not compared with Snowflake's. Use another, or test on Snowflake."
            )


def check_comments(expression: Expr) -> None:
    """Refuse comments on columns, because fakesnow drops them silently.

    Raises:
        ProgrammingError: the statement comments a column.
    """
    altered = expression.find(exp.AlterColumn) if isinstance(expression, exp.Alter) else None
    of_column = isinstance(expression, exp.Comment) and str(expression.args.get("kind")).upper() == "COLUMN"
    if of_column or (altered and altered.args.get("comment")):
        raise unsupported("the emulator does not store comments on columns. Turn off persist_docs for columns there.")
