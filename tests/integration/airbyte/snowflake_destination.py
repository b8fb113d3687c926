"""A destination in a Snowflake database of its own, and what a test asks of it and of the mock that fills it."""

from typing import Any

from tests.integration.airbyte.running_mock import V1, Mock
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator

SOURCE = "22222222-2222-4222-8222-222222222222"
WORKSPACE = "44444444-4444-4444-8444-444444444444"
ORDERS = "id,name,price,at,order\n1,ant,1.5,2013-01-01T10:00:00Z,x\n2,,2,2013-01-01T11:00:00Z,y\n"
APPEND, DEDUP, OVERWRITE = "incremental_append", "incremental_deduped_history", "full_refresh_overwrite"


class Snowflake:
    """A destination in a database of its own, and what a test asks of both."""

    def __init__(self, emulator: Emulator, database: str) -> None:
        self._emulator = emulator
        self.configuration = {
            "destinationType": "snowflake",
            "host": f"http://127.0.0.1:{emulator.port}",
            "role": "R",
            "warehouse": "W",
            "database": database,
            "schema": "raw",
            "username": USER,
            "credentials": {"auth_type": "Username and Password", "password": PASSWORD},
        }

    def make(self, mock: Mock, **changes: Any) -> dict[str, Any]:
        body = {"name": "Snowflake", "workspaceId": WORKSPACE, "configuration": self.configuration | changes}
        answer = mock.http.post(f"{V1}/destinations", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def connect(self, mock: Mock, mode: str = APPEND, stream: str = "orders", **changes: Any) -> str:
        """The id of a new connection of one stream."""
        body = {
            "sourceId": SOURCE,
            "destinationId": self.make(mock, **changes)["destinationId"],
            "configurations": {"streams": [{"name": stream, "syncMode": mode}]},
        }
        answer = mock.http.post(f"{V1}/connections", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["connectionId"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = self.configuration["database"]
        return self._emulator.rows(query, database=database, schema="RAW")

    def types(self, table: str) -> dict[str, str]:
        """The types of a table's columns, without Airbyte's own."""
        found = {row[0]: row[1] for row in self.rows(f"DESCRIBE TABLE {table}")}
        return {name: type_ for name, type_ in found.items() if not name.startswith("_A")}


def add_streams(mock: Mock, *streams: dict[str, Any]) -> None:
    known = mock.http.get(f"{V1}/sources/{SOURCE}").json()["configuration"]["streams"]
    more = {"configuration": {"streams": [*known, *streams]}}
    mock.http.patch(f"{V1}/sources/{SOURCE}", json=more).raise_for_status()


def run(mock: Mock, connection: str, job_type: str = "sync") -> dict[str, Any]:
    body = {"connectionId": connection, "jobType": job_type}
    return mock.wait(mock.http.post(f"{V1}/jobs", json=body).raise_for_status().json()["jobId"])
