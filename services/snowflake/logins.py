"""Check logins, and refuse them with Snowflake's codes and messages.

The Python connector knows these codes (`snowflake.connector.network`).
"""

import hmac
from collections.abc import Mapping
from typing import Any

import jwt

from services.snowflake.access import SYSTEM, Access
from services.snowflake.settings import Settings

Refusal = tuple[str, str]
PASSWORD: Refusal = ("390100", "Incorrect username or password was specified.")
JWT: Refusal = ("390144", "JWT token is invalid.")
OAUTH: Refusal = ("390303", "Invalid OAuth access token.")


def refusal(
    settings: Settings, login: Mapping[str, Any], session: Mapping[str, str], access: Access | None = None
) -> Refusal | None:
    """Return why a login is refused, as code and message, or None if it is accepted.

    Args:
        settings: the required credentials.
        login: `data` of the request's body.
        session: the request's query, with the session's role and database.
        access: the roles that were created with SQL, and their grants to users.
    """
    if not _same(settings.account, login.get("ACCOUNT_NAME")):
        return PASSWORD
    return _unauthenticated(settings, login) or _unknown_role(
        settings, session, str(login.get("LOGIN_NAME") or ""), access
    )


def _unauthenticated(settings: Settings, login: Mapping[str, Any]) -> Refusal | None:
    if not settings.user:
        return None
    token = str(login.get("TOKEN") or "")
    match str(login.get("AUTHENTICATOR", "")).upper():
        case "SNOWFLAKE_JWT":
            return None if _signed(settings, token) else JWT
        case "OAUTH":
            expected = settings.oauth_token
            return None if expected and _equal(expected.get_secret_value(), token) else OAUTH
    known = _same(settings.user, login.get("LOGIN_NAME"))
    expected = settings.password
    right = expected and _equal(expected.get_secret_value(), str(login.get("PASSWORD") or ""))
    return None if known and right else PASSWORD


def _unknown_role(settings: Settings, session: Mapping[str, str], user: str, access: Access | None) -> Refusal | None:
    role = session.get("roleName")
    is_created_role = access is not None and role is not None and access.is_limited(role.upper())
    if is_created_role and access is not None and role is not None and access.may_use(user.upper(), role.upper()):
        return None
    if role is None or (
        _same(settings.role, role) and (settings.role or not (is_created_role or _absent(access, role)))
    ):
        return None
    return "390189", f"Role '{role}' specified in the connect string does not exist or not authorized."


def _absent(access: Access | None, role: str) -> bool:
    """Return whether a role does not exist. Until CREATE ROLE is first used, any role name is accepted."""
    return access is not None and access.has_roles and role.upper() not in (*SYSTEM, *access.roles)


def _signed(settings: Settings, token: str) -> bool:
    """Return whether a token is signed with the user's private key, and has the account and the user in `sub`."""
    try:
        claims = jwt.decode(token, settings.public_key, algorithms=["RS256"], options={"require": ["exp", "sub"]})
    except jwt.PyJWTError:  # also raised if no public key is set
        return False
    account, _, user = str(claims["sub"]).rpartition(".")
    return _same(settings.account, account) and _same(settings.user, user)


def _same(expected: str, given: Any) -> bool:
    """Compare names without case, as Snowflake does. An empty expected name accepts any."""
    return not expected or expected.upper() == str(given or "").upper()


def _equal(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode())
