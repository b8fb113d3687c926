"""The functions that the emulator lets through; it refuses any other.

sqlglot and DuckDB know hundreds more, and some return another value than Snowflake does. Not every function below has a
statement in tests/integration/snowflake/statements.py. Add one, with Snowflake's documented result, before a new name.
"""

from sqlglot import Expr, exp

from services.snowflake.errors import unsupported

_COMPARED = """
    Abs Acos AddMonths And AnyValue ApproxDistinct ArgMax ArgMin Array ArrayAgg ArrayConcat ArrayConstructCompact
    ArrayContains ArrayMax ArrayMin ArrayOverlaps ArrayPosition ArraySize Ascii Asin Atan Atan2 Avg
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
    ["HAVERSINE", "RESULT_SCAN", "TO_DATE", "TO_TIMESTAMP", "TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_NTZ", "TO_TIMESTAMP_TZ"]
)
"""Names of those that it does not know."""


def check(statement: Expr) -> None:
    """Refuse a function that was not compared.

    Raises:
        ProgrammingError: names the function.
    """
    for function in statement.find_all(exp.Func):
        named = isinstance(function, exp.Anonymous)
        name = function.name.upper() if named else function.sql_name()
        if name not in NAMED if named else type(function).__name__ not in KNOWN:
            raise unsupported(
                f"the emulator was not compared with Snowflake for the function {name}: use another, or test it there."
            )
