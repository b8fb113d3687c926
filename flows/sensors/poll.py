"""One poll of the sensor: the order of its effects, the same whether a listing or events say what arrived."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, Field

from blocks.batches import Batch, Failed, Outcome
from blocks.cursor import OVERLAP, Cursor, CursorMoved, CursorStore
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, LandedFile, listing
from flows.sensors.arrivals import Arrivals
from flows.sensors.repeat import repeating

NONE = timedelta(0)


class Watch(BaseModel):
    """What is watched: where, which keys, how much is handed on together, and how often a failed batch is tried."""

    bucket: str
    prefix: str
    pattern: str = "*"
    max_batch: int = Field(1000, gt=0)
    overlap: timedelta = Field(OVERLAP, ge=NONE)
    quiet: timedelta = Field(NONE, ge=NONE)
    reconcile: timedelta = Field(timedelta(hours=1), ge=NONE)
    attempts: int = 4
    pause: timedelta = timedelta(minutes=1)
    hold: timedelta = timedelta(minutes=2)


class Runs(Protocol):
    """The pipeline's runs; `here` says whether they are made in this process, and end with it."""

    here: bool

    def busy(self) -> bool:
        """Whether a new batch should wait."""

    def start(self, batch: Batch) -> str:
        """Make sure that the batch has a run; its id."""

    def outcomes(self, run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """How those of the runs ended that have ended."""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Tell whoever wants to know that the files arrived."""

    def show_parked(self, place: str, parked: list[Failed]) -> None:
        """Show a person the batches of a cursor that wait for one."""


@dataclass
class Sensor:
    """Looks for new files and hands them on, batch by batch.

    A batch is written into the cursor before it is handed on and crossed off afterwards, so that after a crash between
    any two steps the very same batch, with the same idempotency key, is handed on again.
    """

    watch: Watch
    store: CursorStore
    runs: Runs
    arrivals: Arrivals | None = None

    def poll(self) -> Batch | None:
        """Look once; hand on the files that are new, if any.

        Returns:
            The batch; None where nothing is new, the pipeline is busy, or another sensor was first and has it.
        """
        try:
            return self._poll()
        except CursorMoved:
            self._give_back()
            return None
        except PlatformError:
            self._give_back()
            raise

    def settle(self) -> None:
        """See which of the accepted runs have ended; the next attempt of a failed batch is left to a poll."""
        self._settled(*self.store.load())

    def _poll(self) -> Batch | None:
        cursor, tag = self._settled(*self.store.load())
        if cursor.held(self.store.now, self.runs.here):
            return None
        moved = self._claimed(cursor, cursor.pending) if cursor.pending else self._next(cursor)
        if moved is not cursor:
            tag = self.store.save(moved, tag)
        if batch := moved.pending:
            moved = self._hand_on(moved, tag, batch)
        if self.arrivals:
            self.arrivals.done(moved, self.watch.quiet)
        return batch

    def _settled(self, cursor: Cursor, tag: str) -> tuple[Cursor, str]:
        """See which of the accepted runs have ended, and what follows."""
        outcomes = self.runs.outcomes([each.run_id for each in cursor.accepted]) if cursor.accepted else {}
        settled = cursor
        if outcomes:
            settled = cursor.settled(outcomes, self.store.now, self.watch.attempts, self.watch.pause)
        parked = [each.batch.id for each in settled.parked]
        if parked != settled.shown:
            self.runs.show_parked(self.store.place, settled.parked)
            settled = settled.model_copy(update={"shown": parked})
        return settled, tag if settled is cursor else self.store.save(settled, tag)

    def _claimed(self, cursor: Cursor, batch: Batch) -> Cursor:
        """The cursor with our claim; a claim by which each of the sensors may go on is left as it is."""
        if cursor.pending and not cursor.held_here and not self.runs.here:
            return cursor
        return cursor.claimed(batch, self.store.now + self.watch.hold, self.runs.here)

    def _next(self, cursor: Cursor) -> Cursor:
        """The cursor that claims what to hand on next: a failed batch's next attempt, or files that are new.

        Prefect is asked before a look that is dear, and otherwise only once there is something to hand on, so that an
        idle poll is one listing and nothing else.
        """
        asked = bool(cursor.accepted or self.arrivals)
        if asked and self.runs.busy():
            return cursor
        looked, batch = cursor, cursor.due(self.store.now)
        if not batch and not cursor.full:
            looked, batch = self._look(cursor)
        # A wait for events takes long enough for a run to have been asked for meanwhile.
        if batch and (self.arrivals or not asked) and self.runs.busy():
            return cursor
        return self._claimed(looked, batch) if batch else looked

    def _look(self, cursor: Cursor) -> tuple[Cursor, Batch | None]:
        """New files: from the listing, or from events and now and then from the listing."""
        watch, now = self.watch, self.store.now
        until = now - watch.quiet if watch.quiet else None
        if not self.arrivals:
            return cursor, cursor.next_batch(self._listing(cursor), watch.max_batch, now - watch.quiet, until)
        if now < cursor.reconciled + watch.reconcile:
            files = self.arrivals.receive(self.store.s3, watch.prefix, watch.pattern, watch.max_batch)
            return cursor, cursor.next_batch(files, watch.max_batch, BEGINNING, until)
        files_after = self._listing(cursor, cursor.listed_to)
        return cursor.walked(files_after, watch.max_batch, now, watch.overlap, watch.quiet)

    def _listing(self, cursor: Cursor, after: str = "") -> Iterator[LandedFile]:
        watch = self.watch
        return listing(self.store.s3, watch.bucket, watch.prefix, watch.pattern, cursor.floor, after)

    def _hand_on(self, cursor: Cursor, tag: str, batch: Batch) -> Cursor:
        def handed_on(now: Cursor) -> Cursor:
            if now.pending != batch:
                raise CursorMoved(f"Another sensor has handed on the batch {batch.id} of {self.store.place}.")
            return now.advanced(batch, self.watch.overlap, run_id)

        if batch.attempt == 1:
            self.runs.announce(self.watch.bucket, batch.files)
        if self.arrivals:
            self.arrivals.keep()
        with self._held(batch):
            run_id = self.runs.start(batch)
        return self.store.change(handed_on, None if self.runs.here else (cursor, tag))

    @contextmanager
    def _held(self, batch: Batch) -> Iterator[None]:
        """Keep the claim, and the messages, while the batch's run goes on in this process."""
        if not self.runs.here:
            yield
            return
        with repeating(lambda: self._renew(batch), self.watch.hold.total_seconds() / 4):
            yield

    def _renew(self, batch: Batch) -> None:
        def renewed(now: Cursor) -> Cursor:
            return now.claimed(batch, self.store.now + self.watch.hold, here=True) if now.pending == batch else now

        self.store.change(renewed)
        if self.arrivals:
            self.arrivals.keep()

    def _give_back(self) -> None:
        if self.arrivals:
            self.arrivals.give_back()
