"""The platform as the flow tests see it: a landing bucket, a mock Airbyte, a lake, a warehouse and a Prefect server."""

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx
import uvicorn
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime
from prefect.client.schemas.objects import FlowRun

from blocks import lake
from commands.embedded.processes import free_ports
from services.airbyte.app import create_app
from services.airbyte.settings import Settings
from services.content import CONNECTIONS, LANDING
from tests.integration.servers import serving

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READY_SECONDS = 30
STRIKE_SECONDS = 180


@dataclass
class Fault:
    """A fault that is in force at the mock."""

    url: str
    number: int

    def await_strike(self) -> None:
        """Wait until it has struck once."""
        deadline = time.monotonic() + STRIKE_SECONDS
        while not {each["faultId"]: each["struck"] for each in httpx.get(self.url, timeout=30).json()}[self.number]:
            assert time.monotonic() < deadline, "nothing was struck"
            time.sleep(0.02)

    def end(self) -> None:
        """Take it back."""
        httpx.delete(f"{self.url}/{self.number}").raise_for_status()


@dataclass
class Platform:
    """What a test puts in and looks at."""

    s3: "S3Client"
    bucket: str
    airbyte: str
    lake: Path
    warehouse: Path
    published: Path
    schema = "main"
    """The schema that dbt builds in, and the beginning of the others' names."""
    readers = "main"
    """The schema of the published tables."""

    def put(self, key: str, content: str | bytes) -> str:
        """Land a file below inbound/; text is compressed where the name says so."""
        body = content.encode() if isinstance(content, str) else content
        if key.endswith(".gz") and isinstance(content, str):
            body = gzip.compress(body, mtime=0)
        self.s3.put_object(Bucket=self.bucket, Key=f"inbound/{key}", Body=body)
        return f"inbound/{key}"

    def put_reference(self) -> None:
        """Land what the marts need beside flights, a few rows of each."""
        self.put("weather/weather.csv.gz", sample("weather/weather-2013-01.csv.gz", 30))
        for stream in ("airlines", "airports", "planes"):
            self.put(f"{stream}/{stream}.csv.gz", (LANDING / stream / f"{stream}.csv.gz").read_bytes())

    def fault(self, kind: str, **details: Any) -> Fault:
        """Ask the mock for a fault."""
        base = self.airbyte.removesuffix("/api/public/v1")
        answer = httpx.post(f"{base}/_mock/faults", json={"kind": kind, **details}).raise_for_status()
        return Fault(f"{base}/_mock/faults", answer.json()["faultId"])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published warehouse."""
        return _rows(self.published, sql)

    def built(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse that dbt builds."""
        return _rows(self.warehouse, sql)

    def raw(self, stream: str) -> str:
        """What stands behind FROM for a stream's rows in raw."""
        return f"read_parquet('{self.lake}/{stream}/*.parquet', union_by_name = true)"

    def raw_types(self, stream: str) -> dict[str, str]:
        """The types of a stream's columns in raw."""
        return dict(lake.columns(self.lake)[stream])

    def raw_rows(self, stream: str) -> int:
        return int(self.built(f"select count(*) from {self.raw(stream)}")[0][0])

    def count(self, table: str) -> int:
        """Rows of a published table."""
        return int(self.query(f"select count(*) from {table}")[0][0])


def _rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def sample(file: str, rows: int, skip: int = 0) -> str:
    """The header and some rows of a sample file."""
    header, *lines = gzip.decompress((LANDING / file).read_bytes()).decode().splitlines(keepends=True)
    return header + "".join(lines[skip : skip + rows])


def flights(day: int, rows: int = 20) -> str:
    """The first flights of a day of January."""
    return sample(f"flights/flights-2013-01-{day:02}.csv.gz", rows)


@contextmanager
def running_airbyte(folder: Path, bucket: str, s3_url: str, **settings: Any) -> Iterator[str]:
    """The mock Airbyte with the sample's connection over a bucket; its base URL."""
    config = folder / "airbyte.yaml"
    config.write_text(CONNECTIONS.read_text().replace("my-data-lake-landing", bucket))
    (port,) = free_ports(1)
    app = create_app(
        Settings(
            config=config,
            port=port,
            lake_dir=folder / "lake",
            state_dir=folder / "airbyte",
            s3_endpoint_url=s3_url,
            s3_region="us-east-1",
            s3_access_key_id="test",
            s3_secret_access_key="test",
            faults=True,
            retry_delay=0.1,
            **settings,
        )
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    with serving(server) as url:
        yield f"{url}/api/public/v1"


def newest_run(flow: str) -> FlowRun:
    """The run of a flow that began last; runs that a schedule has planned for later do not count."""
    begun = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=begun, sort="START_TIME_DESC", limit=50)
        flows = {run.flow_id: client.read_flow(run.flow_id).name for run in runs}
    return next(run for run in runs if flows[run.flow_id] == flow)
