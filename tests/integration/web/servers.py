"""The servers that the platform starts without Docker, and what a page from elsewhere may try on each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx

from commands.embedded.s3_server import s3_server
from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import served
from tests.integration.snowflake.emulator import running_emulator

BUCKET, KEY = "landing", "inbound/flights/kept.csv"
JSON = {"Content-Type": "application/json"}
FOREIGN: list[dict[str, str]] = [
    {"Host": "evil.test"},
    {"Origin": "http://evil.test"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
]


@dataclass(frozen=True)
class Call:
    """A call that does something, and that clients are allowed."""

    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)

    def of(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        sent = {**(self.headers if self.body else {}), **headers}
        return httpx.request(self.method, url + self.path, content=self.body, headers=sent, trust_env=False)


CALLS = {
    "prefect": [
        Call("GET", "/api/admin/version"),
        Call("GET", "/ui-settings"),
        Call("POST", "/api/block_documents/filter", '{"include_secrets": true}'),
        Call("POST", "/api/flows/", '{"name": "attack"}'),
    ],
    "airbyte": [
        Call("GET", "/api/public/v1/health"),
        Call("GET", "/state.json"),
        Call("POST", "/_mock/faults", '{"kind": "conflict"}'),
        Call("DELETE", "/_mock/faults"),
    ],
    "s3": [
        Call("GET", f"/{BUCKET}"),
        Call("PUT", f"/{BUCKET}/inbound/flights/attack.csv", "a,b\n1,2\n", {"Content-Type": "text/plain"}),
        Call("POST", "/", "Action=ListQueues", {"Content-Type": "application/x-www-form-urlencoded"}),
        Call("GET", "/?Action=ListQueues"),
        Call("GET", "/moto-api/config"),
    ],
    "snowflake": [
        Call("GET", "/health"),
        Call("POST", "/session/v1/login-request", '{"data": {}}'),
    ],
}


@contextmanager
def stand_ins(folder: Path) -> Iterator[dict[str, str]]:
    """S3 with one object, the mock Airbyte and the emulator; their URLs."""
    with s3_server(0, folder / "s3") as port, running_emulator(folder) as emulator:
        url = f"http://127.0.0.1:{port}"
        client(url).create_bucket(Bucket=BUCKET)
        client(url).put_object(Bucket=BUCKET, Key=KEY, Body=b"kept")
        state = {"lake_dir": folder / "lake", "state_dir": folder / "state"}
        with served(Settings(**state, s3_endpoint_url=url, faults=True)) as airbyte:
            yield {"s3": url, "airbyte": airbyte, "snowflake": f"http://127.0.0.1:{emulator.port}"}


def client(url: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
