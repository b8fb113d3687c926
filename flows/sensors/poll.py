"""One poll of the sensor. Its effects have the same order, whether files are found by a listing or by events."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from prefect.logging import get_logger
from pydantic import BaseModel, Field

from blocks.batches import Batch, Failed, Outcome
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, LandedFile, listing
from flows.sensors.arrivals import Arrivals
from flows.sensors.cursor import OVERLAP, Cursor, CursorMoved, CursorStore
from flows.sensors.versions import fingerprint

NONE = timedelta(0)

MOST_SHOWN = 50
"""The most batches that the artifact of failed batches has."""


class Watch(BaseModel):
    """The settings of a sensor: which keys it watches, how many files a batch has, and how often a batch is tried."""

    bucket: str
    prefix: str
    pattern: str = "*"
    max_batch: int = Field(1000, gt=0)
    overlap: timedelta = Field(OVERLAP, ge=NONE)
    quiet: timedelta = Field(NONE, ge=NONE)
    reconcile: timedelta = Field(timedelta(hours=1), ge=NONE)
    attempts: int = 4
    pause: timedelta = timedelta(minutes=1)


class Runs(Protocol):
    """The pipeline's runs."""

    def is_busy(self) -> bool:
        """Return whether a new batch should wait."""

    def start(self, batch: Batch) -> str:
        """Make sure that the batch has a run, and return its id. The run starts after `outcomes` was called for it."""

    def outcomes(self, run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """Return how the ended runs ended, and allow those that have not started yet to start."""

    def discard(self, run_id: str) -> None:
        """Delete a run that `start` created and that the cursor does not name, unless it may start already."""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Emit an event for each file that arrived."""

    def show_failed(self, place: str, failed: list[Failed]) -> None:
        """Show a cursor's failed batches: those that will be retried, and the newest parked ones."""


@dataclass
class Sensor:
    """Finds new files and starts a run for each batch of them.

    The sensor saves a batch to the cursor before it starts the run, and removes it afterwards. After a crash between
    any two steps, it starts the same batch again with the same idempotency key.
    """

    watch: Watch
    store: CursorStore
    runs: Runs
    arrivals: Arrivals | None = None

    def poll(self) -> Batch | None:
        """Look once, and start a run if there are new files.

        Returns:
            The batch, or None if no file is new, the pipeline is busy, or another sensor was first.
        """
        try:
            return self._poll()
        except CursorMoved:
            self._give_back()
            return None
        except PlatformError:
            self._give_back()
            raise

    def _poll(self) -> Batch | None:
        cursor, tag = self._settled(*self.store.load())
        moved = cursor if cursor.pending else self._next(cursor)
        if moved is not cursor:
            tag = self.store.save(moved, tag)
        if batch := moved.pending:
            moved = self._start(moved, tag, batch)
        if self.arrivals:
            self.arrivals.done(moved, self.watch.quiet)
        return batch

    def _settled(self, cursor: Cursor, tag: str) -> tuple[Cursor, str]:
        """Record the outcomes of the runs that have ended. Return the cursor and its tag."""
        outcomes = self.runs.outcomes([each.run_id for each in cursor.accepted]) if cursor.accepted else {}
        settled = cursor
        if outcomes:
            settled = cursor.settled(outcomes, self.store.now, self.watch.attempts, self.watch.pause)
        settled = self.store.store_parked(settled)
        if settled.unshown and self._shown(settled):
            settled = settled.model_copy(update={"unshown": False})
        return settled, tag if settled is cursor else self.store.save(settled, tag)

    def _shown(self, cursor: Cursor) -> bool:
        """Show which batches failed. Return whether that worked: an error is only logged, so that polling goes on."""
        parked = self.store.parked
        try:
            newest = parked.read([each.key for each in parked.parked_objects()[:MOST_SHOWN]])
            self.runs.show_failed(self.store.place, [*cursor.failed, *newest][:MOST_SHOWN])
        except PlatformError as error:
            get_logger("sensor").warning("The artifact of the failed batches is out of date. %s", error)
            return False
        return True

    def _next(self, cursor: Cursor) -> Cursor:
        """Return a cursor that claims the next batch: a failed batch that is due, or new files.

        The sensor asks Prefect first if runs are open or it uses events, because looking costs more then. Otherwise it
        asks only when it has found a batch, so that an idle poll is a single listing.
        """
        asks_first = bool(cursor.accepted or self.arrivals)
        if asks_first and self.runs.is_busy():
            return cursor
        updated, batch = cursor, cursor.due(self.store.now)
        if not batch and cursor.released:
            updated, batch = self._released(cursor)
        if not batch and not cursor.full:
            updated, batch = self._look(updated)
        # Waiting for events takes so long that another run may have been created since the first question.
        if batch and (self.arrivals or not asks_first) and self.runs.is_busy():
            return cursor
        return updated.claimed(batch) if batch else updated

    def _released(self, cursor: Cursor) -> tuple[Cursor, Batch | None]:
        """Return the next batch that a person has released."""
        if found := self.store.parked.next_released():
            return cursor.model_copy(update={"taken": found[0]}), found[1].batch
        return cursor.model_copy(update={"released": False}), None

    def _look(self, cursor: Cursor) -> tuple[Cursor, Batch | None]:
        """Return the next batch of new files. With events, the bucket is listed only every `reconcile`."""
        watch, now = self.watch, self.store.now
        until = now - watch.quiet if watch.quiet else None
        if not self.arrivals:
            return cursor, cursor.next_batch(self._listing(cursor), watch.max_batch, now - watch.quiet, until)
        if now < cursor.reconciled + watch.reconcile:
            cursor = cursor.with_events(now)
            files = self._arrived(cursor, self.arrivals)
            return cursor, cursor.next_batch(files, watch.max_batch, BEGINNING, until, floor=BEGINNING)
        cursor = cursor.with_events(now)
        files_after = self._listing(cursor, cursor.listed_to)
        return cursor.next_listed(files_after, watch.max_batch, now, watch.overlap, watch.quiet)

    def _arrived(self, cursor: Cursor, arrivals: Arrivals) -> list[LandedFile]:
        """Return the files that events name, without those that were processed long ago.

        A file from before the floor that was not processed took longer to upload than the overlap. A listing would no
        longer find it.
        """
        watch, since = self.watch, cursor.events_since or BEGINNING
        files = arrivals.receive(self.store.s3, watch.prefix, watch.pattern, watch.max_batch)
        if old := [file for file in cursor.new(files, floor=BEGINNING) if file.date < cursor.floor]:
            processed = self.store.processed.find(old)
            arrivals.skip(
                [each for each in old if fingerprint(each) in processed or (arrivals.uploaded(each) or since) < since]
            )
        return arrivals.files

    def _listing(self, cursor: Cursor, after: str = "") -> Iterator[LandedFile]:
        watch = self.watch
        return listing(self.store.s3, watch.bucket, watch.prefix, watch.pattern, cursor.floor, after)

    def _start(self, cursor: Cursor, tag: str, batch: Batch) -> Cursor:
        def advance(current: Cursor) -> Cursor:
            if current.pending != batch:
                raise CursorMoved(f"Another sensor has started the batch {batch.id} of {self.store.place}.")
            return current.advanced(batch, self.watch.overlap, run_id)

        if cursor.taken:
            self.store.parked.take(cursor.taken)
        if batch.attempt == 1:
            self.runs.announce(self.watch.bucket, batch.files)
        if self.arrivals:
            self.arrivals.keep()
        run_id = self.runs.start(batch)
        try:
            moved = self.store.change(advance, (cursor, tag))
        except CursorMoved:
            self._discard_late(run_id, batch)
            raise
        self.runs.outcomes([run_id])
        return moved

    def _discard_late(self, run_id: str, batch: Batch) -> None:
        """Delete this sensor's run if another sensor has started the batch already and that run has ended."""
        cursor = self.store.load()[0]
        if cursor.pending != batch and run_id not in [each.run_id for each in cursor.accepted]:
            self.runs.discard(run_id)

    def _give_back(self) -> None:
        if self.arrivals:
            self.arrivals.give_back()
