"""What a person's machine brings along does no harm."""

import io
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from blocks.errors import ConfigurationError
from blocks.host import plain_path, proxy_variables
from blocks.settings import child_environment

PROXIES = {
    "HTTP_PROXY": "http://user:p%40ss@proxy.example:3128/",
    "https_proxy": "proxy.example:3128",
    "ALL_PROXY": "socks5h://proxy.example:1080",
    "FTP_PROXY": "http://proxy.example:port",
    "NO_PROXY": "[::1],fe80::/10, 10.0.0.0/8,.corp.example,*.example.org,<local>,host:8080,::1,*",
}


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_httpx_can_use_what_is_left_of_a_persons_proxies_and_takes_none_to_this_machine(
    only: pytest.MonkeyPatch,
) -> None:
    found = proxy_variables({**PROXIES, "NO_PROXY": PROXIES["NO_PROXY"].removesuffix(",*")})
    assert found["HTTP_PROXY"] == found["http_proxy"] == PROXIES["HTTP_PROXY"]
    assert found["HTTPS_PROXY"] == found["https_proxy"] == PROXIES["https_proxy"]
    assert not {"ALL_PROXY", "all_proxy", "FTP_PROXY"} & found.keys()
    for name in ("NO_PROXY", "no_proxy"):
        assert found[name] == "::1,10.0.0.0/8,.corp.example,*.example.org,host:8080,127.0.0.1,localhost"
    for name, value in found.items():
        only.setenv(name, value)
    for name in (entry.removeprefix("*.") for entry in ("127.0.0.1", "localhost", "[::1]")):
        transport = httpx.Client()._transport_for_url(httpx.URL(f"http://{name}:8006"))
        assert transport._pool.__class__.__name__ == "ConnectionPool"
    transport = httpx.Client()._transport_for_url(httpx.URL("http://example.com"))
    assert transport._pool.__class__.__name__ == "HTTPProxy"


@pytest.mark.parametrize("entry", PROXIES["NO_PROXY"].split(","))
def test_every_entry_of_no_proxy_leaves_a_usable_client(entry: str, only: pytest.MonkeyPatch) -> None:
    for name, value in proxy_variables({"no_proxy": entry, "NO_PROXY": "unused"}).items():
        only.setenv(name, value)
    httpx.Client().close()


def test_certificates_that_are_not_there_reach_no_process_of_the_embedded_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert "SSL_CERT_FILE" not in child_environment({})
    (tmp_path / "gone.pem").touch()
    assert "SSL_CERT_FILE" in child_environment({})


SAY = "import blocks; print('… ✓ █ ─ → é 日 ⠋')"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"... ok # - -> ? ? *"),
        ("latin-1", b"... ok # - -> \xe9 ? *"),
        ("utf-8", "… ✓ █ ─ → é 日 ⠋".encode()),
    ],
)
def test_output_falls_back_to_signs_that_the_stream_can_show(encoding: str, shown: bytes) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    said = subprocess.run([sys.executable, "-c", SAY], env=environment, capture_output=True, check=True)
    assert said.stdout.strip() == shown


def test_a_stream_without_an_encoding_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from blocks.host import plain_output

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    plain_output()


def test_a_line_reaches_a_pipe_before_the_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = [sys.executable, "-c", "import sys, blocks; print('begun'); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin
        assert program.stdout
        assert select.select([program.stdout], [], [], 30)[0]
        assert program.stdout.readline() == b"begun\n"
        program.stdin.close()
        assert program.wait(60) == 0


LONG_WORK = """
import logging, sys
import blocks
logging.basicConfig()
sys.stdin.read()
for number in range(3):
    print("nobody reads this")
    logging.warning("nor this")
open(sys.argv[1], "w").close()
"""


@pytest.mark.parametrize("option", ["-u", "-s"])
def test_a_program_finishes_its_work_after_the_reader_of_its_output_has_gone(option: str, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, option, "-c", LONG_WORK, str(tmp_path / "done")]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as program:
        assert program.stdin
        assert program.stdout
        assert program.stderr
        program.stdout.close()
        program.stdin.close()
        said = program.stderr.read().decode()
        assert program.wait(60) == 0
    assert said.splitlines() == ["WARNING:root:nor this"] * 3
    assert (tmp_path / "done").exists()


FOREIGN = 'raise RuntimeError("a module of a person\'s own")'


def test_modules_of_a_persons_own_are_not_taken_for_ours(tmp_path: Path) -> None:
    for name in ("pydantic.py", "rich.py", "httpx.py", "services.py.txt"):
        (tmp_path / name).write_text(FOREIGN)
    shown = subprocess.run(
        [sys.executable, "-m", "commands.embedded", "demo", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "folder for the state" in shown.stdout


def test_a_folder_whose_name_duckdb_takes_for_a_url_is_named_and_one_that_dbt_does_gets_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert plain_path(tmp_path / "w.duckdb") == tmp_path / "w.duckdb"
    for name in ("what?", "back\\slash", "new\nline"):
        with pytest.raises(ConfigurationError, match="Rename the folder, or choose another one"):
            plain_path(tmp_path / name / "w.duckdb")
    plain = plain_path(tmp_path / "c#" / "w.duckdb")
    assert "#" not in str(plain)
    assert plain.parent.readlink() == tmp_path / "c#"
    assert plain_path(tmp_path / "c#" / "w.duckdb") == plain
    plain.parent.unlink()
    plain.parent.mkdir()
    with pytest.raises(ConfigurationError, match="is not the expected link"):
        plain_path(tmp_path / "c#" / "w.duckdb")


@pytest.mark.skipif(not shutil.which("localedef"), reason="makes a locale of its own")
def test_in_a_locale_without_utf8_paths_are_utf8_and_output_is_the_locales(tmp_path: Path) -> None:
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("the locale's sources are not installed")
    (tmp_path / "ü").mkdir()
    (tmp_path / "ü" / "dev").write_text("in the way")
    ended = subprocess.run(
        [sys.executable, "-m", "commands.embedded", "dev", "--data", str(tmp_path / "ü")],
        env={**os.environ, "LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "/ü/dev" in ended.stderr.decode("latin-1").replace("\n", "")


@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_terminal_of_size_0_is_written_to_as_to_any_other(name: str) -> None:
    shown = "import blocks, rich; rich.print('hello')"
    environment = {**os.environ, name: "0"}
    said = subprocess.run([sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "hello\n"
