"""`make status` and `make cursor`: show the sensor's cursor, and move it."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from blocks.batches import Batch, Failed
from blocks.connections import Connections
from blocks.errors import PlatformError, counted, shown
from blocks.incidents import IncidentStore, State, open_incidents, remedy
from blocks.landing import BEGINNING, LandedFile, listing
from blocks.settings import Settings, make
from blocks.words import ago
from flows.sensors.cursor import OVERLAP, Cursor, CursorStore

MOST_SHOWN = 100
"""Maximum number of parked batches to list, newest first."""


def show(cursor: Cursor, store: CursorStore) -> Iterator[str]:
    """Yield lines with the sensor's progress and the unfinished batches."""
    yield f"s3://{store.bucket}/{store.key}"
    since = "of any date" if cursor.floor == BEGINNING else f"dated {_time(cursor.floor)} or later"
    yield f"looks at files {since}; {len(cursor.known()):,} of them have been processed"
    if cursor.pending:
        yield f"claimed: {_batch(cursor.pending)}"
    for each in cursor.accepted:
        yield f"running: {_batch(each.batch)}, flow run {each.run_id}"
    for failed in cursor.failed:
        when = f"retry at {_time(failed.retry_at)}" if failed.retry_at else "parked"
        yield f"{when}: {_failed(failed)}"
    parked = store.parked.parked_objects()
    for failed in store.parked.read([each.key for each in parked[:MOST_SHOWN]]):
        yield f"parked: {_failed(failed)}"
    if len(parked) > MOST_SHOWN:
        yield f"and {len(parked) - MOST_SHOWN:,} older parked batches, {len(parked):,} in all"
    if cursor.released:
        yield "the released batches run as soon as the pipeline is free"
    if cursor.full:
        yield "So many batches have failed that the sensor takes no new files until their retries have ended."


def incidents(state: State | None, now: datetime) -> Iterator[str]:
    """Yield lines with the open incidents."""
    if state is None:
        yield "The watch has not run on this platform yet, so its incidents are not known."
        return
    for each in open_incidents(state, now):
        yield f"INCIDENT {each.key}: {shown(each.what)}"
        yield f"  since {_time(each.since)}, {ago(now, each.since)}; see {shown(each.where)}; type {remedy(each)}"
    if not open_incidents(state, now):
        yield f"no incident is open; the watch last checked at {_time(state.looked)}"


def status(options: argparse.Namespace) -> int:
    """Print the open incidents, then the sensor's progress. Return 1 if there is an incident."""
    state, now = IncidentStore(Settings().alerts_dir).read(), datetime.now(UTC)
    if not options.json:
        for line in incidents(state, now):
            print(line, flush=True)
    lines, error = _sensor(options)
    found = open_incidents(state, now)
    if options.json:
        open_ones = [json.loads(each.model_dump_json(exclude={"evidence", "probe"})) for each in found]
        looked = state.looked.isoformat() if state else None
        answer = {"well": not found and not error, "looked": looked, "incidents": open_ones, "sensor": lines}
        print(json.dumps({**answer, "error": str(error)} if error else answer, indent=2))
    else:
        print("\n".join(lines), flush=True)
    if error:
        raise error
    return 1 if found else 0


def _sensor(options: argparse.Namespace) -> tuple[list[str], PlatformError | None]:
    """Return lines with the sensor's progress, or the error if S3 or Prefect does not answer."""
    try:
        store = _store(options)
        return list(show(store.load()[0], store)), None
    except PlatformError as error:
        return [], error


def rewind(store: CursorStore, files: Iterable[LandedFile], to: datetime, dry_run: bool) -> str:
    """Make the sensor process files again that are dated at `to` or later; return a sentence that says so.

    Raises:
        PlatformError: the time is in the future.
    """
    store.load()
    if to > store.now:
        raise PlatformError(
            f"{_time(to)} is in the future: S3's clock says {_time(store.now)}. Rewind to an earlier time."
        )
    again = sum(file.date >= to for file in files)
    if not dry_run:
        store.change(lambda now: now.rewound(to, store.now))
    return f"process again: {counted(again, 'file')} dated {_time(to)} or later"


def skip(store: CursorStore, files: Iterable[LandedFile], overlap: timedelta, dry_run: bool) -> str:
    """Make the sensor ignore the files in the bucket; return a sentence that says so.

    The sensor still processes uploads that began within the overlap and are not visible yet.
    """
    cursor, _ = store.load()
    floor = store.now - overlap
    skipped, recent = 0, []
    for file in cursor.new(files):
        skipped += 1
        if file.date >= floor:
            recent.append(file)
    if not dry_run:
        store.change(lambda now: now.skipped(recent, floor, store.now))
    return f"skip: {counted(skipped, 'file')} that no run has processed"


def release(store: CursorStore, batches: list[str], dry_run: bool) -> str:
    """Make the sensor retry parked batches, or all of them; return a sentence that says so.

    Raises:
        PlatformError: a batch is not parked.
    """
    chosen = _parked(store, batches)
    if not dry_run and chosen:
        store.parked.check()
        for each in chosen:
            store.parked.release(each)
        store.change(lambda now: now.model_copy(update={"released": True, "unshown": True}))
        _remove(store, chosen)
    return f"retry: {_in_words(chosen) or 'no batch is parked'}"


def forget(store: CursorStore, batches: list[str], dry_run: bool) -> str:
    """Drop parked batches; return a sentence that says so.

    Raises:
        PlatformError: a batch is not parked.
    """
    chosen = _parked(store, batches)
    if not dry_run:
        _remove(store, chosen)
        store.change(lambda now: now.model_copy(update={"unshown": True}))
    return f"never retry: {_in_words(chosen)}"


def main(arguments: list[str] | None = None) -> int:
    """Show or move a sensor's cursor. If that fails, print one paragraph to standard error and return 1."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "show":
            return status(options)
        store = _store(options)
        effect = _move(options, store, listing(store.s3, store.bucket, store.prefix, options.pattern))
        print(f"{'dry run, nothing changed; ' if options.dry_run else ''}{effect}")
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _store(options: argparse.Namespace) -> CursorStore:
    place = Connections(options.profile).landing
    prefix = place.prefix if options.prefix is None else options.prefix
    return CursorStore(place.get_client(), options.bucket or place.bucket, prefix, options.pattern)


def _move(options: argparse.Namespace, store: CursorStore, files: Iterable[LandedFile]) -> str:
    match options.command:
        case "rewind":
            return rewind(store, files, options.to, options.dry_run)
        case "skip":
            return skip(store, files, timedelta(seconds=options.overlap_seconds), options.dry_run)
        case "release":
            return release(store, options.batch, options.dry_run)
        case _:
            return forget(store, options.batch, options.dry_run)


def _parked(store: CursorStore, batches: list[str]) -> list[Failed]:
    """Return the parked batches with these ids, or all if none is given."""
    cursor = store.change(store.store_parked)
    parked = store.parked.named(batches)
    if unknown := set(batches) - {each.batch.id for each in parked}:
        raise PlatformError(f"Not parked: {', '.join(sorted(unknown))}. `{make('status')}` lists the parked batches.")
    if busy := [each.batch.id for each in parked if cursor.contains(each.batch)]:
        raise PlatformError(f"The sensor is busy with {', '.join(busy)}. Try again in a minute.")
    return parked


def _remove(store: CursorStore, parked: list[Failed]) -> None:
    for each in parked:
        store.parked.forget(each)


def _in_words(parked: list[Failed]) -> str:
    named = [_batch(each.batch, failed=True) for each in parked[:MOST_SHOWN]]
    return "; ".join([*named, f"and {len(parked) - MOST_SHOWN:,} more"] if len(parked) > MOST_SHOWN else named)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", help="name of the sensor's saved blocks (default: use the environment)")
    common.add_argument("--bucket", help="the sensor's bucket (default: the profile's, or S3_BUCKET)")
    common.add_argument("--prefix", help="the sensor's prefix (default: the profile's, or S3_PREFIX)")
    common.add_argument("--pattern", default="*", help="the sensor's pattern (default: *)")
    change = argparse.ArgumentParser(add_help=False, parents=[common])
    change.add_argument("--dry-run", action="store_true", help="show the effect without changing anything")
    parser = argparse.ArgumentParser(prog="make cursor", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, options: argparse.ArgumentParser = change) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[options])

    text = "show the open incidents, the sensor's progress and the unfinished batches"
    command("show", text, common).add_argument("--json", action="store_true", help="print JSON")
    to = command("rewind", "process all files again that are dated at a time or later")
    to.add_argument("to", type=_moment, help="e.g. 2013-01-31 or 2013-01-31T06:00+00:00; UTC without a zone")
    skipping = command("skip", "ignore all files that are in the bucket now")
    overlap = f"the sensor's overlap (default: {OVERLAP.seconds})"
    skipping.add_argument("--overlap-seconds", type=int, default=OVERLAP.seconds, help=overlap)
    command("release", "retry parked batches; all of them if none is named").add_argument("batch", nargs="*")
    command("forget", "drop parked batches").add_argument("batch", nargs="+")
    return parser


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text} is not a date such as 2013-01-31 or 2013-01-31T06:00+00:00") from None


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _failed(failed: Failed) -> str:
    return f"{_batch(failed.batch, failed=True)}. {shown(failed.reason)}"


def _batch(batch: Batch, failed: bool = False) -> str:
    # A failed batch already has the number of its next attempt.
    attempt = f"failed in attempt {batch.attempt - 1}" if failed else f"attempt {batch.attempt}"
    return f"batch {batch.id}, {counted(len(batch.files), 'file')} from {shown(batch.files[0].key)}, {attempt}"


if __name__ == "__main__":
    sys.exit(main())
