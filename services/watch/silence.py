"""Send the watch's heartbeat to Prefect's server, whose automations send an alert if the heartbeat is missing."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from blocks.incidents import Message
from blocks.names import Names
from services.watch.prefect_api import EVENTS, NoAnswer, moment
from services.watch.probe import Facts

EVENT = "platform.watch.looked"
QUIET = timedelta(seconds=75)
"""How long after a heartbeat the server notices that the next one is missing."""
GRACE = timedelta(seconds=90)
"""How long the server then waits before it sends an alert: a server that restarts has missed heartbeats, too."""
NOTICED, TITLE = "Notice that the watch gives no sign of life", "Tell that the watch is silent"
EVERY = timedelta(seconds=30)
WHAT = "The watch is silent. Nothing monitors the platform, and no other alert will come until the watch is back."
IMPACT = "Runs continue, but nobody is notified if they fail or do not start."
_last: dict[str, str] = {}


def resource(names: Names) -> str:
    """Return the resource id of the watch in events."""
    return f"platform.watch.{names.namespace or 'own'}"


def heartbeat_event(names: Names, now: datetime) -> dict[str, Any]:
    """Return the watch's heartbeat as an event. Its resource is named after the automation that expects it."""
    named = {"prefect.resource.id": resource(names), "prefect.resource.name": names.title(NOTICED)}
    return {"id": str(uuid4()), "occurred": now.isoformat(), "event": EVENT, "resource": named}


def send_heartbeat(facts: Facts) -> None:
    """Send a heartbeat to the server, if the last one is old enough."""
    id_, at = resource(facts.names), facts.now.isoformat()
    if id_ in _last and facts.now - moment(_last[id_]) < EVERY:
        return
    try:
        facts.prefect.ask("POST", EVENTS, [heartbeat_event(facts.names, facts.now)])
    except NoAnswer:
        return
    _last[id_] = at


def recovery_messages(facts: Facts, platform: str) -> list[Message]:
    """If the server sent an alert about the watch, enable that alert again and return the message that it is over."""
    title = facts.names.title(TITLE)
    try:
        body = {"automations": {"name": {"any_": [title]}}}
        for each in facts.prefect.ask("POST", "/automations/filter", body) or []:
            if each["enabled"] or not (event := _alert_event(facts, each["id"])):
                continue
            # PUT restarts the automation's window. If only resumed, it would alert at once about the time before.
            kept = {name: each[name] for name in ("name", "description", "trigger", "actions")}
            facts.prefect.ask("PUT", f"/automations/{each['id']}", {**kept, "enabled": True})
            key, kind = "watch_silent/watch", "watch_silent"
            return [
                Message(
                    id=event[:16], state="over", platform=platform, key=key, kind=kind, what=WHAT,
                    since=facts.state.looked, until=facts.now, impact=IMPACT, command="make alerts",
                )
            ]  # fmt: skip
    except NoAnswer:
        pass
    return []


def _alert_event(facts: Facts, automation: str) -> str:
    """Return the id of the event of the server's alert; "" if there was none, so a person paused it."""
    wanted = {
        "occurred": {"since": (facts.now - timedelta(days=7)).isoformat(), "until": facts.now.isoformat()},
        "event": {"name": ["prefect.automation.action.executed"]},
        "resource": {"id": [f"prefect.automation.{automation}"]},
    }
    found = (facts.prefect.ask("POST", "/events/filter", {"filter": wanted, "limit": 1}) or {}).get("events") or []
    return str(found[0]["id"]).replace("-", "") if found else ""
