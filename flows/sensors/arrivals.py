"""Files that arrived according to the bucket's events. An event is only a hint, so S3 is asked about each key."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect.logging import get_logger

from blocks.errors import PlatformError, shown
from blocks.landing import BEGINNING, LandedFile, LandingUnavailable, is_watched, look_up
from blocks.s3_events import Message, Notifications
from flows.sensors.cursor import Cursor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFUSED_SECONDS = 30
"""How long to wait before looking again at a file that S3 refused to show."""


class Arrivals:
    """The received messages and the files that they name, with S3's own dates.

    With S3's dates, events and listings identify a version in the same way, so they can share a cursor. A message is
    deleted once the cursor has its files. Until then it is hidden from other consumers, or returned to the queue.
    """

    def __init__(self, queue: Notifications) -> None:
        self.queue = queue
        self.messages: list[Message] = []
        self.files: list[LandedFile] = []
        self.refused: set[str] = set()

    def receive(self, s3: "S3Client", prefix: str, pattern: str, limit: int) -> list[LandedFile]:
        """Return the files below a prefix that about `limit` messages name. A file that S3 refuses blocks no other."""
        self.messages, self.files, self.refused = [], [], set()
        for message in self.queue.receive(limit):
            self.messages.append(message)
        if others := [key for message in self.messages for key in message.keys if not is_watched(key, prefix, pattern)]:
            get_logger("sensor").info(
                "ignored %d events for keys that are not watched, such as %s", len(others), shown(others[0])
            )
        keys = {key for message in self.messages for key in message.keys if is_watched(key, prefix, pattern)}
        for key, found in look_up(s3, self.queue.bucket, sorted(keys)):
            if isinstance(found, LandingUnavailable):
                if not self.refused:
                    get_logger("sensor").warning("looking again for %s in %d s: %s", shown(key), REFUSED_SECONDS, found)
                self.refused.add(key)
            elif found:
                self.files.append(found)
        return self.files

    def skip(self, files: list[LandedFile]) -> None:
        """Skip some of the files, because they were processed before."""
        self.files = [file for file in self.files if file not in files]

    def uploaded(self, file: LandedFile) -> datetime | None:
        """Return when the newest upload of a file ended, or None if the messages do not say."""
        times = [message.keys[file.key] for message in self.messages if file.key in message.keys]
        return None if None in times else max((time for time in times if time), default=None)

    def keep(self) -> None:
        """Hide the messages from other consumers while a run is started for their files."""
        self.queue.keep(self.messages)

    def done(self, cursor: Cursor, later: timedelta) -> None:
        """Delete the messages whose files the cursor has. The others go back to the queue, hidden for `later`."""
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
        """Return all messages to the queue at once.

        An error is only logged, because this is called after another error, which is the one to report.
        """
        try:
            self.queue.give_back(self.messages)
        except PlatformError as error:
            get_logger("sensor").warning("the messages will come again later: %s", error)
        self.messages = []
