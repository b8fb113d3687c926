"""The privileges that a statement needs, and its effect on the grants of objects that it creates, renames or drops."""

import re
from collections.abc import Callable

from sqlglot import Expr, exp

from services.snowflake.access import Access
from services.snowflake.names import Names, tables

_CLONE = re.compile(
    r"\s*create\s+(or\s+replace\s+)?(?:(?:transient|temporary|temp)\s+)?table\s+(if\s+not\s+exists\s+)?(\S+)\s+clone\s+"
    r"(\S+)(\s+copy\s+grants)?\s*(?:/\*.*\*/)?\s*",
    re.IGNORECASE | re.DOTALL,
)
_COPY_GRANTS = re.compile(r"\bcopy\s+grants\b", re.IGNORECASE)
_DML: dict[type[Expr], tuple[str, ...]] = {
    exp.Insert: ("INSERT",),
    exp.Update: ("UPDATE",),
    exp.Delete: ("DELETE",),
    exp.Copy: ("INSERT",),
}
_CREATED_KINDS = ("TABLE", "VIEW", "STAGE", "SEQUENCE", "FILE FORMAT")
Need = tuple[str, str, str]
"""(privilege, kind, name): a privilege on the object with this kind and name."""


def clone_as_copy(sql: str) -> str:
    """Turn CREATE TABLE … CLONE into a copy of the rows. Return any other statement unchanged."""
    if not (clone := _CLONE.fullmatch(sql)):
        return sql
    replace, tolerant, target, source, _ = (part or "" for part in clone.groups())
    return f"create {replace}table {tolerant}{target} as select * from {source}"  # noqa: S608 - the client's own SQL


def copies_grants(sql: str) -> bool:
    """Return whether a statement has COPY GRANTS."""
    return bool(_COPY_GRANTS.search(sql)) and sql.lstrip()[:6].lower() == "create"


def needed(statement: Expr, names: Names) -> list[Need]:
    """Return the privileges that a statement needs. It needs none on an object that it creates."""
    found: list[Need] = []
    target = statement.find(exp.Table) if not isinstance(statement, exp.Query) else None
    for table in tables(statement):
        database, schema, name = names.path(table)
        if schema.upper() in ("INFORMATION_SCHEMA", "_FS_INFORMATION_SCHEMA") or not name:
            continue
        found += [("USAGE", "DATABASE", database), ("USAGE", "SCHEMA", f"{database}.{schema}")]
        if table is not target and not isinstance(statement, exp.Alter):
            found.append(("SELECT", "TABLE", f"{database}.{schema}.{name}"))
    if isinstance(target, exp.Table):
        found += _on_target(statement, target, names)
    return found


def _on_target(statement: Expr, target: exp.Table, names: Names) -> list[Need]:  # noqa: PLR0911 - one return for each kind
    database, schema, name = names.path(target)
    on = ("TABLE", f"{database}.{schema}.{name}")
    if type(statement) in _DML:
        return [(each, *on) for each in _DML[type(statement)]]
    if isinstance(statement, exp.Merge):
        kinds = {exp.Insert: "INSERT", exp.Update: "UPDATE"}
        return [(kinds.get(type(each.args["then"]), "DELETE"), *on) for each in statement.args["whens"].expressions]
    if isinstance(statement, exp.TruncateTable):
        return [("TRUNCATE", *on)]
    kind = str(statement.args.get("kind") or "").upper()
    if isinstance(statement, exp.Create) and kind in _CREATED_KINDS:
        owner = [("OWNERSHIP", *on)] if statement.args.get("replace") and names.columns(target) else []
        return [(f"CREATE {kind}", "SCHEMA", f"{database}.{schema}"), *owner]
    if isinstance(statement, exp.Create) and kind == "SCHEMA":
        return [("CREATE SCHEMA", "DATABASE", target.catalog or database)]
    if isinstance(statement, (exp.Drop, exp.Alter)) and kind in ("TABLE", "VIEW") and names.columns(target):
        return [("OWNERSHIP", *on)]
    if isinstance(statement, exp.Drop) and kind == "SCHEMA":
        return [("OWNERSHIP", "SCHEMA", f"{target.catalog or database}.{target.db}")]
    return []


def effect(statement: Expr, sql: str, names: Names, access: Access, role: str) -> Callable[[], None] | None:
    """Return a function that updates grants and owners, to call after the statement has run.

    This function itself must be called before the statement runs, because it looks up existing objects.
    """
    kind = str(statement.args.get("kind") or "").upper()
    target = statement.find(exp.Table)
    if not isinstance(statement, (exp.Create, exp.Drop, exp.Alter)) or target is None:
        return None
    database, schema, name = names.path(target)
    full = {"SCHEMA": f"{database}.{target.db}", "DATABASE": target.name}.get(kind, f"{database}.{schema}.{name}")
    if isinstance(statement, exp.Drop):
        return lambda: access.remove_object(full)
    if isinstance(statement, exp.Alter):
        if rename := statement.find(exp.AlterRename):
            return lambda: access.rename_object(full, f"{database}.{schema}.{rename.this.name}")
        return None
    if kind not in ("TABLE", "VIEW", "SCHEMA", "DATABASE") or (
        statement.args.get("exists") and names.exists(kind, full)
    ):
        return None
    sources = [table for table in tables(statement) if table is not target]
    source = ".".join(names.path(sources[0])) if sources else ""
    keep = copies_grants(sql)
    return lambda: access.add_object(kind, full, role, copied_from=source, keep=keep)
