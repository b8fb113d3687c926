"""The watch's own sign of life on Prefect's server, whose automation tells when it is missing; and the end of that."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from blocks.incidents import Message
from blocks.names import Names
from services.watch.prefect_api import EVENTS, NoAnswer, moment
from services.watch.probe import Facts

EVENT = "platform.watch.looked"
QUIET = timedelta(seconds=75)
"""How long after a sign of life the server notices that no other has come."""
GRACE = timedelta(seconds=90)
"""How long it then waits for one before it tells: a server that was away notices at its start what it has missed."""
NOTICED, TITLE = "Notice that the watch gives no sign of life", "Tell that the watch is silent"
EVERY = timedelta(seconds=30)
WHAT = "The watch is silent: nobody looks after the platform, and no other alert will come until it is back."
IMPACT = "Runs continue, but nobody hears of it if they fail or do not start."
_last: dict[str, str] = {}


def resource(names: Names) -> str:
    """The id of the watch, as events name it."""
    return f"platform.watch.{names.namespace or 'own'}"


def sign(names: Names, now: datetime) -> dict[str, Any]:
    """The watch's sign of life, as an event: it has the name of the automation that notices when none comes."""
    named = {"prefect.resource.id": resource(names), "prefect.resource.name": names.title(NOTICED)}
    return {"id": str(uuid4()), "occurred": now.isoformat(), "event": EVENT, "resource": named}


def alive(facts: Facts) -> None:
    """Tell the server that the watch has looked."""
    id_, at = resource(facts.names), facts.now.isoformat()
    if id_ in _last and facts.now - moment(_last[id_]) < EVERY:
        return
    try:
        facts.prefect.ask("POST", EVENTS, [sign(facts.names, facts.now)])
    except NoAnswer:
        return
    _last[id_] = at


def over(facts: Facts, platform: str) -> list[Message]:
    """The message that the watch is back, where the server told that it was silent; from now on it tells it again."""
    title = facts.names.title(TITLE)
    try:
        body = {"automations": {"name": {"any_": [title]}}}
        for each in facts.prefect.ask("POST", "/automations/filter", body) or []:
            if each["enabled"] or not (told := _told(facts, each["id"])):
                continue
            # Written anew, its window begins now: one that was merely resumed would tell at once of the time before.
            kept = {name: each[name] for name in ("name", "description", "trigger", "actions")}
            facts.prefect.ask("PUT", f"/automations/{each['id']}", {**kept, "enabled": True})
            key, kind = "watch_silent/watch", "watch_silent"
            return [
                Message(
                    id=told[:16], state="over", platform=platform, key=key, kind=kind, what=WHAT,
                    since=facts.state.looked, until=facts.now, impact=IMPACT, command="make alerts",
                )
            ]  # fmt: skip
    except NoAnswer:
        pass
    return []


def _told(facts: Facts, automation: str) -> str:
    """The id of the event by which the server told of the silence; nothing where a person paused the automation."""
    wanted = {
        "occurred": {"since": (facts.now - timedelta(days=7)).isoformat(), "until": facts.now.isoformat()},
        "event": {"name": ["prefect.automation.action.executed"]},
        "resource": {"id": [f"prefect.automation.{automation}"]},
    }
    found = (facts.prefect.ask("POST", "/events/filter", {"filter": wanted, "limit": 1}) or {}).get("events") or []
    return str(found[0]["id"]).replace("-", "") if found else ""
