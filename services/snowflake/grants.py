"""Run statements about roles, grants and warehouses, such as GRANT, SHOW GRANTS, CREATE ROLE and USE ROLE."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from snowflake.connector.errors import ProgrammingError
from sqlglot import Dialect, exp
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

from services.snowflake.access import SYSTEM, Access, Grant
from services.snowflake.errors import denied, unknown, unsupported
from services.snowflake.names import Names
from services.snowflake.sessions import Session

Rows = list[dict[str, str]]
EXECUTED: Rows = [{"status": "Statement executed successfully."}]
_KINDS = {"TABLES": "TABLE", "VIEWS": "VIEW", "SCHEMAS": "SCHEMA", "STAGES": "STAGE", "SEQUENCES": "SEQUENCE"}
_DEPTH = {"DATABASE": 1, "SCHEMA": 2}
_COLUMNS = ("created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option", "granted_by")


def _full_name(names: Names, kind: str, name: str) -> str:
    """Return an object's name with schema and database, as far as its kind has them."""
    if kind in ("WAREHOUSE", "ROLE", "USER", "ACCOUNT", "INTEGRATION"):
        return name
    parts = name.split(".")
    here = names.path(exp.table_("X"))[:2]
    return ".".join([*here[: max(0, _DEPTH.get(kind, 3) - len(parts))], *parts])


def run(access: Access, session: Session, names: Names, sql: str) -> Rows | None:
    """Run a statement about roles, grants or warehouses; return None for any other statement."""
    words = _words(sql)
    head = " ".join(words[:2]).upper()
    if not words:
        return None
    verb = words[0].upper()
    if verb in ("GRANT", "REVOKE"):
        return Statement(access, session, names, words[1:]).change(revoke=verb == "REVOKE")
    if verb == "SHOW" and "GRANTS" in (word.upper() for word in words[1:3]):
        return Statement(access, session, names, words[1:]).show()
    if verb == "SHOW" and len(words) == 2 and (shown := _show_objects(access, session, words[1].upper())):
        return shown
    if head in ("USE ROLE", "USE WAREHOUSE"):
        return _use(access, session, words[1].upper(), words[2])
    return _change_object(access, session, words)


def _words(sql: str) -> list[str]:
    """Split a statement into words. A dotted name is one word; unquoted words are in upper case."""
    try:
        tokens = Dialect.get_or_raise("snowflake").tokenize(sql)
    except TokenError:
        return []
    words: list[str] = []
    glue = False
    for token in tokens:
        quoted = token.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
        text = token.text if quoted else token.text.upper()
        if text == "." or glue:
            words[-1:] = [f"{words[-1] if words else ''}{text}"]
            glue = text == "."
        elif text != ";":
            words.append(text)
    return words


def _show_objects(access: Access, session: Session, kind: str) -> Rows:
    """Return the rows of SHOW ROLES or SHOW WAREHOUSES, or no rows for other kinds."""
    if kind == "ROLES":
        return [{"name": role} for role in sorted({*SYSTEM, *access.roles})]
    known = {*access.warehouses, session.login_warehouse} - {""} if kind == "WAREHOUSES" else set()
    return [{"name": name, "state": "STARTED", "type": "STANDARD", "size": "X-Small"} for name in sorted(known)]


def _use(access: Access, session: Session, kind: str, name: str) -> Rows:
    if kind == "WAREHOUSE":
        if name not in (session.login_warehouse, *access.warehouses):
            raise unknown("Warehouse", name)
        session.warehouse = name
        return EXECUTED
    known = name in (session.login_role, *SYSTEM, *access.roles)
    if not known or (access.is_limited(session.login_role) and not _is_member(access, session, name)):
        raise ProgrammingError(
            msg=f"SQL access control error:\nRequested role '{name}' is not assigned to the executing user. Specify "
            "another role to activate.",
            errno=3013,
            sqlstate="42501",
        )
    session.role = name
    return EXECUTED


def _is_member(access: Access, session: Session, role: str) -> bool:
    return role in access.effective(session.login_role) or access.may_use(session.user, role)


def _change_object(access: Access, session: Session, words: Sequence[str]) -> Rows | None:
    """Run CREATE, ALTER or DROP of a role, warehouse or user; return None for any other statement."""
    verb, rest = words[0], [word for word in words[1:] if word not in ("OR", "REPLACE")]
    if verb not in ("CREATE", "DROP", "ALTER") or not rest or rest[0] not in ("ROLE", "WAREHOUSE", "USER"):
        return None
    kind, rest = rest[0], rest[1:]
    tolerant = rest[:1] == ["IF"]
    name = rest[3 if rest[1:2] == ["NOT"] else 2] if tolerant else rest[0]
    if access.is_limited(session.role):
        raise denied(f" to operate on account: role {session.role} may not {verb} a {kind.lower()}.")
    if kind == "USER":
        return EXECUTED  # the emulator's settings say who may log in
    known = access.roles if kind == "ROLE" else access.warehouses
    if verb == "CREATE":
        if name in known and not tolerant and "REPLACE" not in words:
            raise ProgrammingError(
                msg=f"SQL compilation error:\nObject '{name}' already exists.", errno=2002, sqlstate="42710"
            )
        known.extend([name] if name not in known else [])
        access.has_roles |= kind == "ROLE"
    elif name not in known and not tolerant:
        raise unknown(kind.capitalize(), name)
    elif verb == "DROP" and name in known:
        known.remove(name)
        access.grants = [each for each in access.grants if name not in (each.role, each.name)]
        access.members = [each for each in access.members if name not in (each[0], each[2])]
    access.save()
    return EXECUTED


@dataclass
class Statement:
    """A GRANT, REVOKE or SHOW GRANTS. `words` are its words from the second one on."""

    access: Access
    session: Session
    names: Names
    words: list[str]

    def change(self, *, revoke: bool) -> Rows:
        """Run a GRANT or REVOKE."""
        if self.words[:3] == ["GRANT", "OPTION", "FOR"]:
            raise unsupported("the emulator cannot revoke a GRANT OPTION. Revoke the privilege and grant it again.")
        if self.words[0] == "ROLE" and "ON" not in self.words:
            return self._membership(revoke=revoke)
        at, to = self.words.index("ON"), self._last("FROM" if revoke else "TO")
        role = self._role(to)
        option = self.words[-3:] == ["WITH", "GRANT", "OPTION"]
        privileges = [" ".join(part) for part in _split(self.words[:at])]
        for kind, name, future in self._targets(self.words[at + 1 : to]):
            for privilege in privileges:
                self._apply(Grant(privilege.removesuffix(" PRIVILEGES"), kind, name, role, option), future, revoke)
        self.access.save()
        return EXECUTED

    def _last(self, word: str) -> int:
        return len(self.words) - 1 - self.words[::-1].index(word)

    def _role(self, at: int) -> str:
        rest = self.words[at + 1 :]
        if rest[0] in ("SHARE", "DATABASE", "APPLICATION", "USER"):
            raise unsupported(f"the emulator can grant only to roles, not to a {rest[0].lower()}.")
        role = rest[1] if rest[0] == "ROLE" else rest[0]
        if role not in (*SYSTEM, *self.access.roles, self.session.login_role):
            raise unknown("Role", role)
        return role

    def _membership(self, *, revoke: bool) -> Rows:
        role, (kind, to) = self.words[1], self.words[3:5]
        if role not in self.access.roles:
            raise unknown("Role", role)
        member = (role, kind, to.upper())
        self.access.members = [each for each in self.access.members if each != member] + ([] if revoke else [member])
        self.access.save()
        return EXECUTED

    def _targets(self, words: list[str]) -> Iterator[tuple[str, str, bool]]:
        """Yield (kind, name, is_future) of each object. A future grant has the name of the schema or database."""
        if words[0] in ("ALL", "FUTURE"):
            kind, container = _KINDS.get(words[1], words[1]), words[3]
            name = _full_name(self.names, container, words[4])
            if not self.names.exists(container, name):
                raise unknown(container.capitalize(), name)
            if words[0] == "FUTURE":
                yield kind, name, True
            else:
                yield from ((kind, each, False) for each in self.names.objects(kind, name))
            return
        kind, name = (words[0], words[1]) if len(words) > 1 else ("TABLE", words[0])
        name = _full_name(self.names, kind, name)
        if kind == "TABLE" and not self.names.exists("TABLE", name) and self.names.exists("VIEW", name):
            kind = "VIEW"
        known = kind not in ("TABLE", "VIEW", "SCHEMA", "DATABASE") or self.names.exists(kind, name)
        if not known:
            raise unknown(kind.capitalize(), name)
        yield kind, name, False

    def _apply(self, grant: Grant, future: bool, revoke: bool) -> None:
        access, role = self.access, self.session.role
        if not future:
            access.require(role, [("OWNERSHIP", grant.kind, grant.name)] if not self._may_pass_on(grant) else [])
        elif access.is_limited(role) and not access.has(role, "OWNERSHIP", "SCHEMA", grant.name):
            raise denied(f": role {role} lacks MANAGE GRANTS or the schema's ownership, which future grants need.")
        if grant.privilege == "OWNERSHIP" and not future:
            access.owners[f"{grant.kind} {grant.name}"] = grant.role
            return
        known = access.future if future else access.grants
        kept = [each for each in known if (each.privilege, each.kind, each.name, each.role) != _key(grant)]
        covered = [
            each for each in kept if grant.privilege == "ALL" and (each.kind, each.name, each.role) == _key(grant)[1:]
        ]
        known[:] = [each for each in kept if each not in covered] if revoke else [*kept, grant]

    def _may_pass_on(self, grant: Grant) -> bool:
        roles = self.access.effective(self.session.role)
        return any(
            each.option and each.role in roles and (each.privilege, each.kind, each.name) == _key(grant)[:3]
            for each in self.access.grants
        )

    # -- SHOW GRANTS -----------------------------------------------------------------------------------

    def show(self) -> Rows:
        """Run a SHOW GRANTS or SHOW FUTURE GRANTS."""
        if self.words[0] == "FUTURE":
            return self._show_future(self.words[2:])
        rest = self.words[1:]
        access = self.access
        if not rest:
            rest = ["TO", "ROLE", self.session.role]
        if rest[:2] == ["TO", "USER"]:
            granted = [each for each in access.members if each[1:] == ("USER", rest[2].upper())]
            return [{"role": role, "granted_to": "USER", "grantee_name": user} for role, _, user in granted]
        if rest[:2] == ["OF", "ROLE"]:
            of = [each for each in access.members if each[0] == rest[2]]
            return [{"role": role, "granted_to": kind, "grantee_name": to} for role, kind, to in of]
        if rest[0] == "TO":
            return self._show_to(rest[2] if rest[1] == "ROLE" else rest[1])
        kind, name = rest[1], _full_name(self.names, rest[1], rest[2])
        if not self.names.exists(kind, name) and kind in ("TABLE", "VIEW", "SCHEMA", "DATABASE"):
            raise unknown(kind.capitalize(), name)
        access.require(self.session.role, [("", kind, name)])
        owner = access.owners.get(f"{kind} {name}")
        owned = [_row("OWNERSHIP", kind, name, owner, True)] if owner else []
        found = [each for each in access.grants if each.name == name and each.kind == kind]
        return owned + [_row(each.privilege, kind, name, each.role, each.option) for each in found]

    def _show_to(self, role: str) -> Rows:
        if role not in (*SYSTEM, *self.access.roles):
            raise unknown("Role", role)
        rows = [
            _row(each.privilege, each.kind, each.name, role, each.option)
            for each in self.access.grants
            if each.role == role
        ]
        rows += [
            _row("USAGE", "ROLE", name, role, False)
            for name, kind, to in self.access.members
            if (kind, to) == ("ROLE", role)
        ]
        owned = [key.partition(" ") for key, owner in self.access.owners.items() if owner == role]
        return rows + [_row("OWNERSHIP", kind, name, role, True) for kind, _, name in owned]

    def _show_future(self, rest: list[str]) -> Rows:
        to_role = rest[0] == "TO"
        name = rest[-1] if to_role else _full_name(self.names, rest[1], rest[2])
        found = [each for each in self.access.future if (each.role if to_role else each.name) == name]
        rows = [_row(each.privilege, each.kind, f"{each.name}.<{each.kind}>", each.role, each.option) for each in found]
        return [
            {
                ("grant_on" if key == "granted_on" else "grant_to" if key == "granted_to" else key): value
                for key, value in row.items()
            }
            for row in rows
        ]


def _key(grant: Grant) -> tuple[str, str, str, str]:
    return grant.privilege, grant.kind, grant.name, grant.role


def _split(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in [*words, ","]:
        if word == ",":
            yield part
            part = []
        else:
            part.append(word)


def _row(privilege: str, kind: str, name: str, role: str, option: bool) -> dict[str, str]:
    values = ("", privilege, kind, name, "ROLE", role, str(option).lower(), "")
    return dict(zip(_COLUMNS, values, strict=True))


def as_select(rows: Rows) -> str:
    """Return a DuckDB query that returns these rows. Without rows, it has the columns of SHOW GRANTS."""
    columns = list(rows[0]) if rows else list(_COLUMNS)
    values = [tuple(row.values()) for row in rows] or [tuple("" for _ in columns)]
    table = exp.values(values, alias="t", columns=columns)
    query = exp.select("*").from_(table)
    return (query if rows else query.where("false")).sql(dialect="duckdb")
