"""Sends messages to a webhook: Slack, Microsoft Teams, Discord, or any that takes JSON. Its URL is a secret."""

import json
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from blocks.errors import PlatformError
from blocks.incidents import Message

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
MOST_DISCORD = 2000
"""Characters of a Discord message."""


class NotTaken(PlatformError):
    """The receiver did not take a message; the text does not have its URL, which is a secret."""


def format_of(url: SecretStr, chosen: Format | Literal[""] = "") -> Format:
    """Return the format of a receiver's messages: the chosen one, or the one of its host; JSON for any other."""
    if chosen:
        return chosen
    host = urlsplit(url.get_secret_value()).hostname or ""
    return next((kind for end, kind in HOSTS.items() if host == end or host.endswith(f".{end}")), "json")


def body(message: Message, kind: Format) -> dict[str, Any]:
    """Return a message as a receiver takes it."""
    match kind:
        case "slack":
            # Slack reads <, > and & as markup; a name from outside could mention a whole channel.
            return {"text": message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        case "discord":
            return {"content": message.text[:MOST_DISCORD], "allowed_mentions": {"parse": []}}
        case "teams":
            lines = [{"type": "TextBlock", "wrap": True, "text": line} for line in message.text.split("\n")]
            card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard"}
            content = {**card, "version": "1.2", "body": lines}
            attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
            return {"type": "message", "attachments": [attachment]}
        case _:
            return {**json.loads(message.model_dump_json()), "text": message.text}


def send(message: Message, url: SecretStr, chosen: Format | Literal[""] = "") -> None:
    """Send a message once.

    Raises:
        NotTaken: the receiver does not answer, or refuses.
    """
    try:
        answer = httpx.post(
            url.get_secret_value(),
            json=body(message, format_of(url, chosen)),
            headers={"Idempotency-Key": message.id},
            timeout=SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise NotTaken(f"The receiver of ALERT_WEBHOOK_URL does not answer ({type(error).__name__}).") from None
    if not answer.is_success:
        raise NotTaken(
            f"The receiver of ALERT_WEBHOOK_URL refuses messages with status {answer.status_code}. If it goes on, "
            "check the URL, and set ALERT_FORMAT to slack, teams, discord or json."
        )


def ping(url: SecretStr) -> str:
    """Call a heartbeat's URL; return why that failed, without the URL, or nothing."""
    try:
        answer = httpx.get(url.get_secret_value(), timeout=SECONDS, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"HEARTBEAT_URL does not answer ({type(error).__name__})."
    return "" if answer.is_success else f"HEARTBEAT_URL answers with status {answer.status_code}."
