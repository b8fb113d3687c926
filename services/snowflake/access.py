"""Roles, grants and warehouses: who may do what, and what SHOW GRANTS returns.

A role that was created with CREATE ROLE may do what it was granted. Any other role of a login may do everything, like
an account administrator. Source: https://docs.snowflake.com/en/user-guide/security-access-control-overview
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from snowflake.connector.errors import ProgrammingError

from services.snowflake.errors import denied

SYSTEM = ("ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN", "ORGADMIN", "PUBLIC")


@dataclass(frozen=True, order=True)
class Grant:
    """A privilege of a role on an object, such as TABLE D.S.T.

    In a future grant, `name` is the name of the schema or database that contains the objects.
    """

    privilege: str
    kind: str
    name: str
    role: str
    option: bool = False


@dataclass
class Access:
    """All roles and grants of an account, stored in a file."""

    file: Path
    roles: list[str] = field(default_factory=list)
    has_roles: bool = False
    """Whether CREATE ROLE was ever used. The roles may have been dropped since."""
    warehouses: list[str] = field(default_factory=list)
    members: list[tuple[str, str, str]] = field(default_factory=list)
    """(role, kind, name): the role is granted to this ROLE or USER."""
    grants: list[Grant] = field(default_factory=list)
    future: list[Grant] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    """An object's kind and name -> the role that owns it."""

    @classmethod
    def load(cls, file: Path) -> "Access":
        stored = json.loads(file.read_text()) if file.exists() else {}
        for name in ("grants", "future"):
            stored[name] = [Grant(**each) for each in stored.get(name, [])]
        stored["has_roles"] = stored.get("has_roles", bool(stored.get("roles")))
        return cls(file, **(stored | {"members": [tuple(each) for each in stored.get("members", [])]}))

    def save(self) -> None:
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps({name: value for name, value in asdict(self).items() if name != "file"}))
        partial.replace(self.file)

    # -- roles -----------------------------------------------------------------------------------------

    def is_limited(self, role: str) -> bool:
        """Return whether a role may only do what it was granted."""
        return role in self.roles or role == "PUBLIC"

    def may_use(self, user: str, role: str) -> bool:
        """Return whether a user may use a role."""
        granted = {name for name, kind, to in self.members if (kind, to) == ("USER", user)}
        return any(role in self.effective(each) for each in granted)

    def effective(self, role: str) -> list[str]:
        """Return the role, PUBLIC, and all roles that are granted to these."""
        found = [role, "PUBLIC"]
        for each in found:  # the list grows during the loop
            found += [name for name, kind, to in self.members if (kind, to) == ("ROLE", each) and name not in found]
        return found

    # -- privileges ------------------------------------------------------------------------------------

    def has(self, role: str, privilege: str, kind: str, name: str) -> bool:
        """Return whether a role has a privilege on an object. An owner has all of them; "" means any privilege."""
        roles = self.effective(role)
        kinds = ("TABLE", "VIEW") if kind in ("TABLE", "VIEW") else (kind,)
        if not self.is_limited(role) or any(self.owners.get(f"{each} {name}") in roles for each in kinds):
            return True
        return any(
            grant.name == name and grant.kind in kinds and grant.role in roles
            and (not privilege or grant.privilege in (privilege, "ALL", "OWNERSHIP"))
            for grant in self.grants
        )  # fmt: skip

    def require(self, role: str, needed: Iterable[tuple[str, str, str]]) -> None:
        """Check that a role has privileges, each given as (privilege, kind, name).

        Raises:
            ProgrammingError: the role lacks a privilege.
        """
        for privilege, kind, name in needed:
            if self.has(role, privilege, kind, name):
                continue
            if self.has(role, "", kind, name):
                raise denied(f" to operate on {kind.lower()} '{name}'. Role {role} lacks {privilege}.")
            shown = "Object" if kind in ("TABLE", "VIEW") else kind.capitalize()
            raise ProgrammingError(
                msg=f"SQL compilation error:\n{shown} '{name}' does not exist or not authorized. Role {role} lacks "
                f"{privilege} on {kind.lower()} {name}.",
                errno=2003,
                sqlstate="02000",
            )

    def grant(self, new: Grant) -> None:
        if new not in self.grants:
            self.grants.append(new)

    # -- changes of objects ----------------------------------------------------------------------------

    def add_object(self, kind: str, name: str, role: str, *, copied_from: str = "", keep: bool = False) -> None:
        """Record a new object's owner and grants.

        Args:
            kind: TABLE, VIEW, SCHEMA or DATABASE.
            name: the name with schema and database.
            role: the role that created it.
            copied_from: the source of a clone. If the clone replaces nothing, COPY GRANTS copies the source's grants.
            keep: whether the statement has COPY GRANTS. Then, future grants do not apply.
        """
        old = [grant for grant in self.grants if grant.name == name and grant.kind == kind]
        replaced = f"{kind} {name}" in self.owners
        self.remove_object(name)
        self.owners[f"{kind} {name}"] = role
        if keep and replaced:
            self.grants += old
        elif keep:
            copied = [grant for grant in self.grants if grant.name == copied_from and grant.kind == kind]
            self.grants += [Grant(each.privilege, kind, name, each.role, each.option) for each in copied]
        else:
            self.grants += self._future_grants_for(kind, name)
        self.save()

    def _future_grants_for(self, kind: str, name: str) -> list[Grant]:
        """Return the grants that a new object gets from future grants of its schema, or else of its database."""
        parts = name.split(".")
        for container in (".".join(parts[:-1]), parts[0]):
            found = [grant for grant in self.future if (grant.kind, grant.name) == (kind, container)]
            if found:
                return [Grant(each.privilege, kind, name, each.role, each.option) for each in found]
        return []

    def remove_object(self, name: str) -> None:
        """Remove an object and all objects in it."""
        inside = f"{name}."
        self.grants = [each for each in self.grants if each.name != name and not each.name.startswith(inside)]
        self.future = [each for each in self.future if each.name != name and not each.name.startswith(inside)]
        kept = {key: role for key, role in self.owners.items() if not f"{key.partition(' ')[2]}.".startswith(inside)}
        self.owners = kept
        self.save()

    def rename_object(self, old: str, new: str) -> None:
        """Move a table's or view's grants to its new name."""
        self.grants = [
            Grant(each.privilege, each.kind, new, each.role, each.option) if each.name == old else each
            for each in self.grants
        ]
        for kind in ("TABLE", "VIEW"):
            if role := self.owners.pop(f"{kind} {old}", None):
                self.owners[f"{kind} {new}"] = role
        self.save()
