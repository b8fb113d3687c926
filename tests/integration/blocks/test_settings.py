"""The environment is read in one place, by the names that docs/settings.md gives, and left as it was."""

import os

import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.settings import Settings, child_environment, environment

DEFAULTS = {
    "AIRBYTE_SERVER_URL": "http://localhost:8006/api/public/v1",
    "AIRBYTE_CONNECTION_ID": "your-airbyte-connection-uuid",
    "AIRBYTE_CONNECTION_IDS": "",
    "AIRBYTE_CLIENT_ID": "",
    "AIRBYTE_CLIENT_SECRET": "",
    "AIRBYTE_SYNC_TIMEOUT_SECONDS": "3600.0",
    "DBT_PROJECT_DIR": "dbt_project",
    "DBT_PACKAGES_INSTALL_PATH": "dbt_packages",
    "DBT_TARGET": "dev",
    "DBT_EXECUTABLE": "",
    "DBT_TIMEOUT_SECONDS": "3600.0",
    "WAREHOUSE_WAIT_SECONDS": "3600.0",
    "S3_BUCKET": "my-data-lake-landing",
    "S3_PREFIX": "inbound/",
    "S3_ENDPOINT_URL": "",
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
    "AWS_DEFAULT_REGION": "",
    "PREFECT_NAMESPACE": "",
    "PREFECT_OWNER": "",
    "SENSOR_QUEUE_URL": "",
    "LAKE_DIR": "data/lake",
    "WAREHOUSE_PATH": "data/warehouse.duckdb",
    "PUBLISHED_PATH": "data/published/warehouse.duckdb",
    "FRESHNESS_THRESHOLD_HOURS": "25",
    "ALERT_WEBHOOK_URL": "",
    "ALERT_FORMAT": "",
    "ALERT_LATE_MINUTES": "5.0",
    "ALERT_DISK_GB": "2.0",
    "ALERT_VOLUME_PERCENT": "50.0",
    "ALERT_SECRET_DAYS": "14.0",
    "SECRETS_EXPIRE": "",
    "ALERTS_DIR": "data/alerts",
    "HEARTBEAT_URL": "",
    "SNOWFLAKE_ACCOUNT": "",
    "SNOWFLAKE_USER": "",
    "SNOWFLAKE_PASSWORD": "",
    "SNOWFLAKE_PRIVATE_KEY": "",
    "SNOWFLAKE_PRIVATE_KEY_PATH": "",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "",
    "SNOWFLAKE_OAUTH_TOKEN": "",
    "SNOWFLAKE_DATABASE": "",
    "SNOWFLAKE_SCHEMA": "",
    "SNOWFLAKE_WAREHOUSE": "",
    "SNOWFLAKE_ROLE": "",
    "SNOWFLAKE_HOST": "",
    "SNOWFLAKE_PORT": "None",
    "SNOWFLAKE_PROTOCOL": "https",
    "PLATFORM_PROFILE": "",
    "PLATFORM_VERSION": "",
    "PLATFORM_COMMIT": "",
    "AUTOMATIC_RUNS": "True",
    "CONSOLE_URL": "",
    "DOCS_DIR": "None",
}
NUMBERS = (
    "AIRBYTE_SYNC_TIMEOUT_SECONDS",
    "ALERT_DISK_GB",
    "ALERT_LATE_MINUTES",
    "ALERT_SECRET_DAYS",
    "ALERT_VOLUME_PERCENT",
    "DBT_TIMEOUT_SECONDS",
    "FRESHNESS_THRESHOLD_HOURS",
    "SNOWFLAKE_PORT",
    "WAREHOUSE_WAIT_SECONDS",
)
SECRETS = [
    name
    for name in DEFAULTS
    if name.endswith(("PASSWORD", "SECRET", "_KEY", "PASSPHRASE", "TOKEN", "HOOK_URL", "BEAT_URL"))
]


@pytest.fixture(autouse=True)
def no_access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in DEFAULTS if name.startswith("AWS_")]:
        monkeypatch.delenv(name, raising=False)


def texts(settings: Settings) -> dict[str, str]:
    plain = dict(settings)
    return {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in plain.items()
    }


def test_without_variables_the_defaults_are_those_of_the_table() -> None:
    assert texts(Settings()) == DEFAULTS


def test_every_variable_is_read_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: "42" if name in NUMBERS else f"value of {name}" for name in DEFAULTS} | {
        "ALERT_FORMAT": "slack",
        "AUTOMATIC_RUNS": "False",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert texts(Settings()) == {**given, **{name: "42.0" for name in NUMBERS if "." in DEFAULTS[name]}}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["soon", "1.5 h"])
def test_a_value_of_the_wrong_form_names_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    field = Settings.model_fields[name.lower()]
    with pytest.raises(ConfigurationError, match=rf"{name} is '{value}'.*{field.description}.*valid (integer|number)"):
        Settings()


@pytest.mark.parametrize("name", ["AIRBYTE_SYNC_TIMEOUT_SECONDS", "FRESHNESS_THRESHOLD_HOURS"])
def test_a_time_of_nothing_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(ConfigurationError, match=f"{name} is '0'.*greater than 0"):
        Settings()


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NUMBERS:
        monkeypatch.setenv(name, "soon")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert not [name for name in NUMBERS if f"{name} is 'soon'" not in str(caught.value)]


def test_an_empty_variable_counts_as_unset_but_an_empty_prefix_is_the_buckets_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in DEFAULTS:
        monkeypatch.setenv(name, "")
    assert texts(Settings()) == {**DEFAULTS, "S3_PREFIX": ""}


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "hush-hush")
    settings = Settings()
    assert len(SECRETS) == 9
    assert "hush-hush" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_variables_are_set_for_a_block_of_code_and_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_DIR", "before")

    def use() -> None:
        with environment({"LAKE_DIR": "inside", "WAREHOUSE_PATH": "inside"}):
            raise RuntimeError(os.environ["LAKE_DIR"] + os.environ["WAREHOUSE_PATH"])

    with pytest.raises(RuntimeError, match="insideinside"):
        use()
    assert (os.environ["LAKE_DIR"], os.environ.get("WAREHOUSE_PATH")) == ("before", None)


@pytest.mark.parametrize(
    "name",
    [
        "PREFECT_API_URL",
        "PREFECT_PROFILE",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "SNOWFLAKE_ACCOUNT",
        "SNOWFLAKE_PASSWORD",
        "snowflake_user",
        "AIRBYTE_SERVER_URL",
        "DBT_TARGET",
        "DBT_PROFILES_DIR",
        "MOCK_AIRBYTE_FAULTS",
        "S3_ENDPOINT_URL",
    ],
)
def test_a_persons_own_account_does_not_reach_the_embedded_platform(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "a person's")
    monkeypatch.setenv("UNRELATED", "kept")
    passed_on = child_environment({"PREFECT_HOME": "ours"})
    assert name not in passed_on
    assert (passed_on["UNRELATED"], passed_on["PREFECT_HOME"]) == ("kept", "ours")
    assert passed_on["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_embedded_platform_goes_past_a_proxy_and_so_does_what_a_person_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert child_environment({})["NO_PROXY"] == child_environment({})["no_proxy"] == "127.0.0.1,localhost"
    monkeypatch.setenv(name, "example.org")
    assert child_environment({})["NO_PROXY"] == child_environment({})["no_proxy"] == "example.org,127.0.0.1,localhost"
