"""A profile decides what runs, and is complete before anything does."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from commands.__main__ import parse
from commands.compose.command_line import Compose, check_engine
from commands.compose.platform import DockerPlatform
from commands.compose.profile import (
    CA_FILE,
    COMPOSE_FILE,
    NO_SENSOR_FILE,
    PROJECT,
    PROXY_FILE,
    SCALE_FILE,
    SCALED_SECRETS_FILE,
    SECRETS_FILE,
    load,
)
from commands.errors import CommandError
from commands.verbs import alerts
from tests.unit.compose.fake_docker import docker, script

__all__ = ["docker"]
LOCAL = PROJECT / "profiles" / "local.env"


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """A folder of profiles with a copy of the local one."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "local.env").write_text(LOCAL.read_text())
    return folder


def test_the_local_profile_is_complete() -> None:
    assert load("local").services == {"localstack", "airbyte", "prefect", "alerts"}


def test_an_unknown_profile_is_named_with_those_that_there_are(profiles: Path) -> None:
    (profiles / "rehearsal.env").touch()
    with pytest.raises(CommandError, match=r"no profile 'lokal'.*profiles/lokal\.env.*: local, rehearsal\."):
        load("lokal", profiles)


def test_every_missing_value_of_a_profile_is_named_at_once(profiles: Path) -> None:
    text = re.sub(r"^AIRBYTE_PORT=.*\n", "", LOCAL.read_text(), flags=re.MULTILINE)
    (profiles / "local.env").write_text(re.sub(r"^S3_BUCKET=.*$", "S3_BUCKET=", text, flags=re.MULTILINE))
    with pytest.raises(CommandError, match=r"profiles/local\.env has no value for S3_BUCKET, AIRBYTE_PORT"):
        load("local", profiles)


def test_a_copied_profile_must_bear_its_own_name(profiles: Path) -> None:
    (profiles / "local.env").rename(profiles / "mine.env")
    with pytest.raises(CommandError, match=r"profiles/mine\.env says PROFILE=local. Change it to mine"):
        load("mine", profiles)


def test_compose_sees_the_profile_and_not_the_persons_own_account(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-persons-own")
    monkeypatch.setenv("PREFECT_PORT", "14200")
    script(docker, "env")
    seen = Compose(load("local")).output("ps").splitlines()
    assert "PREFECT_PORT=14200" in seen
    assert [line for line in seen if line.startswith("AWS_ACCESS_KEY_ID")] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "Docker is not installed"),
        ("exit 1", "no Compose v2"),
        ('[ "$1" = compose ]', "No Docker engine answers"),
    ],
    ids=["no docker", "no compose", "no engine"],
)
def test_without_an_engine_one_line_says_so_and_names_what_runs_without(
    docker: Path, text: str | None, said: str
) -> None:
    if text:
        script(docker, text)
    with pytest.raises(CommandError, match=said) as failure:
        check_engine()
    assert "`make dev` and `make demo`" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ("DOCKER_CONTEXT", "nowhere"),
        ("DOCKER_CONFIG", "/nowhere"),
        ("DOCKER_API_VERSION", "1.99"),
        ("DOCKER_CERT_PATH", "/nowhere"),
    ],
)
def test_a_variable_that_leads_to_no_engine_is_named_with_its_value(
    docker: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    script(docker, '[ "$1" = compose ] || { echo "ERROR: cannot connect" >&2; exit 1; }')
    with pytest.raises(CommandError, match=rf"\(cannot connect\)\. {name} is '{value}': check it") as failure:
        check_engine()
    assert "\n" not in str(failure.value)


def test_an_engine_that_answers_with_nothing_is_none(docker: Path) -> None:
    script(docker, "exit 0")
    with pytest.raises(CommandError, match="No Docker engine answers"):
        check_engine()


@pytest.mark.parametrize(
    ("version", "is_old"), [("2.19.1", True), ("v2.9.0", True), ("2.20.0", False), ("5.0.1", False)]
)
def test_a_compose_that_is_too_old_is_named_with_what_is_needed(docker: Path, version: str, is_old: bool) -> None:
    script(docker, f'[ "$1" != compose ] || {{ echo {version}; exit; }}\necho 28.0 here')
    if not is_old:
        check_engine()
        return
    with pytest.raises(CommandError, match=rf"Compose {version} is too old. Install 2\.20 or newer"):
        check_engine()


@pytest.mark.parametrize("value", ["0", "false"])
def test_a_build_without_buildkit_is_refused_with_the_variables_value(
    docker: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DOCKER_BUILDKIT", value)
    script(docker, "exit 0")
    with pytest.raises(CommandError, match=rf"DOCKER_BUILDKIT is '{value}'.*`unset DOCKER_BUILDKIT`"):
        Compose(load("local")).build()


def test_a_build_that_fails_names_the_platform_that_the_environment_asks_for(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")
    script(docker, "echo no match for platform; exit 1")
    with pytest.raises(CommandError, match=r"no match for platform\n.*DOCKER_DEFAULT_PLATFORM is 'linux/s390x'"):
        Compose(load("local")).build()


def test_no_variable_of_composes_own_or_of_another_profile_reaches_compose(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "/nowhere.yml")
    monkeypatch.setenv("COMPOSE_REMOVE_ORPHANS", "1")
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "a-persons-own")
    script(docker, "env")
    seen = Compose(load("local")).output("ps").splitlines()
    assert [line for line in seen if line.startswith(("COMPOSE_", "SNOWFLAKE_"))] == []


@pytest.mark.parametrize("given", ["", "corp.example,[::1],fe80::/10 10.0.0.0/8"])
def test_a_container_reaches_the_platforms_services_without_a_persons_proxy(given: str) -> None:
    variables = {
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": given,
        "SECRETS_FOLDER": "/nowhere",
        "PATH": "/usr/bin:/bin",
    }
    told = subprocess.run(
        ["sh", PROJECT / "services" / "with_secrets.sh", "env"],
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    values = {line.partition("=")[0]: line.partition("=")[2].split(",") for line in told}
    of_nobody = {"bootstrap", "worker", "sensor", "watch", "console"}
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"].keys() - of_nobody
    assert services <= set(values["NO_PROXY"])
    assert values["NO_PROXY"] == values["no_proxy"]
    assert "" not in values["NO_PROXY"]
    assert not given or {"corp.example", "10.0.0.0/8"} <= set(values["NO_PROXY"])
    assert not any(":" in each for each in values["NO_PROXY"])


def test_the_compose_file_holds_no_default_no_fixed_name_and_no_port_of_other_machines() -> None:
    text = COMPOSE_FILE.read_text()
    compose = yaml.safe_load(text)
    assert len(text.splitlines()) < 245
    assert re.findall(r"\$\{\w+:?-", text) == []
    assert "container_name" not in text
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:${") for port in ports)


def test_every_long_running_service_has_a_health_check_a_memory_limit_and_comes_back() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    staying = {name: service for name, service in services.items() if name != "bootstrap"}
    assert all(service["restart"] == "unless-stopped" for service in staying.values())
    assert all("healthcheck" in service and "mem_limit" in service for service in staying.values())
    assert all("condition" in each for s in services.values() for each in s.get("depends_on", {}).values())


def test_worker_and_sensor_are_given_prefects_address_and_login_and_nothing_of_any_other_system() -> None:
    """In all files of which Compose takes some for a profile."""
    given = set()
    for file in (COMPOSE_FILE, SECRETS_FILE, SCALE_FILE, SCALED_SECRETS_FILE):
        services = yaml.safe_load(file.read_text().replace("!reset", ""))["services"]
        for service in (services[name] for name in ("worker", "sensor") if name in services):
            assert "env_file" not in service
            given |= {*service.get("environment", ()), *service.get("secrets", ())}
    assert {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"} <= given
    assert [name for name in given - {"PLATFORM_PROFILE", "CONSOLE_URL"} if not name.startswith("PREFECT_")] == []


def test_init_scripts_can_be_executed_by_localstack() -> None:
    scripts = list((PROJECT / "localstack" / "init" / "ready.d").glob("*.sh"))
    assert scripts
    assert all(os.access(each, os.X_OK) for each in scripts)


def test_every_service_drops_all_rights_and_can_write_its_own_places_alone() -> None:
    base = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    scaled = yaml.safe_load(SCALE_FILE.read_text().replace("!reset", ""))["services"]
    own = {name: service for name, service in scaled.items() if "image" in service}
    assert "redis" in own
    for name, service in {**base, **own}.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert service["pids_limit"] > 0, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
        assert not service.keys() & {"cap_add", "privileged", "network_mode", "pid", "devices"}, name


def test_a_container_trusts_a_profiles_certificates_beside_those_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "system.crt").write_text("system\n")
    (tmp_path / "own.crt").write_text("own\n")
    variables = {
        "CA_FILE": str(tmp_path / "own.crt"),
        "SYSTEM_CA_FILE": str(tmp_path / "system.crt"),
        "SECRETS_FOLDER": "/nowhere",
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
    }
    read = 'for file in "$SSL_CERT_FILE" "$REQUESTS_CA_BUNDLE" "$AWS_CA_BUNDLE"; do cat "$file"; done'
    command = ["sh", PROJECT / "services" / "with_secrets.sh", "sh", "-c", read]
    told = subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout
    assert told == "system\nown\n" * 3


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("AUTOMATIC_RUNS=false", NO_SENSOR_FILE),
        ("CA_FILE=/etc/hostname", CA_FILE),
        ("HTTPS_PROXY=http://proxy:3128", PROXY_FILE),
    ],
)
def test_what_a_profile_asks_for_is_merged_and_nothing_else(profiles: Path, line: str, file: Path) -> None:
    assert file not in load("local", profiles).files
    (profiles / "local.env").write_text(f"{LOCAL.read_text()}{line}\n")
    assert file in load("local", profiles).files


def test_a_command_in_a_message_acts_on_the_profile_that_it_is_about(profiles: Path) -> None:
    text = LOCAL.read_text().replace("PROFILE=local", "PROFILE=mine", 1)
    (profiles / "mine.env").write_text(text)
    assert load("local", profiles).make("up") == "make up"
    assert load("mine", profiles).make("up") == "make up PROFILE=mine"


def test_no_text_of_the_verbs_names_a_command_without_its_profile() -> None:
    """But for those that are about another clone, or about no platform."""
    without = r"adopt|dev\b|demo|source|image TAG|install|down` there|up` of this profile"
    files = [
        each for folder in ("", "compose", "doctor", "verbs") for each in (PROJECT / "commands" / folder).glob("*.py")
    ]
    code = {file: re.sub(r'"""[\s\S]*?"""|#.*', "", file.read_text()) for file in files}
    found = [
        f"{file.name}: {text}"
        for file, all_of_it in code.items()
        for text in re.findall(rf"`make (?!{without})[^`]*", all_of_it)
    ]
    assert found == []


@pytest.mark.parametrize("verb", ["down", "reset"])
def test_what_ends_a_platform_also_ends_the_services_that_its_profile_no_longer_names(
    docker: Path, tmp_path: Path, verb: str
) -> None:
    script(docker, f'echo "$@" >> {tmp_path}/told')
    platform = DockerPlatform(Compose(load("local"), project="p"))
    assert (platform.stop() if verb == "down" else platform.remove()) == 0
    (down,) = [line for line in (tmp_path / "told").read_text().splitlines() if " down " in line]
    assert "--profile=*" in down.split(" down ")[0]


def test_the_alerts_are_shown_where_the_watch_is_dead_as_one_of_them_says(docker: Path, tmp_path: Path) -> None:
    script(docker, f'echo "$@" >> {tmp_path}/told; case "$*" in *" ps "*) echo console;; esac')
    assert alerts.do(DockerPlatform(Compose(load("local"), project="p")), parse(["alerts", "list"])) == 0
    assert " console " in (tmp_path / "told").read_text().splitlines()[-1]
