"""Check a profile's values, one by one and together. Each fault names the value."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from commands.compose.forms import FORMS, RECEIVER, SECRET_NAMES, Values, on_snowflake, runs, without_stand_ins
from services import ports
from services.content import BUCKET, CONNECTIONS, PREFIX

PLACEHOLDERS = {"bucket": BUCKET, "prefix": PREFIX}
"""Values in the connections' file that services/airbyte/catalog/config_file.py replaces with the profile's."""
STAND_INS = {
    "localstack": {"S3_ENDPOINT_URL": f"http://localstack:{ports.S3}"},
    "airbyte": {"AIRBYTE_SERVER_URL": f"http://airbyte:{ports.AIRBYTE}/api/public/v1"},
    "snowflake": {
        "SNOWFLAKE_HOST": "snowflake",
        "SNOWFLAKE_PORT": str(ports.SNOWFLAKE),
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_ACCOUNT": "snowflake",
        "DBT_TARGET": "snowflake",
    },
    "prefect": {"PREFECT_API_URL": f"http://prefect-server:{ports.PREFECT}/api"},
    "alerts": {"ALERT_WEBHOOK_URL": RECEIVER},
}
"""For each optional service, the values that point to it, the address first. Airbyte derives the account from the host.
"""

ADDRESSES = ("PREFECT_API_URL", "AIRBYTE_SERVER_URL", "S3_ENDPOINT_URL", "SENSOR_QUEUE_URL", "SNOWFLAKE_HOST")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")
LOOPBACK = r"(.+\.)?localhost|127(\.\d+){0,3}|0(\.0){0,3}|::1?"
WORKSPACE = r"https://api\.prefect\.cloud/api/accounts/[\w-]+/workspaces/[\w-]+"
SNOWFLAKE_DOMAIN = ".snowflakecomputing.com"
HOST_GATEWAY = "host.docker.internal"
"""The name of this machine in containers, set in docker-compose.yml."""

STAND_IN_HOSTS = {"localstack", "airbyte", "snowflake", "prefect-server", "alerts"}
SNOWFLAKE_CREDENTIALS = ("SNOWFLAKE_PASSWORD", "SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_OAUTH_TOKEN")
PORTS = ("PREFECT_PORT", "AIRBYTE_PORT", "S3_PORT", "CONSOLE_PORT")


def find_faults(values: Values) -> Iterator[str]:
    """Yield a sentence for each fault in a profile's values; it begins with the value's name."""
    for name in values.keys() - FORMS.keys():
        if name in SECRET_NAMES:
            yield f"{name} is a secret. Move it into its own file, profiles/secrets/{values.get('PROFILE')}/{name}."
            continue
        near = get_close_matches(name, FORMS.keys() - values.keys(), n=1)
        yield f"{name} is not a known name." + (f" Did you mean {near[0]}?" if near else "")
    for name, form in FORMS.items():
        if name not in values:
            if form.needed(values):
                yield f"{name} is missing. Expected: {form.expected}."
        elif not (form.empty and not values[name]) and not re.fullmatch(form.pattern, values[name]):
            yield f"{name} is {_shown(name, values[name])}. Expected: {form.expected}."
    yield from _combination_faults(values)


def _combination_faults(values: Values) -> Iterator[str]:
    for service, wanted in STAND_INS.items():
        yield from _address_faults(service, wanted, values)
    yield from _image(values)
    yield from _loopback_addresses(values)
    yield from _same_ports(values)
    yield from _snowflake(values)
    yield from _landing(values)
    named = secrets(values)
    if runs("prefect", values) and named and "PREFECT_API_AUTH_STRING" not in named:
        yield "SECRETS does not name PREFECT_API_AUTH_STRING. Without it, anyone could read the server's blocks."
    if runs("prefect", values) and "PREFECT_API_KEY" in named:
        yield "SECRETS names PREFECT_API_KEY, which is for Prefect Cloud. The server here uses PREFECT_API_AUTH_STRING."
    yield from _browser_addresses(values)
    if bool(values.get("AIRBYTE_CLIENT_ID")) != ("AIRBYTE_CLIENT_SECRET" in named):
        yield "AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET (in SECRETS) go together. Set both, or neither."
    if runs("airbyte", values):
        yield from _unknown_connections(values)


def _browser_addresses(values: Values) -> Iterator[str]:
    """Find addresses that were copied from a browser instead of the API's."""
    prefect, account = values.get("PREFECT_API_URL", ""), values.get("SNOWFLAKE_ACCOUNT", "")
    if _host(prefect).endswith("prefect.cloud"):
        if not re.fullmatch(WORKSPACE, prefect):
            yield (
                f"PREFECT_API_URL is {prefect!r}, but the API of Prefect Cloud is "
                "https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE. Copy both ids from your address."
            )
        if "PREFECT_API_KEY" not in secrets(values):
            yield "SECRETS does not name PREFECT_API_KEY, which Prefect Cloud requires."
    if _host(values.get("AIRBYTE_SERVER_URL", "")) == "cloud.airbyte.com":
        yield "AIRBYTE_SERVER_URL is the address of Airbyte Cloud's pages. Its API is https://api.airbyte.com/v1."
    if (name := account.lower().removesuffix(SNOWFLAKE_DOMAIN)) != account.lower():
        yield f"SNOWFLAKE_ACCOUNT is {account!r}. Leave out {SNOWFLAKE_DOMAIN}: write {account[: len(name)]!r}."


def _loopback_addresses(values: Values) -> Iterator[str]:
    for name in (*ADDRESSES, *PROXIES):
        if is_loopback(values.get(name, "")):
            yield f"{name} {loopback_fault(values[name])}"


def is_loopback(address: str) -> bool:
    """Return whether an address means the machine or container that uses it."""
    return bool(re.fullmatch(LOOPBACK, _host(address)))


def loopback_fault(address: str) -> str:
    """Say what to write instead of a loopback address. Only its host is shown, because the URL may be a secret."""
    return (
        f"points to {_host(address)}, which in a container is the container itself. Write {HOST_GATEWAY} for this "
        "machine. The service must listen on more than 127.0.0.1."
    )


def _image(values: Values) -> Iterator[str]:
    image, tag = values.get("PLATFORM_IMAGE", ""), values.get("PLATFORM_TAG", "")
    if bool(image) != bool(tag):
        yield "PLATFORM_IMAGE and PLATFORM_TAG go together. Set both, or neither."
    elif not image and without_stand_ins(values):
        yield (
            "PLATFORM_IMAGE and PLATFORM_TAG are empty, but a profile without stand-ins runs an image. Build one with "
            f"`make image TAG=… PROFILE={values.get('PROFILE')}`, and set both."
        )


def _same_ports(values: Values) -> Iterator[str]:
    used = [values[name] for name in PORTS if values.get(name, "0") != "0"]
    for name in PORTS:
        if used.count(values.get(name, "")) > 1:
            yield f"{name} is {values[name]}, the same as another port."


def _snowflake(values: Values) -> Iterator[str]:
    credentials = secrets(values) & set(SNOWFLAKE_CREDENTIALS)
    if values.get("SNOWFLAKE_HOST") and not values.get("SNOWFLAKE_PORT"):
        yield "SNOWFLAKE_PORT is missing, but SNOWFLAKE_HOST is set. Set both, or neither."
    if runs("snowflake", values) and "SNOWFLAKE_PASSWORD" not in credentials:
        yield "SECRETS does not name SNOWFLAKE_PASSWORD, which the emulator requires."
    if not on_snowflake(values):
        if values.get("DBT_TARGET") == "dev" and not runs("airbyte", values):
            yield (
                "DBT_TARGET is dev, but the mock Airbyte does not run here, and only the mock loads DuckDB's lake. "
                "Set DBT_TARGET=snowflake, or add airbyte to COMPOSE_PROFILES."
            )
        return
    if values.get("SNOWFLAKE_PROTOCOL") == "http" and not runs("snowflake", values):
        yield "SNOWFLAKE_PROTOCOL is http, which only the emulator uses, and the emulator does not run here."
    if len(credentials) != 1:
        yield (
            f"SECRETS names {len(credentials)} of {', '.join(SNOWFLAKE_CREDENTIALS)}. With DBT_TARGET=snowflake, name "
            "exactly one."
        )


def _landing(values: Values) -> Iterator[str]:
    if bool(values.get("AWS_ACCESS_KEY_ID")) != bool(_aws_secret(values)):
        yield "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (here, or in SECRETS) go together. Set both, or neither."
    if "AWS_SESSION_TOKEN" in secrets(values) and not values.get("AWS_ACCESS_KEY_ID"):
        yield "SECRETS names AWS_SESSION_TOKEN, but AWS_ACCESS_KEY_ID, which it belongs to, is empty."
    if not runs("localstack", values):
        if values.get("AWS_SECRET_ACCESS_KEY") == "test":
            yield "AWS_SECRET_ACCESS_KEY is `test`, which only LocalStack accepts. Add the name to SECRETS instead."
        if values.get("AWS_ACCESS_KEY_ID", "").startswith("ASIA") and "AWS_SESSION_TOKEN" not in secrets(values):
            yield (
                "AWS_ACCESS_KEY_ID belongs to a temporary key (ASIA…), which AWS accepts only with its session token. "
                "Add AWS_SESSION_TOKEN to SECRETS."
            )
        return
    if not values.get("AWS_ACCESS_KEY_ID"):
        yield "AWS_ACCESS_KEY_ID is empty, but LocalStack requires one. Any value works."
    place = f"{STAND_INS['localstack']['S3_ENDPOINT_URL']}/"
    if not (values.get("SENSOR_QUEUE_URL") or place).startswith(place):
        yield f"SENSOR_QUEUE_URL does not begin with {place}, the address of LocalStack."


def _address_faults(service: str, wanted: Mapping[str, str], values: Values) -> Iterator[str]:
    if runs(service, values):
        for name, value in wanted.items():
            if values.get(name) != value:
                yield f"{name} is not {value}, but COMPOSE_PROFILES starts {service} there."
        return
    name = next(iter(wanted))
    if (host := _host(values.get(name, ""))) in STAND_IN_HOSTS:
        yield f"{name} points to {host}, but COMPOSE_PROFILES does not start {service}."


def _unknown_connections(values: Values) -> Iterator[str]:
    """Find connections, buckets and prefixes that are not in the mock's file.

    Sources with BUCKET and PREFIX read the profile's bucket and prefix.
    """
    config = CONNECTIONS.read_text(encoding="utf-8")
    wanted = [("AIRBYTE_CONNECTION_ID", "connectionId"), ("S3_BUCKET", "bucket"), ("S3_PREFIX", "prefix")]
    asked = [(name, key, values.get(name, "")) for name, key in wanted]
    more = filter(None, values.get("AIRBYTE_CONNECTION_IDS", "").split(","))
    for name, key, value in [*asked, *(("AIRBYTE_CONNECTION_IDS", "connectionId", each) for each in more)]:
        written = "|".join(map(re.escape, [value, *([PLACEHOLDERS[key]] if key in PLACEHOLDERS else [])]))
        if not re.search(rf"""\b{key}["']?:\s*["']?({written})["']?\s*([,}}#]|$)""", config, re.MULTILINE):
            yield f"{name} is {value!r}, which is not in localstack/{CONNECTIONS.name}."


def secrets(values: Values) -> set[str]:
    """Return the names of a profile's secrets."""
    return set(filter(None, values.get("SECRETS", "").split(",")))


def _aws_secret(values: Values) -> bool:
    return bool(values.get("AWS_SECRET_ACCESS_KEY")) or "AWS_SECRET_ACCESS_KEY" in secrets(values)


def _host(address: str) -> str:
    """Return the host of a URL, or of an address that is only a host."""
    return (urlsplit(address).hostname if "//" in address else address) or ""


def _shown(name: str, value: str) -> str:
    """Return the value to show; hide one that may be a misplaced secret."""
    return "not shown here" if name in SECRET_NAMES or "@" in value else repr(value)
