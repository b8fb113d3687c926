"""People get a page of what goes on and the API's reference, with no other host involved."""

import re

from services.airbyte.operations import OPERATIONS
from tests.integration.airbyte.running_mock import Landing, Mock, Start


def test_the_pages_load_nothing_from_elsewhere(mock: Mock) -> None:
    for path in ("/", "/docs"):
        text = mock.http.get(path).text
        assert not re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=|@import|url\(|fetch\("http""", text)


def test_the_page_shows_connections_jobs_rows_and_faults(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    job_id = mock.sync()["jobId"]
    mock.fault(kind="fail")
    page, shown = mock.http.get("/").text, mock.http.get("/state.json").json()
    assert '"/state.json"' in page
    assert (shown["jobs"][0]["jobId"], shown["jobs"][0]["rowsSynced"]) == (job_id, 1)
    assert [connection["name"] for connection in shown["connections"]] == ["Shop to lake"]
    assert [fault["kind"] for fault in shown["faults"]] == ["fail"]


def test_every_fault_that_the_page_offers_is_one_that_the_mock_takes(mock: Mock) -> None:
    ready = re.findall(r'": \{(kind: .*)\},$', mock.http.get("/").text, re.MULTILINE)
    assert len(ready) > 5
    for fault in ready:
        mock.fault(
            **{name: int(v) if v.isdigit() else v.strip('"') for name, v in re.findall(r'(\w+): ("?\w+"?)', fault)}
        )


def test_the_page_hides_its_state_where_callers_need_a_token(start: Start) -> None:
    with start(client_id="me", client_secret="s3cret", faults=False) as mock:
        assert mock.http.get("/state.json").status_code == 401


def test_the_reference_has_every_operation_and_the_documents_licence(mock: Mock) -> None:
    text = mock.http.get("/docs").text
    assert [o.name for o in OPERATIONS if f'<details id="{o.name}">' not in text] == []
    assert "Elastic License 2.0" in mock.http.get("/openapi-license.txt").text
    assert mock.http.get("/openapi.yaml").text.count("operationId:") == len(OPERATIONS)
