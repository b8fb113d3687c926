"""The functions that the emulator lets through; it refuses any other.

sqlglot and DuckDB know hundreds more, and some return another value than Snowflake does. Not every function below has a
statement in tests/integration/snowflake/statements.py. Add one, with Snowflake's documented result, before a new name.
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
KNOWN = frozenset(_COMPARED.split())
"""sqlglot's names of the functions that it knows."""
NAMED = frozenset(
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
"""Names of those that it does not know."""


_INSTEAD = {
    "HASH": "Use MD5 or SHA2.",
    "HASH_AGG": "Use MD5 or SHA2 of the rows.",
    "TO_BINARY": "Use HEX_DECODE_BINARY.",
    "INTDIV": "Use FLOOR of a division.",
}
"""What to use in the place of functions that nobody could compute as Snowflake does."""
_FOREIGN: dict[type[Expr], str] = {exp.Filter: "FILTER (WHERE …)", exp.Returning: "RETURNING"}
_JOINS = ("SEMI", "ANTI", "POSITIONAL")
_STATEMENTS = ("FROM", "PIVOT", "UNPIVOT", "SUMMARIZE")
_CREATED = re.compile(r"\s*create\s+(?:or\s+replace\s+)?(macro|type|index|unique\s+index)\b", re.IGNORECASE)


def check_words(sql: str) -> None:
    """Refuse a statement that begins as none of Snowflake's does, and DuckDB's power operator `^`.

    Raises:
        ProgrammingError: names it.
    """
    try:
        tokens = Dialect.get_or_raise("snowflake").tokenize(sql)
    except TokenError:
        return
    if tokens and (word := tokens[0].text.upper()) in _STATEMENTS:
        raise syntax_error(f"statement {word}")
    if made := _CREATED.match(sql):
        raise syntax_error(f"CREATE {made[1].upper()}")
    if any(token.token_type is TokenType.CARET for token in tokens):
        raise syntax_error("operator ^: use POWER or BITXOR")


def check_syntax(statement: Expr) -> None:
    """Refuse what DuckDB's SQL has and Snowflake's does not.

    Raises:
        ProgrammingError: names it, as Snowflake does for a syntax error.
    """
    for node in statement.walk():
        word = _FOREIGN.get(type(node), "")
        match node:
            case exp.Distinct() if node.args.get("on"):
                word = "DISTINCT ON"
            case exp.Join() if node.args.get("kind") in _JOINS:
                word = f"{node.args['kind']} JOIN"
            case exp.Limit() if (options := node.args.get("limit_options")) and options.args.get("percent"):
                word = "PERCENT"
        if word:
            raise syntax_error(word)


def _written(function: Expr) -> str:
    """A function's name on Snowflake, which is not always sqlglot's."""
    return function.sql(dialect="snowflake").partition("(")[0].upper()


def check(statement: Expr) -> None:
    """Refuse a function that was not compared.

    Raises:
        ProgrammingError: names the function.
    """
    for function in statement.find_all(exp.Func):
        named = isinstance(function, exp.Anonymous)
        name = function.name.upper() if named else _written(function)
        if name not in NAMED if named else type(function).__name__ not in KNOWN:
            if name in _INSTEAD:
                raise unsupported(f"the emulator cannot compute {name} as Snowflake does. {_INSTEAD[name]}")
            raise unsupported(
                f"the emulator was not compared with Snowflake for the function {name}: use another, or test it there."
            )


def check_comments(expression: Expr) -> None:
    """Refuse to comment a column: fakesnow loses the comment without a word.

    Raises:
        ProgrammingError: it is such a statement.
    """
    altered = expression.find(exp.AlterColumn) if isinstance(expression, exp.Alter) else None
    of_column = isinstance(expression, exp.Comment) and str(expression.args.get("kind")).upper() == "COLUMN"
    if of_column or (altered and altered.args.get("comment")):
        raise unsupported("the emulator keeps no comments of columns. Leave out persist_docs for columns there.")
