"""What a profile's values look like and which belong together. Each fault is reported with the value's name."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

Values = Mapping[str, str]
SAMPLE_PLACE = {"bucket": "my-data-lake-landing", "prefix": "inbound/"}
"""What the mock's file says where the profile decides; services/airbyte/config.py replaces it."""
MOCK_CONFIG = Path(__file__).parents[1] / "airbyte" / "nyc_flights.yaml"
URL = r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?"
IDENTIFIER = r"[A-Za-z_][\w$]*"


def _always(_: Values) -> bool:
    return True


def _never(_: Values) -> bool:
    return False


def _without_stand_ins(values: Values) -> bool:
    return not any(_runs(name, values) for name in ("localstack", "airbyte", "snowflake"))


def _on_snowflake(values: Values) -> bool:
    return values.get("DBT_TARGET") == "snowflake"


@dataclass(frozen=True)
class Form:
    """How a value is written.

    Args:
        expected: in words.
        pattern: regular expression of the whole value.
        needed: whether the name must be in a profile with these values.
        empty: whether nothing is a value, too.
    """

    expected: str
    pattern: str
    needed: Callable[[Values], bool] = _always
    empty: bool = False


PORT = Form("a port, or 0 for any free one", r"\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]")
SECONDS = Form("a number of seconds", r"[1-9]\d*", _never)
FILE = Form("the absolute path of a file", r"/[\w./+-]+")
PROXY = Form(
    "http://HOST:PORT, or nothing; one with a password goes into `proxies` of ~/.docker/config.json",
    r"http://[A-Za-z0-9.-]+(:\d{1,5})?/?",
    _never,
    empty=True,
)
NAME = Form("a name of letters, digits and _", IDENTIFIER, _on_snowflake)
SECRET_NAMES = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "AIRBYTE_CLIENT_SECRET",
    "SNOWFLAKE_PASSWORD",
    "SNOWFLAKE_PRIVATE_KEY",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
    "SNOWFLAKE_OAUTH_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PREFECT_SERVER_ENCRYPTION_KEY",
    "ALERT_WEBHOOK_URL",
    "HEARTBEAT_URL",
)
SERVICES = ("localstack", "airbyte", "snowflake", "prefect", "alerts", "scale")
RECEIVER = "http://alerts:8090/"
TAG = r"(?!latest$)\w[\w.-]{0,127}"
"""Of an image: what stays the same version."""
NUMBER = r"\d+(\.\d+)?"
_expiry = r"\w+:\d{4}-\d\d-\d\d"
_any_secret, _any_service = "|".join(SECRET_NAMES), "|".join(SERVICES)

FORMS: dict[str, Form] = {
    "PROFILE": Form("the file's name without .env", r"[\w-]+"),
    "COMPOSE_PROFILES": Form(
        f"of {', '.join(SERVICES)}, those that run here", rf"({_any_service})(,({_any_service}))*", empty=True
    ),
    "COMPOSE_PROJECT_NAME": Form("a name of small letters, digits, - and _", r"[a-z0-9][a-z0-9_-]*", empty=True),
    "SECRETS": Form(f"of {', '.join(SECRET_NAMES)}", rf"({_any_secret})(,({_any_secret}))*", empty=True),
    "AUTOMATIC_RUNS": Form("true or false", "true|false", _without_stand_ins),
    "CA_FILE": Form(f"{FILE.expected}, or nothing", FILE.pattern, _never, empty=True),
    "HTTP_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "NO_PROXY": Form("host names, separated by commas", r"[A-Za-z0-9.*:/,-]+", _never, empty=True),
    "PLATFORM_IMAGE": Form(
        "the name of the platform's image, without its tag",
        r"[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*",
        _without_stand_ins,
        empty=True,
    ),
    "PLATFORM_TAG": Form(
        "the tag of the platform's image, as `make image TAG=…` gave it, and not latest",
        TAG,
        _without_stand_ins,
        empty=True,
    ),
    "PREFECT_PORT": PORT,
    "AIRBYTE_PORT": PORT,
    "S3_PORT": PORT,
    "CONSOLE_PORT": Form(PORT.expected, PORT.pattern, _never),
    "GUARD_ALLOWED_HOSTS": Form(
        "host names, separated by commas", r"[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*", needed=lambda _: False, empty=True
    ),
    "PREFECT_API_URL": Form("the URL of a Prefect API, which ends with /api or a workspace", URL + r"[\w-]"),
    "PREFECT_NAMESPACE": Form("a prefix of letters, digits, - and _, or nothing", r"[\w-]+", _never, empty=True),
    "PREFECT_KEEP_DAYS": Form("a number of days", r"[1-9]\d{0,4}", _never, empty=True),
    "PREFECT_OWNER": Form("who registers things on Prefect's server, or nothing", r"[\w.@:/+-]+", _never, empty=True),
    "WORKER_LIMIT": Form("a number of runs at once, or nothing for the default", r"[1-9]\d*", _never, empty=True),
    "AIRBYTE_SERVER_URL": Form("the base URL of Airbyte's public API", URL),
    "AIRBYTE_CONNECTION_ID": Form("a connection's UUID", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "AIRBYTE_CLIENT_ID": Form("an application's client id", r"[\w.-]+", empty=True),
    "AIRBYTE_SYNC_TIMEOUT_SECONDS": SECONDS,
    "MOCK_AIRBYTE_LIKE_AIRBYTE": Form("true or false", "true|false", _never),
    "AIRBYTE_TOKEN_SECONDS": Form("a number of seconds, the mock's tokens' life", r"[1-9]\d*"),
    "DBT_TARGET": Form("dev (DuckDB) or snowflake", "dev|snowflake"),
    "DBT_TIMEOUT_SECONDS": SECONDS,
    "WAREHOUSE_WAIT_SECONDS": SECONDS,
    "FRESHNESS_THRESHOLD_HOURS": Form("a number of hours", r"[1-9]\d*"),
    "S3_BUCKET": Form("a bucket's name", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "S3_PREFIX": Form(
        "a prefix that ends with /, of letters, digits and .=+@:,~!()&;_-, or nothing for the bucket's root",
        r"([\w.=+@:,~!()&;-]+/)+",
        empty=True,
    ),
    "S3_ENDPOINT_URL": Form("the URL of an S3 endpoint, or nothing for AWS", URL, empty=True),
    "SENSOR_QUEUE_URL": Form("the URL of an SQS queue, or nothing for polling", URL, empty=True),
    "AWS_ACCESS_KEY_ID": Form("an access key's id, or nothing for AWS's usual chain", r"\w+", empty=True),
    "AWS_SECRET_ACCESS_KEY": Form("nothing, or `test` for LocalStack: a real one is a secret", "test", empty=True),
    "AWS_DEFAULT_REGION": Form("a region, e.g. eu-central-1, or auto", r"[A-Za-z0-9][A-Za-z0-9_-]*"),
    "ALERT_WEBHOOK_URL": Form("nothing, or the local receiver's: any other is a secret", RECEIVER, _never, empty=True),
    "ALERT_FORMAT": Form("slack, teams, discord or json", "slack|teams|discord|json", _never, empty=True),
    "ALERT_LATE_MINUTES": Form("a number of minutes", NUMBER, _never),
    "ALERT_DISK_GB": Form("a number of GB", NUMBER, _never),
    "ALERT_VOLUME_PERCENT": Form("a percentage, or 0 for none", NUMBER, _never),
    "ALERT_SECRET_DAYS": Form("a number of days", NUMBER, _never),
    "SECRETS_EXPIRE": Form("NAME:2027-01-31, separated by commas", rf"({_expiry}(,{_expiry})*)?", _never, empty=True),
    "PREFECT_SERVER_METRICS_ENABLED": Form("true or false", "true|false", _never),
    "PIP_CONFIG_FILE": FILE,
    "BUILD_CA_FILE": FILE,
    "SNOWFLAKE_ACCOUNT": Form("an account identifier, e.g. myorg-myaccount", r"[A-Za-z0-9_.-]+", _on_snowflake),
    "SNOWFLAKE_USER": Form("a user's name", r"[\w.@+-]+", _on_snowflake),
    "SNOWFLAKE_DATABASE": NAME,
    "SNOWFLAKE_SCHEMA": NAME,
    "SNOWFLAKE_WAREHOUSE": NAME,
    "SNOWFLAKE_ROLE": NAME,
    "SNOWFLAKE_HOST": Form(
        "a host, or nothing where the account says it", r"[A-Za-z0-9.-]+", _on_snowflake, empty=True
    ),
    "SNOWFLAKE_PORT": Form("a port, or nothing", PORT.pattern, _on_snowflake, empty=True),
    "SNOWFLAKE_PROTOCOL": Form("https, or http for the emulator", "https?", _on_snowflake),
}

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
    if _runs("prefect", values) and named and "PREFECT_API_AUTH_STRING" not in named:
        yield "SECRETS does not name PREFECT_API_AUTH_STRING: the server would show its blocks to anyone."
    if _runs("prefect", values) and "PREFECT_API_KEY" in named:
        yield "SECRETS names PREFECT_API_KEY, which is Prefect Cloud's: the server here takes PREFECT_API_AUTH_STRING."
    yield from _pages(values)
    if bool(values.get("AIRBYTE_CLIENT_ID")) != ("AIRBYTE_CLIENT_SECRET" in named):
        yield "AIRBYTE_CLIENT_ID and, among SECRETS, AIRBYTE_CLIENT_SECRET go together: set both, or neither."
    if _runs("airbyte", values):
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
    elif not image and _without_stand_ins(values):
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
    if _runs("snowflake", values) and "SNOWFLAKE_PASSWORD" not in ways:
        yield "SECRETS does not name SNOWFLAKE_PASSWORD, by which the emulator is logged in to."
    if not _on_snowflake(values):
        if values.get("DBT_TARGET") == "dev" and not _runs("airbyte", values):
            yield (
                "DBT_TARGET is dev, and only the mock Airbyte fills DuckDB's lake, which does not run here: a real one "
                "loads Snowflake. Set DBT_TARGET=snowflake, or add airbyte to COMPOSE_PROFILES."
            )
        return
    if values.get("SNOWFLAKE_PROTOCOL") == "http" and not _runs("snowflake", values):
        yield "SNOWFLAKE_PROTOCOL is http: that is for the emulator alone, which does not run here."
    if len(ways) != 1:
        yield f"SECRETS names {len(ways)} of {', '.join(LOG_INS)}: expected is one, since DBT_TARGET is snowflake."


def _landing(values: Values) -> Iterator[str]:
    if bool(values.get("AWS_ACCESS_KEY_ID")) != bool(_aws_secret(values)):
        yield "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (here, or among SECRETS) go together: set both, or neither."
    if "AWS_SESSION_TOKEN" in secrets(values) and not values.get("AWS_ACCESS_KEY_ID"):
        yield "SECRETS names AWS_SESSION_TOKEN, and AWS_ACCESS_KEY_ID, the key that it goes with, is empty."
    if not _runs("localstack", values):
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
    if _runs(service, values):
        for name, value in wanted.items():
            if values.get(name) != value:
                yield f"{name} does not lead to {value}, but COMPOSE_PROFILES starts {service} there."
        return
    name = next(iter(wanted))
    if (host := _host(values.get(name, ""))) in HOSTS:
        yield f"{name} leads to {host}, but COMPOSE_PROFILES does not start {service}."


def _unknown_to_the_mock(values: Values) -> Iterator[str]:
    """The mock knows the connections of its file; a source that reads the sample's place there reads the profile's."""
    config = MOCK_CONFIG.read_text(encoding="utf-8")
    for name, key in (("AIRBYTE_CONNECTION_ID", "connectionId"), ("S3_BUCKET", "bucket"), ("S3_PREFIX", "prefix")):
        wanted = [values.get(name, ""), *([SAMPLE_PLACE[key]] if key in SAMPLE_PLACE else [])]
        written = "|".join(map(re.escape, wanted))
        if not re.search(rf"""\b{key}["']?:\s*["']?({written})["']?\s*([,}}#]|$)""", config, re.MULTILINE):
            yield f"{name} is {values.get(name)!r}, which {MOCK_CONFIG.name} of the mock Airbyte does not have."


def secrets(values: Values) -> set[str]:
    """The names of the secrets that a profile has, each a file of its own."""
    return set(filter(None, values.get("SECRETS", "").split(",")))


def _runs(service: str, values: Values) -> bool:
    return service in values.get("COMPOSE_PROFILES", "").split(",")


def _aws_secret(values: Values) -> bool:
    return bool(values.get("AWS_SECRET_ACCESS_KEY")) or "AWS_SECRET_ACCESS_KEY" in secrets(values)


def _host(address: str) -> str:
    """The host of a URL, or of an address that is a host alone."""
    return (urlsplit(address).hostname if "//" in address else address) or ""


def _shown(name: str, value: str) -> str:
    """The value; not one that may be a secret put into the wrong place."""
    return "not shown here" if name in SECRET_NAMES or "@" in value else repr(value)
