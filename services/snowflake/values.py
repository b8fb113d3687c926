"""Replace DuckDB's functions and casts that differ from Snowflake's by the macros of `functions`."""

import re
from collections.abc import Callable

from sqlglot import Expr, exp
from sqlglot.optimizer.simplify import simplify

from services.snowflake.assignments import INTEGER_TYPES, Columns, cast_assignments, inline_aliases
from services.snowflake.errors import unsupported
from services.snowflake.functions import SCHEMA, call
from services.snowflake.numbers import FLOAT, MEDIAN_DIGITS, Scales

_TIMESTAMP_FUNCTIONS: dict[str, tuple[type[exp.Cast], str]] = {
    "TO_TIMESTAMP_TZ": (exp.Cast, "TIMESTAMPTZ"),
    "TO_TIMESTAMP_LTZ": (exp.Cast, "TIMESTAMPTZ"),
    "TRY_TO_TIMESTAMP_TZ": (exp.TryCast, "TIMESTAMPTZ"),
    "TRY_TO_TIMESTAMP_LTZ": (exp.TryCast, "TIMESTAMPTZ"),
}
"""Functions that the parser does not know if their argument is not a literal, and the casts that replace them."""
_UNKNOWN_FORMAT_PART = re.compile(r"(?<![%A-Za-z-])(?!UTC|T(?=%)|Z$)[A-Za-z]")
QUERIES = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create)
_TEXT = exp.DataType.TEXT_TYPES
_CAST_MACROS = {**dict.fromkeys(INTEGER_TYPES, "int"), exp.DType.BOOLEAN: "bool"}
"""The suffixes of the macros that cast to these types."""
_NEEDS_NO_CAST: dict[str, type[Expr]] = {"int": exp.Literal, "bool": exp.Boolean}
"""Expressions that need no macro: DuckDB casts them as Snowflake does."""
_PARTS = (exp.Extract, exp.Hour, exp.Minute, exp.Second, exp.Day, exp.DayOfMonth, exp.DayOfWeek, exp.DayOfYear)
_DATES = (exp.Month, exp.Quarter, exp.Year, exp.Week, exp.WeekOfYear, exp.Monthname, exp.Dayname, exp.ToChar)
_DATE_UNITS = {"DAY": ("to_days", 1), "WEEK": ("to_days", 7), "MONTH": ("to_months", 1), "QUARTER": ("to_months", 3)}
_SCALED = (exp.Div, exp.Mul, exp.Sum, exp.Avg, exp.Median, exp.PercentileCont, exp.Ceil, exp.Floor, exp.Variance,
           exp.VariancePop)  # fmt: skip
_FORMATS = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "MON": "%b", "DD": "%d", "DY": "%a", "HH24": "%H", "HH12": "%I", "AM": "%p",
    "PM": "%p", "MI": "%M", "SS": "%S", "FF3": "%g", "FF6": "%f",
}  # fmt: skip
_FORMAT = re.compile(
    r"YYYY|YY|MMMM|MM|MON|DD|DY|HH24|HH12|AM|PM|MI|SS|FF3|FF6|UTC|T(?=HH)|\"[^\"%]*\"|[^A-Za-z0-9%\"]+", re.IGNORECASE
)


def as_snowflake(statement: Expr, original: Expr, columns: Columns) -> Expr:
    """Change a statement that fakesnow made for DuckDB, so that it computes Snowflake's values.

    Args:
        statement: fakesnow's version of `original`. It is changed in place.
        original: the client's statement. Only queries, DML and CREATE are changed.
        columns: looks up a table's columns.

    Raises:
        ProgrammingError: the emulator cannot compute what Snowflake would.
    """
    if not isinstance(original, QUERIES) or not isinstance(statement, QUERIES):
        return statement
    cast_assignments(statement, columns)
    inline_aliases(statement, columns)
    scales = Scales.of(statement, columns)
    _check_try_casts(statement, scales)
    _compute(statement, scales)
    for node in reversed(list(statement.walk(bfs=False))):
        if (rule := _RULES.get(type(node))) and (new := rule(node)) is not node:
            _replace(node, new)
    return statement


def _replace(node: Expr, new: Expr) -> None:
    node.replace(
        _with_name(node, new) if isinstance(node.parent, exp.Select) and node.arg_key == "expressions" else new
    )


def _with_name(old: Expr, new: Expr) -> Expr:
    """Give an expression in a SELECT list the name that its original would have had."""
    return exp.alias_(new, old.sql(dialect="duckdb"), quoted=True)


# -- numbers: the scales of all expressions must be known before any expression is replaced ---------------


def _check_try_casts(statement: Expr, scales: Scales) -> None:
    for attempt in statement.find_all(exp.TryCast):
        if scales.scale(attempt.this) is not None and not isinstance(attempt.this, exp.Null):
            raise unsupported("TRY_CAST accepts only text on Snowflake. Use CAST, or cast the value to VARCHAR first.")


def _compute(statement: Expr, scales: Scales) -> None:
    nodes = [node for node in reversed(list(statement.walk(bfs=False))) if isinstance(node, _SCALED)]
    known = [(node, scales.scale(node), scales.scale(node.this), _right_scale(node, scales)) for node in nodes]
    for node, scale, left, right in known:
        if isinstance(node, exp.Div):
            _replace(node, _quotient(node, scale, right or 0))
        elif isinstance(node, exp.Mul):
            if scale is not None and scale != FLOAT and (left or 0) + (right or 0) > scale:
                _replace(node, _number(exp.Round(this=node.copy(), decimals=exp.convert(scale)), scale))
        elif isinstance(node, (exp.Ceil, exp.Floor)):
            if scale is not None and scale != FLOAT and node.args.get("decimals"):
                _replace(node, _number(node.copy(), scale))
        elif isinstance(node, (exp.Variance, exp.VariancePop)):
            if left != FLOAT:
                raise unsupported("the scale of a NUMBER's variance depends on its values. Cast the argument to FLOAT.")
        elif isinstance(node, (exp.Median, exp.PercentileCont)):
            _scale_interpolated(node, scales)
        elif isinstance(node, exp.Avg) and left is None:
            argument = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
            if not isinstance(argument, exp.Cast):
                argument.replace(call("sf_loose", argument))
        elif scale is not None and left is not None and scale != FLOAT and isinstance(node, (exp.Avg, exp.Sum)):
            whole = node.parent if isinstance(node.parent, exp.Window) else node
            new = _average(whole, scale, left) if isinstance(node, exp.Avg) else _number(whole.copy(), scale)
            _replace(whole, new)


def _scale_interpolated(node: Expr, scales: Scales) -> None:
    """Give a value that is interpolated between two NUMBERs the scale that it has on Snowflake."""
    ordered = node.parent.expression.expressions[0] if isinstance(node.parent, exp.WithinGroup) else node
    if (scale := scales.scale(ordered.this)) is not None and scale != FLOAT:
        ordered.this.replace(_number(ordered.this.copy(), scale + MEDIAN_DIGITS))


def _right_scale(node: Expr, scales: Scales) -> int | None:
    return scales.scale(node.expression) if isinstance(node, exp.Binary) else None


def _quotient(node: exp.Div, scale: int | None, right: int) -> Expr:
    if scale is None or scale == FLOAT:
        return call("sf_divide", node.this, node.expression)
    dividend, divisor = call("sf_digits", node.this, scale + right), call("sf_digits", node.expression, right)
    return _number(call("sf_ratio", dividend, divisor, scale), scale)


def _average(whole: Expr, scale: int, of: int) -> Expr:
    total, count = whole.copy(), whole.copy()
    for made, kind in ((total, exp.Sum), (count, exp.Count)):
        average = made.this if isinstance(made, exp.Window) else made
        new = kind(this=average.this)
        if average is made:
            total, count = (new, count) if kind is exp.Sum else (total, new)
        else:
            average.replace(new)
    nothing = exp.Nullif(this=count, expression=exp.convert(0))
    return _number(call("sf_ratio", call("sf_digits", _number(total, of), scale), nothing, scale), scale)


def _number(value: Expr, scale: int) -> Expr:
    return exp.Cast(this=value, to=exp.DataType.build(f"DECIMAL(38, {scale})", dialect="duckdb"))


# -- expressions ---------------------------------------------------------------------------------------


def _cast(node: Expr) -> Expr:
    to, value = node.args["to"], node.this
    attempt = isinstance(node, exp.TryCast)
    if to.this in _TEXT:
        length = int(to.expressions[0].name) if to.expressions else 1 if to.this == exp.DType.CHAR else None
        if isinstance(value, exp.Literal) and value.is_string:
            text: Expr = value
        else:
            text = call("sf_text", value)
        if length is not None:
            return call("sf_try_fit" if attempt else "sf_fit", text, length)
        return text if text is not value else node
    if (macro := _CAST_MACROS.get(to.this)) and not isinstance(value, _NEEDS_NO_CAST[macro]):
        return call(f"sf_try_{macro}" if attempt else f"sf_{macro}", value)
    if to.this == exp.DType.TIMESTAMPTZ and not attempt and not _is_call(value, "sf_utc"):
        return exp.Cast(this=call("sf_utc", value), to=to)
    if to.this == exp.DType.TIMESTAMPTZ and attempt and not _is_call(value, "sf_offset"):
        return exp.TryCast(this=call("sf_offset", value), to=to)
    return node


def _is_call(node: Expr, macro: str) -> bool:
    return isinstance(node, exp.Anonymous) and node.name == f"{SCHEMA}.{macro}"


def _cast_parts_to_text(node: Expr) -> Expr:
    """Cast the parts of a concatenation to text."""
    for part in list(node.flatten()) if isinstance(node, exp.DPipe) else list(node.expressions):
        if not isinstance(part, (exp.Literal, exp.DPipe)) and not _is_call(part, "sf_text"):
            part.replace(call("sf_text", part))
    return node


def _cast_argument_to_text(node: Expr) -> Expr:
    if not (isinstance(node.this, exp.Literal) and node.this.is_string) and not _is_call(node.this, "sf_text"):
        node.set("this", call("sf_text", node.this))
    return node


def _check_format(node: Expr) -> Expr:
    """Check a format that the parser has translated for strftime. It leaves parts that it does not know."""
    template = node.args["format"]
    if not template.is_string:
        return _to_char(node)
    if _UNKNOWN_FORMAT_PART.search(template.name):
        raise unsupported(f"the emulator does not know the format {template.name!r} of TO_CHAR, as strftime has it.")
    return node


def _to_char(node: Expr) -> Expr:
    if not (template := node.args.get("format")):
        return call("sf_text", node.this)
    template = simplify(template.copy(), dialect="snowflake")
    found = _FORMAT.findall(template.name) if template.is_string else []
    if not found or "".join(found) != template.name or "MMMM" in (part.upper() for part in found):
        raise unsupported(f"the emulator does not know the format {template.name!r} of TO_CHAR.")
    made = "".join(_FORMATS.get(part.upper(), part.strip('"')) for part in found)
    return exp.Anonymous(this="strftime", expressions=[node.this, exp.Literal.string(made)])


def _truncate(node: Expr) -> Expr:
    if isinstance(node.this, exp.Literal):
        return node
    return call("sf_trunc", exp.Literal.string(node.args["unit"].name.lower()), node.this)


def _add_to_date(node: Expr) -> Expr:
    """Keep a date a date if days or larger units are added."""
    unit = node.args["unit"].name.upper() if node.args.get("unit") else ""
    if unit not in _DATE_UNITS and unit != "YEAR":
        return node
    of_literal = isinstance(node.this, exp.Cast) and isinstance(node.this.this, exp.Literal)
    if isinstance(node.this, exp.Literal) or (of_literal and unit != "QUARTER"):
        return node
    name, times = _DATE_UNITS.get(unit, ("to_years", 1))
    number = exp.cast(exp.Mul(this=exp.paren(node.expression), expression=exp.convert(times)), "INT", dialect="duckdb")
    return call("sf_add", node.this, exp.Anonymous(this=name, expressions=[number]))


def _add_interval(node: Expr) -> Expr:
    """Keep a date a date if an interval of days or larger units is added."""
    interval = node.expression
    unit = interval.args.get("unit") if isinstance(interval, exp.Interval) else None
    if (
        unit is None
        or unit.name.upper().rstrip("S") not in (*_DATE_UNITS, "YEAR")
        or isinstance(node.this, exp.Literal)
    ):
        return node
    return call("sf_like", node.this, node)


def _add_months(node: Expr) -> Expr:
    """Let ADD_MONTHS return the type of its argument."""
    value = node.this
    return node if isinstance(value, (exp.Literal, exp.Cast)) else call("sf_like", value, node)


def _convert_timezone(node: Expr) -> Expr:
    """Convert to a zone's local time if the result is used as such. Otherwise, it would need the zone's offset."""
    if node.args.get("source_tz"):
        return node
    at, zone = exp.cast(node.args["timestamp"], "TIMESTAMPTZ", dialect="duckdb"), node.args["target_tz"]
    if zone.name.upper() in ("UTC", "ETC/UTC"):
        return at
    user = node.parent.parent if isinstance(node.parent, exp.Paren) else node.parent
    local = isinstance(user, exp.Cast) and user.to.this in (exp.DType.DATE, exp.DType.TIME, exp.DType.TIMESTAMP)
    local = local or (isinstance(user, exp.Anonymous) and user.name.lower() == "_fs_to_timestamp")
    if local or isinstance(user, (*_PARTS, *_DATES, exp.TsOrDsToDate)):
        return exp.paren(exp.AtTimeZone(this=at, zone=zone))
    raise unsupported(
        f"the emulator stores a TIMESTAMP_TZ in UTC, not with the offset of {zone.name or zone.sql()}. "
        "Cast CONVERT_TIMEZONE's result to DATE or TIMESTAMP_NTZ, or add the source's time zone."
    )


def _replace_function(node: Expr) -> Expr:
    name = node.name.upper()
    if name == "_FS_TO_TIMESTAMP":
        return call("sf_timestamp", *node.expressions)
    if name in _TIMESTAMP_FUNCTIONS and len(node.expressions) == 1:
        kind, type_ = _TIMESTAMP_FUNCTIONS[name]
        return _cast(kind(this=node.expressions[0].copy(), to=exp.DataType.build(type_, dialect="duckdb")))
    if name == "TO_JSON" and isinstance(_aggregate(node.expressions[0]), exp.ArrayAgg):
        return exp.Coalesce(this=node.copy(), expressions=[exp.cast("[]", "JSON", dialect="duckdb")])
    return node


def _aggregate(node: Expr) -> Expr:
    return _aggregate(node.this) if isinstance(node, (exp.Window, exp.Filter)) else node


def _skip_nulls(node: Expr) -> Expr:
    """Make ARRAY_AGG skip NULLs. DuckDB keeps them if there is ORDER BY or DISTINCT."""
    value = node.this.this if isinstance(node.this, exp.Order) else node.this
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    node.set("nulls_excluded", None)
    there = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    return exp.Filter(this=node.copy(), expression=exp.Where(this=there))


def _empty_instead_of_null(node: Expr) -> Expr:
    """Make LISTAGG return an empty string if there are no values."""
    return exp.Coalesce(this=node.copy(), expressions=[exp.Literal.string("")])


def _epoch_as_integer(node: Expr) -> Expr:
    if node.name.upper() in ("EPOCH", "EPOCH_SECOND"):
        whole = exp.Floor(this=exp.Extract(this=exp.var("EPOCH"), expression=node.expression.copy()))
        return exp.cast(whole, "BIGINT", dialect="duckdb")
    return node


_RULES: dict[type[Expr], Callable[[Expr], Expr]] = {
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.DPipe: _cast_parts_to_text,
    exp.Concat: _cast_parts_to_text,
    exp.ConcatWs: _cast_parts_to_text,
    exp.MD5: _cast_argument_to_text,
    exp.ToChar: _to_char,
    exp.TimeToStr: _check_format,
    exp.TimestampTrunc: _truncate,
    exp.DateTrunc: _truncate,
    exp.DateAdd: _add_to_date,
    exp.AddMonths: _add_months,
    exp.ConvertTimezone: _convert_timezone,
    exp.ArrayAgg: _skip_nulls,
    exp.GroupConcat: lambda node: node if isinstance(node.parent, exp.Window) else _empty_instead_of_null(node),
    exp.Window: lambda node: _empty_instead_of_null(node) if isinstance(node.this, exp.GroupConcat) else node,
    exp.Typeof: lambda node: call("sf_typeof", node.this),
    exp.Extract: _epoch_as_integer,
    **dict.fromkeys((exp.Add, exp.Sub), _add_interval),
    exp.Anonymous: _replace_function,
}
