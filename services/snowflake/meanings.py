"""Rewrite parts of a client's statement that fakesnow, or DuckDB after it, would interpret in another way."""

from sqlglot import Expr, exp

from services.snowflake.errors import unsupported
from services.snowflake.functions import call

_CLOCKS = (exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ)
SEMI_STRUCTURED = {exp.DType.VARIANT: "sf_variant", exp.DType.OBJECT: "sf_object", exp.DType.ARRAY: "sf_array"}
"""The macros that cast to these types."""
_NAMED = {"TO_OBJECT": "sf_object", "TRY_TO_TIMESTAMP_NTZ": "sf_try_timestamp", "TRY_TO_TIMESTAMP": "sf_try_timestamp"}
_CALLS: dict[type[Expr], str] = {
    exp.ArrayAppend: "sf_array_append",
    exp.ArrayContains: "sf_array_contains",
    exp.ArrayOverlaps: "sf_arrays_overlap",
    exp.ArrayPosition: "sf_array_position",
    exp.ArraySlice: "sf_array_slice",
    exp.ArrayToString: "sf_array_to_string",
    exp.ByteLength: "sf_bytes",
    exp.JSONKeys: "sf_object_keys",
    exp.MonthsBetween: "sf_months_between",
    exp.Sign: "sf_sign",
    exp.ToArray: "sf_array",
    exp.WidthBucket: "sf_width_bucket",
}
"""The macros that replace these functions: `_CALLS` by type, and `_NAMED` by name if the parser does not know them."""
_TRIMS = {"LEADING": "ltrim", "TRAILING": "rtrim"}
_ACCEPTS_NULLS = (exp.ArrayConstructCompact, exp.ArrayMax, exp.ArrayMin, exp.ArraySize, exp.ArrayToString)
"""Array functions that return the same for JSON nulls as for Snowflake's undefined values."""
_MICROSECONDS = 6


def adapt_for_fakesnow(statement: Expr) -> Expr:
    """Return a statement that means the same to fakesnow as the client's means to Snowflake.

    Args:
        statement: the client's statement. It may be changed in place.

    Raises:
        ProgrammingError: the emulator cannot do what Snowflake does.
    """
    _check_creation(statement)
    for cte in statement.find_all(exp.CTE):
        of_itself = any(table.name == cte.alias and not table.db for table in cte.this.find_all(exp.Table))
        if of_itself and cte.parent:
            cte.parent.set("recursive", True)
    for node in reversed(list(statement.walk(bfs=False))):  # inner expressions first
        if (new := _adapt_node(node)) is not node:
            node.replace(new)
            statement = new if node is statement else statement
    return statement


def _check_creation(statement: Expr) -> None:
    if not isinstance(statement, exp.Create):
        return
    if statement.find(exp.DynamicProperty, exp.ExternalProperty):
        raise unsupported("the emulator has no dynamic or external tables. Create a table or a view.")
    if statement.args.get("clone") and statement.kind in ("DATABASE", "SCHEMA"):
        raise unsupported(f"the emulator can clone only tables, not a {statement.kind.lower()}. Clone each table.")


def _adapt_node(node: Expr) -> Expr:  # noqa: PLR0911, PLR0912 - one case for each kind of expression
    if macro := _CALLS.get(type(node), "") or _NAMED.get(node.name.upper() if isinstance(node, exp.Anonymous) else ""):
        given = node.expressions if isinstance(node, exp.Anonymous) else node.args.values()
        return call(macro, *(value for value in given if isinstance(value, Expr)))
    match node:
        case exp.DataType() if node.this in _CLOCKS and node.expressions:
            if int(node.expressions[0].name) < _MICROSECONDS:
                raise unsupported(
                    f"the emulator supports only microseconds, but {node.sql('snowflake')} has fewer digits on "
                    "Snowflake. Remove the precision and use DATE_TRUNC."
                )
        case exp.Trim() if node.expression:
            name = _TRIMS.get(node.args.get("position") or "", "trim")
            return exp.Anonymous(this=name, expressions=[node.this, node.expression])
        case exp.GetExtract() if isinstance(node.this, exp.Array):
            node.set("this", call("sf_array", node.this))
        case exp.ArrayMin() | exp.ArrayMax():
            return call("sf_variant", node)
        case exp.TryCast() if node.to.this in (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ):
            return call("sf_try_timestamp", node.this)  # fakesnow would turn it into a plain cast
        case exp.Cast() if node.to.this in SEMI_STRUCTURED and not node.to.expressions:
            return call(SEMI_STRUCTURED[node.to.this], node.this)
        case exp.ToVariant():
            return call("sf_variant", node.this)
        case exp.JSONFormat():
            return call("sf_json", node.this)
        case exp.ParseJSON() if not node.find_ancestor(exp.Copy):
            node.set("this", call("sf_without_floats", node.this))
        case exp.GroupConcat() if not node.args.get("separator"):
            node.set("separator", exp.Literal.string(""))
        case exp.Array() if not isinstance(node.parent, _ACCEPTS_NULLS):
            for each in node.expressions:
                each.replace(call("sf_exact", call("sf_present", each)))
        case exp.Struct():
            for each in node.expressions:
                if isinstance(each, exp.PropertyEQ):
                    each.set("expression", call("sf_exact", each.expression))
        case exp.ArrayAgg() if not isinstance(value := node.this, exp.Distinct):
            value = value.this if isinstance(value, exp.Order) else value
            if not isinstance(value, exp.Distinct):
                value.replace(call("sf_exact", value))
        case exp.ObjectAgg():
            node.set("expression", call("sf_exact", node.expression))
        case exp.JSONPathSubscript() if isinstance(node.this, int) and node.this < 0:
            raise unsupported("the emulator does not know what a negative index returns. Use ARRAY_SIZE.")
        case exp.DateAdd() | exp.DateDiff() if node.args.get("unit") and node.args["unit"].name.upper() == "NANOSECOND":
            raise unsupported("the emulator supports only microseconds. Use MICROSECOND.")
        case exp.DateAdd() | exp.TimestampAdd() | exp.TimeAdd() if not _is_whole(node.expression):
            node.set("expression", exp.cast(exp.Round(this=node.expression), "BIGINT", dialect="duckdb"))
        case exp.Lateral() | exp.TableFromRows() if isinstance(node.this, exp.Explode):
            return _flatten_macro(node)
    return node


def _is_whole(node: Expr) -> bool:
    value = node.this if isinstance(node, (exp.Neg, exp.Paren)) else node
    return isinstance(value, exp.Literal) and value.is_int


def with_text_keys(node: Expr) -> Expr:
    """Turn the keys of {'a': 1} into strings, whose case is kept. The parser reads them as identifiers."""
    for pair in node.expressions if isinstance(node, exp.Struct) else ():
        if isinstance(pair, exp.PropertyEQ) and isinstance(pair.this, exp.Identifier):
            pair.set("this", exp.Literal.string(pair.this.name))
    return node


def _flatten_macro(node: Expr) -> Expr:
    """Replace FLATTEN by a table macro, with its OUTER and MODE."""
    given = [node.this.this, *node.this.expressions]
    named = {each.this.name.upper(): each.expression for each in given if isinstance(each, exp.Kwarg)}
    value = named.pop("INPUT", None) or given[0]
    outer, mode = named.pop("OUTER", exp.false()), named.pop("MODE", exp.Literal.string("BOTH"))
    if named and not (list(named) == ["RECURSIVE"] and not named["RECURSIVE"].this):
        raise unsupported(f"the emulator's FLATTEN does not support {' or '.join(named)}. Put the path into INPUT.")
    columns = call("sf_flatten", value, outer, exp.Upper(this=mode))
    return exp.Table(this=columns, alias=node.args.get("alias"))
