"""`make status` and `make cursor`: look at the sensor's cursor, and move it."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from blocks.batches import Batch
from blocks.cursor import Cursor, CursorStore, fingerprint
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, LandedFile, listing, s3_client
from blocks.settings import Settings


def show(cursor: Cursor, store: CursorStore) -> Iterator[str]:
    """How far the sensor has come, and which batches are not done with."""
    yield f"s3://{store.bucket}/{store.key}"
    since = "of any date" if cursor.floor == BEGINNING else f"dated {_time(cursor.floor)} or later"
    yield f"looks at files {since}; has handed on {len(cursor.known()):,} of those"
    if cursor.pending:
        yield f"claimed: {_batch(cursor.pending)}"
    for each in cursor.accepted:
        yield f"running: {_batch(each.batch)}, flow run {each.run_id}"
    for failed in cursor.failed:
        when = f"again at {_time(failed.retry_at)}" if failed.retry_at else "parked"
        yield f"{when}: {_batch(failed.batch)}. {failed.reason}"
    if cursor.full:
        yield "So many batches have failed that no new one is taken: mend the cause and release them."


def rewound(cursor: Cursor, store: CursorStore, files: Iterable[LandedFile], to: datetime) -> tuple[Cursor, str]:
    """The cursor that hands on again whatever is dated at a time or later, and what that means in words."""
    again = sum((file.last_modified or BEGINNING) >= to for file in files)
    return cursor.moved(to, store.now), f"{again:,} files dated {_time(to)} or later are handed on again"


def skipped(cursor: Cursor, store: CursorStore, files: Iterable[LandedFile]) -> tuple[Cursor, str]:
    """The cursor that leaves alone whatever is there now, and what that means in words."""
    known = cursor.known()
    new = sum((file.last_modified or BEGINNING) >= cursor.floor and fingerprint(file) not in known for file in files)
    return cursor.moved(store.now, store.now), f"{new:,} files that no run was for are passed over"


def released(cursor: Cursor, store: CursorStore, batches: list[str]) -> tuple[Cursor, str]:
    """The cursor with parked batches, or with all of them, to be tried once more, and what that means in words.

    Raises:
        PlatformError: a batch is not parked.
    """
    parked = {each.batch.id: each.batch for each in cursor.parked}
    if unknown := set(batches) - set(parked):
        raise PlatformError(f"Not parked: {', '.join(sorted(unknown))}. `make status` lists those that are.")
    chosen = batches or list(parked)
    named = "; ".join(_batch(parked[each]) for each in chosen) or "none is parked"
    return cursor.released(chosen, store.now), f"to be tried once more: {named}"


def main(arguments: list[str] | None = None) -> int:
    """Show or move the cursor of S3_BUCKET and S3_PREFIX; 1, with one paragraph on standard error, where it fails."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings()
        store = CursorStore(s3_client(settings), settings.s3_bucket, settings.s3_prefix, options.pattern)
        for line in _run(options, store, settings.s3_prefix):
            print(line)
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, store: CursorStore, prefix: str) -> Iterator[str]:
    cursor, tag = store.load()
    if options.command == "show":
        yield from show(cursor, store)
        return
    if options.command == "release":
        moved, meaning = released(cursor, store, options.batch)
    else:
        files = listing(store.s3, store.bucket, prefix, options.pattern)
        if options.command == "rewind":
            moved, meaning = rewound(cursor, store, files, options.to)
        else:
            moved, meaning = skipped(cursor, store, files)
    if not options.dry_run:
        store.save(moved, tag)
    yield f"{'it would mean: ' if options.dry_run else ''}{meaning}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make cursor", description=main.__doc__)
    parser.add_argument("--pattern", default="*", help="the sensor's pattern (default: *)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="how far it has come, and the batches that are not done with")
    rewind = commands.add_parser("rewind", help="hand on again whatever is dated at a time or later")
    rewind.add_argument("to", type=_moment, help="e.g. 2013-01-31 or 2013-01-31T06:00+00:00; UTC without a zone")
    skip = commands.add_parser("skip", help="leave alone whatever is there now")
    release = commands.add_parser("release", help="try parked batches once more, without a name all of them")
    release.add_argument("batch", nargs="*")
    for command in (rewind, skip, release):
        command.add_argument("--dry-run", action="store_true", help="say what it would mean, and do nothing")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _batch(batch: Batch) -> str:
    return f"batch {batch.id}, {len(batch.files)} files from {batch.files[0].key}, attempt {batch.attempt}"


if __name__ == "__main__":
    sys.exit(main())
