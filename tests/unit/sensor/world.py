"""S3, SQS and Prefect as a sensor meets them, in memory: every call may be throttled, lose its answer, or be the last.

It makes what a real server makes only with luck: multipart uploads dated before newer objects, pages that end anywhere,
notifications that come twice, late or never, another sensor between any two calls, and a crash at each of them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote_plus

from blocks.batches import Batch, Failed, Outcome
from blocks.landing import LandedFile
from blocks.prefect_client import PrefectUnavailable
from blocks.s3_events import Notifications
from flows.sensors.arrivals import Arrivals
from flows.sensors.cursor import CursorStore
from flows.sensors.poll import Sensor, Watch
from tests.unit.sensor.aws import FakeS3, FakeSQS

START = datetime(2013, 1, 1, tzinfo=UTC)
OVERLAP = 5  # seconds
RECONCILE = 30  # seconds
BUCKET, PREFIX, QUEUE = "landing", "inbound/", "http://sqs/1/queue"
Answer = TypeVar("Answer")
Version = tuple[str, str, datetime]


def version(file: LandedFile) -> Version:
    """What makes a version."""
    return file.key, file.etag, file.date


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Run:
    """A run of the pipeline; it has ended once `outcome` is there."""

    batch: Batch
    outcome: Outcome | None = None
    held: bool = False
    deleted: bool = False

    @property
    def live(self) -> bool:
        """Whether it runs, or will."""
        return not (self.held or self.deleted or self.outcome)


@dataclass
class Letter:
    """A message of the queue: out of sight until a second of the clock."""

    body: str
    hidden_until: int = 0


@dataclass
class World:
    """Everything outside the sensor. `fates` says what befalls the calls to come, first to last."""

    now: int = 0
    objects: dict[str, LandedFile] = field(default_factory=dict)
    cursors: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    letters: dict[str, Letter] = field(default_factory=dict)
    dead: list[tuple[str, str]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    announced: list[Version] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    fates: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    page: int = 1000
    versions: int = 0
    other: Callable[[], object] = lambda: None

    def date(self, second: int) -> datetime:
        """The date at a second of the clock."""
        return START + timedelta(seconds=second)

    def put(self, key: str, began: int = 0, copies: int = 1, etag: str = "", delay: int = 0) -> LandedFile:
        """A new version, dated `began` seconds from now, whose notification comes so many times, and so much later."""
        self.versions += 1
        date = self.date(self.now + began)
        file = LandedFile(key=PREFIX + key, etag=etag or f"v{self.versions}", size=1, last_modified=date)
        self.objects[file.key] = file
        record = {
            "eventName": "ObjectCreated:Put",
            "eventTime": f"{self.date(self.now):%Y-%m-%dT%H:%M:%S.000Z}",
            "s3": {"bucket": {"name": BUCKET}, "object": {"key": quote_plus(file.key)}},
        }
        for copy in range(copies):
            name = f"{self.versions}-{copy}"
            self.letters[name] = Letter(json.dumps({"Records": [record]}), self.now + delay)
        return file

    def call(self, name: str, apply: Callable[[], Answer], failure: Callable[[], Exception]) -> Answer:
        """One call, and what befalls it."""
        fate = self.fates.pop(0) if self.fates else ""
        self.effects.append(name)
        if fate == "another sensor polls":
            self.other()
        if fate == "a file arrives":
            self.put(f"{'!~'[self.versions % 2]}{self.versions}")
        if fate == "a person deletes the newest run":
            self.delete_run()
        if fate == "time passes":
            self.now += OVERLAP + 1
        if fate == "an hour passes":
            self.now += 3600
        if fate == "crash before":
            raise Crash(name)
        if fate == "throttled":
            raise failure()
        answer = apply()
        if fate == "crash after":
            raise Crash(name)
        if fate == "answer lost":
            raise failure()
        return answer

    def sensor(self, mode: str = "polling", **watch: Any) -> Sensor:
        """A sensor that has just been started, and polls or waits for events."""
        chosen = Watch(
            bucket=BUCKET,
            prefix=PREFIX,
            **{
                "overlap": timedelta(seconds=OVERLAP),
                "reconcile": timedelta(seconds=RECONCILE),
                "attempts": 3,
                "pause": timedelta(seconds=10),
                **watch,
            },
        )
        s3, sqs = FakeS3(self), FakeSQS(self)
        arrivals = Arrivals(Notifications(sqs, QUEUE, BUCKET, 0, clock=lambda: self.now)) if mode == "events" else None
        return Sensor(chosen, CursorStore(s3, BUCKET, PREFIX), FakeRuns(self), arrivals)

    def delete_run(self) -> None:
        """A person deletes the newest run, whatever its state."""
        for key, identity in reversed(self.by_key.items()):
            self.runs[identity].deleted = True
            del self.by_key[key]
            return

    def check(self) -> None:
        """No batch has two live runs."""
        live = Counter((run.batch.id, run.batch.generation) for run in self.runs.values() if run.live)
        assert set(live.values()) <= {1}, live

    def end_runs(self, outcomes: Iterator[str]) -> None:
        """Let every run end that has not."""
        for run in self.runs.values():
            if run.live:
                kind = next(outcomes, "well")
                run.outcome = Outcome(well=kind == "well", again=kind != "cancelled", reason=kind)

    def visible(self) -> set[Version]:
        return {version(file) for file in self.objects.values()}

    def handed_on(self) -> list[Version]:
        """Every version once for each batch that it is part of; a batch is one however often it was tried."""
        begun = [run for run in self.runs.values() if not run.held]
        batches = {(run.batch.id, run.batch.generation): run.batch for run in begun}
        return [version(file) for batch in batches.values() for file in batch.files]


class FakeRuns:
    """A deployment on a Prefect server: an idempotency key has one run, until a person deletes it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def is_busy(self) -> bool:
        return self.world.call("busy?", lambda: sum(run.live for run in self.world.runs.values()) > 1, _unavailable)

    def start(self, batch: Batch) -> str:
        key = batch.idempotency_key

        def apply() -> str:
            self.world.asked[key] += 1
            identity = self.world.by_key.setdefault(key, f"run {len(self.world.runs)}")
            self.world.runs.setdefault(identity, Run(batch, held=True))
            return identity

        return self.world.call("start", apply, _unavailable)

    def discard(self, run_id: str) -> None:
        def apply() -> None:
            if self.world.runs[run_id].held:
                self.world.runs[run_id].deleted = True
                self.world.by_key = {key: each for key, each in self.world.by_key.items() if each != run_id}

        self.world.call("discard", apply, _unavailable)

    def outcomes(self, run_ids: Iterable[str]) -> dict[str, Outcome]:
        wanted = list(run_ids)

        def apply() -> dict[str, Outcome]:
            runs = {each: self.world.runs[each] for each in wanted}
            for run in runs.values():
                run.held = run.held and run.deleted
            self.world.check()
            gone = {each: Outcome(well=False, again=True) for each, run in runs.items() if run.deleted}
            return gone | {each: run.outcome for each, run in runs.items() if run.outcome and not run.deleted}

        return self.world.call("outcomes", apply, _unavailable)

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        versions = [version(file) for file in files]

        def apply() -> None:
            self.world.announced += [each for each in versions if each not in self.world.announced]

        self.world.call("announce", apply, _unavailable)

    def show_failed(self, place: str, failed: list[Failed]) -> None:
        def apply() -> None:
            self.world.parked = [each.batch.id for each in failed if not each.retry_at]
            self.world.retried = [each.batch.id for each in failed if each.retry_at]

        self.world.call("show failed", apply, _unavailable)


def _unavailable() -> Exception:
    return PrefectUnavailable("Prefect does not answer.")
