"""What a person types at a verb: taken as it is, or refused in words."""

import json
import stat
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from commands import prefect_api
from commands.__main__ import main
from commands.compose.command_line import Compose
from commands.compose.platform import DockerPlatform
from commands.compose.profile import PROJECT, load
from commands.compose.up import profile_lock
from commands.compose.values import HOST_GATEWAY
from commands.errors import CommandError
from commands.prefect_api import NotAnswering, Prefect
from commands.verbs.drop import drop

ODD = """select 'it''s' as "a b", '$HOME $$ `x` \\n'"""


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def recorder(tmp_path: Path) -> str:
    """A program in Python's place that prints its arguments, a line each."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"PYTHON={program}"


@pytest.mark.parametrize("verb", ["up", "sql", "down", "status"])
def test_without_a_python_that_is_new_enough_a_verb_fails_and_says_so(verb: str) -> None:
    done = make(verb, "PYTHON=", "S3_ENDPOINT_URL=")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.parametrize(
    ("verb", "typed"),
    [
        (["sql"], {"Q": ODD}),
        (["drop"], {"FILE": "it's $a.csv"}),
        (["drop", "--"], {"FILE": "-dash.csv"}),
        (["run", "--"], {"FLOW": "-flow"}),
    ],
)
def test_quotes_dollars_and_spaces_reach_a_verb_as_they_were_typed(
    recorder: str, verb: list[str], typed: dict[str, str]
) -> None:
    done = make(verb[0], recorder, *(f"{name}={value}" for name, value in typed.items()))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {*verb, *typed.values()} <= set(lines)


@pytest.mark.parametrize(
    ("verb", "typed", "option"),
    [
        ("drop", {"FILE": "a.csv", "STREAM": 'a "b'}, "--stream"),
        ("drop", {"FILE": "a.csv", "STREAM": "-dash"}, "--stream"),
        ("run", {"FLOW": "full_pipeline", "PARAMETERS": """{"select": "it's $x"}"""}, "--parameters"),
    ],
)
def test_so_do_the_values_of_options(recorder: str, verb: str, typed: dict[str, str], option: str) -> None:
    done = make(verb, recorder, *(f"{name}={value}" for name, value in typed.items()))
    first, second = typed.values()
    assert {verb, first, f"{option}={second}"} <= set(done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize("text", ["[1]", "select=x", '"a"'])
def test_parameters_that_are_no_object_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "full_pipeline", "--parameters", text])
    assert f"{text} is not" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing.csv", ""])
def test_a_file_that_is_none_is_named_whatever_the_stream(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match=r"The file .* does not exist"):
        drop(DockerPlatform(Compose(load("local"))), tmp_path / name, "flights")


def test_a_second_make_up_waits_for_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    compose, events = Compose(load("local")), Queue[str]()

    def second() -> None:
        with profile_lock(compose):
            events.put("the second")

    with profile_lock(compose):
        thread = Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 30
        while not (said := capsys.readouterr().out):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        events.put("the first")
    thread.join()
    assert "Waiting for it to end" in said
    assert [events.get(), events.get()] == ["the first", "the second"]


class Restarting(BaseHTTPRequestHandler):
    """Breaks the first connections off, as a server that is just being started anew does."""

    to_break = 0
    to_fail = 0
    status = 500

    def do_GET(self) -> None:
        if Restarting.to_break:
            Restarting.to_break -= 1
            return
        if Restarting.to_fail:
            Restarting.to_fail -= 1
            self.send_error(Restarting.status)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"name": "there"}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prefect() -> Iterator[Prefect]:
    server = HTTPServer(("127.0.0.1", 0), Restarting)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Prefect(f"http://127.0.0.1:{server.server_port}/api")
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_is_followed_may_be_started_anew(prefect: Prefect) -> None:
    Restarting.to_break, Restarting.to_fail = 2, 1  # it answers 500 while its database is away
    assert prefect.ask("flow_runs/1", patience=60) == {"name": "there"}
    Restarting.to_break = 1
    with pytest.raises(NotAnswering, match="does not answer"):
        prefect.ask("flow_runs/1")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_not_available_for_a_moment_is_asked_again(
    prefect: Prefect, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Restarting, "status", status)
    Restarting.to_fail = 1
    assert prefect.ask("flow_runs/1") == {"name": "there"}
    monkeypatch.setattr(prefect_api, "BUSY_SECONDS", 0)
    Restarting.to_fail = 1
    with pytest.raises(NotAnswering, match=f"is not available: it keeps answering {status}"):
        prefect.ask("flow_runs/1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_other_credentials_is_not_asked_again_and_the_secret_is_named(
    prefect: Prefect, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Restarting, "status", status)
    Restarting.to_fail = 1
    with pytest.raises(CommandError, match=r"does not accept the credentials .*PREFECT_API_AUTH_STRING"):
        prefect.ask("flow_runs/1")
    assert Restarting.to_fail == 0


@pytest.mark.parametrize(
    ("api", "page"),
    [
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200"),
        ("https://prefect.example.com/api/", "https://prefect.example.com"),
        ("https://example.com/prefect/api", "https://example.com/prefect"),
        (
            "https://api.prefect.cloud/api/accounts/1f-a/workspaces/2e-b",
            "https://app.prefect.cloud/account/1f-a/workspace/2e-b",
        ),
    ],
)
def test_a_link_leads_to_the_ui_of_the_server(api: str, page: str) -> None:
    assert Prefect(api).url == page


def test_a_server_of_this_machine_is_found_by_the_name_that_containers_have_for_it(prefect: Prefect) -> None:
    port = prefect.api.rpartition(":")[2]
    assert Prefect(f"http://{HOST_GATEWAY}:{port}").ask("flow_runs/1") == {"name": "there"}
