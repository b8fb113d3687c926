"""A real browser, and a server of pages that attack."""

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

ATTACK = Path(__file__).with_name("attack.html")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # As one who allowed the page to reach the local network, or whose browser does not ask.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    "--host-resolver-rules=MAP evil.test 127.0.0.1",
)


def chromium() -> str:
    """The browser's command; the test that asks is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or pytest.skip(f"there is no browser here: {', '.join(NAMES)}")


def dom(url: str, milliseconds: int = 5000) -> str:
    """What a page looks like to a person, as HTML, so long after it was opened."""
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        command = [
            chromium(),
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={milliseconds}",
            "--dump-dom",
            url,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


class Attacker(ThreadingHTTPServer):
    """Serves the attack, redirects, and takes its report; to other paths it answers as an unguarded server does."""

    daemon_threads = True

    def __init__(self, calls: list[dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls = calls
        self.reported = threading.Event()
        self.report: list[dict[str, Any]] = []
        self.received: list[tuple[str, str, str]] = []


class Handler(BaseHTTPRequestHandler):
    server: Attacker

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        parts, length = urlsplit(self.path), int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode(errors="replace")
        if parts.path == "/attack":
            text = ATTACK.read_text().replace("/*TARGETS*/[]", json.dumps(self.server.calls))
            self.send(200, text, {"Content-Type": "text/html"})
        elif parts.path == "/redirect":
            self.send(307, "", {"Location": parse_qs(parts.query)["to"][0]})
        elif parts.path == "/report":
            self.server.report = json.loads(body)
            self.send(200, "", {})
            self.server.reported.set()
        else:
            self.server.received.append((self.command, parts.path, body))
            self.send(200, "open", {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"})

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = answer

    def send(self, status: int, text: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def attacker(calls: list[dict[str, str]]) -> Iterator[Attacker]:
    """A server of the attack on `calls`, each a method, URL and body."""
    server = Attacker(calls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def visit(server: Attacker, host: str, seconds: float = 120) -> None:
    """Open the attack in a browser, from a host's name, and wait until it has tried everything."""
    server.reported.clear()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        url = f"http://{host}:{server.server_port}/attack"
        command = [chromium(), *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                assert server.reported.wait(seconds), "the page has not tried everything"
            finally:
                browser.terminate()
