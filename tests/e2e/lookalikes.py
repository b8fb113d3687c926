"""What production leads to, played by servers of this machine that are not the platform's services.

An S3 that knows policies (moto), an Airbyte that wants credentials (a second mock), a Snowflake with roles (emulator)
and a Prefect server with a password. Containers reach them by https at `host.docker.internal`, with a certificate of a
private authority.
"""

import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import httpx
import snowflake.connector
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from commands.compose.profile import PROJECT
from commands.compose.values import HOST_GATEWAY
from commands.embedded.processes import Processes, free_ports
from tests.integration.servers import s3_server

BUCKET, REGION, CONNECTION = "acme-landing", "eu-central-1", "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10"
PREFIX, PREFECT_PATH = "team=a&b/landing@2027/", "/team-a/api"
"""Where files land, and where the API of Prefect is on its server: neither is as the profiles have them.

A + would be one that IAM takes literally and moto's policies do not.
"""
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
GUARD = {"GUARD_ALLOWED_HOSTS": HOST_GATEWAY}


@dataclass
class Production:
    """Addresses from a container, and what lets one in."""

    ca: Path
    s3: str
    airbyte: str
    prefect: str
    snowflake_port: int
    plain: dict[str, str]
    client_secret: str
    prefect_auth: str

    def aws(self, service: str, key: tuple[str, str] = ("admin", "admin")) -> Any:
        """A client of the S3 look-alike's services, as an administrator."""
        return _client(self.plain["s3"], service, key)

    def user(self, name: str, policy: str) -> tuple[str, str]:
        """Make a user with a policy; its access key."""
        return _user(self.plain["s3"], name, policy)

    def enforce(self) -> None:
        """From now on each call to S3 needs a policy that allows it."""
        httpx.post(f"{self.plain['s3']}/moto-api/reset-auth", content=b"0", trust_env=False).raise_for_status()

    def sql(self, script: str, role: str = "ACCOUNTADMIN") -> list[tuple[Any, ...]]:
        """Run statements in the emulator; the rows of the last one."""
        port = int(self.plain["snowflake"].rpartition(":")[2])
        where = {"host": "127.0.0.1", "port": port, "protocol": "http", "login_timeout": 60}
        with (
            snowflake.connector.connect(
                account="acme-main", user="DATA_PLATFORM", password="p", role=role, **where
            ) as session,
            session.cursor() as cursor,
        ):
            for statement in filter(None, map(str.strip, _without_comments(script).split(";"))):
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]  # type: ignore[arg-type]


def _without_comments(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.startswith("--"))


@contextmanager
def production(folder: Path, gateway: str) -> Iterator[Production]:
    """Start all look-alikes; they listen for containers on `gateway`, the address that this machine has for them."""
    ca, context = _certificates(folder)
    client_secret, auth = secrets.token_urlsafe(16), f"walker:a:b@c/d%40$HOME{secrets.token_urlsafe(16)}"
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server())
        key = _bucket(s3)
        processes = stack.enter_context(Processes(folder / "logs"))
        airbyte, emulator, prefect = free_ports(3)
        plain = {"s3": s3, "airbyte": f"http://127.0.0.1:{airbyte}", "snowflake": f"http://127.0.0.1:{emulator}"}
        plain["prefect"] = f"http://127.0.0.1:{prefect}"
        _start(processes, folder, plain, key, client_secret, auth)
        fronts = {
            name: stack.enter_context(_tls(gateway, int(url.rpartition(":")[2]), context))
            for name, url in plain.items()
        }
        at = {name: f"https://{HOST_GATEWAY}:{port}" for name, port in fronts.items()}
        yield Production(
            ca,
            at["s3"],
            f"{at['airbyte']}/api/public/v1",
            f"{at['prefect']}{PREFECT_PATH}",
            fronts["snowflake"],
            plain,
            client_secret,
            auth,
        )


def _client(url: str, service: str, key: tuple[str, str] = ("admin", "admin")) -> Any:
    names = {"aws_access_key_id": key[0], "aws_secret_access_key": key[1], "region_name": REGION}
    return boto3.client(service, endpoint_url=url, **names)  # type: ignore[call-overload]


def _user(url: str, name: str, policy: str) -> tuple[str, str]:
    iam = _client(url, "iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="landing", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _bucket(url: str) -> tuple[str, str]:
    """Make the landing bucket with the sample's files, and Airbyte's user; its access key."""
    s3 = _client(url, "s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    landing = PROJECT / "localstack" / "landing"
    for file in landing.glob("*/*.gz"):
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}{file.relative_to(landing)}", Body=file.read_bytes())
    return _user(url, "airbyte", policy("airbyte"))


def policy(who: str) -> str:
    """The policy that docs/production has for the platform or for Airbyte, with this bucket's name and prefix."""
    text = (PROJECT / "docs" / "production" / f"aws-{who}.json").read_text()
    return text.replace("my-data-lake-landing", BUCKET).replace("inbound/", PREFIX)


def _start(
    processes: Processes, folder: Path, plain: dict[str, str], key: tuple[str, str], client_secret: str, auth: str
) -> None:
    destination = {
        "destinationType": "snowflake",
        "host": plain["snowflake"],
        "role": "DATA_PLATFORM_LOADER",
        "warehouse": "DATA_PLATFORM_LOADING",
        "database": "DATA_PLATFORM",
        "schema": "RAW",
        "username": "DATA_PLATFORM_AIRBYTE",
        "credentials": {"auth_type": "Username and Password", "password": "p"},
    }
    (folder / "destination.json").write_text(json.dumps(destination))
    port = {name: url.rpartition(":")[2] for name, url in plain.items()}
    emulator = ["-m", "services.snowflake", "--data", str(folder / "snowflake"), "--port", port["snowflake"]]
    processes.start("snowflake", emulator, GUARD)
    mock = {
        "MOCK_AIRBYTE_PORT": port["airbyte"],
        "MOCK_AIRBYTE_LAKE_DIR": str(folder / "lake"),
        "MOCK_AIRBYTE_STATE_DIR": str(folder / "airbyte"),
        "MOCK_AIRBYTE_DESTINATION": str(folder / "destination.json"),
        "MOCK_AIRBYTE_CLIENT_ID": "walker",
        "MOCK_AIRBYTE_CLIENT_SECRET": client_secret,
        "MOCK_AIRBYTE_S3_BUCKET": BUCKET,
        "MOCK_AIRBYTE_S3_PREFIX": PREFIX,
        "MOCK_AIRBYTE_S3_ENDPOINT_URL": plain["s3"],
        "MOCK_AIRBYTE_S3_REGION": REGION,
        "MOCK_AIRBYTE_S3_ACCESS_KEY_ID": key[0],
        "MOCK_AIRBYTE_S3_SECRET_ACCESS_KEY": key[1],
    }
    processes.start("airbyte", ["-m", "services.airbyte"], {**mock, **GUARD})
    server = {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_HOME": str(folder / "prefect"), **GUARD}
    server |= {"PREFECT_SERVER_API_BASE_PATH": PREFECT_PATH}
    uvicorn = ["-m", "uvicorn", "--factory", "services.prefect_app:create_app", "--port", port["prefect"]]
    processes.start("prefect", uvicorn, {**server, "PREFECT_UI_STATIC_DIRECTORY": str(folder / "ui")})
    for name, path in (
        ("snowflake", "/health"),
        ("airbyte", "/api/public/v1/health"),
        ("prefect", f"{PREFECT_PATH}/health"),
    ):
        processes.wait_until_ready(name, plain[name] + path)


def _certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A private authority's certificate, and a server's context with one that it has signed."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Acme's authority", HOST_GATEWAY)]

    def certificate(subject: int, *extensions: x509.ExtensionType) -> x509.Certificate:
        made = x509.CertificateBuilder(
            names[0], names[subject], keys[subject].public_key(), x509.random_serial_number()
        )
        dated = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(keys[subject].public_key())
        for each in (*extensions, issuer, own):
            dated = dated.add_extension(each, critical=isinstance(each, x509.BasicConstraints | x509.KeyUsage))
        return dated.sign(keys[0], hashes.SHA256())

    signs = dict.fromkeys(USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    ca = certificate(0, x509.BasicConstraints(ca=True, path_length=None), x509.KeyUsage(**signs))
    server = certificate(1, x509.SubjectAlternativeName([x509.DNSName(HOST_GATEWAY)]))
    (folder / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    (folder / "ca.crt").chmod(0o644)
    (folder / "server.crt").write_bytes(server.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return folder / "ca.crt", context


@contextmanager
def _tls(address: str, to: int, context: ssl.SSLContext) -> Iterator[int]:
    """Listen with TLS there and on 127.0.0.1, and hand each connection on to a port of 127.0.0.1; yield the port."""
    outside, inside = _pair(address)
    with outside, inside:
        for each in (outside, inside):
            Thread(target=_accept, args=(each, to, context), daemon=True).start()
        yield int(outside.getsockname()[1])


def _pair(address: str) -> tuple[socket.socket, socket.socket]:
    """Listen on one port of both; a port that is free at one of the addresses may be taken at the other."""
    for _ in range(20):
        outside = socket.create_server((address, 0))
        try:
            return outside, socket.create_server(("127.0.0.1", outside.getsockname()[1]))
        except OSError:
            outside.close()
    raise OSError(f"No port is free on both {address} and 127.0.0.1.")


def _accept(listening: socket.socket, to: int, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            Thread(target=_serve, args=(client, to, context), daemon=True).start()


def _serve(client: socket.socket, to: int, context: ssl.SSLContext) -> None:
    with (
        suppress(OSError),
        client,
        context.wrap_socket(client, server_side=True) as secured,
        socket.create_connection(("127.0.0.1", to)) as server,
    ):
        back = Thread(target=_pump, args=(server, secured), daemon=True)
        back.start()
        _pump(secured, server)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
