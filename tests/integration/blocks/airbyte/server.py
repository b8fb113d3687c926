"""A running mock Airbyte with two connections, and what a test asks of it behind the client's back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.airbyte.client import AirbyteClient

CONNECTION = "11111111-1111-4111-8111-111111111111"
INACTIVE = "66666666-6666-4666-8666-666666666666"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
CLIENT_ID, SECRET = "platform", "s3cr3t-of-the-application"
OWN = (CLIENT_ID, SECRET)
PUBLIC = "/api/public/v1"
CONFIG = f"""
workspaces:
  - {{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}}
sources:
  - sourceId: 22222222-2222-4222-8222-222222222222
    name: Shop
    workspaceId: 44444444-4444-4444-8444-444444444444
    configuration:
      bucket: BUCKET
      prefix: inbound/
      streams:
        - name: orders
          primaryKey: [id]
          columns: {{id: integer, name: string}}
destinations:
  - destinationId: 33333333-3333-4333-8333-333333333333
    name: Lake
    workspaceId: 44444444-4444-4444-8444-444444444444
connections:
  - connectionId: {CONNECTION}
    name: Shop to lake
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
    configurations: {{streams: [{{name: orders, syncMode: incremental_append}}]}}
  - connectionId: {INACTIVE}
    name: Old shop
    prefix: old_
    status: inactive
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
"""
NO_CONNECTION = "workspaces: [{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}]"


def a_moment(seconds: float) -> None:
    """A fiftieth of the client's pauses: it asks as often, in less time."""
    time.sleep(seconds / 50)


@dataclass
class Server:
    """A running mock, and what a test asks of it behind the client's back."""

    url: str
    http: httpx.Client

    def client(self, **changes: Any) -> AirbyteClient:
        values = {"client_id": CLIENT_ID, "client_secret": SecretStr(SECRET), "sleep": a_moment}
        return AirbyteClient(self.url + PUBLIC, **values | changes)

    def fault(self, kind: str, **fault: Any) -> Callable[[], int]:
        """Ask for a fault; returns how often it has struck."""
        answer = self.http.post("/_mock/faults", json={"kind": kind, **fault}, auth=OWN)
        assert answer.status_code == 201, answer.text
        number = answer.json()["faultId"]
        return lambda: {f["faultId"]: f["struck"] for f in self.http.get("/_mock/faults", auth=OWN).json()}[number]

    def clear(self, *_: object) -> None:
        self.http.delete("/_mock/faults", auth=OWN).raise_for_status()

    def tokens_issued(self) -> Callable[[], int]:
        return self.fault("slow", operation="createAccessToken", seconds=0)
