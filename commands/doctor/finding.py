"""The result of a check, and how checks run: in parallel, with a deadline."""

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
        check: what was checked.
        state: `fail` if the platform will not work, `warn` if it may stop working.
        said: what was found.
        fix: how to fix it.
    """

    check: str
    state: Literal["ok", "warn", "fail"]
    said: str
    fix: str = ""


Check = Callable[[], Iterable[Finding]]
Ended: TypeAlias = "SimpleQueue[tuple[str, list[Finding]]]"


def run(checks: Mapping[str, Check], seconds: float) -> list[Finding]:
    """Run all checks in parallel, and return their findings in the order of `checks`.

    Args:
        checks: by name.
        seconds: how long each may take. A check that has not ended by then is abandoned and reported as failed.
    """
    ended: Ended = SimpleQueue()
    for name, check in checks.items():
        # Use a daemon thread, so that a call that hangs forever does not keep the process alive.
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
        findings.append(Finding(name, "fail", str(error), "Follow the advice in the message."))
    except Exception as error:  # noqa: BLE001 - whatever a vendor's library raises is a finding
        reason = f"{type(error).__name__}: {error}"
        findings.append(Finding(name, "fail", reason, "This error is unexpected. Check the log of that system."))
    return findings


def _silent(name: str, seconds: float) -> Finding:
    said = f"no answer within {seconds:g} s"
    return Finding(name, "fail", said, "Check that the system runs, and that no firewall drops its traffic.")
