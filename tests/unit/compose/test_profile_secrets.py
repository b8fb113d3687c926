"""A profile's secrets, and what the mock Airbyte is given of a profile."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from commands.compose import values
from commands.compose.forms import SECRET_NAMES
from commands.compose.profile import PROJECT, SCALED_SECRETS_FILE, SECRETS_FILE, load
from commands.compose.secrets import digests, prepare, secret
from commands.errors import CommandError
from services.airbyte.catalog.config_file import ConfigError, load_config
from services.airbyte.catalog.destination_config import Password, SnowflakeConfiguration
from services.content import CONNECTIONS
from tests.unit.compose.profile_texts import FILLED, KEY, TEXTS, checked


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
        ("SNOWFLAKE_PRIVATE_KEY", "nonsense", "not a complete private key in PEM format"),
        ("SNOWFLAKE_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nMIIE", "not a complete private key in PEM format"),
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
    with pytest.raises(CommandError, match=rf"{name}: .*secrets/production/{name}.*{said}") as failure:
        prepare(profile)
    assert not value or value not in str(failure.value).replace("user:password", "")
    assert (profile.secrets_folder / name).read_text() == value


def test_the_mock_airbyte_loads_the_warehouse_of_the_profile(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    (destination,) = load_config(CONNECTIONS, profile.secrets_folder / "destination.json").destinations
    assert isinstance(destination.configuration, SnowflakeConfiguration)
    assert (destination.configuration.host, destination.configuration.database) == ("http://snowflake:8085", "PLATFORM")
    assert isinstance(destination.configuration.credentials, Password)
    password = destination.configuration.credentials.password.get_secret_value()
    assert password == secret(profile, "SNOWFLAKE_PASSWORD")


def test_the_rehearsal_leads_to_snowflake_however_the_mocks_file_is_written(rehearsal: Path) -> None:
    profile = load("rehearsal", rehearsal)
    prepare(profile)
    edited = yaml.safe_load(CONNECTIONS.read_text())
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
    edited = yaml.safe_load(CONNECTIONS.read_text())
    edited["destinations"][0]["configuration"] = wanted | {"database": "ELSEWHERE"}
    (rehearsal / "edited.yaml").write_text(json.dumps(edited))
    with pytest.raises(ConfigError, match=r"'Landing to the raw lake' writes to .*elsewhere\.raw .*platform\.raw "):
        load_config(rehearsal / "edited.yaml", profile.secrets_folder / "destination.json")


@pytest.mark.parametrize(
    "line", ['connectionId: "{}"', "{{connectionId: {}}}", "connectionId: {} # mine", "connectionId:  '{}'\r"]
)
def test_the_mocks_connection_is_found_however_yaml_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    sample = CONNECTIONS.read_text()
    written = f"connectionId: {FILLED['connection-uuid']}"
    assert written in sample
    (tmp_path / "edited.yaml").write_text(sample.replace(written, line.format(FILLED["connection-uuid"])))
    monkeypatch.setattr(values, "CONNECTIONS", tmp_path / "edited.yaml")
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
    with pytest.raises(CommandError, match="rehearsal/AIRBYTE_CLIENT_SECRET is not UTF-8"):
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
