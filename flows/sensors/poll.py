"""One poll of the sensor: the order of its effects, the same whether a listing or events say what arrived."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from prefect.logging import get_logger
from pydantic import BaseModel, Field

from blocks.batches import Batch, Failed, Outcome
from blocks.cursor import OVERLAP, Cursor, CursorMoved, CursorStore
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, LandedFile, listing
from blocks.versions import fingerprint
from flows.sensors.arrivals import Arrivals

NONE = timedelta(0)

MOST_SHOWN = 50
"""Batches in the artifact of those that failed."""


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


class Runs(Protocol):
    """The pipeline's runs."""

    def busy(self) -> bool:
        """Whether a new batch should wait."""

    def start(self, batch: Batch) -> str:
        """Make sure that the batch has a run, which starts once `outcomes` was asked for it; its id."""

    def outcomes(self, run_ids: Iterable[str]) -> Mapping[str, Outcome]:
        """How those of the runs ended that have ended; those that have not started yet may."""

    def discard(self, run_id: str) -> None:
        """Remove a run that `start` made and that the cursor does not name, unless it may start."""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Tell whoever wants to know that the files arrived."""

    def show_failed(self, place: str, failed: list[Failed]) -> None:
        """Show a person a cursor's failed batches: those that will be tried again, and the newest parked ones."""


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

    def _poll(self) -> Batch | None:
        cursor, tag = self._settled(*self.store.load())
        moved = cursor if cursor.pending else self._next(cursor)
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
        settled = self.store.apart(settled)
        if settled.unshown and self._shown(settled):
            settled = settled.model_copy(update={"unshown": False})
        return settled, tag if settled is cursor else self.store.save(settled, tag)

    def _shown(self, cursor: Cursor) -> bool:
        """Whether a person can see which batches failed; that it is refused holds up nothing."""
        parked = self.store.parked
        try:
            newest = parked.read([each.key for each in parked.found()[:MOST_SHOWN]])
            self.runs.show_failed(self.store.place, [*cursor.failed, *newest][:MOST_SHOWN])
        except PlatformError as error:
            get_logger("sensor").warning("The artifact of the failed batches is old. %s", error)
            return False
        return True

    def _next(self, cursor: Cursor) -> Cursor:
        """The cursor that claims what to hand on next: a failed batch's next attempt, or files that are new.

        Prefect is asked before a look that is dear, and otherwise only once there is something to hand on, so that an
        idle poll is one listing and nothing else.
        """
        asked = bool(cursor.accepted or self.arrivals)
        if asked and self.runs.busy():
            return cursor
        looked, batch = cursor, cursor.due(self.store.now)
        if not batch and cursor.released:
            looked, batch = self._released(cursor)
        if not batch and not cursor.full:
            looked, batch = self._look(looked)
        # A wait for events takes long enough for a run to have been asked for meanwhile.
        if batch and (self.arrivals or not asked) and self.runs.busy():
            return cursor
        return looked.claimed(batch) if batch else looked

    def _released(self, cursor: Cursor) -> tuple[Cursor, Batch | None]:
        """The next of the batches that a person has released."""
        if found := self.store.parked.next_released():
            return cursor.model_copy(update={"taken": found[0]}), found[1].batch
        return cursor.model_copy(update={"released": False}), None

    def _look(self, cursor: Cursor) -> tuple[Cursor, Batch | None]:
        """New files: from the listing, or from events and now and then from the listing."""
        watch, now = self.watch, self.store.now
        until = now - watch.quiet if watch.quiet else None
        if not self.arrivals:
            return cursor, cursor.next_batch(self._listing(cursor), watch.max_batch, now - watch.quiet, until)
        if now < cursor.reconciled + watch.reconcile:
            cursor = cursor.told(now)
            files = self._arrived(cursor, self.arrivals)
            return cursor, cursor.next_batch(files, watch.max_batch, BEGINNING, until, floor=BEGINNING)
        cursor = cursor.told(now)
        files_after = self._listing(cursor, cursor.listed_to)
        return cursor.walked(files_after, watch.max_batch, now, watch.overlap, watch.quiet)

    def _arrived(self, cursor: Cursor, arrivals: Arrivals) -> list[LandedFile]:
        """The files of events, but for those dated before the floor that were handed on long ago.

        The others of these took longer to upload than the overlap: no listing finds them any more.
        """
        watch, since = self.watch, cursor.events_since or BEGINNING
        files = arrivals.receive(self.store.s3, watch.prefix, watch.pattern, watch.max_batch)
        if old := [file for file in cursor.new(files, floor=BEGINNING) if file.date < cursor.floor]:
            passed = self.store.passed.among(old)
            arrivals.leave(
                [each for each in old if fingerprint(each) in passed or (arrivals.uploaded(each) or since) < since]
            )
        return arrivals.files

    def _listing(self, cursor: Cursor, after: str = "") -> Iterator[LandedFile]:
        watch = self.watch
        return listing(self.store.s3, watch.bucket, watch.prefix, watch.pattern, cursor.floor, after)

    def _hand_on(self, cursor: Cursor, tag: str, batch: Batch) -> Cursor:
        def handed_on(now: Cursor) -> Cursor:
            if now.pending != batch:
                raise CursorMoved(f"Another sensor has handed on the batch {batch.id} of {self.store.place}.")
            return now.advanced(batch, self.watch.overlap, run_id)

        if cursor.taken:
            self.store.parked.take(cursor.taken)
        if batch.attempt == 1:
            self.runs.announce(self.watch.bucket, batch.files)
        if self.arrivals:
            self.arrivals.keep()
        run_id = self.runs.start(batch)
        try:
            moved = self.store.change(handed_on, (cursor, tag))
        except CursorMoved:
            self._disown(run_id, batch)
            raise
        self.runs.outcomes([run_id])
        return moved

    def _disown(self, run_id: str, batch: Batch) -> None:
        """Remove the run that this sensor made too late, after another had handed on the batch and seen its run end."""
        cursor = self.store.load()[0]
        if cursor.pending != batch and run_id not in [each.run_id for each in cursor.accepted]:
            self.runs.discard(run_id)

    def _give_back(self) -> None:
        if self.arrivals:
            self.arrivals.give_back()
