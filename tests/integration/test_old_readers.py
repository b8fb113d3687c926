"""The published file opens in every DuckDB from 1.2 on."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from blocks.warehouse import DuckDbWarehouse

READ = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(duckdb.__version__, connection.execute("select count(*), sum(i), max(day)::varchar from marts.t").fetchall())
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("version", ["1.2.2", "1.4.4"])
def test_an_older_duckdb_reads_the_published_file(tmp_path: Path, version: str) -> None:
    wheels = tmp_path / "wheels"
    install = ["uv", "pip", "install", "--quiet", "--target", str(wheels), "--only-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, "-m", *install, "--python", sys.executable, f"duckdb=={version}"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"duckdb {version} cannot be installed here: {done.stderr.strip()[-200:]}")
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb", tmp_path / "lake", tmp_path / "published.duckdb")
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.t (i bigint not null, day timestamptz, names varchar[])")
        connection.execute("insert into marts.t select range, '2013-01-01 00:00+00', ['a'] from range(100_000)")
    warehouse.publish()
    command = [sys.executable, "-c", READ, str(warehouse.published)]
    environment = {"PYTHONPATH": str(wheels), "TZ": "UTC"}
    read = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert read.returncode == 0, read.stderr
    assert read.stdout.startswith(f"{version} [(100000, 4999950000, '2013-01-01 00:00:00+00')]")
