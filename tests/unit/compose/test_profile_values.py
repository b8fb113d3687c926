"""Whatever is wrong with a value of a profile is reported with its name before anything runs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import certifi
import pytest
import yaml

from blocks.settings import Settings
from services.airbyte.config import S3Configuration, Source
from services.airbyte.config_file import ConfigError, in_bucket, load_config
from services.airbyte.destination_config import Password, SnowflakeConfiguration
from services.airbyte.settings import SAMPLE_CONFIG
from services.compose import values
from services.compose.forms import FORMS, SECRET_NAMES
from services.compose.profile import PROJECT, SCALED_SECRETS_FILE, SECRETS_FILE, ComposeError, check, load
from services.compose.promote import differing
from services.compose.secrets import digests, prepare, secret

FOLDER = PROJECT / "profiles"
FILLED = {
    "tag": "2027-01-31",
    "connection-uuid": "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10",
    "client-id": "8c1d",
    "bucket": "acme-landing",
    "region": "eu-central-1",
    "account": "acme-main",
    "user": "PLATFORM",
    "role": "TRANSFORMER",
    "warehouse": "TRANSFORMING",
    "database": "FLIGHTS",
    "schema": "MARTS",
}
PRODUCTION = (FOLDER / "production.env.example").read_text()
TEXTS = {
    "local": (FOLDER / "local.env").read_text(),
    "rehearsal": (FOLDER / "rehearsal.env").read_text(),
    "production": re.sub(r"=<([\w-]+)>$", lambda match: f"={FILLED[match[1]]}", PRODUCTION, flags=re.MULTILINE),
}
LINES = [(profile, name) for profile, text in TEXTS.items() for name in re.findall(r"^(\w+)=", text, re.MULTILINE)]
OPTIONAL = {"MOCK_AIRBYTE_LIKE_AIRBYTE"}
"""What a profile of one's own need not have."""
KEY = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n-----END ENCRYPTED PRIVATE KEY-----\n"
FAULTS: dict[str, Callable[[str, str], str]] = {
    "deleted": lambda name, value: "",
    "name misspelt": lambda name, value: f"{name[:-2]}{name[-1]}{name[-2]}X={value}",
    "without its sign": lambda name, value: f"{name} {value}",
    "with a stray sign": lambda name, value: f"{name}={value}!",
    "in two words": lambda name, value: f"{name}={value} x",
    "never filled in": lambda name, value: f"{name}=<{name.lower()}>",
}


def checked(folder: Path, profile: str, text: str) -> None:
    (folder / f"{profile}.env").write_text(text)
    check(load(profile, folder))


def changed(profile: str, **values: str) -> str:
    text = TEXTS[profile]
    for name, value in values.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("profile", TEXTS)
def test_a_profile_is_complete_as_it_is(tmp_path: Path, profile: str) -> None:
    checked(tmp_path, profile, TEXTS[profile])


def test_the_production_example_names_each_place_to_fill_in(tmp_path: Path) -> None:
    with pytest.raises(ComposeError) as failure:
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
    with pytest.raises(ComposeError, match=rf"\b{name}"):
        checked(tmp_path, profile, text)


@pytest.mark.parametrize(
    ("profile", "values", "named"),
    [
        ("local", {"S3_ENDPOINT_URL": "http://localstak:4566"}, "S3_ENDPOINT_URL does not lead to http://localstack"),
        ("local", {"AIRBYTE_SERVER_URL": "http://airbyte:8060/api/public/v1"}, "AIRBYTE_SERVER_URL does not lead"),
        ("local", {"PREFECT_API_URL": "http://prefect-sever:4200/api"}, "PREFECT_API_URL does not lead"),
        ("rehearsal", {"SNOWFLAKE_HOST": "snowflak"}, "SNOWFLAKE_HOST does not lead to snowflake"),
        ("local", {"COMPOSE_PROFILES": "localstack,prefect"}, "COMPOSE_PROFILES does not start airbyte"),
        ("local", {"AIRBYTE_CONNECTION_ID": FILLED["connection-uuid"].replace("7", "8")}, "AIRBYTE_CONNECTION_ID is"),
        (
            "production",
            {"AIRBYTE_SERVER_URL": "http://localhost:8000/api/public/v1"},
            "AIRBYTE_SERVER_URL leads to loc",
        ),
        ("production", {"AIRBYTE_SERVER_URL": "http://127.0.0.1:8000/v1"}, "Write host.docker.internal"),
        (
            "production",
            {"PREFECT_API_URL": "http://localhost:4200/api", "COMPOSE_PROFILES": ""},
            "PREFECT_API_URL leads",
        ),
        ("production", {"S3_ENDPOINT_URL": "http://127.1:9000"}, "S3_ENDPOINT_URL leads to 127.1"),
        ("production", {"SENSOR_QUEUE_URL": "http://a.localhost:9324/q"}, "SENSOR_QUEUE_URL leads to a.localhost"),
        ("production", {"SNOWFLAKE_HOST": "0.0.0.0", "SNOWFLAKE_PORT": "443"}, "SNOWFLAKE_HOST leads to 0.0.0.0"),
        ("production", {"DBT_TARGET": "dev", "SECRETS": "PREFECT_API_AUTH_STRING"}, "only the mock Airbyte fills"),
        ("production", {"SECRETS": "AWS_SESSION_TOKEN"}, "SECRETS names AWS_SESSION_TOKEN, and AWS_ACCESS_KEY_ID"),
        (
            "production",
            {"PREFECT_API_URL": "https://app.prefect.cloud/account/a/workspace/b", "COMPOSE_PROFILES": ""},
            "the API of Prefect Cloud is https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE",
        ),
        (
            "production",
            {"PREFECT_API_URL": "https://api.prefect.cloud/api", "COMPOSE_PROFILES": ""},
            "take both ids from that address",
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
        ("rehearsal", {"SNOWFLAKE_PROTOCOL": "https"}, "SNOWFLAKE_PROTOCOL does not lead to http,"),
        ("rehearsal", {"SNOWFLAKE_ACCOUNT": "snowflak"}, "SNOWFLAKE_ACCOUNT does not lead to snowflake"),
        ("rehearsal", {"DBT_TARGET": "dev"}, "DBT_TARGET does not lead to snowflake"),
        ("rehearsal", {"PREFECT_API_URL": "https://prefect-server:4200/api"}, "PREFECT_API_URL does not lead"),
        ("rehearsal", {"PREFECT_API_URL": "http://prefect-server:4200/apii"}, "PREFECT_API_URL does not lead"),
        ("rehearsal", {"AIRBYTE_SERVER_URL": "http://airbyte:8006/api/public/v2"}, "AIRBYTE_SERVER_URL does not lead"),
        ("rehearsal", {"S3_ENDPOINT_URL": "https://localstack:4566"}, "S3_ENDPOINT_URL does not lead"),
        ("rehearsal", {"PREFECT_PORT": "8006"}, "AIRBYTE_PORT is 8006, and so is another port"),
        ("local", {"SENSOR_QUEUE_URL": "http://localstak:4566/0/landing-events"}, "SENSOR_QUEUE_URL does not begin"),
        ("rehearsal", {"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("production", {"SNOWFLAKE_PROTOCOL": "http"}, "SNOWFLAKE_PROTOCOL is http"),
        ("production", {"SNOWFLAKE_HOST": "acme.example.com"}, "SNOWFLAKE_PORT is missing"),
        ("production", {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "test"}, "AWS_SECRET_ACCESS_KEY is `test`"),
        ("production", {"SECRETS": "PREFECT_API_KEY,SNOWFLAKE_PRIVATE_KEY"}, "PREFECT_API_KEY"),
        (
            "production",
            {"AWS_ACCESS_KEY_ID": "ASIAXYZ", "SECRETS": "AWS_SECRET_ACCESS_KEY"},
            "add AWS_SESSION_TOKEN to SECRETS",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_values_that_do_not_fit_each_other_are_told(
    tmp_path: Path, profile: str, values: dict[str, str], named: str
) -> None:
    with pytest.raises(ComposeError, match=named):
        checked(tmp_path, profile, changed(profile, **values))


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
        with pytest.raises(ComposeError, match="DBT_TARGET is dev, and only the mock Airbyte fills DuckDB's lake"):
            checked(tmp_path, "rehearsal", text)
    else:
        checked(tmp_path, "rehearsal", text)


def test_an_empty_prefix_is_the_buckets_root(tmp_path: Path) -> None:
    for name in TEXTS:
        checked(tmp_path, name, changed(name, S3_PREFIX=""))


def test_the_mock_reads_the_place_of_the_profile_and_a_persons_own_sources_as_they_are() -> None:
    config = load_config(SAMPLE_CONFIG)
    own = config.sources[0].model_copy(update={"name": "own", "configuration": place(config.sources[0], "own", "x/")})
    both = config.model_copy(update={"sources": [*config.sources, own]})
    found = [(each.configuration.bucket, each.configuration.prefix) for each in in_bucket(both, "acme", "").sources]
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
        "HTTPS_PROXY leads to localhost": "http://localhost:3128",
        "AUTOMATIC_RUNS": "no",
    }
    for name, value in bad.items():
        with pytest.raises(ComposeError, match=name) as failure:
            checked(tmp_path, "local", f"{TEXTS['local']}{name.split()[0]}={value}\n")
        assert "hunter2" not in str(failure.value)
    ca.chmod(0o600)
    with pytest.raises(ComposeError, match=r"CA_FILE is .* containers cannot read: chmod a\+r"):
        checked(tmp_path, "local", f"{TEXTS['local']}CA_FILE={ca}\n")


@pytest.mark.parametrize(
    "content", [b"", b"0\x82\x03\xe7", b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, content: bytes
) -> None:
    (ca := tmp_path / "ca.der").write_bytes(content)
    with pytest.raises(ComposeError, match=f"openssl x509 -inform der -in {ca} -out"):
        checked(tmp_path, "local", f"{TEXTS['local']}CA_FILE={ca}\n")


def test_a_profile_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_bytes(TEXTS["local"].encode("utf-16"))
    with pytest.raises(ComposeError, match=r"local\.env is not UTF-8"):
        load("local", tmp_path)


@pytest.mark.parametrize(
    ("key", "passphrase", "said"),
    [
        (KEY, "", "SNOWFLAKE_PRIVATE_KEY is encrypted: add SNOWFLAKE_PRIVATE_KEY_PASSPHRASE to SECRETS"),
        (KEY.replace("ENCRYPTED ", ""), "secret", "remove the passphrase"),
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
    with pytest.raises(ComposeError, match=said):
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
    assert differing(local.values, local) == []
    shown = differing(local.values, rehearsal)
    assert "  DBT_TARGET: dev -> snowflake" in shown
    assert "  SNOWFLAKE_HOST: (none) -> snowflake" in shown
    assert [line for line in shown if "S3_BUCKET" in line or "PORT: 4" in line] == []


def test_a_misspelt_name_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="SENSOR_QUEU_URL is not a known name: did you mean SENSOR_QUEUE_URL"):
        checked(tmp_path, "local", TEXTS["local"].replace("SENSOR_QUEUE_URL", "SENSOR_QUEU_URL"))


def test_a_value_that_is_there_twice_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="S3_PORT is there twice"):
        checked(tmp_path, "local", f"{TEXTS['local']}S3_PORT=4567\n")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secret_that_was_put_into_a_profile_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    text = "\n".join(line for line in TEXTS["rehearsal"].splitlines() if not line.startswith(f"{name}="))
    for value in ("hunter2", "hunter 2"):
        with pytest.raises(ComposeError, match=name) as failure:
            checked(tmp_path, "rehearsal", f"{text}\n{name}={value}\n")
        assert "hunter" not in str(failure.value)


def test_every_setting_of_the_platform_can_stand_in_a_profile_or_is_of_the_image() -> None:
    image = set(re.findall(r"(\w+)=[/$]", (PROJECT / "Dockerfile").read_text()))
    settings = {name.upper() for name in Settings.model_fields}
    of_one_process = {"SNOWFLAKE_PRIVATE_KEY_PATH", "PLATFORM_PROFILE", "CONSOLE_URL"}
    assert settings - image - set(SECRET_NAMES) - of_one_process <= FORMS.keys()


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Path]:
    """A folder with the rehearsal profile; where its secrets go."""
    (tmp_path / "rehearsal.env").write_text(TEXTS["rehearsal"])
    return tmp_path


def test_the_secrets_of_stand_ins_are_made_once_and_closed_to_other_users(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    made = {file.name: file.read_text() for file in profile.secrets_folder.iterdir()}
    values = [made[name] for name in SECRET_NAMES if made[name]]
    assert len(values) == len(set(values)) == len(profile.secrets)
    assert profile.secrets_folder.stat().st_mode & 0o777 == 0o700
    prepare(profile)
    assert {file.name: file.read_text() for file in profile.secrets_folder.iterdir()} == made


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SNOWFLAKE_PRIVATE_KEY", "", "missing or empty"),
        ("AIRBYTE_CLIENT_SECRET", "", "missing or empty"),
        ("AIRBYTE_CLIENT_SECRET", "two\nlines", "more than one line"),
        ("SNOWFLAKE_PRIVATE_KEY", "nonsense", "not a whole private key in PEM format"),
        ("SNOWFLAKE_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nMIIE", "not a whole private key in PEM format"),
        ("PREFECT_API_AUTH_STRING", "admin", "user:password"),
        ("SNOWFLAKE_PASSWORD", "hunter2", "SECRETS does not name it"),
    ],
)
def test_a_secret_of_a_real_system_that_cannot_be_used_is_told_by_its_name(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    (tmp_path / "production.env").write_text(TEXTS["production"])
    profile = load("production", tmp_path)
    profile.secrets_folder.mkdir(parents=True)
    for each, text in {"AIRBYTE_CLIENT_SECRET": "s", "SNOWFLAKE_PRIVATE_KEY": KEY, name: value}.items():
        (profile.secrets_folder / each).write_text(text)
    with pytest.raises(ComposeError, match=rf"{name}: .*secrets/production/{name}.*{said}") as failure:
        prepare(profile)
    assert not value or value not in str(failure.value).replace("user:password", "")
    assert (profile.secrets_folder / name).read_text() == value


def test_the_mock_airbyte_loads_the_warehouse_of_the_profile(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    (destination,) = load_config(SAMPLE_CONFIG, profile.secrets_folder / "destination.json").destinations
    assert isinstance(destination.configuration, SnowflakeConfiguration)
    assert (destination.configuration.host, destination.configuration.database) == ("http://snowflake:8085", "FLIGHTS")
    assert isinstance(destination.configuration.credentials, Password)
    password = destination.configuration.credentials.password.get_secret_value()
    assert password == secret(profile, "SNOWFLAKE_PASSWORD")


def test_the_rehearsal_leads_to_snowflake_however_the_mocks_file_is_written(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    edited = yaml.safe_load(SAMPLE_CONFIG.read_text())
    second = edited["destinations"][0] | {"destinationId": str(uuid4()), "name": "Second lake"}
    edited["destinations"].append({key: value for key, value in second.items() if key != "configuration"})
    edited["connections"].append(
        edited["connections"][0] | {"connectionId": str(uuid4()), "destinationId": second["destinationId"]}
    )
    (rehearsal / "edited.yaml").write_text(json.dumps(edited))
    config = load_config(rehearsal / "edited.yaml", profile.secrets_folder / "destination.json")
    assert [type(each.configuration) for each in config.destinations] == [SnowflakeConfiguration] * 2


def test_a_connection_that_leads_elsewhere_than_the_profile_says_stops_the_mock_by_its_name(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    wanted = json.loads((profile.secrets_folder / "destination.json").read_text())
    edited = yaml.safe_load(SAMPLE_CONFIG.read_text())
    edited["destinations"][0]["configuration"] = wanted | {"database": "ELSEWHERE"}
    (rehearsal / "edited.yaml").write_text(json.dumps(edited))
    with pytest.raises(ConfigError, match=r"'NYC flights to the raw lake' leads to .*elsewhere\.raw .*flights\.raw "):
        load_config(rehearsal / "edited.yaml", profile.secrets_folder / "destination.json")


@pytest.mark.parametrize(
    "line", ['connectionId: "{}"', "{{connectionId: {}}}", "connectionId: {} # mine", "connectionId:  '{}'\r"]
)
def test_the_mocks_connection_is_found_however_yaml_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    sample = SAMPLE_CONFIG.read_text()
    written = f"connectionId: {FILLED['connection-uuid']}"
    assert written in sample
    (tmp_path / "edited.yaml").write_text(sample.replace(written, line.format(FILLED["connection-uuid"])))
    monkeypatch.setattr(values, "MOCK_CONFIG", tmp_path / "edited.yaml")
    checked(tmp_path, "local", TEXTS["local"])


@pytest.mark.parametrize(
    "content",
    [
        b"s3cret",
        b"s3cret\n",
        b"s3cret\r\n",
        b"\xef\xbb\xbfs3cret\r\n",
        b" s3cret \r\n\r\n",
        b"\t$(x) `y` 'z' \xc3\xa9\n",
        b"\r\n",
        b"",
        KEY.replace("\n", "\r\n").encode(),
    ],
)
def test_a_secret_is_the_same_on_the_host_and_in_a_container(rehearsal: Path, content: bytes) -> None:
    profile = load("rehearsal", rehearsal)
    profile.secrets_folder.mkdir(parents=True)
    (profile.secrets_folder / "SNOWFLAKE_PASSWORD").write_bytes(content)
    print_it = [sys.executable, "-c", "import os, sys; sys.stdout.write(os.environ.get('SNOWFLAKE_PASSWORD', ''))"]
    script = PROJECT / "services" / "with_secrets.sh"
    inside = subprocess.run(
        ["sh", script, *print_it], env={"SECRETS_FOLDER": str(profile.secrets_folder)}, check=True, capture_output=True
    )
    assert inside.stdout.decode() == secret(profile, "SNOWFLAKE_PASSWORD")


def test_a_secret_that_is_not_utf_8_is_named(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    profile.secrets_folder.mkdir(parents=True)
    (profile.secrets_folder / "AIRBYTE_CLIENT_SECRET").write_bytes("s3cret".encode("utf-16"))
    with pytest.raises(ComposeError, match="rehearsal/AIRBYTE_CLIENT_SECRET is not UTF-8"):
        prepare(profile)


def test_a_changed_secret_changes_its_own_digest_and_no_digest_can_be_guessed(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    before = digests(profile)
    (profile.secrets_folder / "AIRBYTE_CLIENT_SECRET").unlink()
    (profile.secrets_folder / "AIRBYTE_CLIENT_SECRET").write_text("another")
    after = digests(profile)
    assert {name for name in before if before[name] != after[name]} == {"DIGEST_AIRBYTE_CLIENT_SECRET"}
    (profile.secrets_folder / "digest.key").unlink()
    prepare(profile)
    assert not set(after.values()) & set(digests(profile).values())


def test_every_container_that_is_given_a_secret_is_labelled_with_its_digest() -> None:
    for file in (SECRETS_FILE, SCALED_SECRETS_FILE):
        services = yaml.safe_load(file.read_text())["services"]
        for name, service in services.items():
            given = {each["source"] if isinstance(each, dict) else each for each in service["secrets"]}
            named = set(re.findall(r"\$\{DIGEST_(\w+)\}", service.get("labels", {}).get("secrets", "")))
            # bootstrap runs anew, with the secrets as they are, at each `make up`.
            assert {each.upper() for each in given} <= named or name == "bootstrap", name


def test_a_profile_without_secrets_leaves_no_folder_behind(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_text(TEXTS["local"])
    prepare(load("local", tmp_path))
    assert not (tmp_path / "secrets").exists()
