"""What a failed run's message says, without any value of a row: names of files, nodes and errors, and counts."""

import re
from dataclasses import dataclass
from hashlib import sha256

from blocks.errors import USER, shown

MOST = 400
"""Characters of a reason in a message."""

_ERROR = re.compile(r"(?:^|: )(?P<name>[A-Z]\w*): (?P<text>.*)", re.DOTALL)
_NODE = re.compile(r"(?:^|; |failed on )(?P<node>[\w.]+) \((?P<status>fail|error|runtime error|skipped)\)")
_QUOTED = re.compile(r"(?<!\w)'.*?'(?!\w)|\"[^\"]*\"|`[^`]*`|\u201c[^\u201d]*\u201d", re.DOTALL)
"""What may be a cell; an apostrophe within a word begins and ends none."""
_HEAD = re.compile(r"\A[^:]* failed: ")
"""How an error begins that quotes the connection's name."""
_BEFORE_CELLS = re.compile(r"\A((?:[^'\"`\u201c\u2018]|(?<=\w)'(?=\w))*).*", re.DOTALL)
"""A text up to its first quotation mark: a cell follows, which may have marks and names of files in it."""
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
"""Errors whose own text has names of things and figures alone: no cell of a file or table can be in it."""


@dataclass(frozen=True)
class Reason:
    """Why a run or a batch failed.

    Args:
        error: name of the typed error, or of the state.
        text: what may be told of it.
    """

    error: str
    text: str

    @property
    def id(self) -> str:
        """The same for the same reason, whatever the job's number, time and counts."""
        plain = " ".join(_NUMBER.sub("", self.text).split())
        return f"{self.error}-{sha256(f'{self.error} {plain}'.encode()).hexdigest()[:8]}"

    @property
    def is_refusal(self) -> bool:
        """Whether tests or models failed, so that nothing was published."""
        return self.error == "DbtFailed" and " failed on " in self.text


def reason(state: str, message: str) -> Reason:
    """Read the name and message of a final state; what may quote a row is left out.

    Args:
        state: the state's name, e.g. Failed.
        message: as Prefect keeps it: `Flow run encountered an exception: SyncFailed: …`.
    """
    error, text = parts(state, message)
    if error == "OthersFailed":  # what is said of others is the reason of theirs
        error = "SyncFailed"
    return Reason(error, shown(USER.sub("//***@", _told(error, text))).strip()[:MOST])


def parts(state: str, message: str) -> tuple[str, str]:
    """The name of a final state's error, or of the state, and its text, which may quote a row."""
    found = _ERROR.search(message)
    return (found["name"], found["text"]) if found and state == "Failed" else (state, message)


def _told(error: str, text: str) -> str:
    if error in SAFE:
        return text.split("\n", 1)[0]
    nodes = dict.fromkeys(f"{each['node']} ({each['status']})" for each in _NODE.finditer(text))
    if error == "DbtFailed" and nodes:
        return f"dbt failed on {', '.join(nodes)}."
    own = _BEFORE_CELLS.sub(r"\1", _HEAD.sub("", text))
    files = sorted(set(_FILE.findall(own)))  # in whichever order a message names them, the reason is the same
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
"""The platform's own errors; the text of any other may quote whatever it has met."""
