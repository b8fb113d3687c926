"""Who a session is: what its login named, and what `USE` has changed since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fakesnow.fakes import FakeSnowflakeConnection

EVERYTHING = "ACCOUNTADMIN"
"""The role of a login that names none."""


@dataclass
class Session:
    """The parts of a session that fakesnow does not keep; names are in Snowflake's upper case."""

    account: str = ""
    user: str = ""
    role: str = EVERYTHING
    warehouse: str = ""
    login_role: str = EVERYTHING
    login_warehouse: str = ""
    statement: str = ""
    """The text of the one that runs."""

    @classmethod
    def of_login(cls, login: Mapping[str, Any], query: Mapping[str, str], warehouses: Sequence[str] = ()) -> "Session":
        """A session without a warehouse, as Snowflake's, if it names another than those that there are."""
        role, warehouse = query.get("roleName") or EVERYTHING, query.get("warehouse") or ""
        if warehouses and warehouse.upper() not in warehouses:
            warehouse = ""
        names = [str(login.get(name) or "") for name in ("ACCOUNT_NAME", "LOGIN_NAME")]
        return cls(*(name.upper() for name in (*names, role, warehouse, role, warehouse)))


SESSIONS: WeakKeyDictionary[FakeSnowflakeConnection, Session] = WeakKeyDictionary()
"""By fakesnow's connection, which lives as long as the session."""
