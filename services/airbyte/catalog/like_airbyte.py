"""The behaviour of Airbyte that the mock has only with `--like-airbyte`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.airbyte.catalog.config import ColumnType, Stream
from services.airbyte.formats.settings import JsonlFormat, ParquetFormat

DATE_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How source-s3 writes a file's date in its state and in `_ab_source_file_last_modified`, which is text."""
MAX_FILES = 10_000
"""The number of files that source-s3 remembers for a stream."""
WINDOW = timedelta(days=3)
"""source-s3 reads an unknown file of this age or younger, even if it may have read and forgotten the file."""
TIMES = (ColumnType.TIMESTAMP, ColumnType.TIMESTAMP_LOCAL, ColumnType.DATE)


def declared_types(stream: Stream) -> dict[str, str]:
    """Return the types that source-s3 gives a stream's declared columns.

    CSV columns are text unless the format infers types. Inferred times are text, too. Parquet columns keep their types.
    """
    chosen = stream.format
    if isinstance(chosen, ParquetFormat):
        return {name: type_.value for name, type_ in stream.columns.items()}
    typed = isinstance(chosen, JsonlFormat) or (chosen is not None and chosen.inference_type != "None")
    return {name: type_.value if typed and type_ not in TIMES else "string" for name, type_ in stream.columns.items()}


class History:
    """Decide which files to read as source-s3 does: by their dates, not by their content.

    source-s3 remembers the newest files of a stream. Once it remembers `limit` files, it reads an unknown one if that
    is newer than the oldest remembered file, or within the window.

    Args:
        dates: the modification date of each file that was read, by key.
    """

    def __init__(self, dates: Mapping[str, datetime], limit: int = MAX_FILES, now: datetime | None = None) -> None:
        newest = sorted(((date, key) for key, date in dates.items()), reverse=True)[:limit]
        self._known = {key: date for date, key in newest}
        self._oldest = newest[-1] if len(newest) == limit else None
        self._window = (now or datetime.now(UTC)) - WINDOW

    def wants(self, key: str, date: datetime) -> bool:
        """Return whether source-s3 reads a file with this date."""
        if key in self._known:
            return date > self._known[key]
        return self._oldest is None or (date, key) > self._oldest or date >= min(self._oldest[0], self._window)
