"""The page in a real Chromium; skipped where tests/browser/requirements.txt is not installed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import uvicorn
from prefect import get_client

from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from services.bootstrap.pages import ask
from services.console.app import Page, create_app
from services.watch.prefect_api import Prefect
from tests.integration.dbt.test_docs import write_docs
from tests.integration.servers import serving

sync_api = pytest.importorskip("playwright.sync_api", reason="tests/browser/requirements.txt is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium on this machine")
NAMES = Names("chromium")
FRESH_MS = 6_000
"""For a little longer than the page keeps its facts."""


class World:
    """A page with its address, a folder to publish to, and a window of a browser that notes its trouble."""

    def __init__(self, folder: Path, browser: Any, url: str) -> None:
        self.published, self.url = folder / "published" / "warehouse.duckdb", url
        self.asked: list[str] = []
        self.said: list[str] = []
        self.browser = browser
        self.page = self.window()

    def window(self, **options: Any) -> Any:
        page = self.browser.new_page(**options)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self._note(page, message))
        page.on("pageerror", lambda error: self.said.append(f"{page.url}: {error}"))
        return page

    def _note(self, page: Any, message: Any) -> None:
        if message.type == "error" or "/ready-made/" not in page.url:  # those of others say what they are doing
            self.said.append(f"{page.url}: {message.text}")

    def publish(self) -> None:
        if self.published.exists():
            return
        self.published.parent.mkdir(exist_ok=True)
        with duckdb.connect(str(self.published)) as connection:
            connection.execute(
                "create table late as select date '2013-01-01' + i::int as day, i / 2 as worst, 'UA' as carrier, "
                "'inbound/flights/a.csv' as _ab_source_file_url from range(9) t(i)"
            )
        self.tell("published-tables", [{"table": "main.late", "rows": 9, "before": 0, "added": "", "removed": ""}])

    def tell(self, key: str, rows: list[dict[str, object]]) -> None:
        body = {"key": NAMES.artifact(key), "type": "table", "data": json.dumps(rows)}
        with get_client(sync_client=True) as client:
            ask(client, "POST", "/artifacts/", body)

    def test_ends(self, status: str) -> None:
        said = "Got 3 results, configured to fail if != 0" if status == "fail" else ""
        row = {"name": "not_null_late_worst", "resource_type": "test", "status": status, "message": said}
        self.tell("dbt-results", [row])

    def home(self) -> Any:
        self.page.wait_for_timeout(FRESH_MS)
        self.page.goto(self.url)
        return self.page

    def assert_no_trouble(self) -> None:
        """No request has left for another host, and no page has reported an error."""
        assert [each for each in self.asked if not each.startswith((self.url, "data:", "blob:"))] == []
        assert self.said == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, browser: Any) -> Iterator[World]:
    """A page of an empty platform, whose docs are written elsewhere until it has published."""
    folder = tmp_path_factory.mktemp("page")
    settings = Settings(
        published_path=folder / "published" / "warehouse.duckdb", alerts_dir=folder, docs_dir=folder / "docs"
    )
    page = Page(Prefect(PrefectServer(api_url=f"{prefect_server}/api")), settings, NAMES, "trial")
    with serving(uvicorn.Server(uvicorn.Config(create_app(page), port=0, log_level="warning"))) as url:
        yield World(folder, browser, url)


def test_a_newcomer_gets_from_an_empty_platform_to_a_plotted_table_and_a_queried_one(world: World) -> None:
    page = world.home()
    assert "Nothing is published yet" in page.inner_text("h1")
    assert "make run FLOW=full_pipeline" in page.inner_text("main")
    world.publish()
    page = world.home()
    assert "All is well" in page.inner_text("h1")
    page.click("text=main.late")
    page.wait_for_selector("svg.plot .lines")
    assert "new, 9 rows" in page.inner_text("#age")
    page.click("text=the query")
    page.click("button:text-is('Run')")
    page.wait_for_selector("svg.plot .lines")
    page.fill("#q", "from nothing")
    page.click("button:text-is('Run')")
    assert "does not exist" in page.inner_text("[role=alert]")
    world.said[:] = [each for each in world.said if "400 (Bad Request)" not in each]  # the answer to that query
    world.assert_no_trouble()


def test_a_failing_test_appears_without_a_reload_of_the_page_and_clears(world: World) -> None:
    world.publish()
    world.test_ends("pass")
    page = world.home()
    world.test_ends("fail")
    page.wait_for_selector("h1:has-text('1 test failed')", timeout=60_000)
    assert "Got 3 results" in page.inner_text("main")
    world.test_ends("pass")
    page.wait_for_selector("h1:has-text('All is well')", timeout=60_000)
    world.assert_no_trouble()


def test_what_a_person_has_opened_stays_open_while_facts_change(world: World) -> None:
    batch = {"batch": "b", "files": 3, "first": "in/a.csv", "others": "in/b.csv\nin/c.csv", "attempts": 4,
             "reason": "Failed: no", "again": "", "named": 1}  # fmt: skip
    world.tell("parked-batches-x", [batch])
    page = world.home()
    lists = page.locator("#waiting details")
    lists.first.evaluate("list => list.open = true")
    before = page.locator("footer").inner_text()
    page.wait_for_function("text => document.querySelector('footer').innerText !== text", arg=before, timeout=30_000)
    assert page.locator("#waiting details[open]").inner_text().split() == ["2", "more", "in/b.csv", "in/c.csv"]
    world.tell("parked-batches-x", [])
    world.assert_no_trouble()


def test_every_page_is_accessible_and_fits_its_window_in_light_and_dark_and_every_link_leads_somewhere(
    world: World, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    world.publish()
    write_docs(tmp_path)
    shutil.move(tmp_path / "docs", world.published.parent.parent)
    world.test_ends("warn")
    first = f"inbound/flights/{'a-long-name-' * 8}.csv"
    world.tell(
        "parked-batches-1", [{"batch": "1f3a", "files": 2, "first": first, "attempts": 4, "reason": "It is bad."}]
    )
    world.home()
    known: set[str] = set()
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
        page = world.window(viewport={"width": width, "height": 800}, color_scheme=scheme)
        for path in ("/", "/tests", "/sql", "/tables/main.late"):
            page.goto(world.url + path)
            found = [each for each in axe.run(page).response["violations"] if each["impact"] in ("serious", "critical")]
            assert found == [], (path, width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            known |= set(page.eval_on_selector_all("a", "all => all.map(each => each.href)"))
        page.close()
    assert f"{world.url}/ready-made/lineage?model=model.trial.late&parents=all&children=all" in known
    for link in known:
        assert world.page.request.get(link).ok, link
        if "#" in link and link.startswith(world.url) and "#!" not in link:
            world.page.goto(link)
            assert world.page.query_selector(f"[id='{link.partition('#')[2]}']"), link
    world.assert_no_trouble()


@pytest.mark.parametrize(
    ("link", "shown"),
    [("docs#!/model/model.trial.late", "The worst delay."), ("lineage?model=model.trial.late", "worst")],
)
def test_the_ready_made_pages_draw_a_model_without_an_error(world: World, link: str, shown: str) -> None:
    page = world.window()
    page.goto(f"{world.url}/ready-made/{link}")
    page.wait_for_selector(f"text={shown}")
    assert page.title() != "taken over"
    assert page.evaluate("window.origin") == "null"
    world.assert_no_trouble()
    page.close()
