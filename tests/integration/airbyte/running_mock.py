"""What tests ask of a running mock and of the bucket that it reads."""

import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx

from services.airbyte.server import Server
from services.airbyte.settings import Settings
from tests.integration.servers import serving

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONNECTION = "11111111-1111-4111-8111-111111111111"
V1 = "/api/public/v1"
JSON = {"Content-Type": "application/json"}
CREDENTIALS = ("me", "s3cret")
"""Client id and secret of the mocks that ask for them."""


@dataclass
class Landing:
    """The bucket that the source reads."""

    client: "S3Client"
    bucket: str

    def put(self, key: str, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        if key.endswith(".gz") and isinstance(text, str):
            data = gzip.compress(data)
        self.client.put_object(Bucket=self.bucket, Key=f"inbound/{key}", Body=data)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"inbound/{key}")


class Mock:
    """A running mock and what a test asks of it."""

    def __init__(self, http: httpx.Client, lake: Path) -> None:
        self.http = http
        self.lake = lake

    def start(self, job_type: str = "sync") -> dict[str, Any]:
        answer = self.http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": job_type})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def job(self, job_id: int) -> dict[str, Any]:
        return dict(self.http.get(f"{V1}/jobs/{job_id}").json())

    def wait(self, job_id: int, *statuses: str) -> dict[str, Any]:
        """The job once it has one of `statuses`, by default a terminal one."""
        wanted = statuses or ("succeeded", "failed", "cancelled")
        deadline = time.monotonic() + 30
        while (job := self.job(job_id))["status"] not in wanted:
            assert time.monotonic() < deadline, f"still waiting for {wanted}: {self.attempts(job_id)}"
            time.sleep(0.02)
        return job

    def sync(self) -> dict[str, Any]:
        return self.wait(self.start()["jobId"])

    def attempts(self, job_id: int) -> list[dict[str, Any]]:
        answer = self.http.post("/api/v1/jobs/get", json={"id": job_id})
        return [info["attempt"] for info in answer.json()["attempts"]]

    def notes(self, job_id: int) -> list[str]:
        """What the log of a job has for a person."""
        answer = self.http.post("/api/v1/jobs/get", json={"id": job_id}).json()
        return [line for info in answer["attempts"] for line in info["logs"]["logLines"]]

    def reason(self, job_id: int) -> str:
        (failure,) = self.attempts(job_id)[-1]["failureSummary"]["failures"]
        return str(failure["externalMessage"])

    def rows(
        self, columns: str = "id, name, price", stream: str = "orders", order: str = "id"
    ) -> list[tuple[Any, ...]]:
        files = f"read_parquet('{self.lake}/{stream}/*.parquet', union_by_name = true)"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(f"SELECT {columns} FROM {files} ORDER BY {order}").fetchall()

    def files(self, stream: str = "orders") -> list[str]:
        return sorted(path.name for path in (self.lake / stream).iterdir() if not path.name.startswith("_schema-"))

    def fault(self, **fault: Any) -> int:
        answer = self.http.post("/_mock/faults", json=fault, auth=CREDENTIALS)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["faultId"])


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The root URL of a mock that listens on a port, for clients that need one."""
    with serving(Server(settings.model_copy(update={"port": 0}), log_level="warning")) as url:
        yield url


Start = Callable[..., AbstractContextManager[Mock]]
