"""The client asks with a token that is valid, and no error shows a secret."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import AirbyteError, AirbyteUnauthorised, AirbyteUnavailable
from tests.integration.blocks.airbyte.server import (
    CLIENT_ID,
    CONNECTION,
    NO_CONNECTION,
    PUBLIC,
    SECRET,
    Server,
    a_moment,
)


def test_one_token_serves_many_calls(server: Server, airbyte: AirbyteClient) -> None:
    issued = server.tokens_issued()
    assert [airbyte.connection(CONNECTION).name for _ in range(3)] == ["Shop to lake"] * 3
    assert issued() == 1


def test_a_token_is_renewed_before_it_expires(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(tmp_path, NO_CONNECTION, token_lifetime=8)
    issued = server.tokens_issued()
    with server.client() as client:
        client.newest_job(CONNECTION)
        first = issued()
        time.sleep(4.2)  # past half of its life, short of its end
        client.newest_job(CONNECTION)
    assert (first, issued()) == (1, 2)


def test_a_token_that_the_server_no_longer_takes_is_renewed_once(server: Server, airbyte: AirbyteClient) -> None:
    airbyte.connection(CONNECTION)
    issued = server.tokens_issued()
    server.fault("status", status=401, operation="getConnection", times=1)
    assert airbyte.connection(CONNECTION).status == "active"
    assert issued() == 1


@pytest.mark.parametrize(
    ("status", "said"), [(401, "AIRBYTE_CLIENT_SECRET"), (403, "accepts the credentials.*the role Runner")]
)
def test_credentials_that_are_refused_again_are_an_error(
    server: Server, airbyte: AirbyteClient, status: int, said: str
) -> None:
    struck = server.fault("status", status=status, operation="getConnection")
    with pytest.raises(AirbyteUnauthorised, match=f"answered {status}.*{said}"):
        airbyte.connection(CONNECTION)
    assert struck() <= 2


def test_a_url_without_the_token_call_is_said_to_be_no_public_api(server: Server) -> None:
    elsewhere = AirbyteClient(f"{server.url}/api/public", CLIENT_ID, SecretStr(SECRET), a_moment)
    with (
        elsewhere,
        pytest.raises(AirbyteError, match=r"api/public/applications/token does not exist.*HOST/api/public/v1"),
    ):
        elsewhere.connection(CONNECTION)


def test_wrong_credentials_are_named_and_not_shown(server: Server) -> None:
    wrong = server.client(client_secret=SecretStr("a-wrong-secret"))
    with wrong, pytest.raises(AirbyteUnauthorised, match=r"AIRBYTE_CLIENT_ID.*belong to this server") as caught:
        wrong.connection(CONNECTION)
    assert "a-wrong-secret" not in str(caught.value)
    assert server.url in str(caught.value)


def test_missing_credentials_are_said_to_be_missing(server: Server) -> None:
    anonymous = server.client(client_id="")
    with anonymous, pytest.raises(AirbyteUnauthorised, match="not set, but this server needs them"):
        anonymous.connection(CONNECTION)


def test_a_server_without_credentials_is_asked_without_a_token(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(tmp_path, NO_CONNECTION, client_id=None, client_secret=None)
    issued = server.tokens_issued()
    with server.client(client_id="") as anonymous:
        assert anonymous.newest_job(CONNECTION) is None
    assert issued() == 0


def test_an_answer_without_a_token_says_what_is_wrong(answers: Callable[..., str]) -> None:
    url = answers({f"{PUBLIC}/applications/token": {"welcome": "to another server"}}) + PUBLIC
    client = AirbyteClient(url, CLIENT_ID, SecretStr(SECRET), a_moment)
    with client, pytest.raises(AirbyteUnavailable, match=r"lacks a field .* in a token: .*access_token"):
        client.connection(CONNECTION)


def test_no_error_shows_the_secret_or_a_token(server: Server, airbyte: AirbyteClient) -> None:
    airbyte.connection(CONNECTION)
    texts = [repr(vars(airbyte)["_client_secret"])]
    for fault in ({"status": 401}, {"status": 500}, {"status": 429}):
        server.fault("status", **fault, operation="createAccessToken")
        with server.client() as client, pytest.raises(AirbyteError) as caught:
            client.connection(CONNECTION)
        texts.append(f"{caught.value!r} {caught.value.__cause__!r}")
        server.clear()
    assert not [text for text in texts if SECRET in text or airbyte._token in text]
