"""Incidents and the messages about them. State on disk ensures that each incident is reported once, despite restarts.

One file has the open incidents and the messages that the receiver has not accepted yet. It is replaced in one step
before a message is sent, so a crash loses no message. After a crash between a message's arrival and the next save, the
message is sent again with the same `id`.
"""

import os
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ValidationError

from blocks.errors import PlatformError
from blocks.settings import make, start_again

FORMAT = 1
MOST_SENT = 200
"""Number of ids to remember of messages that have arrived."""
MOST_UNSENT = 1000
"""Maximum number of unsent messages. The oldest are dropped."""
MOST_NAMED = 5
LOOKED = "looked"
"""Name of the file beside the incidents that the sensor touches after each successful poll."""


SILENCE = timedelta(minutes=2)
"""A watch that has not checked the platform for this long is silent."""
UNSENT = timedelta(minutes=2)
"""A message that the receiver has not accepted for this long is an incident, too."""
AGAIN = timedelta(minutes=1)
"""Time between two attempts to send a message that was set aside."""
KEPT = timedelta(days=1)
"""How long to retry a message that the receiver refuses while it accepts others."""
TRIES = 5
"""After this many failed attempts, a message is set aside, and later messages no longer wait for it."""


class AlreadyWatched(PlatformError):
    """Another watch process keeps the incidents of this folder."""


class Incident(BaseModel):
    """Something that is wrong, from its beginning to its end.

    Attributes:
        key: kind and subject, e.g. `worker_gone/local`. It does not change while the incident is open.
        kind: the cause; docs/alerts.md lists the kinds.
        what: what happened, in a sentence.
        since: when it began.
        opened: when it was noticed. It tells the incident from an earlier one with the same key and beginning.
        impact: what it means for the tables.
        where: where to look.
        command: what to type in a shell.
        advice: when to type it, or what else to do.
        probe: the part of the watch that found it, and that says when it is over.
        evidence: what keeps it open; only for the probe.
    """

    key: str
    kind: str
    what: str
    since: AwareDatetime
    opened: AwareDatetime | None = None
    impact: str
    where: str
    command: str
    advice: str = ""
    probe: str = ""
    evidence: dict[str, str] = {}


def remedy(of: "Incident | Message") -> str:
    """Return what to type, and when."""
    return f"{of.command}, {of.advice}" if of.advice else of.command


class Message(BaseModel):
    """A message: an incident has begun (`open`) or is over (`over`), or a person tests the alerts (`test`).

    Every attempt to send it has the same `id`, so that a receiver can recognize a repetition.
    """

    id: str
    state: Literal["open", "over", "test"]
    platform: str
    key: str
    kind: str
    what: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    impact: str = ""
    where: str = ""
    command: str = ""
    advice: str = ""

    @classmethod
    def of(cls, incident: Incident, platform: str, until: datetime | None = None) -> Self:
        """Create the message about an incident's beginning, or about its end at `until`."""
        state: Literal["open", "over"] = "over" if until else "open"
        names = ("key", "kind", "what", "since", "impact", "where", "command", "advice")
        once = f"{platform} {incident.key} {incident.opened or incident.since} {state}"
        return cls(
            id=sha256(once.encode()).hexdigest()[:16],
            state=state,
            platform=platform,
            until=until,
            **{name: getattr(incident, name) for name in names},
        )

    @property
    def text(self) -> str:
        """The message as text for people."""
        began = f"{self.since:%Y-%m-%d %H:%M} UTC"
        if self.until:
            ended = f"{self.until:%Y-%m-%d %H:%M} UTC"
            return f"[{self.platform}] OVER: “{self.what}” It began at {began}, and ended at {ended}."
        if self.state == "test":
            return f"[{self.platform}] TEST: {self.what}"
        lines = [
            f"[{self.platform}] {self.what}",
            f"Since: {began}",
            f"Tables: {self.impact}",
            f"Look at: {self.where}",
            f"Type: {remedy(self)}",
        ]
        return "\n".join(lines)


class Failure(BaseModel):
    """The failed attempts to send a message.

    Attributes:
        why: why the last attempt failed.
        since: when the first attempt was.
        last: when the last attempt was.
        tries: number of attempts. A permanent refusal counts as TRIES.
    """

    why: str
    since: AwareDatetime
    last: AwareDatetime
    tries: int

    @property
    def is_aside(self) -> bool:
        """Whether later messages do not wait for this one."""
        return self.tries >= TRIES


class State(BaseModel):
    """The state of the watch.

    Attributes:
        format: version of the file's format.
        began: when the first watch started. Failures that ended before that are not incidents.
        looked: when the watch last checked the platform.
        incidents: the open incidents, by key.
        unsent: messages to send, in order.
        sent: ids of messages that have arrived.
        has_receiver: whether a receiver is configured.
        failures: failed attempts to send, by the message's id.
        took: when the receiver last accepted a message.
    """

    format: int = FORMAT
    began: AwareDatetime
    looked: AwareDatetime
    incidents: dict[str, Incident] = {}
    unsent: list[Message] = []
    sent: list[str] = []
    has_receiver: bool = False
    failures: dict[str, Failure] = {}
    took: AwareDatetime | None = None

    def queue(self, messages: Iterable[Message]) -> None:
        """Add messages to send, except those that are queued or have arrived already."""
        known = {each.id for each in self.unsent} | set(self.sent)
        self.unsent = [*self.unsent, *(each for each in messages if each.id not in known)][-MOST_UNSENT:]

    def arrived(self, message: Message, now: datetime) -> None:
        """Record that the receiver has accepted a message."""
        self.drop(message)
        self.sent = [*self.sent, message.id][-MOST_SENT:]
        self.took = now

    def failed(self, message: Message, why: str, tries: int, now: datetime) -> Failure:
        """Record that the receiver did not accept a message. It counts as `tries` attempts."""
        before = self.failures.get(message.id) or Failure(why=why, since=now, last=now, tries=0)
        failure = before.model_copy(update={"why": why, "last": now, "tries": before.tries + tries})
        self.failures = {**self.failures, message.id: failure}
        return failure

    def gives_up(self, failure: Failure) -> bool:
        """Return whether a message has failed for KEPT while the receiver accepted others."""
        return failure.last - failure.since > KEPT and self.took is not None and self.took > failure.since

    def drop(self, message: Message) -> None:
        """Remove a message from the queue."""
        self.unsent = [each for each in self.unsent if each.id != message.id]
        self.failures = {each.id: self.failures[each.id] for each in self.unsent if each.id in self.failures}

    def due(self, now: datetime) -> list[Message]:
        """Return the messages to send now, in order. A message set aside is due before a newer one of its incident."""
        new = {each.key for each in self.unsent if not self._is_aside(each)}
        return [each for each in self.unsent if each.key in new or now - self.failures[each.id].last >= AGAIN]

    def _is_aside(self, message: Message) -> bool:
        return message.id in self.failures and self.failures[message.id].is_aside


def open_incidents(state: State | None, now: datetime) -> list[Incident]:
    """Return the incidents that the watch knows, and those that no message can report."""
    return [*unreported(state, now), *(state.incidents.values() if state else [])]


def unreported(state: State | None, now: datetime) -> list[Incident]:
    """Return the incidents that no message can report: the watch does not run, or its messages do not arrive."""
    return [*silent(state, now), *unsent(state, now)]


def unsent(state: State | None, now: datetime) -> list[Incident]:
    """Return the incident of messages that the receiver refuses, or has not accepted for UNSENT."""
    failures = state.failures if state else {}
    found = {id_: each for id_, each in failures.items() if each.is_aside or now - each.since > UNSENT}
    if state is None or not found:
        return []
    why = " ".join(sorted({each.why for each in found.values()}))
    named = [f"{each.key} ({each.state})" for each in state.unsent if each.id in found]
    more = f", and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return [
        Incident(
            key="message_unsent/receiver",
            kind="message_unsent",
            what=f"Messages that have not arrived: {', '.join(named[:MOST_NAMED])}{more}. {why}",
            since=min(each.since for each in found.values()),
            impact="These incidents are not reported. The published tables stay as they are.",
            where="docs/alerts.md",
            command=make("alert-test"),
        )
    ]


def silent(state: State | None, now: datetime) -> list[Incident]:
    """Return the incident of a watch that has stopped; none if there never was a watch."""
    if state is None or now - state.looked <= SILENCE:
        return []
    return [
        Incident(
            key="watch_silent/watch",
            kind="watch_silent",
            what=f"The watch has not checked the platform since {state.looked:%Y-%m-%d %H:%M:%S} UTC.",
            since=state.looked,
            impact="Incidents are not reported. The published tables stay as they are.",
            where="the watch's log",
            command=start_again(),
        )
    ]


class IncidentStore:
    """The incidents of one platform, saved in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "incidents.json"
        self._lock = FileLock(folder / "watch.lock", thread_local=False)

    def hold(self) -> None:
        """Lock the folder for this watch until the process ends.

        Raises:
            AlreadyWatched: another watch has locked it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise AlreadyWatched(
                f"Another watch keeps the incidents in {self.folder}. Stop it, or set ALERTS_DIR to another folder."
            ) from None

    def release(self) -> None:
        """Unlock the folder for another watch."""
        self._lock.release()

    def read(self) -> State | None:
        """Read the saved state; None if there is none.

        Raises:
            PlatformError: the file cannot be read, or has another format.
        """
        try:
            state = State.model_validate_json(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise PlatformError(
                f"{self.file} cannot be read ({type(error).__name__}). Start the watch with `{make('up')}` or "
                "`make dev`: it renames the file and starts with an empty state."
            ) from None
        if state.format != FORMAT:
            raise PlatformError(f"{self.file} has format {state.format}, but this version reads only format {FORMAT}.")
        return state

    def load(self, now: datetime) -> State:
        """Read the saved state, or create the state of a new platform. A damaged file is renamed."""
        try:
            return self.read() or State(began=now, looked=now)
        except PlatformError:
            shutil.move(self.file, self.file.with_suffix(f".damaged-{now:%Y%m%d%H%M%S}"))
            return State(began=now, looked=now)

    def save(self, state: State) -> None:
        """Replace the file in one step. When this returns, the new file survives a crash of the machine."""
        new = self.file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(state.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)
