"""The user, role and warehouse of a session: from its login, or changed by `USE`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fakesnow.fakes import FakeSnowflakeConnection

DEFAULT_ROLE = "ACCOUNTADMIN"
"""The role of a login without a role."""


@dataclass
class Session:
    """The parts of a session that fakesnow does not keep. Names are in upper case, as in Snowflake."""

    account: str = ""
    user: str = ""
    role: str = DEFAULT_ROLE
    warehouse: str = ""
    login_role: str = DEFAULT_ROLE
    login_warehouse: str = ""
    statement: str = ""
    """The text of the current statement."""

    @classmethod
    def of_login(cls, login: Mapping[str, Any], query: Mapping[str, str], warehouses: Sequence[str] = ()) -> "Session":
        """Create the session of a login. If its warehouse does not exist, the session has none, as in Snowflake."""
        role, warehouse = query.get("roleName") or DEFAULT_ROLE, query.get("warehouse") or ""
        if warehouses and warehouse.upper() not in warehouses:
            warehouse = ""
        names = [str(login.get(name) or "") for name in ("ACCOUNT_NAME", "LOGIN_NAME")]
        return cls(*(name.upper() for name in (*names, role, warehouse, role, warehouse)))


SESSIONS: WeakKeyDictionary[FakeSnowflakeConnection, Session] = WeakKeyDictionary()
"""fakesnow's connection -> session. The connection lives as long as the session."""
