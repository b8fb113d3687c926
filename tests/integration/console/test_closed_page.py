"""The page's process while nobody looks at the page."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from commands.embedded.processes import free_ports

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="This system has no /proc")


def test_the_page_does_nothing_while_nobody_looks_at_it_and_ends_with_its_signal() -> None:
    [port] = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "services.console", "--port", str(port)])
    try:
        wait_until_it_answers(process, f"http://127.0.0.1:{port}/health")
        deadline, before = time.monotonic() + 30, None
        while (now := wake_ups(process.pid)) != before:
            assert time.monotonic() < deadline, "its threads wake though nobody asks anything"
            before = now
            time.sleep(1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            assert httpx.get(url).text == "ok"
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the page does not start")


def wake_ups(pid: int) -> dict[str, str]:
    """By thread: how often it has gone to sleep."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    told = {each.name: (each / "status").read_text() for each in threads}
    return {name: text.partition("\nvoluntary_ctxt_switches:")[2].split()[0] for name, text in told.items()}
