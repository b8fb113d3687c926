"""Incidents and the messages about them. State on disk ensures that each incident is reported once, despite restarts.

One file holds the open incidents and the messages that no receiver has taken yet. It is replaced in one step before
anything is sent, so a crash loses no message; one between a message's arrival and the next save sends it again with
the same `id`.
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
"""How many ids of messages that have arrived are remembered."""
MOST_UNSENT = 1000
"""Messages that wait for a receiver; the oldest give way."""
MOST_NAMED = 5
LOOKED = "looked"
"""Name of the file beside the incidents that the sensor touches while its looks succeed."""


SILENCE = timedelta(minutes=2)
"""A watch that has not looked for so long is silent."""
UNSENT = timedelta(minutes=2)
"""A message that the receiver has not taken for so long is an incident, too."""
AGAIN = timedelta(minutes=1)
"""From one attempt to send a message that was set aside to the next."""
KEPT = timedelta(days=1)
"""For how long a message is tried that the receiver refuses while it takes others."""
TRIES = 5
"""A receiver that fails this often to take a message may yet take the ones after it."""


class AlreadyWatched(PlatformError):
    """Another watch process keeps the incidents of this folder."""


class Incident(BaseModel):
    """Something that is wrong, from its beginning to its end.

    Attributes:
        key: what and which; the same as long as it is the same incident.
        kind: the cause, as docs/alerts.md lists them.
        what: happened, in a sentence.
        since: when it began.
        opened: when it was noticed, which tells it from an earlier one of the same key and beginning.
        impact: on the tables.
        where: to look.
        command: to type, as a shell takes it.
        advice: when to type it, or what else to do.
        probe: which part of the watch sees it, and says when it is over.
        evidence: what keeps it open, for the probe alone.
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
    """What to type, and when."""
    return f"{of.command}, {of.advice}" if of.advice else of.command


class Message(BaseModel):
    """What is sent: an incident has begun (`open`) or is over (`over`), or a person tries the chain (`test`).

    `id` is the same for each attempt to send it, so that a receiver can tell a repetition.
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
        """The message of an incident's beginning, or of its end at `until`."""
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
        """The message as people read it."""
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
    """The attempts to send a message that the receiver has not taken.

    Attributes:
        why: the last one failed.
        since: the first one.
        last: when the last one was.
        tries: how many there were; a refusal for good counts as TRIES.
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
    """What the watch knows: open incidents by key, unsent messages in order, and ids of those that have arrived.

    `began` is when the first watch looked: what ended before that is nobody's incident. `looked` is the last look.
    `has_receiver` says whether messages go anywhere. `failures` has the unsent messages that were tried, by id;
    `took` is when the receiver last took a message.
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
        """Add messages that are to be sent; one that is queued or has arrived already is not added."""
        known = {each.id for each in self.unsent} | set(self.sent)
        self.unsent = [*self.unsent, *(each for each in messages if each.id not in known)][-MOST_UNSENT:]

    def arrived(self, message: Message, now: datetime) -> None:
        """Note that a receiver has taken a message."""
        self.drop(message)
        self.sent = [*self.sent, message.id][-MOST_SENT:]
        self.took = now

    def failed(self, message: Message, why: str, tries: int, now: datetime) -> Failure:
        """Note that the receiver did not take a message, which counts as so many tries."""
        before = self.failures.get(message.id) or Failure(why=why, since=now, last=now, tries=0)
        failure = before.model_copy(update={"why": why, "last": now, "tries": before.tries + tries})
        self.failures = {**self.failures, message.id: failure}
        return failure

    def gives_up(self, failure: Failure) -> bool:
        """Whether a message has been tried for KEPT, and the receiver took others meanwhile."""
        return failure.last - failure.since > KEPT and self.took is not None and self.took > failure.since

    def drop(self, message: Message) -> None:
        """Be done with a message."""
        self.unsent = [each for each in self.unsent if each.id != message.id]
        self.failures = {each.id: self.failures[each.id] for each in self.unsent if each.id in self.failures}

    def due(self, now: datetime) -> list[Message]:
        """The messages to send now, in order. One that was set aside also comes before another of its incident."""
        new = {each.key for each in self.unsent if not self._is_aside(each)}
        return [each for each in self.unsent if each.key in new or now - self.failures[each.id].last >= AGAIN]

    def _is_aside(self, message: Message) -> bool:
        return message.id in self.failures and self.failures[message.id].is_aside


def open_incidents(state: State | None, now: datetime) -> list[Incident]:
    """The incidents that the watch knows, and those that no message can tell."""
    return [*untold(state, now), *(state.incidents.values() if state else [])]


def untold(state: State | None, now: datetime) -> list[Incident]:
    """The incidents that no message can tell: the watch does not look, or its messages do not arrive."""
    return [*silent(state, now), *unsent(state, now)]


def unsent(state: State | None, now: datetime) -> list[Incident]:
    """The incident of messages that the receiver refuses, or has not taken for UNSENT."""
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
    """The incident of a watch that does not look, which it cannot tell itself; nothing where nobody watches."""
    if state is None or now - state.looked <= SILENCE:
        return []
    return [
        Incident(
            key="watch_silent/watch",
            kind="watch_silent",
            what=f"The watch has not looked since {state.looked:%Y-%m-%d %H:%M:%S} UTC.",
            since=state.looked,
            impact="Incidents are not reported. The published tables stay as they are.",
            where="the watch's log",
            command=start_again(),
        )
    ]


class IncidentStore:
    """The incidents of one platform, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "incidents.json"
        self._lock = FileLock(folder / "watch.lock", thread_local=False)

    def hold(self) -> None:
        """Be the one watch of this folder until the process ends.

        Raises:
            AlreadyWatched: another one is.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise AlreadyWatched(
                f"Another watch keeps the incidents in {self.folder}. Stop it, or set ALERTS_DIR to another folder."
            ) from None

    def release(self) -> None:
        """Let another watch take over."""
        self._lock.release()

    def read(self) -> State | None:
        """What was saved last; None if nothing was.

        Raises:
            PlatformError: the file cannot be read, or is of another version.
        """
        try:
            state = State.model_validate_json(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise PlatformError(
                f"{self.file} cannot be read ({type(error).__name__}). `{make('up')}` or `make dev` starts the "
                "watch, which sets the file aside and begins anew."
            ) from None
        if state.format != FORMAT:
            raise PlatformError(f"{self.file} has format {state.format}, and this version reads {FORMAT}.")
        return state

    def load(self, now: datetime) -> State:
        """What was saved last, or the state of a platform that nobody has watched; a damaged file is set aside."""
        try:
            return self.read() or State(began=now, looked=now)
        except PlatformError:
            shutil.move(self.file, self.file.with_suffix(f".damaged-{now:%Y%m%d%H%M%S}"))
            return State(began=now, looked=now)

    def save(self, state: State) -> None:
        """Replace the file in one step; it survives a crash of the machine from here on."""
        new = self.file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(state.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)
