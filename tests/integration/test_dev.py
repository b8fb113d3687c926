"""`make dev` before anything of it has started."""

import subprocess
import sys
from pathlib import Path

from commands.embedded.only_one import only_one
from commands.embedded.processes import free_ports
from services.content import PROJECT


def test_a_second_make_dev_on_the_same_folder_starts_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    names = ("--prefect-port", "--s3-port", "--airbyte-port", "--console-port")
    ports = zip(names, map(str, free_ports(4)), strict=True)
    options = ["--data", str(tmp_path), *(word for port in ports for word in port)]
    with only_one(tmp_path / "dev", "make dev", "End it."):
        second = subprocess.run(
            [sys.executable, "-m", "commands.embedded", "dev", *options],
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert second.returncode == 1
    said = " ".join(second.stderr.split())
    assert f"Another `make dev` is using {tmp_path}/dev. Stop it, or use another folder and other ports" in said
    assert [file.name for file in (tmp_path / "dev").iterdir()] == [".lock"]
