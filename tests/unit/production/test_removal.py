"""docs/production.md's commands that remove a platform from a shared server."""

import re
from uuid import uuid4

import yaml

from blocks.names import Names, alerts_block, heartbeat_block
from services.bootstrap import alerts, automations
from services.content import PROJECT

NAMES = Names("production")
PAGE = (PROJECT / "docs" / "production.md").read_text()
COMMANDS = PAGE.partition("## Remove a platform from a shared server")[2].partition("\n## ")[0]


def test_every_automation_is_removed() -> None:
    registered = [*automations.automations(NAMES), *alerts.automations(NAMES, uuid4(), "production")]
    removed = re.findall(r'"([A-Z][a-z ]+)"', COMMANDS)
    assert {f"{name} (production)" for name in removed} == {each.name for each in registered}


def test_every_deployment_is_removed() -> None:
    removed = re.findall(r"[a-z0-9_]+/production-[a-z0-9-]+", COMMANDS)
    shorter = re.findall(r"for flow in ([a-z_ ]+);", COMMANDS)[0].split()
    removed += [f"{flow}/production-{flow.replace('_', '-')}" for flow in shorter]
    declared = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    flows = {each["name"]: each["entrypoint"].rpartition(":")[2] for each in declared}
    assert set(removed) == {f"{flow}/{NAMES.name(name)}" for name, flow in flows.items()}


def test_every_webhook_is_removed() -> None:
    names = re.findall(r"for name in ([a-z ]+); do prefect --no-prompt block delete", COMMANDS)[0].split()
    assert {f"production-{name}" for name in names} == {alerts_block("production"), heartbeat_block("production")}
