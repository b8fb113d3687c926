"""The client retries what it reads, and says what is wrong with an address, an id or an answer."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from blocks.airbyte.client import AirbyteClient, check_connection_id
from blocks.airbyte.errors import AirbyteError, AirbyteUnavailable, UnknownConnection
from blocks.errors import ConfigurationError
from blocks.settings import AIRBYTE_CONNECTION_ID_UNSET
from tests.integration.blocks.airbyte.server import CONNECTION, PUBLIC, UNKNOWN, Server, a_moment


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 502},
        {"kind": "malformed_json"},
    ],
)
def test_a_read_is_tried_again_while_airbyte_stumbles(
    server: Server, airbyte: AirbyteClient, fault: dict[str, Any]
) -> None:
    struck = server.fault(**fault, operation="getConnection", times=3)
    assert airbyte.connection(CONNECTION).name == "Shop to lake"
    assert struck() == 3


@pytest.mark.parametrize(("status", "words"), [(500, "answered 500"), (429, "keeps answering 429"), (502, "502")])
def test_a_read_is_given_up_after_four_attempts(
    server: Server, airbyte: AirbyteClient, status: int, words: str
) -> None:
    struck = server.fault("status", status=status, operation="getConnection")
    with pytest.raises(AirbyteUnavailable, match=words) as caught:
        airbyte.connection(CONNECTION)
    assert struck() == 4
    assert server.url in str(caught.value)
    assert "run the flow again" in str(caught.value)


def test_the_pause_between_attempts_doubles_with_jitter(server: Server) -> None:
    pauses: list[float] = []
    server.fault("status", status=500, operation="getConnection", times=3)
    with server.client(sleep=pauses.append) as client:
        client.connection(CONNECTION)
    assert [0.5 <= pause / longest <= 1 for pause, longest in zip(pauses, (0.5, 1, 2), strict=True)] == [True] * 3


def test_airbyte_not_running_is_said_with_how_to_start_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}{PUBLIC}"
    pauses: list[float] = []
    client = AirbyteClient(url, sleep=pauses.append)
    with client, pytest.raises(AirbyteUnavailable, match=r"`make dev`.*AIRBYTE_SERVER_URL") as caught:
        client.connection(CONNECTION)
    assert len(pauses) == 3
    assert url in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8006/api", "", "ftp://localhost/v1", "http://", "http://localhost:port/v1"])
def test_an_address_that_is_no_url_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AIRBYTE_SERVER_URL.*http://localhost:8006/api/public/v1"):
        AirbyteClient(url)


@pytest.mark.parametrize("body", [Response("<html>", media_type="text/html"), JSONResponse(["a list"]), {"id": 1}])
def test_a_server_that_is_no_airbyte_is_recognised(answers: Callable[..., str], body: Any) -> None:
    client = AirbyteClient(answers({f"/connections/{CONNECTION}": body}), sleep=a_moment)
    with client, pytest.raises(AirbyteUnavailable, match="Check that AIRBYTE_SERVER_URL is the base URL"):
        client.connection(CONNECTION)


@pytest.mark.parametrize("answer", [Response(status_code=302, headers={"location": "/login"}), Response("no", 400)])
def test_an_answer_that_airbyte_does_not_give_is_an_error_with_a_hint(
    answers: Callable[..., str], answer: Response
) -> None:
    client = AirbyteClient(answers({f"/connections/{CONNECTION}": answer}), sleep=a_moment)
    with client, pytest.raises(AirbyteError, match=rf"answered {answer.status_code} for {CONNECTION}.*right scheme"):
        client.connection(CONNECTION)


def test_an_unknown_connection_is_named_with_where_to_find_others(airbyte: AirbyteClient) -> None:
    with pytest.raises(UnknownConnection, match=rf"{UNKNOWN}.*AIRBYTE_CONNECTION_ID.*/connections"):
        airbyte.start_sync(UNKNOWN)


def test_a_job_of_another_server_is_unknown(airbyte: AirbyteClient) -> None:
    with pytest.raises(UnknownConnection, match="does not know job 999999"):
        airbyte.job(999_999)


def test_a_placeholder_is_no_connection_id() -> None:
    with pytest.raises(ConfigurationError, match="AIRBYTE_CONNECTION_ID still holds its placeholder"):
        check_connection_id(AIRBYTE_CONNECTION_ID_UNSET)


@pytest.mark.parametrize("text", ["my connection", "", "7f6b1a52-3c0e-4d3b-9a51"])
def test_a_connection_id_that_is_no_uuid_is_shown_with_one_that_is(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an Airbyte connection id.*7f6b1a52-3c0e-4d3b-9a51-"):
        check_connection_id(text)


def test_a_connection_id_is_written_in_one_way() -> None:
    assert check_connection_id(CONNECTION.upper().replace("-", "")) == CONNECTION
