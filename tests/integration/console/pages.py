"""A page on a real Prefect server and a published file, and what a test does to both."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import duckdb
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr
from starlette.testclient import TestClient

from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from services.bootstrap.pages import ask
from services.console import facts
from services.console.app import Page, create_app
from services.watch.prefect_api import Prefect

NAMES = Names("paged")


class Seen(SimpleNamespace):
    """A page and what it is made of."""

    page: Page
    web: TestClient
    folder: Path

    def get(self, path: str) -> str:
        self.page.facts._last = facts.Snapshot(datetime.fromtimestamp(0, UTC))
        answer = self.web.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def publish(self, table: str = "flights") -> None:
        file = self.folder / "published" / "warehouse.duckdb"
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create table {table} as select date '2013-01-01' + i::int as day, i / 2 as delay, "
                               "'s3://b/in.csv' as _ab_source_file_url from range(5) t(i)")  # fmt: skip


def seen(url: str, folder: Path, dbt_target: str = "dev", profile: str = "trial", **server: SecretStr) -> Seen:
    settings = Settings(
        published_path=folder / "published" / "warehouse.duckdb", alerts_dir=folder / "alerts", dbt_target=dbt_target
    )
    settings.alerts_dir.mkdir(exist_ok=True)
    page = Page(Prefect(PrefectServer(api_url=url, **server)), settings, NAMES, profile)
    web = TestClient(create_app(page), base_url="http://127.0.0.1:8300")
    return Seen(page=page, web=web, folder=folder)


def throw(error: Exception) -> NoReturn:
    raise error


def artifact(client: SyncPrefectClient, key: str, rows: list[dict[str, object]]) -> None:
    body = {"key": NAMES.artifact(key), "type": "table", "data": json.dumps(rows)}
    ask(client, "POST", "/artifacts/", body)
