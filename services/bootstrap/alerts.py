"""Automations with which Prefect's server sends one alert when the watch is silent, until the watch is back.

The first automation triggers if the watch sends no heartbeat. Its trigger has no `for_each`, so it also fires if there
never was a heartbeat, and it fires at once when a stopped server starts. So a second automation waits once more for a
heartbeat before it sends the alert. A third one then pauses the second, because the first keeps triggering. The watch
resumes the second one (services/watch/silence.py).
"""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.events.actions import CallWebhook, DoNothing, PauseAutomation

from blocks.incidents import Message
from blocks.names import Names
from blocks.settings import Settings, make
from blocks.webhook import body, format_of
from services.watch.silence import EVENT, GRACE, IMPACT, NOTICED, QUIET, TITLE, WHAT, resource

SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""A placeholder in the message, which the server replaces with the time."""
EXECUTED, TRIGGERED = "prefect.automation.action.executed", "prefect.automation.triggered"


def automations(names: Names, webhook: UUID | None, profile: str) -> list[AutomationCore]:
    """Return the automations for a silent watch; [] if there is no receiver.

    Args:
        names: the names that the platform uses on the server.
        webhook: the saved block to send alerts through.
        profile: the platform's name in messages.
    """
    if webhook is None:
        return []
    noticed, title, pausing = map(names.title, (NOTICED, TITLE, "Tell once that the watch is silent"))
    return [
        AutomationCore(
            name=noticed,
            description=f"Sends nothing. It triggers each time the watch has sent no heartbeat for {QUIET.seconds} s.",
            trigger=EventTrigger(
                after={EVENT},  # each event restarts the window
                expect={EVENT},
                match={"prefect.resource.id": [resource(names)]},
                posture=Posture.Proactive,
                threshold=1,
                within=QUIET,
            ),
            actions=[DoNothing()],
        ),
        AutomationCore(
            name=title,
            description=f"Sends an alert if the watch sends no heartbeat within {GRACE.seconds} s after that.",
            trigger=EventTrigger(
                after={TRIGGERED},
                expect={EVENT},
                match={"prefect.resource.name": [noticed]},
                for_each={"prefect.resource.name"},
                posture=Posture.Proactive,
                threshold=1,
                within=GRACE,
            ),
            actions=[CallWebhook(block_document_id=webhook, payload=_payload(profile))],
        ),
        AutomationCore(
            name=pausing,
            description="Pauses that alert after it is sent. The watch resumes it when it is back.",
            trigger=EventTrigger(
                expect={EXECUTED},
                match={"prefect.resource.id": ["prefect.automation.*"], "prefect.resource.name": [title]},
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[PauseAutomation(source="inferred")],
        ),
    ]


def _payload(profile: str) -> str:
    """Return the alert in the receiver's format, as a template in which Prefect fills in the time."""
    settings = Settings()
    message = Message(
        id="{{ firing.id }}",
        state="open",
        platform=profile,
        key="watch_silent/watch",
        kind="watch_silent",
        what=WHAT,
        since=SOME_TIME,
        impact=IMPACT,
        where=f"{make('logs')} SERVICE=watch",
        command=make("up"),
    )
    made: dict[str, Any] = body(message, format_of(settings.alert_webhook_url, settings.alert_format))
    text = json.dumps(made)
    for form in ("%Y-%m-%d %H:%M UTC", "%Y-%m-%dT%H:%M:%SZ"):
        text = text.replace(SOME_TIME.strftime(form), "{{ firing.triggered }}")
    return text
