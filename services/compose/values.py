"""What a profile's values look like and which belong together. Each fault is reported with the value's name."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from services.compose.forms import FORMS, RECEIVER, SECRET_NAMES, Values, on_snowflake, runs, without_stand_ins
from services.content import BUCKET, CONNECTIONS, PREFIX

REPLACED = {"bucket": BUCKET, "prefix": PREFIX}
"""What the connections say where the profile decides; services/airbyte/config_file.py replaces it."""
STAND_INS = {
    "localstack": {"S3_ENDPOINT_URL": "http://localstack:4566"},
    "airbyte": {"AIRBYTE_SERVER_URL": "http://airbyte:8006/api/public/v1"},
    "snowflake": {
        "SNOWFLAKE_HOST": "snowflake",
        "SNOWFLAKE_PORT": "8085",
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_ACCOUNT": "snowflake",
        "DBT_TARGET": "snowflake",
    },
    "prefect": {"PREFECT_API_URL": "http://prefect-server:4200/api"},
    "alerts": {"ALERT_WEBHOOK_URL": RECEIVER},
}
"""Of each optional service: the values that lead to it, the address first; Airbyte takes the account from the host."""

ADDRESSES = ("PREFECT_API_URL", "AIRBYTE_SERVER_URL", "S3_ENDPOINT_URL", "SENSOR_QUEUE_URL", "SNOWFLAKE_HOST")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")
LOOPBACK = r"(.+\.)?localhost|127(\.\d+){0,3}|0(\.0){0,3}|::1?"
WORKSPACE = r"https://api\.prefect\.cloud/api/accounts/[\w-]+/workspaces/[\w-]+"
SNOWFLAKE_DOMAIN = ".snowflakecomputing.com"
OF_THE_HOST = "host.docker.internal"
"""The name by which docker-compose.yml lets containers reach this machine."""

HOSTS = {"localstack", "airbyte", "snowflake", "prefect-server", "alerts"}
LOG_INS = ("SNOWFLAKE_PASSWORD", "SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_OAUTH_TOKEN")
PORTS = ("PREFECT_PORT", "AIRBYTE_PORT", "S3_PORT", "CONSOLE_PORT")


def wrong(values: Values) -> Iterator[str]:
    """Everything that is wrong with a profile's values, each in a sentence that begins with the name."""
    for name in values.keys() - FORMS.keys():
        if name in SECRET_NAMES:
            yield f"{name} is a secret: move it to a file profiles/secrets/{values.get('PROFILE')}/{name}, alone."
            continue
        near = get_close_matches(name, FORMS.keys() - values.keys(), n=1)
        yield f"{name} is not a known name" + (f": did you mean {near[0]}?" if near else ".")
    for name, form in FORMS.items():
        if name not in values:
            if form.needed(values):
                yield f"{name} is missing: {form.expected}."
        elif not (form.empty and not values[name]) and not re.fullmatch(form.pattern, values[name]):
            yield f"{name} is {_shown(name, values[name])}: expected is {form.expected}."
    yield from _unfit(values)


def _unfit(values: Values) -> Iterator[str]:
    for service, wanted in STAND_INS.items():
        yield from _wrong_way(service, wanted, values)
    yield from _image(values)
    yield from _this_machine(values)
    yield from _same_ports(values)
    yield from _snowflake(values)
    yield from _landing(values)
    named = secrets(values)
    if runs("prefect", values) and named and "PREFECT_API_AUTH_STRING" not in named:
        yield "SECRETS does not name PREFECT_API_AUTH_STRING: the server would show its blocks to anyone."
    if runs("prefect", values) and "PREFECT_API_KEY" in named:
        yield "SECRETS names PREFECT_API_KEY, which is Prefect Cloud's: the server here takes PREFECT_API_AUTH_STRING."
    yield from _pages(values)
    if bool(values.get("AIRBYTE_CLIENT_ID")) != ("AIRBYTE_CLIENT_SECRET" in named):
        yield "AIRBYTE_CLIENT_ID and, among SECRETS, AIRBYTE_CLIENT_SECRET go together: set both, or neither."
    if runs("airbyte", values):
        yield from _unknown_to_the_mock(values)


def _pages(values: Values) -> Iterator[str]:
    """Addresses that a person copies from a browser, where the API's is meant."""
    prefect, account = values.get("PREFECT_API_URL", ""), values.get("SNOWFLAKE_ACCOUNT", "")
    if _host(prefect).endswith("prefect.cloud"):
        if not re.fullmatch(WORKSPACE, prefect):
            yield (
                f"PREFECT_API_URL is {prefect!r}, and the API of Prefect Cloud is "
                "https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE: take both ids from that address."
            )
        if "PREFECT_API_KEY" not in secrets(values):
            yield "SECRETS does not name PREFECT_API_KEY, without which Prefect Cloud answers nobody."
    if _host(values.get("AIRBYTE_SERVER_URL", "")) == "cloud.airbyte.com":
        yield "AIRBYTE_SERVER_URL is the address of Airbyte Cloud's pages. Its API is https://api.airbyte.com/v1."
    if (name := account.lower().removesuffix(SNOWFLAKE_DOMAIN)) != account.lower():
        yield f"SNOWFLAKE_ACCOUNT is {account!r}: leave out {SNOWFLAKE_DOMAIN}, and write {account[: len(name)]!r}."


def _this_machine(values: Values) -> Iterator[str]:
    for name in (*ADDRESSES, *PROXIES):
        if is_this_machine(values.get(name, "")):
            yield f"{name} {to_this_machine(values[name])}"


def is_this_machine(address: str) -> bool:
    """Whether an address leads to the machine, or the container, that uses it."""
    return bool(re.fullmatch(LOOPBACK, _host(address)))


def to_this_machine(address: str) -> str:
    """What is wrong with an address of this machine, and what to write instead; the address may be a secret."""
    return (
        f"leads to {_host(address)}, which in a container is the container itself. Write {OF_THE_HOST} for this "
        "machine; what listens there must listen on more than 127.0.0.1."
    )


def _image(values: Values) -> Iterator[str]:
    image, tag = values.get("PLATFORM_IMAGE", ""), values.get("PLATFORM_TAG", "")
    if bool(image) != bool(tag):
        yield "PLATFORM_IMAGE and PLATFORM_TAG go together: set both, or neither."
    elif not image and without_stand_ins(values):
        yield (
            "PLATFORM_IMAGE and PLATFORM_TAG are empty, and no stand-in runs here: production runs an image. Build one "
            f"with `make image TAG=… PROFILE={values.get('PROFILE')}`, and set both."
        )


def _same_ports(values: Values) -> Iterator[str]:
    taken = [values[name] for name in PORTS if values.get(name, "0") != "0"]
    for name in PORTS:
        if taken.count(values.get(name, "")) > 1:
            yield f"{name} is {values[name]}, and so is another port."


def _snowflake(values: Values) -> Iterator[str]:
    ways = secrets(values) & set(LOG_INS)
    if values.get("SNOWFLAKE_HOST") and not values.get("SNOWFLAKE_PORT"):
        yield "SNOWFLAKE_PORT is missing: SNOWFLAKE_HOST is set, and the two go together."
    if runs("snowflake", values) and "SNOWFLAKE_PASSWORD" not in ways:
        yield "SECRETS does not name SNOWFLAKE_PASSWORD, by which the emulator is logged in to."
    if not on_snowflake(values):
        if values.get("DBT_TARGET") == "dev" and not runs("airbyte", values):
            yield (
                "DBT_TARGET is dev, and only the mock Airbyte fills DuckDB's lake, which does not run here: a real one "
                "loads Snowflake. Set DBT_TARGET=snowflake, or add airbyte to COMPOSE_PROFILES."
            )
        return
    if values.get("SNOWFLAKE_PROTOCOL") == "http" and not runs("snowflake", values):
        yield "SNOWFLAKE_PROTOCOL is http: that is for the emulator alone, which does not run here."
    if len(ways) != 1:
        yield f"SECRETS names {len(ways)} of {', '.join(LOG_INS)}: expected is one, since DBT_TARGET is snowflake."


def _landing(values: Values) -> Iterator[str]:
    if bool(values.get("AWS_ACCESS_KEY_ID")) != bool(_aws_secret(values)):
        yield "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (here, or among SECRETS) go together: set both, or neither."
    if "AWS_SESSION_TOKEN" in secrets(values) and not values.get("AWS_ACCESS_KEY_ID"):
        yield "SECRETS names AWS_SESSION_TOKEN, and AWS_ACCESS_KEY_ID, the key that it goes with, is empty."
    if not runs("localstack", values):
        if values.get("AWS_SECRET_ACCESS_KEY") == "test":
            yield "AWS_SECRET_ACCESS_KEY is `test`, which only LocalStack takes: name it among SECRETS."
        if values.get("AWS_ACCESS_KEY_ID", "").startswith("ASIA") and "AWS_SESSION_TOKEN" not in secrets(values):
            yield (
                "AWS_ACCESS_KEY_ID belongs to a temporary key (ASIA…), which AWS accepts only with its session token: "
                "add AWS_SESSION_TOKEN to SECRETS."
            )
        return
    if not values.get("AWS_ACCESS_KEY_ID"):
        yield "AWS_ACCESS_KEY_ID is empty, and LocalStack wants one: any will do."
    place = f"{STAND_INS['localstack']['S3_ENDPOINT_URL']}/"
    if not (values.get("SENSOR_QUEUE_URL") or place).startswith(place):
        yield f"SENSOR_QUEUE_URL does not begin with {place}, where S3 is."


def _wrong_way(service: str, wanted: Mapping[str, str], values: Values) -> Iterator[str]:
    if runs(service, values):
        for name, value in wanted.items():
            if values.get(name) != value:
                yield f"{name} does not lead to {value}, but COMPOSE_PROFILES starts {service} there."
        return
    name = next(iter(wanted))
    if (host := _host(values.get(name, ""))) in HOSTS:
        yield f"{name} leads to {host}, but COMPOSE_PROFILES does not start {service}."


def _unknown_to_the_mock(values: Values) -> Iterator[str]:
    """The mock knows the connections of its file; sources of BUCKET and PREFIX read the profile's place."""
    config = CONNECTIONS.read_text(encoding="utf-8")
    wanted = [("AIRBYTE_CONNECTION_ID", "connectionId"), ("S3_BUCKET", "bucket"), ("S3_PREFIX", "prefix")]
    asked = [(name, key, values.get(name, "")) for name, key in wanted]
    more = filter(None, values.get("AIRBYTE_CONNECTION_IDS", "").split(","))
    for name, key, value in [*asked, *(("AIRBYTE_CONNECTION_IDS", "connectionId", each) for each in more)]:
        written = "|".join(map(re.escape, [value, *([REPLACED[key]] if key in REPLACED else [])]))
        if not re.search(rf"""\b{key}["']?:\s*["']?({written})["']?\s*([,}}#]|$)""", config, re.MULTILINE):
            yield f"{name} is {value!r}, which localstack/{CONNECTIONS.name} does not have."


def secrets(values: Values) -> set[str]:
    """The names of the secrets that a profile has, each a file of its own."""
    return set(filter(None, values.get("SECRETS", "").split(",")))


def _aws_secret(values: Values) -> bool:
    return bool(values.get("AWS_SECRET_ACCESS_KEY")) or "AWS_SECRET_ACCESS_KEY" in secrets(values)


def _host(address: str) -> str:
    """The host of a URL, or of an address that is a host alone."""
    return (urlsplit(address).hostname if "//" in address else address) or ""


def _shown(name: str, value: str) -> str:
    """The value; not one that may be a secret put into the wrong place."""
    return "not shown here" if name in SECRET_NAMES or "@" in value else repr(value)
