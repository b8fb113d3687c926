"""An emulator in a process of its own, and what tests ask of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from snowflake.connector import SnowflakeConnection

from commands.embedded.processes import Processes, free_ports

USER, PASSWORD = "loader", "canary-of-the-password"


@dataclass
class Emulator:
    folder: Path
    port: int
    processes: Processes
    variables: dict[str, str]

    def start(self) -> None:
        arguments = ["-m", "services.snowflake", "--data", str(self.folder / "data"), "--port", str(self.port)]
        self.processes.start("emulator", arguments, self.variables)
        self.processes.wait_until_ready("emulator", f"http://127.0.0.1:{self.port}/health")

    def kill(self) -> None:
        """End it as a power cut would."""
        child = self.processes.children.pop("emulator")
        child.send_signal(signal.SIGKILL)
        child.communicate()

    def log(self) -> str:
        return self.processes.log("emulator").read_text()

    def connect(self, **changes: Any) -> SnowflakeConnection:
        address = {"host": "127.0.0.1", "port": self.port, "protocol": "http", "login_timeout": 30}
        names = {"account": "org-account", "database": "FLIGHTS", "schema": "PUBLIC", "warehouse": "W", "role": "R"}
        return snowflake.connector.connect(**{**address, **names, "user": USER, "password": PASSWORD, **changes})

    def rows(self, query: str, **changes: Any) -> list[tuple[Any, ...]]:
        with self.connect(**changes) as session, session.cursor() as cursor:
            return [tuple(row) for row in cursor.execute(query).fetchall()]  # type: ignore[union-attr, arg-type]


@contextmanager
def running_emulator(folder: Path, **settings: str) -> Iterator[Emulator]:
    """Start an emulator on a free port; `settings` are its variables without SNOWFLAKE_EMULATOR_."""
    variables = {f"SNOWFLAKE_EMULATOR_{name.upper()}": value for name, value in settings.items()}
    with Processes(folder / "logs") as processes:
        emulator = Emulator(folder, free_ports(1)[0], processes, variables)
        emulator.start()
        yield emulator


def pem(key: RSAPrivateKey, passphrase: str = "") -> str:
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def public_pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
