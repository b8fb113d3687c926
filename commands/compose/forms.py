"""The form of each value in a profile, and which profiles require it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services import ports

Values = Mapping[str, str]
URL = r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
IDENTIFIER = r"[A-Za-z_][\w$]*"


def _always(_: Values) -> bool:
    return True


def _never(_: Values) -> bool:
    return False


def without_stand_ins(values: Values) -> bool:
    return not any(runs(name, values) for name in ("localstack", "airbyte", "snowflake"))


def on_snowflake(values: Values) -> bool:
    return values.get("DBT_TARGET") == "snowflake"


@dataclass(frozen=True)
class Form:
    """The form of a value.

    Args:
        expected: the form in words, for errors.
        pattern: regular expression that the whole value matches.
        needed: whether a profile with these values must have the name.
        empty: whether the value may be empty.
    """

    expected: str
    pattern: str
    needed: Callable[[Values], bool] = _always
    empty: bool = False


PORT = Form("a port, or 0 for any free one", r"\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]")
SECONDS = Form("a number of seconds", r"[1-9]\d*", _never)
FILE = Form("the absolute path of a file", r"/[\w./+-]+")
PROXY = Form(
    "http://HOST:PORT, or nothing (put a proxy with a password into `proxies` of ~/.docker/config.json)",
    r"http://[A-Za-z0-9.-]+(:\d{1,5})?/?",
    _never,
    empty=True,
)
NAME = Form("a name of letters, digits and _", IDENTIFIER, on_snowflake)
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
RECEIVER = f"http://alerts:{ports.ALERTS}/"
TAG = r"(?!latest$)\w[\w.-]{0,127}"
"""The tag of an image; `latest` is not allowed, because it does not name one version."""
NUMBER = r"\d+(\.\d+)?"
_expiry = r"\w+:\d{4}-\d\d-\d\d"
_any_secret, _any_service = "|".join(SECRET_NAMES), "|".join(SERVICES)

FORMS: dict[str, Form] = {
    "PROFILE": Form("the file's name without .env", r"[\w-]+"),
    "COMPOSE_PROFILES": Form(
        f"the services to run here, of {', '.join(SERVICES)}", rf"({_any_service})(,({_any_service}))*", empty=True
    ),
    "COMPOSE_PROJECT_NAME": Form("a name of lower-case letters, digits, - and _", r"[a-z0-9][a-z0-9_-]*", empty=True),
    "SECRETS": Form(f"names of {', '.join(SECRET_NAMES)}", rf"({_any_secret})(,({_any_secret}))*", empty=True),
    "AUTOMATIC_RUNS": Form("true or false", "true|false", without_stand_ins),
    "CA_FILE": Form(f"{FILE.expected}, or nothing", FILE.pattern, _never, empty=True),
    "HTTP_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "NO_PROXY": Form("host names, separated by commas", r"[A-Za-z0-9.*:/,-]+", _never, empty=True),
    "PLATFORM_IMAGE": Form(
        "the name of the platform's image, without its tag",
        r"[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*",
        without_stand_ins,
        empty=True,
    ),
    "PLATFORM_TAG": Form(
        "the tag of the platform's image, as in `make image TAG=…`, but not latest",
        TAG,
        without_stand_ins,
        empty=True,
    ),
    "PREFECT_PORT": PORT,
    "AIRBYTE_PORT": PORT,
    "S3_PORT": PORT,
    "CONSOLE_PORT": Form(PORT.expected, PORT.pattern, _never),
    "GUARD_ALLOWED_HOSTS": Form(
        "host names, separated by commas", r"[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*", needed=lambda _: False, empty=True
    ),
    "PREFECT_API_URL": Form("the URL of a Prefect API, ending with /api or a workspace's id", URL + r"[\w-]"),
    "PREFECT_NAMESPACE": Form("a prefix of letters, digits, - and _, or nothing", r"[\w-]+", _never, empty=True),
    "PREFECT_KEEP_DAYS": Form("a number of days", r"[1-9]\d{0,4}", _never, empty=True),
    "PREFECT_OWNER": Form("the owner to register on Prefect's server, or nothing", r"[\w.@:/+-]+", _never, empty=True),
    "WORKER_LIMIT": Form("a number of runs at once, or nothing for the default", r"[1-9]\d*", _never, empty=True),
    "AIRBYTE_SERVER_URL": Form("the base URL of Airbyte's public API", URL),
    "AIRBYTE_CONNECTION_ID": Form("a connection's UUID", UUID),
    "AIRBYTE_CONNECTION_IDS": Form(
        "UUIDs of further connections, separated by commas, or nothing", rf"{UUID}(,{UUID})*", _never, empty=True
    ),
    "AIRBYTE_CLIENT_ID": Form("an application's client id", r"[\w.-]+", empty=True),
    "AIRBYTE_SYNC_TIMEOUT_SECONDS": SECONDS,
    "MOCK_AIRBYTE_LIKE_AIRBYTE": Form("true or false", "true|false", _never),
    "AIRBYTE_TOKEN_SECONDS": Form("the lifetime of the mock's tokens, in seconds", r"[1-9]\d*"),
    "DBT_TARGET": Form("dev (DuckDB) or snowflake", "dev|snowflake"),
    "DBT_EXECUTABLE": Form(
        "the name or path of a dbt executable, or nothing to run dbt in the flow's process",
        r"[\w./+-]+",
        _never,
        empty=True,
    ),
    "DBT_TIMEOUT_SECONDS": SECONDS,
    "WAREHOUSE_WAIT_SECONDS": SECONDS,
    "FRESHNESS_THRESHOLD_HOURS": Form("a number of hours", r"[1-9]\d*"),
    "S3_BUCKET": Form("a bucket's name", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "S3_PREFIX": Form(
        "a prefix of letters, digits and .=+@:,~!()&;_- that ends with /, or nothing for the bucket's root",
        r"([\w.=+@:,~!()&;-]+/)+",
        empty=True,
    ),
    "S3_ENDPOINT_URL": Form("the URL of an S3 endpoint, or nothing for AWS", URL, empty=True),
    "SENSOR_QUEUE_URL": Form("the URL of an SQS queue, or nothing to poll the bucket", URL, empty=True),
    "AWS_ACCESS_KEY_ID": Form("an access key's id, or nothing for AWS's default credential chain", r"\w+", empty=True),
    "AWS_SECRET_ACCESS_KEY": Form("nothing, or `test` for LocalStack; a real key is a secret", "test", empty=True),
    "AWS_DEFAULT_REGION": Form("a region, e.g. eu-central-1, or auto", r"[A-Za-z0-9][A-Za-z0-9_-]*"),
    "ALERT_WEBHOOK_URL": Form(
        "nothing, or the local receiver's URL; any other URL is a secret", RECEIVER, _never, empty=True
    ),
    "ALERT_FORMAT": Form("slack, teams, discord or json", "slack|teams|discord|json", _never, empty=True),
    "ALERT_LATE_MINUTES": Form("a number of minutes", NUMBER, _never),
    "ALERT_DISK_GB": Form("a number of GB", NUMBER, _never),
    "ALERT_VOLUME_PERCENT": Form("a percentage, or 0 for none", NUMBER, _never),
    "ALERT_SECRET_DAYS": Form("a number of days", NUMBER, _never),
    "SECRETS_EXPIRE": Form("NAME:2027-01-31, separated by commas", rf"({_expiry}(,{_expiry})*)?", _never, empty=True),
    "PREFECT_SERVER_METRICS_ENABLED": Form("true or false", "true|false", _never),
    "PIP_CONFIG_FILE": FILE,
    "BUILD_CA_FILE": FILE,
    "SNOWFLAKE_ACCOUNT": Form("an account identifier, e.g. myorg-myaccount", r"[A-Za-z0-9_.-]+", on_snowflake),
    "SNOWFLAKE_USER": Form("a user's name", r"[\w.@+-]+", on_snowflake),
    "SNOWFLAKE_DATABASE": NAME,
    "SNOWFLAKE_SCHEMA": NAME,
    "SNOWFLAKE_WAREHOUSE": NAME,
    "SNOWFLAKE_ROLE": NAME,
    "SNOWFLAKE_HOST": Form("a host, or nothing for the account's default", r"[A-Za-z0-9.-]+", on_snowflake, empty=True),
    "SNOWFLAKE_PORT": Form("a port, or nothing", PORT.pattern, on_snowflake, empty=True),
    "SNOWFLAKE_PROTOCOL": Form("https, or http for the emulator", "https?", on_snowflake),
}


def runs(service: str, values: Values) -> bool:
    return service in values.get("COMPOSE_PROFILES", "").split(",")
