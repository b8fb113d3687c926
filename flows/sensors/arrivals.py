"""What the bucket's events say arrived. An event is a hint: what counts is what S3 says of its key now."""

from datetime import timedelta
from typing import TYPE_CHECKING

from blocks.cursor import Cursor, fingerprint
from blocks.landing import BEGINNING, LandedFile, look_up, watched
from blocks.notifications import Message, Notifications

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Arrivals:
    """Messages in our hands, and the files that they are about, as S3 dates them.

    So events and listings name a version alike, and share one cursor. A message is deleted once the cursor knows of
    its files; until then it is kept from others, and what is left for later is given back.
    """

    def __init__(self, queue: Notifications) -> None:
        self.queue = queue
        self.messages: list[Message] = []
        self.files: dict[str, LandedFile] = {}

    def receive(self, s3: "S3Client", prefix: str, pattern: str, limit: int) -> list[LandedFile]:
        """The files below a prefix that about `limit` messages are about."""
        self.messages = self.queue.receive(limit)
        keys = {key for message in self.messages for key in message.keys if watched(key, prefix, pattern)}
        self.files = {file.key: file for file in look_up(s3, self.queue.bucket, sorted(keys))}
        return list(self.files.values())

    def keep(self) -> None:
        """Keep the messages from others while their files are being handed on."""
        self.queue.keep(self.messages)

    def done(self, cursor: Cursor, later: timedelta) -> None:
        """Delete the messages whose files the cursor knows; give the others back, to come again after `later`."""
        known = cursor.known()
        open_keys = {
            key
            for key, file in self.files.items()
            if (file.last_modified or BEGINNING) >= cursor.floor and fingerprint(file) not in known
        }
        left = [each for each in self.messages if open_keys.intersection(each.keys)]
        self.queue.delete([each for each in self.messages if each not in left])
        self.queue.give_back(left, int(later.total_seconds()))
        self.messages, self.files = [], {}
