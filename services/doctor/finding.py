"""What a check found, and how checks are run: side by side, each with a deadline."""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Literal, TypeAlias

from blocks.errors import PlatformError


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        check: what was looked at.
        state: `fail` where the platform will not work, `warn` where it may not work for long.
        said: what was seen.
        fix: what mends it.
    """

    check: str
    state: Literal["ok", "warn", "fail"]
    said: str
    fix: str = ""


Check = Callable[[], Iterable[Finding]]
Ended: TypeAlias = "SimpleQueue[tuple[str, list[Finding]]]"


def run(checks: Mapping[str, Check], seconds: float) -> list[Finding]:
    """Run all checks at once; their findings in the order of the checks.

    Args:
        checks: by name.
        seconds: how long each may take. What has not ended by then is left behind, and is a finding itself.
    """
    ended: Ended = SimpleQueue()
    for name, check in checks.items():
        # A daemon: a call that hangs for ever must not keep the process.
        threading.Thread(target=copy_context().run, args=(_into, ended, name, check), daemon=True).start()
    deadline, found = monotonic() + seconds, dict[str, list[Finding]]()
    while len(found) < len(checks):
        try:
            name, findings = ended.get(timeout=max(deadline - monotonic(), 0.001))
        except Empty:
            break
        found[name] = findings
    return [each for name in checks for each in found.get(name, [_silent(name, seconds)])]


def _into(ended: Ended, name: str, check: Check) -> None:
    ended.put((name, _run(name, check)))


def _run(name: str, check: Check) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except PlatformError as error:
        findings.append(Finding(name, "fail", str(error), "Do what the text says."))
    except Exception as error:  # noqa: BLE001 - whatever a vendor's library raises is a finding
        reason = f"{type(error).__name__}: {error}"
        findings.append(Finding(name, "fail", reason, "This was not expected; look into the log of that system."))
    return findings


def _silent(name: str, seconds: float) -> Finding:
    said = f"no answer within {seconds:g} s"
    return Finding(name, "fail", said, "Is that system up, and does a firewall swallow what is sent there?")
