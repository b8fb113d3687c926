"""Measure a text file piece by piece while it is written to disk, before DuckDB reads it."""

import re
from collections.abc import Sequence

from services.airbyte.formats.model import Limits, TooLarge, size

CHUNK = 1 << 20
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG, _FINE = b"0" * 16, b"." + b"0" * 7
TINY = re.compile(rb"e-0*(?:[3-9]\d\d|\d{4,5})(?![\da-f-])", re.IGNORECASE)
"""A number that a double may round to 0. The last part of the expression excludes UUIDs."""
_OVERLAP = len(_LONG) + 1
"""Bytes of the previous piece that are searched again, because a number may start in it."""


class Survey:
    """Counts records, measures the longest one, and finds out how lines end and which numbers need care.

    `fractions`: a number may have a fractional part. `long`: a number may have more digits than a double keeps.
    `fine`: a time may have more digits than microseconds. `stray`: a quote seems to be inside a value; from there on,
    quotes are not counted.

    With `quotes`, as in CSV, a line end between two double quotes is part of a value. Only records that are longer than
    a piece are measured exactly.
    """

    def __init__(self, limits: Limits, quotes: bool) -> None:
        self.piece = min(CHUNK, limits.line_bytes)
        self.fractions = self.long = self.fine = False
        self.longest = 0
        self._limits = limits
        self._quotes = quotes
        self.stray = False
        self._ends_inside = False  # whether the current record has line ends between quotes
        self._inside = 0  # 1 between two quotes, otherwise 0
        self._line_feeds = self._returns = self._pairs = 0
        self._open = 0  # bytes of the current record so far
        self._end = b""

    @property
    def records(self) -> int:
        """Return the number of records so far, including a CSV header and empty lines of a JSON Lines file."""
        return (self._line_feeds or self._returns) + (self._open > 0)

    @property
    def mixed_ends(self) -> bool:
        """Return whether the file mixes CR LF, LF and CR."""
        kinds = (self._pairs, self._line_feeds - self._pairs, self._returns - self._pairs)
        return sum(count > 0 for count in kinds) > 1

    def feed(self, piece: bytes) -> None:
        """Measure the next piece, which must not end between a CR and its LF.

        Raises:
            TooLarge: a record is longer than the limit.
        """
        self._look_for_numbers(piece)
        parts = piece.split(b'"') if self._quotes and b'"' in piece else [piece]
        outside = parts[self._inside :: 2]
        text = outside[0] if len(outside) == 1 else b"".join(outside)
        first = not (self._line_feeds or self._returns)
        self._line_feeds += text.count(b"\n")
        if b"\r" in text:
            self._returns += text.count(b"\r")
            self._pairs += text.count(b"\r\n")
        self._ends_inside |= self._quotes and b"\n" in piece
        self._measure(parts, b"\n" if self._line_feeds else b"\r", first, len(piece))
        self._inside = 0 if self.stray else (self._inside + len(parts) - 1) % 2

    def _measure(self, parts: Sequence[bytes], end: bytes, first: bool, length: int) -> None:
        began = _position(parts, self._inside, end, last=False)
        record = self._open + (length if began is None else began)
        if self._ends_inside and record > min(self._limits.header_bytes if first else record, self._limits.line_bytes):
            # Most likely this is a quote inside a value, such as 5" pipe, and not the start of one long record.
            self.stray, self._quotes, self._open, self._ends_inside = True, False, 0, False
            return
        if first and record > self._limits.header_bytes and self._quotes:
            limit = size(self._limits.header_bytes)
            raise TooLarge(f"the header is longer than {limit}", "MAX_HEADER_SIZE", 1)
        if record > self._limits.line_bytes:
            limit = size(self._limits.line_bytes)
            raise TooLarge(f"row {self.records} is longer than {limit}", "MAX_LINE_SIZE")
        self.longest = max(self.longest, record)
        if began is None:
            self._open = record
        else:
            self._ends_inside = False
            self._open = length - (_position(parts, self._inside, end, last=True) or 0) - 1

    def _look_for_numbers(self, piece: bytes) -> None:
        """Search for fractions and long numbers. A "." or a negative exponent may be a fraction."""
        seen = self._end + piece
        dots = b"." in seen
        negative = b"e-" in seen or b"E-" in seen
        self.fractions = self.fractions or dots or negative
        self.long |= negative and bool(TINY.search(seen))
        if not self.long or (dots and not self.fine):
            digits = seen.translate(_DIGITS)
            self.fine |= dots and _FINE in digits
            self.long |= _LONG in digits or (dots and _LONG in digits.translate(None, b"."))
        self._end = seen[-_OVERLAP:]


def _position(parts: Sequence[bytes], inside: int, end: bytes, last: bool) -> int | None:
    """Return the position of the first or the last line end outside of quotes. `parts` are the text between quotes."""
    order = range(len(parts) - 1, -1, -1) if last else range(len(parts))
    passed = 0
    for number in order:
        part = parts[number]
        at = -1 if number % 2 != inside else (part.rfind(end) if last else part.find(end))
        if at >= 0:
            whole = sum(map(len, parts)) + len(parts) - 1 if last else 0
            return whole - passed - len(part) + at if last else passed + at
        passed += len(part) + 1
    return None
