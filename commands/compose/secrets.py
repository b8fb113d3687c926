"""A profile's secrets: files in profiles/secrets/PROFILE, which Compose mounts for the services that need them.

Secrets of stand-ins are generated at the first start. You put the secrets of real systems there.
"""

import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from blocks.names import RAW_SCHEMA
from commands.compose.forms import SECRET_NAMES
from commands.compose.profile import Profile
from commands.compose.values import SNOWFLAKE_DOMAIN, is_loopback, loopback_fault
from commands.errors import CommandError

PRIVATE_KEY = r"-----BEGIN ((?:ENCRYPTED |RSA )?PRIVATE KEY)-----\n.+\n-----END \1-----"
URL = (r"https?://\S+", "a URL, from http:// or https:// on")
FORMS = {
    "PREFECT_API_AUTH_STRING": ("[^:]+:.+", "of the form user:password"),
    "PREFECT_SERVER_ENCRYPTION_KEY": (
        r"[\w-]{43}=",
        "32 bytes in URL-safe base64, as `openssl rand -base64 32 | tr +/ -_` prints them",
    ),
    "ALERT_WEBHOOK_URL": URL,
    "HEARTBEAT_URL": URL,
}
"""The pattern of a secret, and its description for errors."""
DESTINATION = "destination.json"
KEY = "digest.key"
STAND_IN_SECRETS = {
    "PREFECT_API_AUTH_STRING": "prefect",
    "PREFECT_SERVER_ENCRYPTION_KEY": "prefect",
    "AIRBYTE_CLIENT_SECRET": "airbyte",
    "SNOWFLAKE_PASSWORD": "snowflake",
    "AWS_SECRET_ACCESS_KEY": "localstack",
}
"""Secrets that can be generated if this stand-in runs, because only the stand-in checks them."""


def prepare(profile: Profile) -> None:
    """Check a profile's secrets, and generate missing ones of stand-ins.

    Other users of this machine cannot open the folder, so its files can be readable to the users in containers.

    Raises:
        CommandError: secrets of real systems are missing or invalid; it names all of them and where to put them.
    """
    if not profile.secrets:
        return
    folder = profile.secrets_folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in sorted(profile.secrets):
        if STAND_IN_SECRETS.get(name) in profile.services and not _text(folder / name):
            _write(folder / name, _generate(name))
    faults = [*filter(None, (_fault(folder / name, name in profile.secrets) for name in SECRET_NAMES)), *_key(profile)]
    if faults:
        raise CommandError("\n  ".join(["Secrets cannot be used; nothing was started.", *faults]))
    for name in SECRET_NAMES:
        (folder / name).touch()  # Compose mounts all of them; an empty file counts as unset
        (folder / name).chmod(0o444)
    _write_once(folder / DESTINATION, json.dumps(_destination(profile), indent=2) + "\n")
    if not (folder / KEY).is_file():
        _write(folder / KEY, secrets.token_hex(32))


def digests(profile: Profile) -> dict[str, str]:
    """Return a variable with a digest of each secret. Compose recreates containers when a digest changes.

    The digest is keyed, so that someone who can list containers cannot test guesses of the secret.
    """
    folder = profile.secrets_folder
    if not (folder / KEY).is_file():
        return {}
    key = (folder / KEY).read_bytes()
    names = [*SECRET_NAMES, DESTINATION]
    texts = {name: _text(folder / name) for name in names}
    return {
        f"DIGEST_{name.partition('.')[0].upper()}": blake2b(text.encode(), key=key[:64], digest_size=8).hexdigest()
        for name, text in texts.items()
    }


def _destination(profile: Profile) -> dict[str, object]:
    """Return the mock Airbyte's destination: the profile's warehouse, in the format of Airbyte's own connector."""
    if profile.values["DBT_TARGET"] == "snowflake":
        return _snowflake(profile)
    return {"destinationType": "duckdb", "destination_path": ""}


def _snowflake(profile: Profile) -> dict[str, object]:
    """Return the destination in the format of Airbyte's connector for Snowflake."""
    values, account = profile.values, profile.values["SNOWFLAKE_ACCOUNT"]
    host = f"{values['SNOWFLAKE_PROTOCOL']}://{values['SNOWFLAKE_HOST']}:{values['SNOWFLAKE_PORT']}"
    credentials = {"auth_type": "Username and Password", "password": secret(profile, "SNOWFLAKE_PASSWORD")}
    if key := secret(profile, "SNOWFLAKE_PRIVATE_KEY"):
        passphrase = secret(profile, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")
        credentials = {"auth_type": "Key Pair Authentication", "private_key": key}
        credentials |= {"private_key_password": passphrase} if passphrase else {}
    return {
        "destinationType": "snowflake",
        "host": host if values["SNOWFLAKE_HOST"] else f"{account}{SNOWFLAKE_DOMAIN}",
        "role": values["SNOWFLAKE_ROLE"],
        "warehouse": values["SNOWFLAKE_WAREHOUSE"],
        "database": values["SNOWFLAKE_DATABASE"],
        "schema": RAW_SCHEMA,
        "username": values["SNOWFLAKE_USER"],
        "credentials": credentials,
    }


def secret(profile: Profile, name: str) -> str:
    """Return a secret's value; "" if the profile does not have it."""
    return _text(profile.secrets_folder / name) if name in profile.secrets else ""


def _generate(name: str) -> str:
    if name == "PREFECT_SERVER_ENCRYPTION_KEY":
        return urlsafe_b64encode(secrets.token_bytes(32)).decode()  # as Fernet takes a key
    made = secrets.token_urlsafe(24)
    return f"platform:{made}" if name == "PREFECT_API_AUTH_STRING" else made


def _fault(file: Path, named: bool) -> str:
    text, where = _text(file), f"{file.name}: {'/'.join(file.parts[-4:])}"
    if text and not named:
        return f"{where} exists, but SECRETS does not name it. Add it to SECRETS, or remove the file."
    if named and not text:
        return f"{where} is missing or empty. Put only the value into the file."
    if file.name in ("ALERT_WEBHOOK_URL", "HEARTBEAT_URL") and is_loopback(text):
        return f"{where} {loopback_fault(text)}"
    if file.name != "SNOWFLAKE_PRIVATE_KEY" and len(text.splitlines()) > 1:
        return f"{where} has more than one line. Put only the value into the file."
    if file.name == "SNOWFLAKE_PRIVATE_KEY" and text and not re.fullmatch(PRIVATE_KEY, text, re.DOTALL):
        return f"{where} is not a complete private key in PEM format (-----BEGIN [ENCRYPTED ]PRIVATE KEY-----)."
    pattern, expected = FORMS.get(file.name, (".*", ""))
    return f"{where} is not {expected}." if text and not re.fullmatch(pattern, text, re.DOTALL) else ""


def _key(profile: Profile) -> Iterator[str]:
    """Check that the private key and its passphrase go together, and yield faults."""
    name, passphrase = "SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"
    is_encrypted, has_passphrase = "ENCRYPTED" in secret(profile, name), bool(secret(profile, passphrase))
    if is_encrypted and not has_passphrase:
        yield f"{name} is encrypted. Add {passphrase} to SECRETS, and put it into a file of that name beside the key."
    if has_passphrase and not is_encrypted:
        yield f"{passphrase} is set, but {name} is not encrypted. Remove the passphrase's file and its name in SECRETS."


def _text(file: Path) -> str:
    """Read the secret in a file as with_secrets.sh does: without byte order mark, CRs, and space at either end.

    Raises:
        CommandError: the file cannot be read or is not UTF-8. Windows PowerShell writes UTF-16, for example.
    """
    if not file.is_file():
        return ""
    try:
        return file.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise CommandError(
            f"{'/'.join(file.parts[-4:])} is not UTF-8. Save it as UTF-8, with only the value."
        ) from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}. Give your user read access.") from None


def _write_once(file: Path, text: str) -> None:
    """Write a file only if its content differs, because a running container keeps the file that it started with."""
    if not file.is_file() or file.read_text() != text:
        _write(file, text)
    file.chmod(0o444)


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
