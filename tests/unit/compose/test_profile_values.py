"""Whatever is wrong with a value of a profile is reported with its name before anything runs."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import certifi
import pytest

from blocks.settings import Settings
from commands.compose.forms import FORMS, SECRET_NAMES
from commands.compose.profile import PROJECT, load
from commands.compose.promote import changed_values
from commands.compose.secrets import prepare
from commands.errors import CommandError
from services.airbyte.catalog.config import S3Configuration, Source
from services.airbyte.catalog.config_file import load_config, with_bucket
from services.content import CONNECTIONS
from tests.unit.compose.profile_texts import FILLED, KEY, PRODUCTION, TEXTS, changed, checked

LINES = [(profile, name) for profile, text in TEXTS.items() for name in re.findall(r"^(\w+)=", text, re.MULTILINE)]
OPTIONAL = {"MOCK_AIRBYTE_LIKE_AIRBYTE"}
"""What a profile of one's own need not have."""
FAULTS: dict[str, Callable[[str, str], str]] = {
    "deleted": lambda name, value: "",
    "name misspelt": lambda name, value: f"{name[:-2]}{name[-1]}{name[-2]}X={value}",
    "without its sign": lambda name, value: f"{name} {value}",
    "with a stray sign": lambda name, value: f"{name}={value}!",
    "in two words": lambda name, value: f"{name}={value} x",
    "never filled in": lambda name, value: f"{name}=<{name.lower()}>",
}


@pytest.mark.parametrize("profile", TEXTS)
def test_a_profile_is_complete_as_it_is(tmp_path: Path, profile: str) -> None:
    checked(tmp_path, profile, TEXTS[profile])


def test_the_production_example_names_each_place_to_fill_in(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as failure:
        checked(tmp_path, "production", PRODUCTION)
    assert sorted(re.findall(r"^  (\w+) is '<", str(failure.value), re.MULTILINE)) == sorted(
        re.findall(r"^(\w+)=<", PRODUCTION, re.MULTILINE)
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("profile", "name"), LINES, ids="/".join)
def test_a_fault_in_any_one_value_is_told_by_its_name(tmp_path: Path, profile: str, name: str, fault: str) -> None:
    def faulty(match: re.Match[str]) -> str:
        return FAULTS[fault](name, match[1])

    text = re.sub(rf"^{name}=(.*)$", faulty, TEXTS[profile], count=1, flags=re.MULTILINE)
    if fault == "deleted" and name in OPTIONAL:
        checked(tmp_path, profile, text)
        return
    with pytest.raises(CommandError, match=rf"\b{name}"):
        checked(tmp_path, profile, text)


@pytest.mark.parametrize(
    ("profile", "values", "named"),
    [
        ("local", {"S3_ENDPOINT_URL": "http://localstak:4566"}, "S3_ENDPOINT_URL is not http://localstack"),
        ("local", {"AIRBYTE_SERVER_URL": "http://airbyte:8060/api/public/v1"}, "AIRBYTE_SERVER_URL is not http"),
        ("local", {"PREFECT_API_URL": "http://prefect-sever:4200/api"}, "PREFECT_API_URL is not http"),
        ("rehearsal", {"SNOWFLAKE_HOST": "snowflak"}, "SNOWFLAKE_HOST is not snowflake"),
        ("local", {"COMPOSE_PROFILES": "localstack,prefect"}, "COMPOSE_PROFILES does not start airbyte"),
        ("local", {"AIRBYTE_CONNECTION_ID": FILLED["connection-uuid"].replace("7", "8")}, "AIRBYTE_CONNECTION_ID is"),
        (
            "production",
            {"AIRBYTE_SERVER_URL": "http://localhost:8000/api/public/v1"},
            "AIRBYTE_SERVER_URL points to loc",
        ),
        ("production", {"AIRBYTE_SERVER_URL": "http://127.0.0.1:8000/v1"}, "Write host.docker.internal"),
        (
            "production",
            {"PREFECT_API_URL": "http://localhost:4200/api", "COMPOSE_PROFILES": ""},
            "PREFECT_API_URL points",
        ),
        ("production", {"S3_ENDPOINT_URL": "http://127.1:9000"}, "S3_ENDPOINT_URL points to 127.1"),
        ("production", {"SENSOR_QUEUE_URL": "http://a.localhost:9324/q"}, "SENSOR_QUEUE_URL points to a.localhost"),
        ("production", {"SNOWFLAKE_HOST": "0.0.0.0", "SNOWFLAKE_PORT": "443"}, "SNOWFLAKE_HOST points to 0.0.0.0"),
        ("production", {"DBT_TARGET": "dev", "SECRETS": "PREFECT_API_AUTH_STRING"}, "only the mock loads"),
        ("production", {"SECRETS": "AWS_SESSION_TOKEN"}, "SECRETS names AWS_SESSION_TOKEN, but AWS_ACCESS_KEY_ID"),
        (
            "production",
            {"PREFECT_API_URL": "https://app.prefect.cloud/account/a/workspace/b", "COMPOSE_PROFILES": ""},
            "the API of Prefect Cloud is https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE",
        ),
        (
            "production",
            {"PREFECT_API_URL": "https://api.prefect.cloud/api", "COMPOSE_PROFILES": ""},
            "Copy both ids from your address",
        ),
        (
            "production",
            {"PREFECT_API_URL": "https://api.prefect.cloud/api/accounts/a/workspaces/b", "COMPOSE_PROFILES": ""},
            "SECRETS does not name PREFECT_API_KEY",
        ),
        (
            "production",
            {"AIRBYTE_SERVER_URL": "https://cloud.airbyte.com/workspaces/a"},
            "Its API is https://api.airbyte.com/v1",
        ),
        ("production", {"SNOWFLAKE_ACCOUNT": "acme-main.snowflakecomputing.com"}, "write 'acme-main'"),
        ("rehearsal", {"AIRBYTE_CLIENT_ID": ""}, "AIRBYTE_CLIENT_ID and"),
        ("rehearsal", {"SECRETS": "PREFECT_API_AUTH_STRING"}, "SECRETS names 0 of SNOWFLAKE_PASSWORD"),
        ("rehearsal", {"SECRETS": "SNOWFLAKE_PASSWORD,SNOWFLAKE_PRIVATE_KEY"}, "SECRETS names 2 of SNOWFLAKE_PASSWORD"),
        ("rehearsal", {"SECRETS": "SNOWFLAKE_PRIVATE_KEY"}, "SECRETS does not name SNOWFLAKE_PASSWORD"),
        ("rehearsal", {"SECRETS": "SNOWFLAKE_PASSWORD"}, "SECRETS does not name PREFECT_API_AUTH_STRING"),
        ("rehearsal", {"SNOWFLAKE_PROTOCOL": "https"}, "SNOWFLAKE_PROTOCOL is not http,"),
        ("rehearsal", {"SNOWFLAKE_ACCOUNT": "snowflak"}, "SNOWFLAKE_ACCOUNT is not snowflake"),
        ("rehearsal", {"DBT_TARGET": "dev"}, "DBT_TARGET is not snowflake"),
        ("rehearsal", {"PREFECT_API_URL": "https://prefect-server:4200/api"}, "PREFECT_API_URL is not http"),
        ("rehearsal", {"PREFECT_API_URL": "http://prefect-server:4200/apii"}, "PREFECT_API_URL is not http"),
        ("rehearsal", {"AIRBYTE_SERVER_URL": "http://airbyte:8006/api/public/v2"}, "AIRBYTE_SERVER_URL is not http"),
        ("rehearsal", {"S3_ENDPOINT_URL": "https://localstack:4566"}, "S3_ENDPOINT_URL is not http"),
        ("rehearsal", {"PREFECT_PORT": "8006"}, "AIRBYTE_PORT is 8006, the same as another port"),
        ("local", {"SENSOR_QUEUE_URL": "http://localstak:4566/0/landing-events"}, "SENSOR_QUEUE_URL does not begin"),
        ("rehearsal", {"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("production", {"SNOWFLAKE_PROTOCOL": "http"}, "SNOWFLAKE_PROTOCOL is http"),
        ("production", {"SNOWFLAKE_HOST": "acme.example.com"}, "SNOWFLAKE_PORT is missing"),
        ("production", {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "test"}, "AWS_SECRET_ACCESS_KEY is `test`"),
        ("production", {"SECRETS": "PREFECT_API_KEY,SNOWFLAKE_PRIVATE_KEY"}, "PREFECT_API_KEY"),
        (
            "production",
            {"AWS_ACCESS_KEY_ID": "ASIAXYZ", "SECRETS": "AWS_SECRET_ACCESS_KEY"},
            "Add AWS_SESSION_TOKEN to SECRETS",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_values_that_do_not_fit_each_other_are_told(
    tmp_path: Path, profile: str, values: dict[str, str], named: str
) -> None:
    with pytest.raises(CommandError, match=named):
        checked(tmp_path, profile, changed(profile, **values))


def test_the_mock_airbyte_must_have_each_further_connection(tmp_path: Path) -> None:
    more = f"AIRBYTE_CONNECTION_IDS={FILLED['connection-uuid'].replace('7', '8')}"
    with pytest.raises(CommandError, match=more.replace("=", " is '")):
        checked(tmp_path, "local", f"{TEXTS['local']}\n{more}\n")


MIXES = [
    (landing, airbyte, warehouse)
    for landing in ("stand-in", "aws")
    for airbyte in ("mock", "real")
    for warehouse in ("dev", "snowflake")
]


def mixed(landing: str, airbyte: str, warehouse: str) -> str:
    """The rehearsal with these parts in the place of its own."""
    services = {"localstack", "airbyte", "prefect", "alerts"}
    secrets = {"PREFECT_API_AUTH_STRING", "SNOWFLAKE_PASSWORD"}
    values = {"DBT_TARGET": warehouse, "SNOWFLAKE_HOST": "", "SNOWFLAKE_PORT": "", "SNOWFLAKE_PROTOCOL": "https"}
    if landing == "aws":
        services.remove("localstack")
        values |= {"S3_ENDPOINT_URL": "", "AWS_ACCESS_KEY_ID": "", "S3_BUCKET": "acme-landing", "S3_PREFIX": "in/"}
    else:
        secrets.add("AWS_SECRET_ACCESS_KEY")
    if airbyte == "real":
        services.remove("airbyte")
        values |= {"AIRBYTE_SERVER_URL": "https://api.airbyte.com/v1"}
        secrets.add("AIRBYTE_CLIENT_SECRET")
    else:
        values |= {"AIRBYTE_CLIENT_ID": ""}
    values |= {"COMPOSE_PROFILES": ",".join(services), "SECRETS": ",".join(secrets)}
    image = (
        ""
        if services & {"localstack", "airbyte"}
        else "PLATFORM_IMAGE=platform\nPLATFORM_TAG=v1\nAUTOMATIC_RUNS=true\n"
    )
    return changed("rehearsal", **values) + image


@pytest.mark.parametrize(("landing", "airbyte", "warehouse"), MIXES)
def test_the_three_axes_can_be_mixed_but_for_duckdb_without_what_fills_its_lake(
    tmp_path: Path, landing: str, airbyte: str, warehouse: str
) -> None:
    text = mixed(landing, airbyte, warehouse)
    if (airbyte, warehouse) == ("real", "dev"):
        with pytest.raises(CommandError, match="DBT_TARGET is dev, but the mock Airbyte does not run here"):
            checked(tmp_path, "rehearsal", text)
    else:
        checked(tmp_path, "rehearsal", text)


def test_an_empty_prefix_is_the_buckets_root(tmp_path: Path) -> None:
    for name in TEXTS:
        checked(tmp_path, name, changed(name, S3_PREFIX=""))


def test_the_mock_reads_the_place_of_the_profile_and_a_persons_own_sources_as_they_are() -> None:
    config = load_config(CONNECTIONS)
    own = config.sources[0].model_copy(update={"name": "own", "configuration": place(config.sources[0], "own", "x/")})
    both = config.model_copy(update={"sources": [*config.sources, own]})
    found = [(each.configuration.bucket, each.configuration.prefix) for each in with_bucket(both, "acme", "").sources]
    assert found == [("acme", ""), ("own", "x/")]


def place(source: Source, bucket: str, prefix: str) -> S3Configuration:
    return source.configuration.model_copy(update={"bucket": bucket, "prefix": prefix})


def test_further_values_of_a_profile_are_taken_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    shutil.copy(certifi.where(), ca)
    good = {
        "CA_FILE": str(ca),
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": "a.example.com,10.0.0.0/8",
        "AUTOMATIC_RUNS": "false",
    }
    checked(tmp_path, "local", TEXTS["local"] + "".join(f"{name}={value}\n" for name, value in good.items()))
    bad = {
        "CA_FILE": f"{tmp_path}/no.crt",
        "HTTPS_PROXY": "http://user:hunter2@proxy:3128",
        "HTTP_PROXY": "socks5://proxy:1080",
        "HTTPS_PROXY points to localhost": "http://localhost:3128",
        "AUTOMATIC_RUNS": "no",
    }
    for name, value in bad.items():
        with pytest.raises(CommandError, match=name) as failure:
            checked(tmp_path, "local", f"{TEXTS['local']}{name.split()[0]}={value}\n")
        assert "hunter2" not in str(failure.value)
    ca.chmod(0o600)
    with pytest.raises(CommandError, match=r"CA_FILE is .* containers cannot read. Run: chmod a\+r"):
        checked(tmp_path, "local", f"{TEXTS['local']}CA_FILE={ca}\n")


@pytest.mark.parametrize(
    "content", [b"", b"0\x82\x03\xe7", b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, content: bytes
) -> None:
    (ca := tmp_path / "ca.der").write_bytes(content)
    with pytest.raises(CommandError, match=f"openssl x509 -inform der -in {ca} -out"):
        checked(tmp_path, "local", f"{TEXTS['local']}CA_FILE={ca}\n")


def test_a_profile_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_bytes(TEXTS["local"].encode("utf-16"))
    with pytest.raises(CommandError, match=r"local\.env is not UTF-8"):
        load("local", tmp_path)


@pytest.mark.parametrize(
    ("key", "passphrase", "said"),
    [
        (KEY, "", "SNOWFLAKE_PRIVATE_KEY is encrypted. Add SNOWFLAKE_PRIVATE_KEY_PASSPHRASE to SECRETS"),
        (KEY.replace("ENCRYPTED ", ""), "secret", "Remove the passphrase"),
    ],
)
def test_a_private_key_and_its_passphrase_go_together(tmp_path: Path, key: str, passphrase: str, said: str) -> None:
    name = "SNOWFLAKE_PRIVATE_KEY"
    secrets = {"AIRBYTE_CLIENT_SECRET": "s", name: key} | ({f"{name}_PASSPHRASE": passphrase} if passphrase else {})
    text = changed("production", SECRETS=",".join(["PREFECT_API_AUTH_STRING", *secrets]))
    (tmp_path / "production.env").write_text(text)
    profile = load("production", tmp_path)
    profile.secrets_folder.mkdir(parents=True)
    for each, value in secrets.items():
        (profile.secrets_folder / each).write_text(value)
    with pytest.raises(CommandError, match=said):
        prepare(profile)


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-isob-east-1", "auto", "nyc3", "ru-central1"],
)
def test_any_region_of_aws_and_of_other_makers_of_s3_is_taken(tmp_path: Path, region: str) -> None:
    checked(tmp_path, "local", changed("local", AWS_DEFAULT_REGION=region))


def test_the_values_that_differ_between_two_profiles_are_those_that_do_and_no_other(tmp_path: Path) -> None:
    for name in ("local", "rehearsal"):
        (tmp_path / f"{name}.env").write_text(TEXTS[name])
    local, rehearsal = load("local", tmp_path), load("rehearsal", tmp_path)
    assert changed_values(local.values, local) == []
    shown = changed_values(local.values, rehearsal)
    assert "  DBT_TARGET: dev -> snowflake" in shown
    assert "  SNOWFLAKE_HOST: (none) -> snowflake" in shown
    assert [line for line in shown if "S3_BUCKET" in line or "PORT: 4" in line] == []


def test_a_misspelt_name_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"SENSOR_QUEU_URL is not a known name\. Did you mean SENSOR_QUEUE_URL"):
        checked(tmp_path, "local", TEXTS["local"].replace("SENSOR_QUEUE_URL", "SENSOR_QUEU_URL"))


def test_a_value_that_is_there_twice_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="S3_PORT is set twice"):
        checked(tmp_path, "local", f"{TEXTS['local']}S3_PORT=4567\n")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secret_that_was_put_into_a_profile_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    text = "\n".join(line for line in TEXTS["rehearsal"].splitlines() if not line.startswith(f"{name}="))
    for value in ("hunter2", "hunter 2"):
        with pytest.raises(CommandError, match=name) as failure:
            checked(tmp_path, "rehearsal", f"{text}\n{name}={value}\n")
        assert "hunter" not in str(failure.value)


def test_every_setting_of_the_platform_can_stand_in_a_profile_or_is_of_the_image() -> None:
    image = set(re.findall(r"(\w+)=[/$]", (PROJECT / "Dockerfile").read_text()))
    settings = {name.upper() for name in Settings.model_fields}
    of_one_process = {"SNOWFLAKE_PRIVATE_KEY_PATH", "PLATFORM_PROFILE", "CONSOLE_URL"}
    assert settings - image - set(SECRET_NAMES) - of_one_process <= FORMS.keys()
