"""Blocks are saved from the environment and loaded by a profile's name; secrets stay secret."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.connections import Connections, connected, current
from blocks.errors import ConfigurationError, PlatformError
from blocks.saved_blocks import main
from blocks.systems import AirbyteConnection, DbtConfig, S3Landing, SnowflakeConnection
from tests.integration.blocks.environment import SECRETS, SNOWFLAKE


def test_blocks_are_saved_again_and_again_and_hold_the_newest_values(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    variables(**SNOWFLAKE | SECRETS, DBT_TARGET="dev", SNOWFLAKE_PORT="8085")
    assert main(["--name", "x"]) == 0
    variables(AIRBYTE_CLIENT_ID="new", DBT_TARGET="snowflake")
    assert main(["--name", "x"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "saved DbtConfig.load('x')"
    airbyte, snowflake, dbt = AirbyteConnection.load("x"), SnowflakeConnection.load("x"), DbtConfig.load("x")
    assert (airbyte.client_id, airbyte.client_secret.get_secret_value()) == ("new", "secret-of-airbyte")
    assert snowflake.variables() | SNOWFLAKE == snowflake.variables()
    assert (snowflake.schema_, snowflake.port, snowflake.protocol) == ("ANALYTICS", 8085, "https")
    assert (dbt.target, dbt.project_dir) == ("snowflake", Path("dbt_project"))


def test_no_block_is_saved_without_a_name_and_the_error_says_what_to_type(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "python -m blocks.connections --name production" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="production"):
        _ = Connections("production").airbyte


def test_what_flows_get_comes_from_the_profile_or_else_from_the_environment_alone(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    variables(LAKE_DIR="/saved", AIRBYTE_CLIENT_ID="saved", AWS_ACCESS_KEY_ID="saved", **SNOWFLAKE)
    assert main(["--name", "saved"]) == 0
    variables(LAKE_DIR="/now", AIRBYTE_CLIENT_ID="now", AWS_ACCESS_KEY_ID="now", SNOWFLAKE_USER="now")
    for profile, expected, user in (("saved", "saved", "loader"), (None, "now", "now")):
        assert Connections(profile).landing.access_key_id == expected
        assert Connections(profile).airbyte.client_id == expected
        assert Connections(profile).dbt_config.lake_dir == Path("/", expected)
        assert Connections(profile).snowflake.user == user


def test_a_run_its_tasks_and_the_flows_within_it_keep_the_systems_that_it_began_with(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    @task
    def lake() -> Path:
        return current().dbt_config.lake_dir

    @flow(persist_result=False)
    def inner(profile: str | None) -> list[Path]:
        with connected(profile):
            return [lake(), lake.submit().result()]

    @flow(persist_result=False)
    def outer(profile: str) -> list[Path]:
        with connected(profile) as connections:
            before = connections.dbt_config.lake_dir
            variables(LAKE_DIR="/later")
            assert main(["--name", profile]) == 0
            return [before, *inner(profile), *inner(None), lake()]

    variables(LAKE_DIR="/first")
    assert main(["--name", "steady"]) == 0
    first, later = Path("/first"), Path("/later")
    assert outer("steady") == [first, first, first, later, later, first]
    assert Connections("steady").dbt_config.lake_dir == later


def test_secrets_are_hidden_in_the_api_in_texts_and_in_logs(
    prefect_server: None, variables: Callable[..., None], caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    variables(**SNOWFLAKE | SECRETS)
    assert main(["--name", "hidden"]) == 0
    kinds = (S3Landing, AirbyteConnection, SnowflakeConnection)
    blocks = [kind.load("hidden") for kind in kinds]
    with get_client(sync_client=True) as client:
        documents = [
            client.read_block_document_by_name("hidden", kind.get_block_type_slug(), include_secrets=False)
            for kind in kinds
        ]
    texts = [*map(repr, blocks), *map(str, blocks), *(str(each.data) for each in documents), caplog.text]
    texts += [str(block.model_dump()) for block in blocks] + list(capsys.readouterr())
    texts.append(str(Connections("hidden").landing.access))
    assert all(documents[0].data[name] == "********" for name in ("secret_access_key", "session_token"))
    assert documents[1].data["client_secret"] == "********"
    assert all(documents[2].data[name] == "********" for name in ("password", "private_key_passphrase"))
    assert not [secret for secret in SECRETS.values() for text in texts if secret in text]


def test_an_unknown_profile_says_how_to_save_it_and_which_there_are(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    assert main(["--name", "rehearsal"]) == 0
    words = r"No AirbyteConnection block is saved as 'prodution'.*blocks\.connections --name prodution.*rehearsal"
    with pytest.raises(ConfigurationError, match=words):
        _ = Connections("prodution").airbyte


def test_a_saved_block_that_no_longer_fits_is_told_with_what_is_wrong_in_it(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    assert main(["--name", "old"]) == 0
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("old", DbtConfig.get_block_type_slug())
        wrong = BlockDocumentUpdate(data={"freshness_threshold_hours": "soon"}, merge_existing_data=True)
        client.update_block_document(document.id, wrong)
    with pytest.raises(
        ConfigurationError, match=r"DbtConfig block saved as 'old'.*: freshness_threshold_hours"
    ) as caught:
        _ = Connections("old").dbt_config
    assert "python -m blocks.connections --name old" in str(caught.value)
    assert main(["--name", "old"]) == 0
    assert Connections("old").dbt_config.freshness_threshold_hours == 25


def test_a_wrong_value_is_told_and_nothing_is_saved(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    variables(FRESHNESS_THRESHOLD_HOURS="soon")
    assert main(["--name", "wrong"]) == 1
    assert "The blocks were not saved" in (said := capsys.readouterr().err)
    assert "FRESHNESS_THRESHOLD_HOURS" in said
    with pytest.raises(ConfigurationError):
        _ = Connections("wrong").dbt_config


def test_a_name_that_prefect_does_not_take_is_told(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--name", "My profile!"]) == 1
    assert "The blocks were not saved on http" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "cause"), [(500, "PREFECT_SERVER_ENCRYPTION_KEY has changed"), (401, "401 Unauthorized")]
)
def test_a_prefect_server_that_fails_or_refuses_is_told_with_the_likely_cause(
    status: int, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status) as url, temporary_settings({PREFECT_API_URL: url}):
        assert main(["--name", "trial"]) == 1
        assert cause in capsys.readouterr().err


def test_blocks_that_prefect_refuses_to_give_are_told_with_what_lets_in() -> None:
    with (
        answering(401) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(PlatformError, match=r"blocks saved as 'trial'. Check PREFECT_API_AUTH_STRING"),
    ):
        _ = Connections("trial").dbt_config


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything alike; the URL of the API that it would have."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_PATCH = do_PUT = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_prefect_server_that_does_not_answer_is_named_with_how_to_start_one(
    variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    with temporary_settings({PREFECT_API_URL: url}):
        assert main(["--name", "x"]) == 1
    said = capsys.readouterr().err
    assert url in said
    assert "Start `make dev`, then run `. data/dev/env`. For another server, set PREFECT_API_URL." in said
