"""Sends messages to a webhook: Slack, Microsoft Teams, Discord, or any that takes JSON. Its URL is a secret."""

import json
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from blocks.errors import PlatformError
from blocks.incidents import TRIES, Message

Format = Literal["slack", "teams", "discord", "json"]
SECONDS = 10.0
"""How long a receiver may take."""
HOSTS: dict[str, Format] = {
    "hooks.slack.com": "slack",
    "hooks.slack-gov.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "webhook.office.com": "teams",
    "logic.azure.com": "teams",
    "api.powerplatform.com": "teams",
}
"""The format by the end of the receiver's host."""
MOST: dict[Format, int] = {"slack": 4000, "discord": 2000, "teams": 4000}
"""Characters of a text, as UTF-16 counts them. Slack splits longer ones, Discord refuses them; Teams refuses 28 kB."""
NOT_NOW = frozenset({408, 425, 429})
"""The statuses below 500 after which a receiver may take the same message later."""
IN_TEAMS = re.compile(r"returned HTTP error (\d{3})")
"""Teams may answer 200 and say in the body that it has not taken the message."""


class NotTaken(PlatformError):
    """The receiver did not take a message; the text does not have its URL, which is a secret."""

    tries = 1
    """As how many tries this counts: after TRIES, the message is set aside."""


class Refused(NotTaken):
    """The receiver refuses this message, and would refuse it again."""

    tries = TRIES


class Unreachable(NotTaken):
    """Nothing answers at the receiver's address, so that no other message would be taken either."""

    tries = 0


def format_of(url: SecretStr, chosen: Format | Literal[""] = "") -> Format:
    """Return the format of a receiver's messages: the chosen one, or the one of its host; JSON for any other."""
    if chosen:
        return chosen
    try:
        host = urlsplit(url.get_secret_value()).hostname or ""
    except ValueError:  # as of http://[half
        return "json"
    return next((kind for end, kind in HOSTS.items() if host == end or host.endswith(f".{end}")), "json")


def body(message: Message, kind: Format) -> dict[str, Any]:
    """Return a message as a receiver takes it."""
    match kind:
        case "slack":
            return {"text": _escaped(_short(message, kind))}
        case "discord":
            return {"content": _short(message, kind), "allowed_mentions": {"parse": []}}
        case "teams":
            lines = [{"type": "TextBlock", "wrap": True, "text": line} for line in _short(message, kind).split("\n")]
            card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard"}
            content = {**card, "version": "1.2", "body": lines}
            attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
            return {"type": "message", "attachments": [attachment]}
        case _:
            return {**json.loads(message.model_dump_json()), "text": message.text}


def _escaped(text: str) -> str:
    """A text for Slack, which reads <, > and & as markup: a name from outside could mention a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(message: Message, kind: Format) -> str:
    """Return a message's text, cut to what the receiver takes; where to look and what to type stay."""
    for name in ("what", "where", "command", "impact"):
        while (over := _length(message.text, kind) - MOST[kind]) > 0 and (left := _part(message, name)):
            # A character counts as five at most: & is &amp; for Slack.
            message = message.model_copy(update={name: f"{left[: -(over // 5 + 1)]}…"})
    return message.text


def _part(message: Message, name: str) -> str:
    return str(getattr(message, name)).removesuffix("…")


def _length(text: str, kind: Format) -> int:
    return len((_escaped(text) if kind == "slack" else text).encode("utf-16-le")) // 2


def send(message: Message, url: SecretStr, chosen: Format | Literal[""] = "") -> None:
    """Send a message once.

    Raises:
        Unreachable: the receiver cannot be reached.
        Refused: it refuses this message.
        NotTaken: it fails to take the message now.
    """
    kind = format_of(url, chosen)
    try:
        answer = httpx.post(
            url.get_secret_value(),
            json=body(message, kind),
            headers={"Idempotency-Key": message.id},
            timeout=SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        failure = NotTaken if isinstance(error, httpx.ReadTimeout) else Unreachable
        raise failure(f"The receiver of ALERT_WEBHOOK_URL does not answer ({type(error).__name__}).") from None
    inner = IN_TEAMS.search(answer.text) if kind == "teams" else None
    if answer.is_success and not inner:
        return
    status = int(inner[1]) if inner else answer.status_code
    failure = NotTaken if status >= 500 or status in NOT_NOW else Refused
    raise failure(
        f"The receiver of ALERT_WEBHOOK_URL refuses messages with status {status}. If it goes on, "
        "check the URL, and set ALERT_FORMAT to slack, teams, discord or json."
    )


def ping(url: SecretStr) -> str:
    """Call a heartbeat's URL; return why that failed, without the URL, or nothing."""
    try:
        answer = httpx.get(url.get_secret_value(), timeout=SECONDS, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"HEARTBEAT_URL does not answer ({type(error).__name__})."
    return "" if answer.is_success else f"HEARTBEAT_URL answers with status {answer.status_code}."
