"""The landing bucket's event notifications from an SQS queue, which delivers at least once and in any order."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit

from botocore.config import Config
from pydantic import BaseModel, Field, ValidationError

from blocks.errors import PlatformError
from blocks.landing import NOT_S3, AwsAccess, check_answers

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageAttributeValueTypeDef,
        MessageTypeDef,
    )

logger = logging.getLogger(__name__)

PAGE = 10
"""SQS's maximum number of messages in one call."""

VISIBILITY_SECONDS = 120
LONG_POLL_SECONDS = 20
MOST_REASON = 500
"""Maximum characters of a dead letter's reason."""
MOST_LETTER = 250_000
"""Maximum bytes of a dead letter's body: with the reason, it must fit SQS's limit of 256 KB."""


class QueueUnusable(PlatformError):
    """SQS does not answer, or the queue does not exist, is not accessible, or lacks a dead-letter queue."""


class _Named(BaseModel):
    name: str


class _Object(BaseModel):
    key: str = Field(min_length=1)


class _S3(BaseModel):
    bucket: _Named
    object: _Object


class _Record(BaseModel):
    eventName: str
    eventTime: str = ""
    s3: _S3


class _Body(BaseModel):
    Records: list[_Record]


@dataclass
class Message:
    """A received message, with the keys of the created objects and, if known, when each was created."""

    receipt: str
    keys: dict[str, datetime | None]
    held_since: float


def created_keys(body: str, bucket: str) -> dict[str, datetime | None]:
    """Return the keys of created objects in a message, each with the time at which its upload ended.

    S3, LocalStack and moto encode a key like a URL's query: a space as + or %20, a plus sign as %2B.

    Raises:
        ValueError: the message is not a notification from S3, or it is about another bucket.
    """
    text = json.loads(body)
    if isinstance(text, dict) and text.get("Event") == "s3:TestEvent":
        return {}
    records = _Body.model_validate(text).Records
    if others := {record.s3.bucket.name for record in records} - {bucket}:
        raise ValueError(f"it is about the bucket {', '.join(sorted(others))}, not {bucket}")
    created = [each for each in records if "ObjectCreated:" in each.eventName]
    return {unquote_plus(each.s3.object.key): _time(each.eventTime) for each in created}


class Notifications:
    """An SQS queue with an S3 bucket's notifications.

    Malformed messages are moved to the dead-letter queue in the queue's redrive policy. The message attribute `reason`
    says why.

    Raises:
        QueueUnusable: from every method.
    """

    def __init__(
        self,
        sqs: "SQSClient",
        url: str,
        bucket: str,
        wait_seconds: int = LONG_POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sqs, self.url, self.bucket, self.wait_seconds = sqs, url, bucket, wait_seconds
        self.clock = clock
        self.dead_letters = self._dead_letters()

    def receive(self, limit: int) -> Iterator[Message]:
        """Yield about `limit` messages; wait up to `wait_seconds` for the first. SQS hides them from other sensors."""
        count = 0
        while count < limit and (raw := self._receive(0 if count else self.wait_seconds)):
            count += len(raw)
            yield from filter(None, map(self._read, raw))

    def keep(self, messages: list[Message]) -> None:
        """Hide messages from other sensors for VISIBILITY_SECONDS more, if half of that time has passed."""
        old = [each for each in messages if self.clock() - each.held_since > VISIBILITY_SECONDS / 2]
        self.give_back(old, VISIBILITY_SECONDS)
        for each in old:
            each.held_since = self.clock()

    def give_back(self, messages: list[Message], seconds: int = 0) -> None:
        """Make messages visible again after `seconds`."""
        for page in _pages(messages):
            entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(number), "ReceiptHandle": each.receipt, "VisibilityTimeout": seconds}
                for number, each in enumerate(page)
            ]
            with _errors(self.url):
                self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def delete(self, messages: list[Message]) -> None:
        """Delete messages. If SQS fails to delete one, it comes again, and the sensor recognizes its files."""
        for page in _pages(messages):
            entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "ReceiptHandle": each.receipt} for number, each in enumerate(page)
            ]
            with _errors(self.url):
                self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _receive(self, wait_seconds: int) -> list["MessageTypeDef"]:
        with _errors(self.url):
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=PAGE,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=VISIBILITY_SECONDS,
            )
        return answer.get("Messages", [])

    def _read(self, raw: "MessageTypeDef") -> Message | None:
        message = Message(raw["ReceiptHandle"], {}, self.clock())
        try:
            message.keys = created_keys(raw["Body"], self.bucket)
        except ValidationError as error:
            self._reject(message, raw["Body"], f"it is not a notification of S3: {error.errors()[0]['msg']}")
        except (ValueError, RecursionError) as error:
            self._reject(message, raw["Body"], str(error))
        else:
            return message
        return None

    def _reject(self, message: Message, body: str, reason: str) -> None:
        """Copy a message to the dead-letter queue, then delete it. A crash in between duplicates the message.

        The reason is escaped: it quotes the message, and SQS rejects control characters in an attribute.
        """
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            "reason": {"DataType": "String", "StringValue": ascii(reason)[1:-1][:MOST_REASON]}
        }
        letter = body.encode()[:MOST_LETTER].decode(errors="ignore")
        with _errors(self.url):
            self.sqs.send_message(QueueUrl=self.dead_letters, MessageBody=letter, MessageAttributes=attributes)
        self.delete([message])
        logger.warning("A malformed message was moved to %s: %s", self.dead_letters, ascii(reason))

    def _dead_letters(self) -> str:
        with _errors(self.url):
            answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["RedrivePolicy"])
            policy = answer.get("Attributes", {}).get("RedrivePolicy")
            if not policy:
                raise QueueUnusable(
                    f"The queue {self.url} has no dead-letter queue, so a malformed message would come again forever. "
                    "Give it a redrive policy, as in localstack/init/ready.d/20-queue.sh."
                )
            *_, account, name = json.loads(policy)["deadLetterTargetArn"].split(":")
            return self.sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def sqs_client(url: str, access: AwsAccess) -> "SQSClient":
    """Create an SQS client for the server in a queue's URL.

    Raises:
        QueueUnusable: it is not a URL, or AWS's own configuration cannot be read.
    """
    # The timeout is longer than a long poll, so that an idle queue does not time out.
    config = Config(
        retries={"max_attempts": 5, "mode": "standard"}, connect_timeout=5, read_timeout=LONG_POLL_SECONDS + 10
    )
    with _errors(url):
        parts = urlsplit(url)
        client = access.session().client("sqs", endpoint_url=f"{parts.scheme}://{parts.netloc}", config=config)
        return check_answers(client)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except NOT_S3 as error:
        raise QueueUnusable(
            f"The queue {url} cannot be used: {error}. Check SENSOR_QUEUE_URL (empty means polling) and the AWS "
            "credentials."
        ) from error


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _pages(messages: list[Message]) -> Iterator[list[Message]]:
    return (messages[start : start + PAGE] for start in range(0, len(messages), PAGE))
