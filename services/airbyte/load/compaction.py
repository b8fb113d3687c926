"""Merge a stream's small Parquet files into a few large ones with the same rows.

The merged files are written to a new folder, which is then swapped with the old one atomically. So a reader finds
either the old files or the new ones, even after a crash at any point.
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

from services.airbyte.errors import DestinationError
from services.airbyte.load.convert import copy
from services.airbyte.load.durable import commit, sync
from services.airbyte.load.lake_lock import LakeInUse, exclusive_lock
from services.airbyte.names import COMPACTED_PREFIX, SCHEMA_FILES, digest

LARGE_FILE_BYTES = 128 << 20
"""Files of this size in bytes or larger are not merged. Smaller files are merged until they reach it together."""
WORK_FOLDER = "compacted"
"""The hidden folder for the merged files. Readers do not see it, even if a crash leaves it behind."""
ROW_ORDER = "_airbyte_extracted_at, _ab_source_file_url, _airbyte_raw_id"
"""Rows sorted this way let readers skip row groups by load time and by file. In most files the keys grow with both."""
FILES = "read_parquet(?, union_by_name = true, hive_partitioning = false)"
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux. RENAME_SWAP of macOS has the same value as the latter."""


def compact(
    connection: duckdb.DuckDBPyConnection,
    place: Path,
    recorded: Collection[str],
    temporary: Path,
    heartbeat: Callable[[], None],
) -> tuple[int, int]:
    """Merge the small files of a stream; return the number of files with rows before and after.

    Only files with the same columns and types are merged, so no value is converted. A file that is not recorded in the
    state yet keeps its name, because the next attempt looks for that name.

    Args:
        connection: the DuckDB connection, with its limits set.
        place: the stream's folder, or a link to it.
        recorded: names of the files that are recorded in the state.
        temporary: path for a temporary file in `place` that readers do not see.
        heartbeat: called before each step that may take long.

    Raises:
        DestinationError: dbt did not stop reading the lake, or the file system cannot swap two folders.
        OSError, duckdb.Error: the merged files cannot be written; readers keep the old ones.
    """
    folder, work = place.resolve(), place.parent / f".{place.name}" / WORK_FOLDER
    remove_work_folder(work)
    files = sorted(set(folder.glob("*.parquet")) - set(folder.glob(SCHEMA_FILES)), key=_by_time)
    known = [file for file in files if file.name in recorded or file.name.startswith(COMPACTED_PREFIX)]
    merged: set[Path] = set()
    try:
        for batch in _batches(connection, known):
            heartbeat()
            work.mkdir(parents=True, exist_ok=True)
            _merge(connection, batch, temporary)
            os.utime(temporary, ns=(batch[-1].stat().st_mtime_ns,) * 2)  # the merged file is as old as its newest rows
            commit(temporary, work / _name(batch))
            merged.update(batch)
        if merged:
            added = sum(1 for _ in work.iterdir())
            _publish(folder, work, merged, heartbeat)
            return len(files), len(files) - len(merged) + added
    finally:
        remove_work_folder(work)
    return len(files), len(files)


def remove_work_folder(work: Path) -> None:
    """Remove the hidden folder. Nobody needs its files: they are incomplete before the swap and outdated after it."""
    shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # the parent has other files, or does not exist
        work.parent.rmdir()


def _batches(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield groups of small files, oldest file first. Each group becomes one file."""
    small = [file for file in files if file.stat().st_size < LARGE_FILE_BYTES]
    if len(small) < 2:
        return
    query = (
        "SELECT file_name, list((name, duckdb_type) ORDER BY name)::VARCHAR FROM parquet_schema(?) "
        "WHERE duckdb_type IS NOT NULL GROUP BY ALL"
    )
    schemas = dict(connection.execute(query, [[str(file) for file in small]]).fetchall())
    by_schema = sorted(small, key=lambda file: str(schemas[str(file)]))
    for _, same_schema in groupby(by_schema, lambda file: schemas[str(file)]):
        batch, size = list[Path](), 0
        for file in same_schema:
            batch.append(file)
            size += file.stat().st_size
            if size >= LARGE_FILE_BYTES:
                yield batch
                batch, size = [], 0
        if len(batch) > 1:
            yield batch


def _merge(connection: duckdb.DuckDBPyConnection, batch: Sequence[Path], temporary: Path) -> None:
    """Write the rows of the batch to one sorted file, then check that no row was lost or changed."""
    before = [str(file) for file in batch]
    width = len(connection.execute(f"DESCRIBE FROM {FILES}", [before]).fetchall())
    copy(connection, f"FROM {FILES} ORDER BY {ROW_ORDER}", temporary, width, [before])
    rows = f"SELECT count(*), sum(hash(each)) FROM (FROM {FILES}) AS each"  # noqa: S608 - a constant
    old, new = (connection.execute(rows, [names]).fetchall() for names in (before, [str(temporary)]))
    if old != new:
        raise duckdb.IOException(f"Merging {len(batch)} files changed their rows: count and hash {old} became {new}")


def _publish(folder: Path, work: Path, merged: Collection[Path], heartbeat: Callable[[], None]) -> None:
    """Swap the folder with `work`, after linking the files that were not merged into `work`."""
    for file in set(folder.glob("*.parquet")) - set(merged):
        os.link(file, work / file.name)
    shutil.copymode(folder, work)
    sync(work)
    try:
        with exclusive_lock(work.parent.parent, heartbeat):
            _swap_folders(folder, work)
            sync(folder.parent)
            sync(work.parent)
    except LakeInUse as error:
        raise DestinationError(
            "system_error",
            f"The files of {folder.name} cannot be compacted: {error}. Find the dbt command that hangs, stop it, and "
            "try again. No raw data has changed.",
        ) from None


def _swap_folders(one: Path, other: Path) -> None:
    """Swap two folders in one atomic step."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = library.renamex_np(os.fsencode(one), os.fsencode(other), RENAME_EXCHANGE)
    else:
        failed = library.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    if not failed:
        return
    if (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(one))
    raise DestinationError(
        "config_error",
        f"The files of {one} cannot be compacted, because its file system cannot swap two folders atomically. Move "
        "the lake to ext4, XFS, Btrfs or APFS. No raw data has changed.",
    )


def _by_time(file: Path) -> tuple[int, str]:
    return file.stat().st_mtime_ns, file.name


def _name(batch: Sequence[Path]) -> str:
    """Return a name that is unique to the merged files: it is a hash of their names, sizes and times."""
    stats = [(file.name, file.stat()) for file in batch]
    return f"{COMPACTED_PREFIX}{digest(repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]))}.parquet"
