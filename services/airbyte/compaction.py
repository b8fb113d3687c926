"""A stream's folder with a few large Parquet files in place of many small ones, and the same rows.

The new folder is filled beside the old one, and then the two change places in one step: a reader finds the old files or
the new ones, also after a crash at any point.
"""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import duckdb

from services.airbyte.convert import copy
from services.airbyte.durable import commit, sync
from services.airbyte.errors import DestinationError
from services.airbyte.lake_lock import LakeInUse, alone
from services.airbyte.names import COMPACTED, SCHEMA_FILES, digest

LARGE = 128 << 20
"""Bytes from which a file stays as it is; smaller ones are gathered until they have as many together."""
WORK = "compacted"
"""The hidden folder that the new files gather in. What is left of it after a crash are files that no reader sees."""
ORDER = "_airbyte_extracted_at, _ab_source_file_url, _airbyte_raw_id"
"""Readers skip groups of rows by when they were loaded and by their file; the keys of most files grow with both."""
FILES = "read_parquet(?, union_by_name = true, hive_partitioning = false)"
AT_CWD, EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux; macOS has RENAME_SWAP, with the same value."""


def compact(
    connection: duckdb.DuckDBPyConnection,
    place: Path,
    recorded: Collection[str],
    temporary: Path,
    waiting: Callable[[], None],
) -> tuple[int, int]:
    """Merge the small files of a stream; return how many files with rows it had, and has.

    Only files of the same columns and types are merged, so that no value is converted. A file that the state does not
    know yet keeps its name, by which the next attempt finds it.

    Args:
        connection: DuckDB's, with its limits.
        place: the stream's folder, or a link to it.
        recorded: names of the files that the state knows.
        temporary: path of a file in `place` that readers do not see.
        waiting: called before each step that may take long.

    Raises:
        DestinationError: dbt has read the lake all the time, or the file system cannot exchange two folders.
        OSError, duckdb.Error: the new files cannot be written; readers keep the old ones.
    """
    folder, work = place.resolve(), place.parent / f".{place.name}" / WORK
    sweep(work)
    files = sorted(set(folder.glob("*.parquet")) - set(folder.glob(SCHEMA_FILES)), key=_written)
    known = [file for file in files if file.name in recorded or file.name.startswith(COMPACTED)]
    merged: set[Path] = set()
    try:
        for batch in _batches(connection, known):
            waiting()
            work.mkdir(parents=True, exist_ok=True)
            _merge(connection, batch, temporary)
            os.utime(temporary, ns=(batch[-1].stat().st_mtime_ns,) * 2)  # its newest rows are as old as before
            commit(temporary, work / _name(batch))
            merged.update(batch)
        if merged:
            added = sum(1 for _ in work.iterdir())
            _replace(folder, work, merged, waiting)
            return len(files), len(files) - len(merged) + added
    finally:
        sweep(work)
    return len(files), len(files)


def sweep(work: Path) -> None:
    """Remove the hidden folder: what it holds is of no use, before the exchange and after it."""
    shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # it holds something else, or was not there
        work.parent.rmdir()


def _batches(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Iterator[list[Path]]:
    """The small files that are to become one file each, in the order in which they were written."""
    small = [file for file in files if file.stat().st_size < LARGE]
    if len(small) < 2:
        return
    query = (
        "SELECT file_name, list((name, duckdb_type) ORDER BY name)::VARCHAR FROM parquet_schema(?) "
        "WHERE duckdb_type IS NOT NULL GROUP BY ALL"
    )
    shapes = dict(connection.execute(query, [[str(file) for file in small]]).fetchall())
    for _, alike in groupby(sorted(small, key=lambda file: str(shapes[str(file)])), lambda file: shapes[str(file)]):
        batch, size = list[Path](), 0
        for file in alike:
            batch.append(file)
            size += file.stat().st_size
            if size >= LARGE:
                yield batch
                batch, size = [], 0
        if len(batch) > 1:
            yield batch


def _merge(connection: duckdb.DuckDBPyConnection, batch: Sequence[Path], temporary: Path) -> None:
    """Write the rows of some files to one, in order, and compare them with what was read."""
    before = [str(file) for file in batch]
    width = len(connection.execute(f"DESCRIBE FROM {FILES}", [before]).fetchall())
    copy(connection, f"FROM {FILES} ORDER BY {ORDER}", temporary, width, [before])
    rows = f"SELECT count(*), sum(hash(each)) FROM (FROM {FILES}) AS each"  # noqa: S608 - a constant
    old, new = (connection.execute(rows, [names]).fetchall() for names in (before, [str(temporary)]))
    if old != new:
        raise duckdb.IOException(f"{len(batch)} files have other rows once they are merged: {old} became {new}")


def _replace(folder: Path, work: Path, merged: Collection[Path], waiting: Callable[[], None]) -> None:
    """Let the folder hold what is in `work`, and those of its own files that were not merged."""
    for file in set(folder.glob("*.parquet")) - set(merged):
        os.link(file, work / file.name)
    shutil.copymode(folder, work)
    sync(work)
    try:
        with alone(work.parent.parent, waiting):
            _exchange(folder, work)
            sync(folder.parent)
            sync(work.parent)
    except LakeInUse as error:
        raise DestinationError(
            "system_error",
            f"The files of {folder.name} cannot be compacted: {error}. Find the dbt command that hangs, end it, and "
            "try again; raw is as it was.",
        ) from None


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = library.renamex_np(os.fsencode(one), os.fsencode(other), EXCHANGE)
    else:
        failed = library.renameat2(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), EXCHANGE)
    if not failed:
        return
    if (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(one))
    raise DestinationError(
        "config_error",
        f"The files of {one} cannot be compacted, since this file system cannot exchange two folders in one step. Put "
        "the lake on another one, such as ext4, XFS, Btrfs or APFS; raw is as it was.",
    )


def _written(file: Path) -> tuple[int, str]:
    return file.stat().st_mtime_ns, file.name


def _name(batch: Sequence[Path]) -> str:
    """A name that tells which files were merged: no other content ever has it."""
    stats = [(file.name, file.stat()) for file in batch]
    return f"{COMPACTED}{digest(repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]))}.parquet"
