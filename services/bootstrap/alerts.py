"""How Prefect's server tells by itself that the watch is silent: once, until the watch is back.

One automation notices that no sign of life has come. Its trigger has no `for_each`, so it also fires where none has
ever come, and it fires at once when a server that was away starts. So a second automation waits for a sign before it
tells. A third one pauses the second after that, since the first goes on noticing; the watch resumes it, see
services/watch/silence.py.
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
"""Stands in the message where the server puts the time."""
EXECUTED, TRIGGERED = "prefect.automation.action.executed", "prefect.automation.triggered"


def automations(names: Names, webhook: UUID | None, profile: str) -> list[AutomationCore]:
    """Return the automations for a silent watch; none where nobody would be told.

    Args:
        names: of the platform's things on the server.
        webhook: the saved block to send through.
        profile: what messages call the platform.
    """
    if webhook is None:
        return []
    noticed, title, pausing = map(names.title, (NOTICED, TITLE, "Tell once that the watch is silent"))
    return [
        AutomationCore(
            name=noticed,
            description=f"Sends nothing; it triggers each time the watch has not looked for {QUIET.seconds} s.",
            trigger=EventTrigger(
                after={EVENT},  # each event begins the window anew
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
            description=f"Sends an alert where the watch does not look within {GRACE.seconds} s of that.",
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
            description="Pauses that alert after it was sent. The watch resumes it when it is back.",
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
    """The alert as the receiver takes it; a template of Prefect's, which adds the time."""
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
