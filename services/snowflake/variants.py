"""Make DuckDB use a VARIANT's value instead of its JSON text in comparisons and as text, as Snowflake does.

Compared as JSON text, 9 is greater than 10, and a string begins with its quote. Comparisons whose rules the emulator
cannot follow are refused, such as the order of values of different types.
"""

from collections.abc import Iterable

from sqlglot import Expr, exp

from services.snowflake.errors import unsupported
from services.snowflake.functions import call
from services.snowflake.numbers import FLOAT, Columns, Scales

_CREATES_VARIANT = (exp.JSONExtract, exp.GetExtract, exp.ParseJSON, exp.ToVariant, exp.Struct, exp.ArrayAgg,
                    exp.ObjectAgg, exp.Array, exp.Split)  # fmt: skip
_KEEPS_VARIANT = (exp.Paren, exp.Alias, exp.AnyValue, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.Window,
                  exp.WithinGroup, exp.Distinct, exp.Bracket, exp.NthValue)  # fmt: skip
_TYPES = {exp.DType.JSON, exp.DType.VARIANT, exp.DType.OBJECT, exp.DType.ARRAY}
_NAMES = {"STRIP_NULL_VALUE"}
_OF_FLATTEN = {"VALUE", "THIS"}
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_TEXT_FUNCTIONS = (exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike, exp.RegexpFullMatch, exp.Length, exp.Upper,
                   exp.Lower, exp.Trim, exp.Substring, exp.Replace, exp.Split, exp.SplitPart, exp.StrPosition,
                   exp.StartsWith, exp.EndsWith, exp.Contains, exp.Left, exp.Right, exp.Initcap, exp.Reverse,
                   exp.GroupConcat, exp.Pad, exp.RegexpReplace, exp.RegexpExtract, exp.RegexpCount, exp.RegexpInstr,
                   exp.SHA, exp.SHA2, exp.Repeat, exp.Translate)  # fmt: skip
_ORDERED = (exp.Min, exp.Max, exp.Greatest, exp.Least, exp.Between, exp.Nullif, exp.NullSafeEQ, exp.NullSafeNEQ,
            exp.EqualNull, exp.DecodeCase, exp.Ordered, exp.Case, exp.In, exp.ApproxQuantile)  # fmt: skip
_TO_TEXT = (exp.Cast, exp.TryCast, exp.DPipe, exp.Concat, exp.ConcatWs, exp.MD5, exp.ToChar)
_RELEVANT = (*_TO_TEXT, *_TEXT_FUNCTIONS, *_COMPARED, *_ORDERED)


class Variants(Scales):
    """Finds out which expressions are VARIANTs: their scale is `FLOAT`, and all others' is None."""

    def of_type(self, kind: exp.DataType) -> int | None:
        return FLOAT if kind.this in _TYPES else None

    def is_variant(self, node: object) -> bool:
        return isinstance(node, Expr) and self.scale(node) == FLOAT

    def _find(self, node: Expr) -> int | None:
        match node:
            case exp.Cast():
                return self.of_type(node.to)
            case exp.Column():
                return FLOAT if _of_flatten(node) else self._column(node)
            case exp.Coalesce() | exp.If() | exp.Case():
                parts = [node.this, *node.expressions, node.args.get("true"), node.args.get("false")]
                parts += [node.args.get("default"), *(each.args["true"] for each in node.args.get("ifs") or [])]
                return FLOAT if any(self.is_variant(part) for part in parts) else None
            case exp.Subquery() if isinstance(node.this, exp.Select):
                return self.scale(node.this.expressions[0])
        if isinstance(node, _KEEPS_VARIANT):
            return self.scale(node.this if node.this is not None else next(iter(node.expressions), None))
        made = isinstance(node, _CREATES_VARIANT) or (isinstance(node, exp.Anonymous) and node.name.upper() in _NAMES)
        return FLOAT if made else None


def _of_flatten(column: exp.Column) -> bool:
    select = column.find_ancestor(exp.Select)
    if column.name not in _OF_FLATTEN or select is None:
        return False
    tables = [part for name in ("from_", "joins", "laterals") for part in _as_list(select.args.get(name))]
    return any(part.find(exp.Explode) for part in tables)


def _as_list(value: object) -> Iterable[Expr]:
    return value if isinstance(value, list) else [value] if isinstance(value, Expr) else []


def with_values(statement: Expr, columns: Columns) -> Expr:
    """Replace VARIANTs by their values where a statement compares them or uses them as text.

    Args:
        statement: the client's statement, with names in upper case. It is changed in place.
        columns: looks up a table's columns.

    Raises:
        ProgrammingError: the emulator cannot order or compare VARIANTs as Snowflake does.
    """
    variants = Variants.of(statement, columns)
    nodes = [node for node in statement.walk(bfs=False) if isinstance(node, _RELEVANT)]
    relevant = [(node, [part for part in _operands(node) if variants.is_variant(part)]) for node in nodes]
    for node, parts in reversed(relevant):
        if not parts or _is_assignment(node):
            continue
        if isinstance(node, _TO_TEXT):
            for part in parts if not isinstance(node, exp.Cast) or node.to.this in exp.DataType.TEXT_TYPES else ():
                part.replace(call("sf_ordered", part))
        elif isinstance(node, _TEXT_FUNCTIONS):
            for part in parts:
                part.replace(call("sf_text", part))
        elif isinstance(node, exp.In) and not node.args.get("query"):
            node.replace(exp.paren(exp.or_(*(_compared(exp.EQ, node.this, each) for each in node.expressions))))
        elif isinstance(node, exp.Between):
            bounds = ((exp.GTE, node.args["low"]), (exp.LTE, node.args["high"]))
            node.replace(exp.paren(exp.and_(*(_compared(kind, node.this, each) for kind, each in bounds))))
        elif isinstance(node, _COMPARED):
            node.replace(_compared(type(node), node.this, node.expression))
        else:
            raise unsupported(
                f"the emulator cannot order or compare VARIANTs as {node.key.upper()} does on Snowflake. "
                "Cast them first, as in v:name::varchar or v:name::number(38, 0)."
            )
    return statement


def _compared(kind: type[exp.Binary], left: Expr, right: Expr) -> exp.Binary:
    return kind(this=call("sf_compare", left, right), expression=exp.convert(0))


def _operands(node: Expr) -> list[Expr]:
    if isinstance(node, exp.Case):  # only its own operand is compared; the others are results
        return [node.this] if node.this else []
    parts = [node.this, node.args.get("expression"), *(node.args.get("expressions") or [])]
    if isinstance(node, exp.GroupConcat):
        parts = [node.this.this if isinstance(node.this, (exp.Order, exp.Distinct)) else node.this]
    return [part for part in parts if isinstance(part, Expr)]


def _is_assignment(node: Expr) -> bool:
    """Return whether an `=` assigns, as in `update … set a = b`."""
    return isinstance(node, exp.EQ) and isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
