"""Measure how fast the mock Airbyte loads 10 million flights, compared with DuckDB's COPY of the same files.

It prints a line for each format and round: rows, seconds of the sync (from POST to `succeeded`, over HTTP from an S3
server on the same machine), seconds of `COPY (FROM files) TO … (FORMAT parquet)` in a fresh process from local files,
their ratio, and the peak memory of the mock's processes. On a machine that does other work, compare processor time
rather than wall-clock time.
"""

import argparse
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import boto3
import duckdb
import httpx
import yaml

ROOT = Path(__file__).resolve().parent.parent
MONTH = sorted((ROOT / "localstack" / "landing" / "flights").glob("*.csv.gz"))
FILES, MONTHS = 7, 53  # 7 * 53 * 27,004 rows
WORKSPACE, SOURCE, DESTINATION = (f"{n * 8}-{n * 4}-4{n * 3}-8{n * 3}-{n * 12}" for n in "123")
CONNECTIONS = {"csv.gz": f"{'4' * 8}-4444-4444-8444-{'4' * 12}", "parquet": f"{'5' * 8}-5555-4555-8555-{'5' * 12}"}
SAMPLE = yaml.safe_load((ROOT / "localstack" / "connections.yaml").read_text())
COLUMNS = next(iter(SAMPLE["sources"][0]["configuration"]["streams"]), {}).get("columns")
COPY = """
import duckdb, sys, time
duckdb.execute("SET enable_progress_bar = false")
began = time.perf_counter()
duckdb.execute(f"COPY (FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)")
print(time.perf_counter() - began, time.process_time())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=list(CONNECTIONS), default=list(CONNECTIONS))
    arguments = parser.parse_args()
    if not MONTH:
        parser.error("The benchmark needs the sample, which was removed. `make sample` restores it.")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airbyte-load-")))
        files = {format_: _make(folder / "source", format_) for format_ in arguments.formats}
        s3 = stack.enter_context(_process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p"], {}))
        _land(s3, [file for some in files.values() for file in some])
        settings = _configure(folder, s3)
        base = stack.enter_context(_process([sys.executable, "-m", "services.airbyte", "--port"], settings))
        for _ in range(arguments.rounds):
            for format_ in arguments.formats:
                _compare(base, format_, folder)


def _make(folder: Path, format_: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    texts = [gzip.decompress(file.read_bytes()) for file in MONTH]
    header, rows = texts[0].split(b"\n", 1)[0], b"".join(text.split(b"\n", 1)[1] for text in texts)
    first = folder / f"flights-0.{format_}"
    if format_ == "csv.gz":
        with gzip.open(first, "wb", compresslevel=6) as out:
            out.write(header + b"\n")
            for _ in range(MONTHS):
                out.write(rows)
    else:
        (text := folder / "flights.csv").write_bytes(header + b"\n" + rows)
        query = f"SELECT m.* FROM read_csv('{text}', nullstr = ['', 'NA']) AS m, range({MONTHS})"
        duckdb.execute(f"COPY ({query}) TO '{first}' (FORMAT parquet)")
        text.unlink()
    return [first] + [_link(first, folder / f"flights-{number}.{format_}") for number in range(1, FILES)]


def _link(first: Path, other: Path) -> Path:
    os.link(first, other)
    return other


def _land(s3: str, files: list[Path]) -> None:
    client = boto3.client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="bench")
    for file in files:
        client.upload_file(str(file), "bench", f"flights/{file.name}")


def _configure(folder: Path, s3: str) -> dict[str, str]:
    """Configure a connection for each format in overwrite mode, so that each sync reads everything."""
    streams = [{"name": name.replace(".", "_"), "globs": [f"*.{name}"], "columns": COLUMNS} for name in CONNECTIONS]
    connections = [
        {
            "connectionId": id_,
            "name": name,
            "sourceId": SOURCE,
            "destinationId": DESTINATION,
            "configurations": {"streams": [{"name": name.replace(".", "_"), "syncMode": "full_refresh_overwrite"}]},
        }
        for name, id_ in CONNECTIONS.items()
    ]
    source = {"bucket": "bench", "prefix": "flights/", "streams": streams}
    config = {
        "workspaces": [{"workspaceId": WORKSPACE, "name": "bench"}],
        "sources": [{"sourceId": SOURCE, "name": "s3", "workspaceId": WORKSPACE, "configuration": source}],
        "destinations": [{"destinationId": DESTINATION, "name": "lake", "workspaceId": WORKSPACE}],
        "connections": connections,
    }
    (folder / "airbyte.yaml").write_text(json.dumps(config))
    values = {"CONFIG": folder / "airbyte.yaml", "LAKE_DIR": folder / "lake", "STATE_DIR": folder / "state"}
    access = {"S3_ENDPOINT_URL": s3, "S3_REGION": "us-east-1", "S3_ACCESS_KEY_ID": "x", "S3_SECRET_ACCESS_KEY": "x"}
    return {f"MOCK_AIRBYTE_{name}": str(value) for name, value in (values | access).items()}


def _compare(base: str, format_: str, folder: Path) -> None:
    port = int(base.rpartition(":")[2])
    copied, copied_cpu = map(float, _run_copy(f"{folder}/source/*.{format_}", folder / "copy.parquet").split())
    cpu, memory = _processor_seconds(port), dict[str, float]()
    began = time.perf_counter()
    with httpx.Client(base_url=f"{base}/api/public/v1") as http:
        body = {"connectionId": CONNECTIONS[format_], "jobType": "sync"}
        job = http.post("/jobs", json=body).raise_for_status().json()
        while job["status"] not in ("succeeded", "failed"):
            time.sleep(0.05)
            _note_memory(port, memory)
            job = http.get(f"/jobs/{job['jobId']}").json()
    seconds = time.perf_counter() - began
    if job["status"] == "failed":
        raise SystemExit(f"The sync failed: {httpx.post(f'{base}/api/v1/jobs/get', json={'id': job['jobId']}).text}")
    cpu = _processor_seconds(port) - cpu
    held = ", ".join(f"{name} {most:.0f} MiB" for name, most in memory.items())
    print(
        f"{format_:8} {job['rowsSynced']:,} rows: sync {seconds:.1f} s ({cpu:.1f} s of CPU), COPY {copied:.1f} s "
        f"({copied_cpu:.1f}): {copied / seconds:.2f} of its speed, {copied_cpu / cpu:.2f} by CPU; {held}",
        flush=True,
    )


def _run_copy(files: str, target: Path) -> str:
    command = [sys.executable, "-c", COPY, files, str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _processes(port: int) -> list[Path]:
    """Return the mock's processes as folders of /proc."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"BENCH_PORT={port}".encode() in environment.read_bytes().split(b"\0"):
                found.append(environment.parent)
    return found


def _name(process: Path) -> str:
    return "worker" if b"multiprocessing.forkserver" in (process / "cmdline").read_bytes() else "server"


def _note_memory(port: int, most: dict[str, float]) -> None:
    """Keep the most memory that a process of each name has held since it started, in MiB."""
    for process in _processes(port):
        with suppress(OSError, ValueError):  # it has just ended
            (line,) = (line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
            name = _name(process)
            most[name] = max(most.get(name, 0), int(line.split()[1]) / 1024)


def _processor_seconds(port: int) -> float:
    """What the mock's processes have used, with the workers that have ended: the fork server has waited for those."""
    ticks = [(process / "stat").read_text().rpartition(")")[2].split()[11:15] for process in _processes(port)]
    return sum(int(tick) for four in ticks for tick in four) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """Start `command` with a free port as its last argument; yield its base URL once it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | environment | {"BENCH_PORT": str(port)}
    process = subprocess.Popen([*command, str(port)], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
