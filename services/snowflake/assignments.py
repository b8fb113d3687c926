"""Cast values that are assigned to columns, and replace aliases that DuckDB resolves in another way than Snowflake."""

from collections.abc import Callable, Iterable, Sequence

from sqlglot import Expr, exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from services.snowflake.functions import call
from services.snowflake.meanings import SEMI_STRUCTURED

Columns = Callable[[exp.Table], Sequence[tuple[str, exp.DataType]]]
"""Returns a table's columns in DuckDB, in order, with their types."""


INTEGER_TYPES = {exp.DType.BIGINT, exp.DType.INT, exp.DType.SMALLINT, exp.DType.TINYINT}


NESTED_MACROS = {**SEMI_STRUCTURED, exp.DType.JSON: "sf_variant"}
"""A VARIANT column is JSON in DuckDB."""


def cast_assignments(statement: Expr, columns: Columns) -> None:
    """Cast the values that INSERT, UPDATE and MERGE assign to the types of their columns, as Snowflake does."""
    if isinstance(statement, exp.Insert):
        target = statement.this
        table = target.this if isinstance(target, exp.Schema) else target
        if isinstance(table, exp.Table):
            known = columns(table)
            types = dict(known)
            names = [column.name for column in target.expressions] if isinstance(target, exp.Schema) else list(types)
            for row in _rows(statement.expression):
                _cast_all(row, [types.get(name) for name in names])
    elif isinstance(statement, exp.Update) and isinstance(statement.this, exp.Table):
        _set_all(statement.expressions, dict(columns(statement.this)))
    elif isinstance(statement, exp.Merge) and isinstance(statement.this, exp.Table):
        types = dict(columns(statement.this))
        for when in statement.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                _set_all(then.expressions, types)
            elif isinstance(then, exp.Insert) and isinstance(then.expression, exp.Tuple):
                named = then.this.expressions if then.this else []
                names = [column.name for column in named] or list(types)
                _cast_all(then.expression.expressions, [types.get(name) for name in names])


def inline_aliases(statement: Expr, columns: Columns) -> None:
    """Replace an alias by its expression if that may fail, like a division: DuckDB rejects such an alias."""
    for scope in traverse_scope(statement):
        select = scope.expression
        if not isinstance(select, exp.Select):
            continue
        aliases = {each.alias: each.this for each in select.expressions if isinstance(each, exp.Alias)}
        tables = [source for _, source in scope.selected_sources.values()]
        real = {name for table in tables if isinstance(table, exp.Table) for name, _ in columns(table)}
        real |= {name for each in tables if isinstance(each, Scope) for name in _selected(each.expression)}
        if any(isinstance(each, Scope) and each.expression.is_star for each in tables):
            continue
        late = [part for name in ("having", "qualify") if (part := select.args.get(name))]
        for column in {
            id(each): each for each in [*scope.columns, *(c for part in late for c in part.find_all(exp.Column))]
        }.values():
            used = column.find_ancestor(exp.Order, exp.Group, exp.Select) is select
            if used and not column.table and column.name in aliases and column.name not in real:
                meant = aliases[column.name]
                if not any(node is column for node in meant.walk()) and meant.find(
                    exp.Div, exp.Cast, exp.Avg, exp.DPipe
                ):
                    column.replace(exp.paren(meant.copy()))


def _selected(query: Expr) -> list[str]:
    return query.named_selects if isinstance(query, exp.Query) else []


def _rows(source: Expr | None) -> Iterable[list[Expr]]:
    if isinstance(source, exp.Values):
        for row in source.expressions:
            yield row.expressions if isinstance(row, exp.Tuple) else [row]
    elif isinstance(source, exp.Select) and not any(each.is_star for each in source.expressions):
        yield [each.this if isinstance(each, exp.Alias) else each for each in source.expressions]
    elif isinstance(source, exp.SetOperation):
        yield from _rows(source.left)
        yield from _rows(source.right)
    elif isinstance(source, exp.Subquery):
        yield from _rows(source.this)


def _set_all(assignments: Iterable[Expr], types: dict[str, exp.DataType]) -> None:
    for each in assignments:
        if isinstance(each, exp.EQ):
            _cast_all([each.expression], [types.get(each.this.name)])


def _cast_all(values: Iterable[Expr], types: Iterable[exp.DataType | None]) -> None:
    for value, to in zip(values, types, strict=False):
        as_text = isinstance(value, exp.Literal) and not (to and to.this in (exp.DType.TIMESTAMPTZ, *NESTED_MACROS))
        if to is None or as_text or isinstance(value, (exp.Null, exp.Boolean, exp.Placeholder, exp.Var)):
            continue
        if isinstance(value, exp.Cast) and value.to.this == to.this:
            continue
        if to.this in NESTED_MACROS:
            value.replace(call(NESTED_MACROS[to.this], value))
        if to.this in exp.DataType.TEXT_TYPES or to.this in INTEGER_TYPES or to.this == exp.DType.TIMESTAMPTZ:
            value.replace(exp.Cast(this=value.copy(), to=to.copy()))
