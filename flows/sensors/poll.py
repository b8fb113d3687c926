"""One poll of the sensor: the order of its effects, the same whether a listing or events say what arrived."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, Field

from blocks.batches import Batch, Failed, Outcome
from blocks.cursor import Cursor, CursorMoved, CursorStore
from blocks.landing import BEGINNING, LandedFile, listing
from flows.sensors.arrivals import Arrivals


class Watch(BaseModel):
    """What is watched: where, which keys, how much is handed on together, and how often a failed batch is tried."""

    bucket: str
    prefix: str
    pattern: str = "*"
    max_batch: int = Field(1000, gt=0)
    overlap: timedelta = timedelta(hours=1)
    quiet: timedelta = timedelta(0)
    reconcile: timedelta = timedelta(hours=1)
    attempts: int = 4
    pause: timedelta = timedelta(minutes=1)


class Runs(Protocol):
    """The pipeline's runs, wherever they run."""

    def busy(self) -> bool:
        """Whether a new batch should wait."""

    def start(self, batch: Batch) -> str:
        """Make sure that the batch has a run; its id."""

    def outcomes(self, run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """How those of the runs ended that have ended."""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Tell whoever wants to know that the files arrived."""

    def show_parked(self, parked: list[Failed]) -> None:
        """Show a person the batches that wait for one."""


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
            return None

    def _poll(self) -> Batch | None:
        cursor, tag = self._settled(*self.store.load())
        batch = cursor.pending
        if not batch:
            cursor, tag, batch = self._next(cursor, tag)
            if batch:
                cursor = cursor.claimed(batch)
                tag = self.store.save(cursor, tag)
        if batch:
            cursor = self._hand_on(cursor, tag, batch)
        if self.arrivals:
            self.arrivals.done(cursor, self.watch.quiet)
        return batch

    def _settled(self, cursor: Cursor, tag: str) -> tuple[Cursor, str]:
        """See which of the accepted runs have ended, and what follows."""
        outcomes = self.runs.outcomes([each.run_id for each in cursor.accepted]) if cursor.accepted else {}
        if not outcomes:
            return cursor, tag
        settled = cursor.settled(outcomes, self.store.now, self.watch.attempts, self.watch.pause)
        if settled.parked != cursor.parked:
            self.runs.show_parked(settled.parked)
        return settled, self.store.save(settled, tag)

    def _next(self, cursor: Cursor, tag: str) -> tuple[Cursor, str, Batch | None]:
        """What to hand on next: the next attempt of a failed batch, or files that are new.

        Prefect is asked before a look that is dear, and otherwise only once there is something to hand on, so that an
        idle poll is one listing and nothing else.
        """
        asked = bool(cursor.accepted or self.arrivals)
        if asked and self.runs.busy():
            return cursor, tag, None
        if batch := cursor.due(self.store.now):
            pass
        elif not cursor.full:
            cursor, tag, batch = self._look(cursor, tag)
        # A wait for events takes long enough for a run to have been asked for meanwhile.
        if batch and (self.arrivals or not asked) and self.runs.busy():
            batch = None
        return cursor, tag, batch

    def _look(self, cursor: Cursor, tag: str) -> tuple[Cursor, str, Batch | None]:
        """New files: from the listing, or from events and now and then from the listing."""
        now = self.store.now
        if not tag:
            cursor = cursor.moved(cursor.floor, now)
        if self.arrivals and now < cursor.reconciled + self.watch.reconcile:
            return cursor, tag, self._batch(cursor, self._notified(self.arrivals), BEGINNING)
        watch, reach = self.watch, now - self.watch.quiet
        files = listing(self.store.s3, watch.bucket, watch.prefix, watch.pattern, cursor.floor)
        batch = self._batch(cursor, files, reach)
        if self.arrivals and not batch:
            cursor = cursor.complete(reach, now, watch.overlap)
            tag = self.store.save(cursor, tag)
        return cursor, tag, batch

    def _notified(self, arrivals: Arrivals) -> list[LandedFile]:
        return arrivals.receive(self.store.s3, self.watch.prefix, self.watch.pattern, self.watch.max_batch)

    def _batch(self, cursor: Cursor, files: Iterable[LandedFile], reach: datetime) -> Batch | None:
        until = self.store.now - self.watch.quiet if self.watch.quiet else None
        return cursor.next_batch(files, self.watch.max_batch, reach, until)

    def _hand_on(self, cursor: Cursor, tag: str, batch: Batch) -> Cursor:
        if self.arrivals:
            self.arrivals.keep()
        run_id = self.runs.start(batch)
        if batch.attempt == 1:
            self.runs.announce(self.watch.bucket, batch.files)
        advanced = cursor.advanced(batch, self.watch.overlap, run_id)
        self.store.save(advanced, tag)
        return advanced
