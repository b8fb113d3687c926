"""Shorten a failed run's message to names of files, nodes and errors, and counts, without any value of a row."""

import re
from dataclasses import dataclass
from hashlib import sha256

from blocks.errors import USER, shown

MAX_CHARS = 400
"""The maximum length of a reason in a message, in characters."""

_ERROR = re.compile(r"(?:^|: )(?P<name>[A-Z]\w*): (?P<text>.*)", re.DOTALL)
_NODE = re.compile(r"(?:^|; |failed on )(?P<node>[\w.]+) \((?P<status>fail|error|runtime error|skipped)\)")
_QUOTED = re.compile(r"(?<!\w)'.*?'(?!\w)|\"[^\"]*\"|`[^`]*`|\u201c[^\u201d]*\u201d", re.DOTALL)
"""Quoted text, which may be a cell. An apostrophe within a word is not a quotation mark."""
_HEAD = re.compile(r"\A[^:]* failed: ")
"""The start of an error that quotes the connection's name."""
_BEFORE_CELLS = re.compile(r"\A((?:[^'\"`\u201c\u2018]|(?<=\w)'(?=\w))*).*", re.DOTALL)
"""The text up to the first quotation mark. A cell follows, which may contain quotation marks and names of files."""
_FILE = re.compile(
    r"[\w.=%+-]+(?:/[\w.=%+ -]*[\w%=-])*/[\w.=%+-]*\.\w+|[\w%=-]+\.(?:csv|jsonl|json|parquet|gz|bz2|zst)\b"
)
_LINE = re.compile(r"\blines? [\d,]+")
_NUMBER = re.compile(r"(?<![\w/.=-])\d[\d.,:]*(?![\w/=-])|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_KEPT = re.compile(r"`(?:make|dbt|docker|prefect|python) [^`]*`")

SAFE = {
    "AirbyteUnavailable",
    "AirbyteUnauthorised",
    "UnknownConnection",
    "ConnectionInactive",
    "ConfigurationError",
    "CountsDiffer",
    "CursorMoved",
    "FilesMissing",
    "NothingSelected",
    "NothingToRemove",
    "DbtTimedOut",
    "SyncTimedOut",
    "SyncCancelled",
    "StaleSource",
    "TurnMissed",
    "LakeBusy",
    "LandingUnavailable",
    "WarehouseUnreachable",
    "WarehouseLocked",
    "WarehouseAway",
    "PublishBlocked",
    "Crashed",
    "Cancelled",
    "TimedOut",
}
"""Errors whose text has only names and figures, and never a cell of a file or table."""


@dataclass(frozen=True)
class Reason:
    """Why a run or a batch failed.

    Args:
        error: name of the typed error, or of the state.
        text: the part of its text that is safe to send.
    """

    error: str
    text: str

    @property
    def id(self) -> str:
        """An id that does not depend on the job's number, times and counts."""
        plain = " ".join(_NUMBER.sub("", self.text).split())
        return f"{self.error}-{sha256(f'{self.error} {plain}'.encode()).hexdigest()[:8]}"

    @property
    def is_refusal(self) -> bool:
        """Whether tests or models failed, so nothing was published."""
        return self.error == "DbtFailed" and " failed on " in self.text


def reason(state: str, message: str) -> Reason:
    """Return the reason from a final state's name and message, without text that may quote a row.

    Args:
        state: the state's name, e.g. Failed.
        message: Prefect's message: `Flow run encountered an exception: SyncFailed: …`.
    """
    error, text = parts(state, message)
    if error == "OthersFailed":  # group it with the runs of the other files, which failed with SyncFailed
        error = "SyncFailed"
    return Reason(error, shown(USER.sub("//***@", _safe_text(error, text))).strip()[:MAX_CHARS])


def parts(state: str, message: str) -> tuple[str, str]:
    """Return the name of a final state's error (or of the state) and its text, which may quote a row."""
    found = _ERROR.search(message)
    return (found["name"], found["text"]) if found and state == "Failed" else (state, message)


def _safe_text(error: str, text: str) -> str:
    if error in SAFE:
        return text.split("\n", 1)[0]
    nodes = dict.fromkeys(f"{each['node']} ({each['status']})" for each in _NODE.finditer(text))
    if error == "DbtFailed" and nodes:
        return f"dbt failed on {', '.join(nodes)}."
    own = _BEFORE_CELLS.sub(r"\1", _HEAD.sub("", text))
    files = sorted(set(_FILE.findall(own)))  # sorted, so that the order in a message does not change the reason
    if files:
        line = _LINE.search(own)
        at = f", {line[0]}" if line and len(files) == 1 else ""
        return f"it cannot load {', '.join(files[:5])}{at}. The run's page has the details."
    first = _KEPT.sub(lambda kept: kept[0].replace("`", "\0"), text.split("\n", 1)[0])
    return _QUOTED.sub("…", first).replace("\0", "`") if error in PLATFORM else "The run's page has its text."


PLATFORM = SAFE | {
    "AirbyteError",
    "CompactionFailed",
    "CursorUnreadable",
    "DbtFailed",
    "LandingReadOnly",
    "NotOurs",
    "PrefectUnavailable",
    "PublishFailed",
    "QueueUnusable",
    "RawReadOnly",
    "RemovalFailed",
    "SyncLeft",
}
"""The platform's own errors. The text of any other error may quote anything."""
