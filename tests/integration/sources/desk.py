"""A project without the sample, and files on a desk that `make source` turns into sources of it."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml

from commands.embedded.stack import CONNECTION_ID
from commands.sources.facts import Facts, facts_of
from commands.sources.project import Project, apply
from commands.sources.reading import read
from commands.sources.spec import Spec, spec_of
from services.airbyte.settings import Settings
from services.content import BUCKET, CONNECTIONS, PROJECT
from tests.integration.airbyte.running_mock import served
from tests.integration.dbt.lake import Lake
from tests.integration.dbt.project import Platform

CONFIG = """\
workspaces:
  - {workspaceId: 2f9c1d3e-5a7b-4c8d-9e0f-1a2b3c4d5e6f, name: Local workspace}
sources:
  - sourceId: 3a1f0c52-8b6d-4e2a-b7c9-5d4e6f708192
    name: Desk
    workspaceId: 2f9c1d3e-5a7b-4c8d-9e0f-1a2b3c4d5e6f
    configuration:
      bucket: my-data-lake-landing
      prefix: inbound/
      streams: []
destinations:
  - {destinationId: 4b2e1d63-9c7e-4f3b-a8d0-6e5f70819203, name: Lake, workspaceId: 2f9c1d3e-5a7b-4c8d-9e0f-1a2b3c4d5e6f}
connections:
  - connectionId: CONNECTION
    name: Desk to lake
    sourceId: 3a1f0c52-8b6d-4e2a-b7c9-5d4e6f708192
    destinationId: 4b2e1d63-9c7e-4f3b-a8d0-6e5f70819203
    configurations:
      streams: []
"""


@dataclass
class Desk:
    """A folder with a dbt project and connections of its own."""

    folder: Path

    @property
    def project(self) -> Project:
        return Project(self.folder, self.folder / "connections.yaml", self.folder / "localstack" / "landing")

    def facts(self, file: Path, key: str = "", work: Path | None = None) -> Facts:
        """What a file is; its rows as raw has them stay in the folder `work`, if one is given."""
        with tempfile.TemporaryDirectory() as folder:
            reading = read(file, work or Path(folder))
            return facts_of(reading, key.split(",") if key else [], Path(folder))

    def add(self, file: Path, name: str, key: str = "", mart: str = "") -> tuple[Facts, Spec]:
        """Write what `make source` writes, and land the file."""
        self.project.check_name(name, mart)
        facts = self.facts(file, key)
        spec = spec_of(name, facts, mart)
        apply(self.project.changes_to_write(spec))
        self.project.land(file, name)
        return facts, spec

    def sync(self, s3_url: str, lake: Path, destination: dict[str, Any] | None = None) -> None:
        """Load everything that has landed, by the mock Airbyte itself."""
        settings = self.mock(s3_url, lake, destination)
        client = boto3.client(
            "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_bucket(Bucket=settings.s3_bucket)
        # S3 dates objects to the second: what is there stays older than what comes.
        there = {each["Key"] for each in client.list_objects_v2(Bucket=settings.s3_bucket).get("Contents", [])}
        for file in (self.folder / "localstack" / "landing").glob("*/*"):
            if (key := f"inbound/{file.parent.name}/{file.name}") not in there:
                client.upload_file(str(file), settings.s3_bucket, key)
        with served(settings) as url:
            sync(url)

    def mock(self, s3_url: str, lake: Path, destination: dict[str, Any] | None = None) -> Settings:
        """The mock Airbyte over a bucket of the desk's own."""
        values: dict[str, Any] = {
            "config": self.project.connections, "lake_dir": lake, "state_dir": lake.with_name(f"{lake.name}-state"),
            "s3_endpoint_url": s3_url, "s3_region": "us-east-1", "s3_access_key_id": "test",
            "s3_secret_access_key": "test", "s3_bucket": f"desk-{lake.parent.name}".lower().replace("_", "-"),
            "s3_prefix": "inbound/",
        }  # fmt: skip
        if destination:
            (file := lake.with_suffix(".json")).write_text(json.dumps(destination))
            values["destination"] = file
        return Settings(**values)

    def platform(self, lake: Path) -> Platform:
        """The project on DuckDB."""
        found = Lake.__new__(Lake)
        found.folder = lake
        return Platform(self.folder, found, self.folder / "dbt_project")


def sync(url: str) -> None:
    """Run a sync to its end; a failure has its reason."""
    import time

    import httpx

    api = httpx.Client(base_url=f"{url}/api/public/v1", trust_env=False, timeout=30)
    job = api.post("/jobs", json={"connectionId": CONNECTION_ID, "jobType": "sync"}).raise_for_status().json()
    while (found := api.get(f"/jobs/{job['jobId']}").json())["status"] not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.1)
    said = api.post(f"{url}/api/v1/jobs/get", json={"id": job["jobId"]}).json()["attempts"][-1]["attempt"]
    assert found["status"] == "succeeded", said.get("failureSummary")


def empty_desk(folder: Path) -> Desk:
    """A project whose macros and tests are this one's, and that has no source yet."""
    shutil.copytree(
        PROJECT / "dbt_project",
        folder / "dbt_project",
        ignore=shutil.ignore_patterns("models", "snapshots", "target", "logs", "dbt_packages"),
    )
    for each in (folder / "dbt_project" / "tests").glob("*.sql"):
        each.unlink()
    models = folder / "dbt_project" / "models"
    (models / "marts").mkdir(parents=True)
    (models / "staging").mkdir()
    raw = yaml.safe_load((PROJECT / "dbt_project" / "models" / "staging" / "sources.yml").read_text())
    raw["sources"][0]["tables"] = []
    (models / "staging" / "sources.yml").write_text(yaml.safe_dump(raw, sort_keys=False, width=1000))
    (folder / "connections.yaml").write_text(CONFIG.replace("CONNECTION", CONNECTION_ID))
    assert CONNECTIONS.is_file()
    assert BUCKET in CONFIG
    return Desk(folder)
