"""Change the secrets of a running platform. Runs in progress end first, with the old secrets."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

from commands.compose.command_line import PYTHON, Compose
from commands.compose.secrets import secret
from commands.errors import CommandError

SECONDS = 3600.0
"""How long to wait for runs in progress."""

LABEL, KEY = "secrets", "PREFECT_SERVER_ENCRYPTION_KEY"
DRAINS = "--can-drain"
"""The option of workers that can be drained; those of earlier versions cannot."""


@contextmanager
def without_runs(compose: Compose) -> Iterator[None]:
    """If secrets have changed, wait for runs in progress to end, and hold new ones until the worker restarts.

    A run would otherwise lose its server, or get 401: Prefect's server accepts only one password.

    Raises:
        CommandError: the runs have not ended in time, or the saved blocks cannot be encrypted. Nothing was changed.
    """
    services = changed(compose)
    workers = _workers(compose) if services else []
    if workers:
        print("Secrets have changed. Waiting for the runs in progress to end; new runs wait meanwhile.", flush=True)
        _drain(compose, workers)
        compose.output("stop", "worker")
    try:
        if "prefect-server" in services and (key := secret(compose.profile, KEY)):
            _encrypt_blocks(compose, key)
        yield
    except BaseException:
        if workers:
            compose.succeeds("start", "worker")
        raise


def _encrypt_blocks(compose: Compose, key: str) -> None:
    """Encrypt the saved blocks with a new key while the server still has the old one."""
    with TemporaryFile() as given:
        given.write(key.encode())
        given.seek(0)
        try:
            compose.output("exec", "-T", "prefect-server", *PYTHON, "services.rekey", stdin=given)
        except CommandError as error:
            raise CommandError(
                f"The saved blocks cannot be encrypted with the new {KEY}: {error}\nNothing was changed. Restore the "
                f"old key, then run `{compose.profile.make('up')}`."
            ) from None


def changed(compose: Compose) -> list[str]:
    """Return the running services whose secrets differ from the profile's current ones."""
    services = json.loads(compose.output("config", "--format", "json"))["services"]
    wanted = {name: service.get("labels", {}).get(LABEL, "") for name, service in services.items()}
    template = f'{{{{index .Config.Labels "com.docker.compose.service"}}}}={{{{index .Config.Labels "{LABEL}"}}}}'
    running = (line.partition("=") for line in _inspect(compose.output("ps", "--quiet").split(), template))
    return sorted({service for service, _, label in running if label != wanted.get(service, label)})


def _workers(compose: Compose) -> list[str]:
    """Return the containers of running workers that can be drained."""
    shown = _inspect(compose.output("ps", "--quiet", "worker").split(), "{{.Id}} {{json .Config.Cmd}}")
    return [line.split()[0] for line in shown if DRAINS in line]


def _inspect(containers: list[str], template: str) -> list[str]:
    """Return a line for each container."""
    if not containers:
        return []
    command = ["docker", "inspect", "--format", template, *containers]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _drain(compose: Compose, workers: list[str]) -> None:
    """Wait until no worker has a run in progress."""
    command = ("docker", "exec", "--interactive")
    waiting = [
        subprocess.Popen([*command, each, "python", "-m", "services.drain"], stdin=subprocess.PIPE) for each in workers
    ]
    deadline = time.monotonic() + SECONDS
    try:
        for each in waiting:
            each.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise CommandError(
            f"Runs are still in progress after {SECONDS:.0f} s. Nothing was changed. Wait until they end, or cancel "
            f"them in Prefect, then run `{compose.profile.make('up')}` again."
        ) from None
    finally:
        for each in waiting:
            if each.stdin:
                each.stdin.close()
    if any(each.returncode for each in waiting):
        raise CommandError(f"A worker stopped before its runs had ended. Run `{compose.profile.make('up')}` again.")
