"""docs/production.md's checklist, walked command by command against systems that only look like the real ones."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from snowflake.connector.errors import ProgrammingError

from commands.compose.values import HOST_GATEWAY
from services.testing.fixtures import need_engine, owner
from services.testing.platform import NAME
from services.testing.running import unless_busy
from tests.e2e import lookalikes
from tests.e2e.clone import Clone
from tests.e2e.landing import SAMPLE_FLIGHTS, flights
from tests.e2e.lookalikes import BUCKET, PREFECT_PATH, PREFIX, Production, policy

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
DOCUMENT = Path(__file__).parents[2] / "docs" / "production.md"
BASE = re.findall(r"^FROM (\S+) AS base", (DOCUMENT.parents[1] / "Dockerfile").read_text(), re.MULTILINE)[0]
"""The platform's base image, which is on this machine."""
TAG, PASSPHRASE = "2027-01-31", "walk-on"
COUNT = "use warehouse DATA_PLATFORM_READING; select count(*) from DATA_PLATFORM.ANALYTICS_PUBLISHED.fct_flights"
ANYBODY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def steps() -> dict[int, list[str]]:
    """The commands of each numbered step of the checklist, as the page has them."""
    checklist = DOCUMENT.read_text().split("## The checklist")[1].split("\n## ")[0]
    parts = re.split(r"^\*\*(\d+)\. ", checklist, flags=re.MULTILINE)[1:]
    blocks = {
        int(number): re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {
        number: [line.strip() for block in found for line in block.splitlines()] for number, found in blocks.items()
    }


class Walk:
    """Whoever follows the page: a clone with a commit, and what each command stands for."""

    def __init__(self, clone: Clone, systems: Production) -> None:
        self.clone, self.systems, self.key, self.administrator = clone, systems, ("", ""), ("", "")
        self.code = 0
        self.folder = clone.folder
        self.special: dict[str, Callable[[str], str]] = {
            "openssl": self._openssl,
            "snow": self._snow,
            "aws": self._aws,
            "cp": self._profile,
        }

    def do(self, line: str) -> str:
        """Do what a line of the page says; what it prints."""
        return self.special.get(line.split(maxsplit=1)[0], self._shell)(line)

    def _shell(self, line: str) -> str:
        if line.startswith("make up"):
            line += " YES=1"  # the answer to its question
        kept = {name: os.environ[name] for name in ("HOME", "PIP_CONFIG_FILE", "BUILD_CA_FILE") if name in os.environ}
        environment = {
            **kept,
            **self.clone.ports,
            "PATH": os.environ["PATH"],
            "COMPOSE_PROJECT_NAME": self.clone.name,
            "EDITOR": str(self.folder / "editor.sh"),
        }
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=1500,
        )  # fmt: skip
        self.code = done.returncode
        return done.stdout

    def _openssl(self, line: str) -> str:
        said = self._shell(
            line.replace("pkcs8 ", f"pkcs8 -passout pass:{PASSPHRASE} ").replace(
                "rsa -in", f"rsa -passin pass:{PASSPHRASE} -in"
            )
        )
        assert self.code == 0, said
        return said

    def _snow(self, line: str) -> str:
        self.systems.sql((self.folder / line.rsplit(maxsplit=1)[-1]).read_text())
        return ""

    def _aws(self, line: str) -> str:
        assert line.endswith("file://aws-platform.json")
        self.key = self.systems.user("data-platform", policy("platform"))
        return ""

    def _profile(self, line: str) -> str:
        self._shell(line)
        file, systems = self.folder / "profiles" / "production.env", self.systems
        values = {
            "COMPOSE_PROFILES": "",
            "PLATFORM_IMAGE": self.clone.name,
            "PLATFORM_TAG": TAG,
            "SECRETS": "PREFECT_API_AUTH_STRING,AIRBYTE_CLIENT_SECRET,SNOWFLAKE_PRIVATE_KEY,"
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE,AWS_SECRET_ACCESS_KEY",
            "PREFECT_API_URL": systems.prefect,
            "AIRBYTE_SERVER_URL": systems.airbyte,
            "AIRBYTE_CONNECTION_ID": lookalikes.CONNECTION,
            "AIRBYTE_CLIENT_ID": "walker",
            "S3_BUCKET": BUCKET,
            "S3_PREFIX": PREFIX,
            "S3_ENDPOINT_URL": systems.s3,
            "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_DEFAULT_REGION": lookalikes.REGION,
            "SNOWFLAKE_ACCOUNT": "acme-main",
            "SNOWFLAKE_USER": "DATA_PLATFORM",
            "SNOWFLAKE_ROLE": "DATA_PLATFORM_TRANSFORMER",
            "SNOWFLAKE_WAREHOUSE": "DATA_PLATFORM",
            "SNOWFLAKE_DATABASE": "DATA_PLATFORM",
            "SNOWFLAKE_SCHEMA": "ANALYTICS",
            "SNOWFLAKE_HOST": lookalikes.HOST_GATEWAY,
            "SNOWFLAKE_PORT": str(systems.snowflake_port),
        }
        text = file.read_text()
        for name, value in values.items():
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        file.write_text(f"{text}CA_FILE={systems.ca}\n")
        typed = {
            "AIRBYTE_CLIENT_SECRET": systems.client_secret,
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": PASSPHRASE,
            "PREFECT_API_AUTH_STRING": systems.prefect_auth,
            "AWS_SECRET_ACCESS_KEY": self.key[1],
        }
        editor = ["#!/bin/sh", *(f"printf '%s' '{value}' > {name}" for name, value in typed.items())]
        (self.folder / "editor.sh").write_text("\n".join(editor))
        (self.folder / "editor.sh").chmod(0o755)
        return ""

    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """The answer of the Prefect look-alike."""
        user, password = self.systems.prefect_auth.split(":", 1)
        url = f"{self.systems.plain['prefect']}{PREFECT_PATH}/{path}"
        answer = unless_busy(
            lambda: httpx.request(method, url, json=body, auth=(user, password), timeout=60, trust_env=False)
        )
        return answer.json()

    def pipelines(self) -> list[dict[str, Any]]:
        """The pipeline's runs, planned ones apart."""
        body = {"flows": {"name": {"any_": ["full_pipeline"]}}}
        found: list[dict[str, Any]] = self.prefect("POST", "flow_runs/filter", body)
        return [run for run in found if run["state_type"] != "SCHEDULED"]


@pytest.fixture
def walk(project: Path, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Walk]:
    """A clone with a commit, beside systems that look like the real ones; removed at the end, with its image."""
    need_engine()
    name = f"{NAME}-{owner(pytestconfig) or os.getpid()}-walk{os.urandom(3).hex()}"
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "As it is"]):
        subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *command], cwd=project, check=True
        )
    # Not from the bridge network's description: a daemon's first start leaves the gateway out of it.
    ask = ["docker", "run", "--rm", "--add-host", f"{HOST_GATEWAY}:host-gateway", BASE, "getent", "hosts", HOST_GATEWAY]
    gateway = subprocess.check_output(ask, text=True).split()[0]
    with lookalikes.production(tmp_path, gateway) as systems:
        clone = Clone(project, name)
        yield Walk(clone, systems)
        clone.make("reset", "PROFILE=production", "YES=1")
        subprocess.run(["docker", "rmi", "--force", f"{name}:{TAG}"], check=False, capture_output=True)


def test_the_checklist_leads_from_empty_accounts_to_tables_that_readers_see(walk: Walk) -> None:
    page = steps()
    assert sorted(page) == list(range(1, 11))

    def follow(number: int) -> str:
        said = []
        for line in page[number]:
            said.append(walk.do(line))
            assert walk.code == 0 or "doctor" in line, f"step {number}, {line}:\n{said[-1]}"
        return "\n".join(said)

    for number in (1, 2, 3):
        follow(number)
    walk.administrator = walk.systems.user("administrator", ANYBODY)
    walk.systems.enforce()
    follow(4)
    follow(5)

    asked = follow(6)
    failed = re.findall(r"^FAIL +(\w+(?: \w+)*?)  ", asked, re.MULTILINE)
    assert set(failed) <= {"blocks", "deployments"}, asked
    assert "Nothing was changed." in asked

    follow(7)
    (first,) = walk.pipelines()
    assert first["state_type"] == "COMPLETED"
    assert {f"version:{TAG}"} < set(first["tags"])
    assert "sensor" not in walk.do("make ps PROFILE=production")
    daily = walk.prefect("GET", "deployments/name/full_pipeline/production-daily-full-pipeline")
    assert daily["paused"]
    again = walk.do("make doctor PROFILE=production")
    assert "FAIL" not in again, again
    assert mounted(walk.clone) == {"/run/ca.crt"}

    follow(8)
    assert len(walk.pipelines()) == 1, "files that were there are not handed on"
    s3 = walk.systems.aws("s3", walk.administrator)
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}flights/new.csv", Body=flights(3))
    eventually(lambda: [run["state_type"] for run in walk.pipelines()] == ["COMPLETED"] * 2)
    assert not walk.prefect("GET", "deployments/name/full_pipeline/production-daily-full-pipeline")["paused"]

    assert "make status PROFILE=production" in page[8]

    walk.systems.sql("create role ANALYST; grant role ANALYST to user DATA_PLATFORM")
    with pytest.raises(ProgrammingError, match="not authorized"):
        walk.systems.sql(COUNT, role="ANALYST")
    walk.systems.sql("grant role DATA_PLATFORM_READER to role ANALYST")
    assert walk.systems.sql(COUNT, role="ANALYST") == [(SAMPLE_FLIGHTS + 3,)]
    walk.systems.sql("revoke role DATA_PLATFORM_READER from role ANALYST")
    with pytest.raises(ProgrammingError, match="not authorized"):
        walk.systems.sql(COUNT, role="ANALYST")

    walk.do("make down PROFILE=production")
    assert walk.code == 0
    assert walk.clone.containers() == []
    assert len(walk.pipelines()) == 2, "the server is not this platform's, and keeps its runs"


def mounted(clone: Clone) -> set[str]:
    """Where the containers have something of this machine, secrets apart."""
    template = '{{range .Mounts}}{{if eq .Type "bind"}}{{.Destination}} {{end}}{{end}}'
    shown = subprocess.check_output(["docker", "inspect", "--format", template, *clone.containers()], text=True).split()
    return {each for each in shown if not each.startswith("/run/secrets/")}


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not within 900 s.
    """
    deadline = time.monotonic() + 900
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(1)
