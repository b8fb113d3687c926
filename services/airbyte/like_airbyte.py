"""What the mock does otherwise than by default where it is to do as Airbyte does (`--like-airbyte`)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.airbyte.config import ColumnType, Stream
from services.airbyte.formats.settings import JsonlFormat, ParquetFormat

DATE_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How source-s3 writes a file's date: in its state, and in `_ab_source_file_last_modified`, which is text."""
MOST_FILES = 10_000
"""Files of a stream that source-s3 remembers."""
WINDOW = timedelta(days=3)
"""How old a file may be that source-s3 reads although it may have forgotten it."""
TIMES = (ColumnType.TIMESTAMP, ColumnType.TIMESTAMP_LOCAL, ColumnType.DATE)


def declared(stream: Stream) -> dict[str, str]:
    """Return the types that source-s3 gives a stream's declared columns.

    Those of CSV are text unless the format infers types, and its schemas have no type for times. Parquet has its own.
    """
    chosen = stream.format
    if isinstance(chosen, ParquetFormat):
        return {name: type_.value for name, type_ in stream.columns.items()}
    typed = isinstance(chosen, JsonlFormat) or (chosen is not None and chosen.inference_type != "None")
    return {name: type_.value if typed and type_ not in TIMES else "string" for name, type_ in stream.columns.items()}


class History:
    """Which files source-s3 reads, by their dates: it compares no content.

    It remembers the newest files of a stream. Once there are `most`, one that it does not know is read if it is newer
    than the oldest that it knows, or not older than the window.

    Args:
        dates: when each file that was read was changed, by its key.
    """

    def __init__(self, dates: Mapping[str, datetime], most: int = MOST_FILES, now: datetime | None = None) -> None:
        newest = sorted(((date, key) for key, date in dates.items()), reverse=True)[:most]
        self._known = {key: date for date, key in newest}
        self._oldest = newest[-1] if len(newest) == most else None
        self._window = (now or datetime.now(UTC)) - WINDOW

    def wants(self, key: str, date: datetime) -> bool:
        """Whether a file with this date is read."""
        if key in self._known:
            return date > self._known[key]
        return self._oldest is None or (date, key) > self._oldest or date >= min(self._oldest[0], self._window)
