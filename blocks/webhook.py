"""Sends messages to a webhook: Slack, Microsoft Teams, Discord, or any that takes JSON. Its URL is a secret."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from blocks.errors import PlatformError, remedy
from blocks.incidents import TRIES, Message

Format = Literal["slack", "teams", "discord", "json"]
SECONDS = 10.0
"""How long a receiver may take for its whole answer."""
NOT_A_URL = (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError)
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
        answer = _ask("POST", url, json=body(message, kind), headers={"Idempotency-Key": message.id})
    except NOT_A_URL:
        raise Unreachable("ALERT_WEBHOOK_URL is not a URL that begins with http:// or https://. Correct it.") from None
    except (httpx.HTTPError, TimeoutError) as error:
        failure = NotTaken if isinstance(error, TimeoutError) else Unreachable
        raise failure(_silent("The receiver of ALERT_WEBHOOK_URL", error)) from None
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
        answer = _ask("GET", url, follow_redirects=True)
    except NOT_A_URL:
        return "HEARTBEAT_URL is not a URL that begins with http:// or https://. Correct it."
    except (httpx.HTTPError, TimeoutError) as error:
        return _silent("HEARTBEAT_URL", error)
    return "" if answer.is_success else f"HEARTBEAT_URL answers with status {answer.status_code}."


def _ask(method: str, url: SecretStr, **options: Any) -> httpx.Response:
    """Return the answer to a request; httpx's own time-outs are for each read, which a receiver that drips never meets.

    Raises:
        TimeoutError: the whole answer is not there after SECONDS.
        httpx.HTTPError: another failure.
    """

    async def ask() -> httpx.Response:
        timeout = httpx.Timeout(None, connect=SECONDS / 2)
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=timeout) as client:
            return await client.request(method, url.get_secret_value(), **options)

    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop
        return thread.submit(asyncio.run, ask()).result()


def _silent(who: str, error: Exception) -> str:
    """Say that nothing answers, with what helps; an error's text may have the URL, which is a secret."""
    helps = remedy(str(error))
    return f"{who} does not answer ({type(error).__name__}).{helps and f' {helps}'}"
