"""The file that `make dev` writes for other terminals, read by a shell as docs/first-day.md says."""

import errno
import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from blocks.errors import PlatformError
from commands.embedded import only_one as only_one_module
from commands.embedded.dev import check_folder, script
from commands.embedded.only_one import describe, only_one
from commands.embedded.processes import Processes


def read_by_a_shell(folder: Path, own: dict[str, str]) -> dict[str, str]:
    """The environment of a shell that had variables of its own and has read the file."""
    (folder / "env").write_text(script({"DBT_TARGET_PATH": "it's ours"}))
    shown = subprocess.run(
        ["sh", "-euc", ". ./env; env"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **own},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


@pytest.mark.parametrize("own", [{}, {"NO_PROXY": "example.org"}, {"no_proxy": "example.org"}])
def test_a_shell_goes_past_a_proxy_to_the_platform_and_to_what_a_person_named(
    own: dict[str, str], tmp_path: Path
) -> None:
    shell = read_by_a_shell(tmp_path, own)
    assert shell["NO_PROXY"] == shell["no_proxy"] == ",".join([*own.values(), "127.0.0.1", "localhost"])
    assert shell["DBT_TARGET_PATH"] == "it's ours"


def test_a_persons_own_accounts_do_not_lead_a_shell_elsewhere(tmp_path: Path) -> None:
    names = ["DBT_TARGET", "AWS_PROFILE", "AWS_SESSION_TOKEN", "PREFECT_API_KEY", "SNOWFLAKE_USER", "lake_dir"]
    own = dict.fromkeys(names, "a person's\nAWS_PROFILE=own")
    shell = read_by_a_shell(tmp_path, {**own, "EDITOR": "vi", "MY_AWS_PROFILE": "kept"})
    assert not own.keys() & shell.keys()
    assert (shell["EDITOR"], shell["MY_AWS_PROFILE"], shell["DBT_TARGET_PATH"]) == ("vi", "kept", "it's ours")


def test_a_shell_keeps_no_proxy_that_the_platforms_clients_cannot_use(tmp_path: Path) -> None:
    own = {"NO_PROXY": "[::1],fe80::/10,*.example.org", "ALL_PROXY": "socks5://p:1080", "https_proxy": "http://p:3128"}
    shell = read_by_a_shell(tmp_path, {**own, "PYTHONPATH": "/nowhere", "SSL_CERT_FILE": "/nowhere"})
    assert shell["NO_PROXY"] == "::1,*.example.org,127.0.0.1,localhost"
    assert shell["https_proxy"] == "http://p:3128"
    assert not {"ALL_PROXY", "PYTHONPATH", "SSL_CERT_FILE"} & shell.keys()


def test_a_module_of_a_persons_own_that_would_hide_one_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    check_folder(tmp_path)
    (tmp_path / "pydantic.py").touch()
    with pytest.raises(PlatformError, match=r"pydantic\.py has the name of a module that the platform imports"):
        check_folder(tmp_path)


def test_a_data_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "dev").write_text("in the way")
    with pytest.raises(OSError, match="dev") as failure, only_one(tmp_path / "dev" / "below", "make dev", ""):
        pass
    assert "NotADirectoryError" in describe(failure.value, tmp_path)
    refused = PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/dev/.lock")
    assert describe(refused, tmp_path).startswith(f"{tmp_path}/dev/.lock cannot be written (Permission denied). ")
    assert f"chown -R $(id -u) {tmp_path}" in describe(refused, tmp_path)


def test_make_dev_and_make_demo_end_in_one_paragraph_where_the_data_folder_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "dev").write_text("in the way")
    (tmp_path / "demo").write_text("in the way")
    for verb in ("dev", "demo"):
        command = [sys.executable, "-m", "commands.embedded", verb, "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        assert verb in ended.stderr


def test_a_process_of_a_user_without_a_home_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    with Processes(tmp_path / "logs") as processes:
        processes.start("look", ["-c", "import os; print(os.environ['HOME'], os.getcwd())"], {}).wait()
    assert (tmp_path / "logs" / "look.log").read_text().split() == [str(tmp_path / "logs")] * 2


@pytest.mark.parametrize("year", [1970, 2999])
def test_a_clock_that_is_decades_wrong_is_named(year: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls(year, 1, 1, tzinfo=tz)

    monkeypatch.setattr(only_one_module, "datetime", Clock)
    said = describe(OSError(errno.EINVAL, "Invalid argument"), tmp_path)
    assert said == f"[Errno 22] Invalid argument. This machine's clock shows the year {year}. " + (
        "Set the clock, then try again."
    )
