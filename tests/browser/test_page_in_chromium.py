"""The page in a real Chromium; skipped where tests/browser/requirements.txt is not installed."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import uvicorn

from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from services.console.app import Page, create_app
from services.watch.prefect_api import Prefect

sync_api = pytest.importorskip("playwright.sync_api", reason="tests/browser/requirements.txt is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium on this machine")
PATHS = ("/", "/tests", "/sql", "/tables/main.flights")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with one table, and a Prefect server that does not answer."""
    folder: Path = tmp_path_factory.mktemp("page")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "create table flights as select date '2013-01-01' + i::int as day, i / 2 as delay from range(9) t(i)"
        )
    settings = Settings(published_path=folder / "warehouse.duckdb", alerts_dir=folder)
    page = Page(Prefect(PrefectServer(api_url="http://127.0.0.1:9/api")), settings, Names(), "trial")
    server = uvicorn.Server(uvicorn.Config(create_app(page), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_fits_its_window_and_asks_no_other_host(
    url: str, browser: Any, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for path in PATHS:
        page.goto(url + path)
        found = [each for each in axe.run(page).response["violations"] if each["impact"] in ("serious", "critical")]
        assert found == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        for link in page.eval_on_selector_all("a", "all => all.map(each => each.href)"):
            if link.startswith(url):
                assert page.request.get(link).ok, link
    assert [each for each in asked if not each.startswith(url)] == []
    assert said == []
    page.close()


def test_a_query_typed_into_the_page_is_plotted_and_one_that_fails_says_why(url: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{url}/sql")
    page.fill("#q", "select day, delay from flights")
    page.click("text=Run")
    page.wait_for_selector("svg.plot .line")
    page.fill("#q", "from nothing")
    page.click("text=Run")
    assert "does not exist" in page.inner_text("[role=alert]")
    page.close()
