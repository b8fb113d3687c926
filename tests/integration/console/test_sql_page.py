"""The page's SQL: which queries run, for how long, and what it shows of their answers."""

import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from prefect.client.orchestration import SyncPrefectClient

from blocks.published import SECONDS
from services.console import app
from services.console.app import AT_ONCE, create_app
from tests.integration.console.pages import Seen, seen
from tests.integration.servers import serving


def test_commands_in_what_people_wrote_stay_as_they_are(client: SyncPrefectClient, tmp_path: Path) -> None:
    page = seen(str(client.api_url), tmp_path, profile="")
    page.publish()
    typed = "select 'make sql Q=1' as a, 'make up' as b"
    text = page.web.post("/sql", data={"q": typed}).text
    assert text.count("make sql Q=1") == text.count("make up") == 2


def test_an_answer_of_any_size_makes_a_page_of_less_than_200_kb(page: Seen) -> None:
    page.publish()
    columns = ", ".join(f"repeat('<', 200) as c{n}" for n in range(10))
    many = ", ".join(f"{n} as c{n}" for n in range(3000))
    for sql in (f"select {columns} from range(1000)", f"select {many}", f"select 1 as {'x' * 25_000}"):
        answer = page.web.post("/sql", data={"q": sql})
        assert len(answer.content) < 200_000
    assert "at most 100 columns" in page.web.post("/sql", data={"q": f"select {many}"}).text


def test_a_file_of_rows_that_are_not_all_is_called_so(page: Seen) -> None:
    page.publish()
    answer = page.web.post("/sql", data={"q": "from range(20000)", "as": "csv"})
    assert "first-10000-rows.csv" in answer.headers["content-disposition"]


def test_sql_runs_by_a_form_of_the_page_alone(page: Seen) -> None:
    page.publish()
    form = {"q": "select day, delay from flights"}
    own = page.web.post("/sql", data=form, headers={"origin": "http://127.0.0.1:8300", "sec-fetch-site": "same-origin"})
    assert "delay by day" in own.text
    csv = page.web.post("/sql", data={**form, "as": "csv"})
    assert csv.text.splitlines()[:2] == ["day,delay", "2013-01-01,0.0"]
    assert csv.headers["x-more-rows"] == "false"
    cut = page.web.post("/sql", data={"q": "from range(10001)", "as": "csv"})
    assert cut.headers["x-more-rows"] == "true"
    assert "first-10000-rows.csv" in cut.headers["content-disposition"]
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert page.web.post("/sql", data=form, headers=headers).status_code == 403
    assert page.web.post("/sql", data=form, headers={"host": "evil.example"}).status_code == 421
    assert "2013-01-01" not in page.get("/sql?q=from+flights")


def test_a_query_ends_when_its_reader_leaves_and_the_next_one_need_not_wait(page: Seen) -> None:
    page.publish()
    endless = "with recursive t(a) as (select 1 union all select a + 1 from t) select max(a) from t"
    turns = page.page.turns.statistics
    server = uvicorn.Server(uvicorn.Config(create_app(page.page), port=0, log_level="warning"))
    with serving(server) as url:
        for _ in range(AT_ONCE + 1):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{url}/sql", data={"q": endless}, timeout=1)
        deadline = time.monotonic() + SECONDS / 2  # by itself, each would take SECONDS
        while turns().borrowed_tokens or turns().tasks_waiting:
            assert time.monotonic() < deadline, "the queries go on"
            time.sleep(0.05)
        assert httpx.post(f"{url}/sql", data={"q": "select 41 + 1"}).status_code == 200


def test_a_statement_that_is_too_long_is_answered_by_a_page_that_shows_nothing_of_the_platform(page: Seen) -> None:
    answer = page.web.post("/sql", data={"q": "x" * 200_000})
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "The body is larger than 0.1 MB" in answer.text
    assert "trial" not in answer.text


def test_of_many_queries_at_once_some_are_refused(page: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    page.publish()
    monkeypatch.setattr(app, "WAITING", 0)
    assert "are waiting. Try again" in page.web.post("/sql", data={"q": "select 1"}).text


def test_a_query_that_fails_says_why_and_keeps_its_text(page: Seen) -> None:
    page.publish()
    answer = page.web.post("/sql", data={"q": "select nothing from flights"})
    assert answer.status_code == 400
    assert "Binder Error" in answer.text
    assert "select nothing from flights" in answer.text
