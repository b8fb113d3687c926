"""The page "Your own data", as it stands, in a clone without the sample, whose models take longer than all else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from commands.embedded.processes import free_ports
from tests import shell
from tests.e2e.clone import copy_project
from tests.integration.test_readme import until
from tests.readme import PROJECT

BLOCKS = re.findall(r"^```sh desk\n(.*?)^```$", (PROJECT / "docs" / "your-own-data.md").read_text(), re.M | re.S)
SITE = next(path for path in sys.path if path.endswith("site-packages"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without the sample; its environment has this one's packages and the copy's own code."""
    copy_project(folder := tmp_path_factory.mktemp("clone"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    site = next((folder / ".venv" / "lib").glob("python*")) / "site-packages"
    (site / "of_the_clone.pth").write_text(f"{folder}\n{SITE}\n")
    (folder / ".venv" / ".ready").write_text(f"{folder.resolve()}\n")
    removed = run(folder, "git init --quiet; git add --all; make sample REMOVE=1 YES=1; git add --all")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    return folder


def run(clone: Path, commands: str, **more: Any) -> subprocess.CompletedProcess[str]:
    base = os.path.realpath(sys.executable)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MAKEFLAGS": f"-- PYTHON={base}", **more}
    return shell.run(commands, clone, environment)


@pytest.fixture(scope="module")
def said(clone: Path) -> list[str]:
    """What each block of the page prints."""
    found = []
    for block in BLOCKS:
        done = run(clone, block)
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(done.stdout)
    return found


@pytest.mark.timeout(1200)
def test_a_newcomer_gets_from_a_file_to_a_tested_table(said: list[str]) -> None:
    first, table, second, listed, removed = said
    assert "orders-2013-01-05.csv: 8 rows, 6 columns, CSV, comma-separated, UTF-8" in first
    assert "key: order_id, unique in every row" in first
    assert "pass  primary_key_orders" in first
    assert "warn" not in first.partition("\nTests")[2]
    assert "24.90" in table
    assert "column 'coupon' is new (varchar)" in second
    assert "amount is null in 1 row, and was never null before" in second
    assert re.search(r"1009 +│ +false +│ +NULL +│ +NEW10", second)
    assert re.search(r"1008 +│ +true +│ +15.00", second)
    assert re.search(r"orders +order_id +9 +orders-2013-01-06\.csv", listed)
    assert "delete localstack/landing/orders/orders-2013-01-05.csv" in removed


def test_a_source_that_was_taken_out_leaves_the_clone_as_it_was(said: list[str], clone: Path) -> None:
    changed = run(
        clone, "git diff --name-only; git ls-files --others --exclude-standard dbt_project localstack services"
    )
    assert (changed.returncode, changed.stdout) == (0, ""), changed.stderr
    assert not (clone / "localstack" / "landing" / "orders").exists()


def test_without_an_answer_nothing_is_changed(said: list[str], clone: Path) -> None:
    asked = run(clone, "make source FILE=orders-2013-01-05.csv")
    assert asked.returncode != 0
    assert "Nothing was changed." in asked.stdout
    assert not (clone / "localstack" / "landing" / "orders").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make source", "does not exist. Usage: make source FILE=path/to/orders.csv."),
        ("make source FILE=README.md NAME=select", "NAME=select is not a name that both warehouses accept"),
        ("make source NAME=nothing REMOVE=1", "`make source` did not write a source nothing"),
        ("make source FILE=README.md NAME=mine", "mine.sql is a model of your own"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(clone: Path, command: str, said: str) -> None:
    (model := clone / "dbt_project" / "models" / "mine.sql").write_text("select 1 as id")
    refused = run(clone, command)
    model.unlink()
    assert refused.returncode != 0
    assert said in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


@pytest.fixture
def dev(clone: Path) -> Iterator[None]:
    """`make dev` in the clone, on free ports."""
    names = ("--prefect-port", "--s3-port", "--airbyte-port", "--console-port")
    ports = [word for name, port in zip(names, free_ports(4), strict=True) for word in (name, str(port))]
    command = [clone / ".venv" / "bin" / "python", "-P", "-s", "-m", "commands.embedded", "dev", *ports]
    output = clone / "dev.log"
    with output.open("wb") as out:
        process = subprocess.Popen(command, cwd=clone, stdout=out, stderr=subprocess.STDOUT)
    try:
        until("make dev is up", lambda: process.poll() is not None or b"is up" in output.read_bytes())
        assert process.poll() is None, output.read_text()
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_with_make_dev_the_sensor_loads_the_file_and_the_next(said: list[str], clone: Path, dev: None) -> None:
    first = run(clone, "make source FILE=orders-2013-01-05.csv YES=1")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "on the platform of make dev" in first.stdout
    assert "pass  primary_key_orders" in first.stdout
    (clone / "orders-2013-01-07.csv").write_text(
        "order_id,ordered_on,customer,zip,amount,paid\n1010,soon,Ada,01210,1.00,yes\n"
    )
    second = run(clone, "make source FILE=orders-2013-01-07.csv YES=1")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "1 value of 'ordered_on' is not date, such as 'soon'" in second.stdout
    assert "key: order_id as declared, unique in every row" in second.stdout
    assert "pass  source_every_value_is_cast_raw_orders_" in second.stdout
    with duckdb.connect(str(clone / "data" / "dev" / "published" / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select ordered_on from orders where order_id in (1001, 1010) order by 1").fetchall()
    assert found == [("2013-01-02",), ("soon",)]
    third = run(clone, "make source FILE=s3://my-data-lake-landing/inbound/orders/orders-2013-01-07.csv YES=1")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "It matches what is declared." in third.stdout
    assert "the tables stay as they are" in third.stdout
    streams = run(clone, "make source FROM=connection")
    assert streams.returncode == 0, streams.stdout + streams.stderr
    assert re.search(r"^orders .* order_id +is declared$", streams.stdout, re.M), streams.stdout
    taken_out = run(clone, "make source NAME=orders REMOVE=1 YES=1")
    assert taken_out.returncode == 0, taken_out.stderr
