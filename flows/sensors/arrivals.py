"""What the bucket's events say arrived. An event is a hint: what counts is what S3 says of its key now."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect.logging import get_logger

from blocks.cursor import Cursor
from blocks.errors import PlatformError, shown
from blocks.landing import BEGINNING, LandedFile, LandingUnavailable, look_up, watched
from blocks.notifications import Message, Notifications

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFUSED_SECONDS = 30
"""After so long a file is looked at again that S3 would not show."""


class Arrivals:
    """Messages in our hands, and the files that they are about, as S3 dates them.

    So events and listings name a version alike, and share one cursor. A message is deleted once the cursor knows of
    its files; until then it is kept from others, and what is left for later is given back.
    """

    def __init__(self, queue: Notifications) -> None:
        self.queue = queue
        self.messages: list[Message] = []
        self.files: list[LandedFile] = []
        self.refused: set[str] = set()

    def receive(self, s3: "S3Client", prefix: str, pattern: str, limit: int) -> list[LandedFile]:
        """The files below a prefix that about `limit` messages are about; one that S3 refuses holds up no other."""
        self.messages, self.files, self.refused = [], [], set()
        for message in self.queue.receive(limit):
            self.messages.append(message)
        if strange := [key for message in self.messages for key in message.keys if not watched(key, prefix, pattern)]:
            get_logger("sensor").info("leaves alone %d events, of %s: not watched", len(strange), shown(strange[0]))
        keys = {key for message in self.messages for key in message.keys if watched(key, prefix, pattern)}
        for key, found in look_up(s3, self.queue.bucket, sorted(keys)):
            if isinstance(found, LandingUnavailable):
                if not self.refused:
                    get_logger("sensor").warning("looks again in %d s for %s: %s", REFUSED_SECONDS, shown(key), found)
                self.refused.add(key)
            elif found:
                self.files.append(found)
        return self.files

    def leave(self, files: list[LandedFile]) -> None:
        """Take some of the files for handed on."""
        self.files = [file for file in self.files if file not in files]

    def uploaded(self, file: LandedFile) -> datetime | None:
        """When the newest upload of a file ended, as far as the messages say."""
        times = [message.keys[file.key] for message in self.messages if file.key in message.keys]
        return None if None in times else max((time for time in times if time), default=None)

    def keep(self) -> None:
        """Keep the messages from others while their files are being handed on."""
        self.queue.keep(self.messages)

    def done(self, cursor: Cursor, later: timedelta) -> None:
        """Delete the messages whose files the cursor knows; give the others back, to come again after `later`."""
        if not self.messages:
            return
        new = {file.key for file in cursor.new(self.files, floor=BEGINNING)}
        left, refused, known = list[Message](), list[Message](), list[Message]()
        for message in self.messages:
            if new.intersection(message.keys):
                left.append(message)
            elif self.refused.intersection(message.keys):
                refused.append(message)
            else:
                known.append(message)
        self.queue.delete(known)
        self.queue.give_back(refused, REFUSED_SECONDS)
        self.queue.give_back(left, int(later.total_seconds()))
        self.messages = []

    def give_back(self) -> None:
        """Give all back at once, if SQS answers: something else has failed already, and that is what counts."""
        try:
            self.queue.give_back(self.messages)
        except PlatformError as error:
            get_logger("sensor").warning("messages come again later: %s", error)
        self.messages = []
