"""S3 with SQS, as moto and as LocalStack serve them, each with the platform's own queue."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import docker
import pytest
from docker.errors import DockerException

from commands.embedded.queue import make_queue, queue_url
from commands.embedded.stack import CREDENTIALS
from services.content import BUCKET, PREFIX, PROJECT
from tests.integration.servers import s3_server

# The reaper is one more image to pull; the fixture below ends what it has started.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

LOCALSTACK = "localstack/localstack:4.14.0"
PORT = 4566


@dataclass
class Landing:
    """A landing bucket that notifies a queue."""

    s3: "S3Client"
    sqs: "SQSClient"
    endpoint: str
    queue: str

    def clear(self) -> None:
        """Nothing has landed, nothing was told."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for item in page.get("Contents", []):
                self.s3.delete_object(Bucket=BUCKET, Key=item["Key"])
        self.lose_messages()

    def lose_messages(self) -> None:
        """Take all messages out of the queue."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for each in messages:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])


def clients(endpoint: str) -> tuple["S3Client", "SQSClient"]:
    session = boto3.Session("test", "test", region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint), session.client("sqs", endpoint_url=endpoint)


def on_moto() -> Iterator[Landing]:
    with s3_server() as endpoint:
        s3, sqs = clients(endpoint)
        s3.create_bucket(Bucket=BUCKET)
        for _ in range(2):  # it is made at every start
            make_queue(s3, sqs, BUCKET, PREFIX)
        yield Landing(s3, sqs, endpoint, queue_url(endpoint))


def on_localstack() -> Iterator[Landing]:
    # Imported here: the reaper's setting above is read on import.
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    script = "20-queue.sh"
    container = DockerContainer(LOCALSTACK).with_envs(SERVICES="s3,sqs", S3_BUCKET=BUCKET, S3_PREFIX=PREFIX)
    container.ports[f"{PORT}/tcp"] = ("127.0.0.1", None)  # with_bind_ports knows no address
    container.with_volume_mapping(str(PROJECT / "localstack" / "init" / "ready.d" / script), f"/opt/{script}", "ro")
    container.waiting_for(LogMessageWaitStrategy("Ready."))
    with container as running:
        endpoint = f"http://127.0.0.1:{running.get_exposed_port(PORT)}"
        s3, sqs = clients(endpoint)
        s3.create_bucket(Bucket=BUCKET)
        for _ in range(2):
            code, output = running.exec(f"/opt/{script}")
            assert code == 0, output
        yield Landing(s3, sqs, endpoint, f"{endpoint}/000000000000/landing-events")


@pytest.fixture(scope="module", params=["moto", pytest.param("localstack", marks=pytest.mark.exhaustive)])
def server(request: pytest.FixtureRequest) -> Iterator[Landing]:
    if request.param == "localstack":
        try:
            docker.from_env().images.get(LOCALSTACK)
        except DockerException as error:
            pytest.skip(f"LocalStack needs a Docker engine with the image {LOCALSTACK}: {error}")
    yield from on_moto() if request.param == "moto" else on_localstack()


@pytest.fixture
def landing(server: Landing, monkeypatch: pytest.MonkeyPatch) -> Landing:
    server.clear()
    variables = {**CREDENTIALS, "S3_ENDPOINT_URL": server.endpoint, "SENSOR_QUEUE_URL": server.queue}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return server
