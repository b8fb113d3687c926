"""Files that cannot read services/ports.py have the ports from it, and the default addresses agree."""

import ast
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from blocks.settings import Settings
from commands.compose.profile import PROJECT
from services import ports
from services.content import BUCKET, CONNECTIONS, PREFIX
from services.ports import BY_SERVICE

BY_VARIABLE = {
    "PREFECT_PORT": ports.PREFECT,
    "AIRBYTE_PORT": ports.AIRBYTE,
    "S3_PORT": ports.S3,
    "CONSOLE_PORT": ports.CONSOLE,
}
COMPOSE = (PROJECT / "docker-compose.yml").read_text()
PROFILES = ("local.env", "rehearsal.env", "production.env.example")


def test_compose_publishes_each_port_and_checks_the_health_on_it() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    published = {
        name: [int(port.rsplit(":")[-1]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {name: [BY_SERVICE[name]] for name in published}
    assert len(published) == len(BY_VARIABLE)
    health = [(name, service.get("healthcheck", {}).get("test")) for name, service in services.items()]
    asked = {name: int(test[2]) for name, test in health if name in BY_SERVICE and isinstance(test, list)}
    assert asked == {"console": ports.CONSOLE, "alerts": ports.ALERTS}
    commands = {name: services[name]["command"] for name in asked}
    assert {name: int(words[words.index("--port") + 1]) for name, words in commands.items()} == asked


def test_each_image_announces_the_port_of_its_service() -> None:
    stages = re.split(r"^FROM \S+ AS (\w+)$", (PROJECT / "Dockerfile").read_text(), flags=re.MULTILINE)
    text = dict(zip(stages[1::2], stages[2::2], strict=True))
    for stage, port in {"airbyte": ports.AIRBYTE, "snowflake": ports.SNOWFLAKE, "platform": ports.PREFECT}.items():
        assert re.findall(r'EXPOSE (\d+)|"answers", "(\d+)"', text[stage]) == [(str(port), ""), ("", str(port))]


@pytest.mark.parametrize("file", PROFILES)
def test_each_profile_publishes_the_ports_and_names_no_other(file: str) -> None:
    text = (PROJECT / "profiles" / file).read_text()
    assert {name: int(port) for name, port in re.findall(r"^(\w+_PORT)=(\d+)$", text, re.M) if name in BY_VARIABLE} == (
        BY_VARIABLE
    )
    named = re.findall(rf"http://({'|'.join(BY_SERVICE)}):(\d+)", text)
    assert [(name, int(port)) for name, port in named] == [(name, BY_SERVICE[name]) for name, _ in named]


def test_the_defaults_of_the_flows_lead_to_the_stand_ins() -> None:
    defaults = Settings.model_fields
    assert urlsplit(defaults["airbyte_server_url"].default).port == ports.AIRBYTE
    assert (defaults["s3_bucket"].default, defaults["s3_prefix"].default) == (BUCKET, PREFIX)
    source = yaml.safe_load(CONNECTIONS.read_text())["sources"][0]["configuration"]
    assert source["bucket"] == BUCKET


def test_no_other_module_has_a_port_of_its_own() -> None:
    numbers = set(BY_SERVICE.values())
    modules = [file for folder in ("commands", "flows", "services") for file in PROJECT.glob(f"{folder}/**/*.py")]
    found = {
        str(module.relative_to(PROJECT))
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and node.value in numbers
    }
    assert len(modules) > 100
    assert found == {str(Path("services", "ports.py"))}
