"""S3 and SQS as a sensor meets them, in memory: each call is one of the world's."""

import hashlib
import json
from collections.abc import Iterator
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

from blocks.landing import CURSORS

if TYPE_CHECKING:
    from tests.unit.sensor.world import World

DEAD = "http://sqs/1/dead"


class FakeS3:
    """The calls of boto3's client that the sensor makes."""

    def __init__(self, world: "World") -> None:
        self.world = world

    @property
    def exceptions(self) -> "FakeS3":
        return self

    class NoSuchKey(ClientError):
        """What botocore raises for the code of the same name."""

    def delete_object(self, Bucket: str, Key: str) -> None:
        self.world.call("remove", lambda: self.world.cursors.pop(Key, None), _slow_down)

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            if Key not in self.world.cursors:
                raise _client_error("NoSuchKey", self._headers(), self.NoSuchKey)
            body, tag = self.world.cursors[Key]
            return {"Body": BytesIO(body), "ETag": tag, **self._headers()}

        return self.world.call("read" if _beside(Key) else "load", apply, _slow_down)

    def put_object(
        self, Bucket: str, Key: str, Body: bytes, IfMatch: str = "", IfNoneMatch: str = ""
    ) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            saved = self.world.cursors.get(Key)
            if (IfMatch and (not saved or saved[1] != IfMatch)) or (IfNoneMatch and saved):
                raise _client_error("PreconditionFailed")
            tag = hashlib.md5(Body).hexdigest()
            self.world.cursors[Key] = (Body, tag)
            self.world.kept[Key] = self.world.now
            return {"ETag": tag}

        return self.world.call("keep" if _beside(Key) else "save", apply, lambda: ReadTimeoutError(endpoint_url="s3"))

    def get_paginator(self, operation: str) -> "FakeS3":
        return self

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:
        if Prefix.startswith(CURSORS):
            yield {"Contents": self.world.call("list beside", lambda: self._items_beside(Prefix), _slow_down)}
            return
        after, more = StartAfter, True
        while more:
            keys = self.world.call("list", lambda after=after: self._after(Prefix, after), _slow_down)
            page, more = keys[: self.world.page], len(keys) > self.world.page
            after = page[-1] if page else ""
            yield {"Contents": [self._item(key) for key in page if key in self.world.objects]}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            if Key not in self.world.objects:
                raise _client_error("404")
            item = self._item(Key)
            return {**item, "ContentLength": item["Size"]}

        return self.world.call("head", apply, _slow_down)

    def _after(self, prefix: str, after: str) -> list[str]:
        return sorted((key for key in self.world.objects if key.startswith(prefix) and key > after), key=str.encode)

    def _items_beside(self, prefix: str) -> list[dict[str, Any]]:
        date = {key: self.world.date(second) for key, second in self.world.kept.items()}
        found = sorted(key for key in self.world.cursors if key.startswith(prefix))
        return [{"Key": key, "Size": 1, "ETag": self.world.cursors[key][1], "LastModified": date[key]} for key in found]

    def _item(self, key: str) -> dict[str, Any]:
        file = self.world.objects[key]
        return {"Key": key, "Size": file.size, "ETag": f'"{file.etag}"', "LastModified": file.last_modified}

    def _headers(self) -> dict[str, Any]:
        date = format_datetime(self.world.date(self.world.now), usegmt=True)
        return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}


class FakeSQS:
    """The calls of boto3's client that the sensor makes; the newest message comes first."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {"Attributes": {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:x:1:dead"})}}

    def get_queue_url(self, QueueName: str, QueueOwnerAWSAccountId: str) -> dict[str, str]:
        return {"QueueUrl": DEAD}

    def receive_message(
        self, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int, VisibilityTimeout: int
    ) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            seen = [name for name, each in self.world.letters.items() if each.hidden_until <= self.world.now]
            chosen = seen[::-1][:MaxNumberOfMessages]
            for name in chosen:
                self.world.letters[name].hidden_until = self.world.now + VisibilityTimeout
            return {"Messages": [{"ReceiptHandle": n, "Body": self.world.letters[n].body} for n in chosen]}

        return self.world.call("receive", apply, _slow_down)

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        def apply() -> None:
            for each in Entries:
                if letter := self.world.letters.get(each["ReceiptHandle"]):
                    letter.hidden_until = self.world.now + each["VisibilityTimeout"]

        self.world.call("give back", apply, _slow_down)

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        def apply() -> None:
            for each in Entries:
                self.world.letters.pop(each["ReceiptHandle"], None)

        self.world.call("delete", apply, _slow_down)

    def send_message(self, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any]) -> None:
        reason = MessageAttributes["reason"]["StringValue"]
        self.world.call("dead letter", lambda: self.world.dead.append((MessageBody, reason)), _slow_down)


def _beside(key: str) -> bool:
    return any(folder in key for folder in (".parked/", ".released/", ".passed/"))


def _client_error(
    code: str, metadata: dict[str, Any] | None = None, kind: type[ClientError] = ClientError
) -> ClientError:
    return kind({"Error": {"Code": code, "Message": code}, **(metadata or {})}, "call")


def _slow_down() -> Exception:
    return _client_error("SlowDown")
