"""Measure the mock Airbyte: its answers during a sync, 100 concurrent syncs, and its processor time when idle.

`.venv/bin/python benchmarks/airbyte_api.py` prints the figures in docs/airbyte.md.
"""

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from uuid import UUID, uuid5

import boto3
import httpx
import yaml
from moto.server import ThreadedMotoServer

CONNECTIONS = 100
ROWS = 8_000_000
SECONDS = 5.0
CALLERS = 4
SPACE = UUID(int=1)
WORKSPACE = str(uuid5(SPACE, "workspace"))
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


def config() -> dict[str, object]:
    """Return a configuration: a big source for the first connection, and a small one that all others share."""
    sources, destinations, connections = [], [], []
    for name in ("big", "small"):
        stream = {"name": "rows", "columns": {"id": "integer", "name": "string"}}
        configuration = {"bucket": "bench", "prefix": f"{name}/", "streams": [stream]}
        sources.append({"sourceId": _id(name), "name": name, "workspaceId": WORKSPACE, "configuration": configuration})
    for number in range(CONNECTIONS + 1):
        where = {"destination_path": f"d{number}"}
        destinations.append(
            {"destinationId": _id(f"d{number}"), "name": f"{number}", "workspaceId": WORKSPACE, "configuration": where}
        )
        connections.append(
            {
                "connectionId": _id(f"c{number}"),
                "name": f"{number}",
                "sourceId": _id("small" if number else "big"),
                "destinationId": _id(f"d{number}"),
                "configurations": {"streams": [{"name": "rows", "syncMode": "incremental_append"}]},
            }
        )
    workspaces = [{"workspaceId": WORKSPACE, "name": "bench"}]
    return {
        "workspaces": workspaces,
        "sources": sources,
        "destinations": destinations,
        "connections": connections,
    }


def _id(name: str) -> str:
    return str(uuid5(SPACE, name))


@contextmanager
def mock(home: Path, s3_url: str) -> Iterator[tuple[str, int]]:
    """Run the mock in its own process; yield its URL and its process id."""
    (home / "airbyte.yaml").write_text(yaml.safe_dump(config()))
    command = [sys.executable, "-m", "services.airbyte", "--port", "8106", "--config", str(home / "airbyte.yaml")]
    command += ["--lake-dir", str(home / "lake"), "--state-dir", str(home / "state"), "--s3-endpoint-url", s3_url]
    access = {f"MOCK_AIRBYTE_S3_{name}": "test" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    process = subprocess.Popen(command, env={"PATH": os.defpath, **access}, stderr=subprocess.DEVNULL)
    try:
        url, deadline = "http://127.0.0.1:8106/api/public/v1", time.monotonic() + 120
        while not _is_up(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The mock does not start.")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its living children, in seconds."""
    found = [Path(f"/proc/{pid}/stat")]
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [Path(f"/proc/{child}/stat") for child in (task / "children").read_text().split()]
    ticks = [path.read_text().rsplit(")", 1)[1].split()[11:13] for path in found]
    return sum(int(tick) for each in ticks for tick in each) / os.sysconf("SC_CLK_TCK")


async def poll(port: int, job_id: int, until: float, times: list[float]) -> None:
    """Request a job repeatedly over one connection. It uses raw HTTP, so that the client itself costs little."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /api/public/v1/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    while time.monotonic() < until:
        started = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(head.decode())
        times.append(time.perf_counter() - started)
    writer.close()


async def hammer(job_id: int) -> list[float]:
    times: list[float] = []
    until = time.monotonic() + SECONDS
    await asyncio.gather(*(poll(8106, job_id, until, times) for _ in range(CALLERS)))
    return times


def start(http: httpx.Client, number: int) -> int:
    answer = http.post("jobs", json={"connectionId": _id(f"c{number}"), "jobType": "sync"})
    return int(answer.raise_for_status().json()["jobId"])


def wait(http: httpx.Client, job_id: int) -> dict[str, object]:
    deadline = time.monotonic() + 600
    while (job := http.get(f"jobs/{job_id}").json())["status"] not in ("succeeded", "failed", "cancelled"):
        if time.monotonic() > deadline:
            raise SystemExit(f"Job {job_id} does not end: {job}")
        time.sleep(0.05)
    return dict(job)


def main() -> None:
    """Print one line for each figure."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    s3_url = "http://{}:{}".format(*server.get_host_and_port())
    s3 = boto3.client("s3", endpoint_url=s3_url, **KEYS)
    s3.create_bucket(Bucket="bench")
    rows = "".join(f"{number},row {number} of the big file\n" for number in range(ROWS // 10)).encode()
    for part in range(10):
        s3.put_object(Bucket="bench", Key=f"big/rows/{part}.csv", Body=b"id,name\n" + rows)
    s3.put_object(Bucket="bench", Key="small/rows/a.csv", Body="id,name\n" + "1,x\n" * 1000)
    with (
        tempfile.TemporaryDirectory() as home,
        mock(Path(home), s3_url) as (url, pid),
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        time.sleep(3)
        used, began = cpu_seconds(pid), time.monotonic()
        time.sleep(SECONDS)
        print(f"idle: {(cpu_seconds(pid) - used) / (time.monotonic() - began):.2%} of a core")
        job_id = start(http, 0)
        wait_until_running(http, job_id)
        times = asyncio.run(hammer(job_id))
        still = http.get(f"jobs/{job_id}").json()["status"]
        p99 = quantiles(times, n=100)[98] * 1000
        print(f"GET /jobs/{{id}} from {CALLERS} callers: {len(times) / SECONDS:.0f}/s, p99 {p99:.1f} ms, sync {still}")
        wait(http, job_id)
        began = time.monotonic()
        jobs = [start(http, number) for number in range(1, CONNECTIONS + 1)]
        ended = [wait(http, each) for each in jobs]
        right = sum(job["status"] == "succeeded" and job["rowsSynced"] == 1000 for job in ended)
        print(f"{CONNECTIONS} concurrent syncs: {right} succeeded, in {time.monotonic() - began:.1f} s")
    server.stop()


def wait_until_running(http: httpx.Client, job_id: int) -> None:
    deadline = time.monotonic() + 60
    while http.get(f"jobs/{job_id}").json()["status"] != "running":
        if time.monotonic() > deadline:
            raise SystemExit(f"Job {job_id} does not start.")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
