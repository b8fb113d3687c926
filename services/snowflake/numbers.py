"""Find out the scale of NUMBERs by Snowflake's rules, which differ from DuckDB's.

The rules are from https://docs.snowflake.com/en/sql-reference/operators-arithmetic. For example, a quotient's scale is
the dividend's plus 6, but at most 12, or the dividend's own if that is larger. AVG has the same rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from sqlglot import Expr, exp
from sqlglot.optimizer.scope import Scope, traverse_scope

Columns = Callable[[exp.Table], Sequence[tuple[str, exp.DataType]]]
FLOAT = -1
"""Represents the scale of a FLOAT."""
MEDIAN_DIGITS = 3
"""MEDIAN and PERCENTILE_CONT have this many digits more than their argument."""

_KEEPS_SCALE = (exp.Paren, exp.Alias, exp.Neg, exp.Abs, exp.Min, exp.Max, exp.Sum, exp.AnyValue, exp.Window, exp.Lag,
                exp.Lead, exp.FirstValue, exp.LastValue, exp.Distinct, exp.WithinGroup, exp.Mode)  # fmt: skip
_INTEGERS = (exp.Count, exp.CountIf, exp.RowNumber, exp.Rank, exp.DenseRank, exp.DateDiff, exp.TimestampDiff,
             exp.Length, exp.Extract, exp.Sign, exp.Hour, exp.Minute, exp.Second, exp.Day, exp.Month, exp.Year,
             exp.Quarter, exp.Ntile)  # fmt: skip
_INTEGER_TYPES = exp.DataType.INTEGER_TYPES
_FLOATS = (exp.Sqrt, exp.Ln, exp.Exp, exp.Pow, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop)


def quotient_scale(scale: int) -> int:
    """Return the scale of a quotient of NUMBERs; `scale` is the dividend's."""
    return max(scale, min(scale + 6, 12))


@dataclass
class Scales:
    """Finds out the scale of each expression of a statement, or None if it is unknown."""

    columns: Columns
    _known: dict[int, int | None] = field(default_factory=dict)
    _scopes: dict[int, Scope] = field(default_factory=dict)
    _queries: dict[int, Scope] = field(default_factory=dict)
    _other_tables: dict[str, object] = field(default_factory=dict)
    """Tables outside of queries: those of UPDATE, DELETE and MERGE."""
    _source_scales: dict[int, dict[str, int | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, statement: Expr, columns: Columns) -> Self:
        found = cls(columns)
        for scope in traverse_scope(statement):
            found._queries[id(scope.expression)] = scope
            for column in [*scope.columns, *scope.find_all(exp.Column)]:
                found._scopes.setdefault(id(column), scope)
        for table in statement.find_all(exp.Table) if not isinstance(statement, exp.Query) else ():
            found._other_tables.setdefault(table.alias_or_name, table)
        if isinstance(statement, exp.Merge) and isinstance(statement.args["using"], exp.Subquery):
            using = statement.args["using"]
            found._other_tables[using.alias] = found._queries.get(id(using.this), using)
        return found

    def scale(self, node: Expr | None) -> int | None:
        """Return a NUMBER's scale, FLOAT, or None for other types and if it is unknown."""
        if node is None:
            return None
        if id(node) not in self._known:
            self._known[id(node)] = None  # stops the recursion at a name that refers to itself
            self._known[id(node)] = self._find(node)
        return self._known[id(node)]

    def of_type(self, kind: exp.DataType) -> int | None:
        """Return the scale of a type's values."""
        if kind.this in exp.DataType.FLOAT_TYPES:
            return FLOAT
        if kind.this in _INTEGER_TYPES:
            return 0
        if kind.this == exp.DType.DECIMAL:
            return int(kind.expressions[1].name) if len(kind.expressions) > 1 else 0
        return None

    def _find(self, node: Expr) -> int | None:  # noqa: PLR0911, PLR0912 - one case for each kind of expression
        match node:
            case exp.Literal():
                return (
                    None if node.is_string else FLOAT if "e" in node.name.lower() else len(node.name.partition(".")[2])
                )
            case exp.Null():
                return 0
            case exp.Column():
                return self._column(node)
            case exp.Cast():
                return self.of_type(node.to)
            case exp.Add() | exp.Sub() | exp.Mod() | exp.Greatest() | exp.Least() | exp.Coalesce():
                return self._widest([node.this, *(node.args.get("expressions") or [node.expression])])
            case exp.Mul():
                left, right = self.scale(node.this), self.scale(node.expression)
                if left is None or right is None or FLOAT in (left, right):
                    return None if left is None or right is None else FLOAT
                return min(left + right, max(left, right, 12))
            case exp.Div():
                return self._quotient(node.this, node.expression)
            case exp.Avg():
                scale = self.scale(node.this)
                return scale if scale is None or scale == FLOAT else quotient_scale(scale)
            case exp.Case():
                return self._widest([each.args["true"] for each in node.args["ifs"]] + _optional(node, "default"))
            case exp.If():
                return self._widest([node.args["true"], *_optional(node, "false")])
            case exp.Nullif():
                return self.scale(node.this)
            case exp.Round() | exp.Floor() | exp.Ceil():
                return self._rounded(node)
            case exp.Median():
                scale = self.scale(node.this)
                return scale if scale is None or scale == FLOAT else scale + MEDIAN_DIGITS
            case exp.Subquery() if isinstance(node.this, exp.Select):
                return self.scale(node.this.expressions[0])
        if isinstance(node, exp.Anonymous) and node.name.upper() == "JSON_ARRAY_LENGTH":
            return 0
        if isinstance(node, exp.Distinct):
            return self.scale(node.expressions[0])
        if isinstance(node, _KEEPS_SCALE):
            return self.scale(node.this)
        return 0 if isinstance(node, _INTEGERS) else FLOAT if isinstance(node, _FLOATS) else None

    def _quotient(self, dividend: Expr, divisor: Expr) -> int | None:
        left, right = self.scale(dividend), self.scale(divisor)
        if FLOAT in (left, right):
            return FLOAT
        return None if left is None or right is None else quotient_scale(left)

    def _widest(self, parts: Sequence[Expr]) -> int | None:
        found = [self.scale(part) for part in parts if not isinstance(part, exp.Null)]
        return _widest(found) if found else None

    def _rounded(self, node: Expr) -> int | None:
        scale, digits = self.scale(node.this), node.args.get("decimals")
        if scale is None or scale == FLOAT:
            return scale
        if digits is None:
            return 0
        return min(scale, max(0, int(digits.name))) if isinstance(digits, exp.Literal) else None

    def _column(self, column: exp.Column) -> int | None:
        if (scope := self._scopes.get(id(column))) is None:
            others = [self._other_tables.get(column.table)] if column.table else list(self._other_tables.values())
            return next(
                (scales[column.name] for each in others if column.name in (scales := self._of_source(each))), None
            )
        names = [column.table] if column.table else list(scope.selected_sources)
        for name in names:
            _, source = scope.selected_sources.get(name, (None, scope.sources.get(name)))
            found = self._of_source(source)
            if column.name in found:
                return found[column.name]
        aliases = {each.alias: each for each in getattr(scope.expression, "selects", []) if each.alias}
        return self.scale(aliases[column.name]) if not column.table and column.name in aliases else None

    def _of_source(self, source: object) -> dict[str, int | None]:
        """Return the scales of the columns of a table, of a query in a WITH clause, or of a subquery."""
        if id(source) not in self._source_scales:
            self._source_scales[id(source)] = {}
            if isinstance(source, exp.Table):
                self._source_scales[id(source)] = {name: self.of_type(kind) for name, kind in self.columns(source)}
            elif isinstance(source, Scope):
                self._source_scales[id(source)] = _apply_aliases(source.expression, self._of_query(source.expression))
        return self._source_scales[id(source)]

    def _of_query(self, query: Expr) -> dict[str, int | None]:
        if isinstance(query, exp.SetOperation):
            left, right = self._of_query(query.left), list(self._of_query(query.right).values())
            return {name: _widest([scale, *right[at : at + 1]]) for at, (name, scale) in enumerate(left.items())}
        if isinstance(query, exp.Values):
            rows = [row.expressions for row in query.expressions if isinstance(row, exp.Tuple)]
            return {f"COLUMN{at + 1}": self._widest(column) for at, column in enumerate(zip(*rows, strict=False))}
        if isinstance(query, (exp.Subquery, exp.Paren)):
            return self._of_query(query.this)
        return self._of_select(query, self._queries.get(id(query)))

    def _of_select(self, query: Expr, scope: Scope | None) -> dict[str, int | None]:
        sources = scope.selected_sources if scope else {}
        scales: dict[str, int | None] = {}
        for each in query.selects if isinstance(query, exp.Select) else []:
            if each.is_star:
                for name in [each.table] if isinstance(each, exp.Column) and each.table else list(sources):
                    scales |= _apply_star(each, self._of_source(sources[name][1] if name in sources else None))
            else:
                scales[each.alias_or_name] = self.scale(each)
        return scales


def _apply_star(star: Expr, scales: dict[str, int | None]) -> dict[str, int | None]:
    """Apply `exclude` and `rename` of `* exclude (a) rename (b as c)`."""
    node = star.this if isinstance(star, exp.Column) else star
    left_out = {each.name for each in node.args.get("except_") or []}
    names = {each.this.name: each.alias for each in node.args.get("rename") or []}
    return {names.get(name, name): scale for name, scale in scales.items() if name not in left_out}


def _apply_aliases(query: Expr, scales: dict[str, int | None]) -> dict[str, int | None]:
    """Apply the column names of `… as t (a, b)`."""
    alias = query.args.get("alias") or (query.parent.args.get("alias") if query.parent else None)
    if isinstance(alias, exp.TableAlias) and alias.columns:
        return dict(zip((column.name for column in alias.columns), scales.values(), strict=False))
    return scales


def _widest(scales: Sequence[int | None]) -> int | None:
    return None if None in scales else FLOAT if FLOAT in scales else max(each or 0 for each in scales)


def _optional(node: Expr, name: str) -> list[Expr]:
    return [value] if (value := node.args.get(name)) is not None else []
