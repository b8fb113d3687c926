"""The output of a run whose reader has gone: `python flows/full_pipeline.py 2>&1 | head -3`."""

import subprocess
import sys

from services.content import PROJECT

LOGS_TWICE = """
import sys
from threading import Thread

import flows.tags
from prefect.logging import get_logger

print("started", flush=True)
sys.stdin.read()
for number in (1, 2):
    thread = Thread(target=lambda: (get_logger().warning("a line"), print("logged", flush=True)))
    thread.start()
    thread.join()
"""


def test_a_run_continues_in_all_its_threads_after_the_reader_of_its_log_has_gone() -> None:
    command = [sys.executable, "-c", LOGS_TWICE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "started\n"
        process.stderr.close()
        process.stdin.close()
        assert process.stdout.read() == "logged\nlogged\n"
        assert process.wait(60) == 0
