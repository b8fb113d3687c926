"""Sends messages to a webhook: Slack, Microsoft Teams, Discord, or any that accepts JSON. Its URL is a secret."""

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
"""Timeout for a receiver's whole answer."""
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
"""The format by the suffix of the receiver's host."""
MOST: dict[Format, int] = {"slack": 4000, "discord": 2000, "teams": 4000}
"""Maximum length of a text in UTF-16 units. Slack splits longer texts, Discord rejects them, Teams rejects 28 kB."""
RETRYABLE = frozenset({408, 425, 429})
"""The statuses below 500 after which a receiver may accept the same message later."""
IN_TEAMS = re.compile(r"returned HTTP error (\d{3})")
"""Teams may answer 200 and report in the body that it has not accepted the message."""


class NotTaken(PlatformError):
    """The receiver did not accept a message. The text does not contain its URL, which is a secret."""

    tries = 1
    """How many attempts this failure counts as. After TRIES, the message is set aside."""


class Refused(NotTaken):
    """The receiver rejects this message, and would reject it again."""

    tries = TRIES


class Unreachable(NotTaken):
    """The receiver does not answer, so it would not accept other messages either."""

    tries = 0


def format_of(url: SecretStr, chosen: Format | Literal[""] = "") -> Format:
    """Return the format of a receiver's messages: the chosen one, or the one for its host; JSON for other hosts."""
    if chosen:
        return chosen
    try:
        host = urlsplit(url.get_secret_value()).hostname or ""
    except ValueError:  # e.g. http://[half
        return "json"
    return next((kind for end, kind in HOSTS.items() if host == end or host.endswith(f".{end}")), "json")


def body(message: Message, kind: Format) -> dict[str, Any]:
    """Return the body of a request with the message in the receiver's format."""
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
    """Escape a text for Slack, which reads <, > and & as markup: a file's name could notify a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(message: Message, kind: Format) -> str:
    """Return a message's text, cut to the receiver's limit. What happened is cut first."""
    for name in ("what", "where", "command", "impact"):
        while (over := _length(message.text, kind) - MOST[kind]) > 0 and (left := _part(message, name)):
            # A character counts as at most five, since & becomes &amp; for Slack.
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
        Refused: it rejects this message.
        NotTaken: it fails to accept the message now.
    """
    kind = format_of(url, chosen)
    try:
        answer = _ask("POST", url, json=body(message, kind), headers={"Idempotency-Key": message.id})
    except NOT_A_URL:
        raise Unreachable("ALERT_WEBHOOK_URL is not a URL that begins with http:// or https://. Correct it.") from None
    except (httpx.HTTPError, TimeoutError) as error:
        failure = NotTaken if isinstance(error, TimeoutError) else Unreachable
        raise failure(_unanswered("The receiver at ALERT_WEBHOOK_URL", error)) from None
    inner = IN_TEAMS.search(answer.text) if kind == "teams" else None
    if answer.is_success and not inner:
        return
    status = int(inner[1]) if inner else answer.status_code
    failure = NotTaken if status >= 500 or status in RETRYABLE else Refused
    raise failure(
        f"The receiver at ALERT_WEBHOOK_URL rejects messages with status {status}. If this persists, "
        "check the URL, and set ALERT_FORMAT to slack, teams, discord or json."
    )


def ping(url: SecretStr) -> str:
    """Call a heartbeat's URL; return "", or why that failed, without the URL."""
    try:
        answer = _ask("GET", url, follow_redirects=True)
    except NOT_A_URL:
        return "HEARTBEAT_URL is not a URL that begins with http:// or https://. Correct it."
    except (httpx.HTTPError, TimeoutError) as error:
        return _unanswered("HEARTBEAT_URL", error)
    return "" if answer.is_success else f"HEARTBEAT_URL answers with status {answer.status_code}."


def _ask(method: str, url: SecretStr, **options: Any) -> httpx.Response:
    """Send a request and return the answer.

    httpx's own timeouts are for each read, so they do not stop a receiver that sends its answer byte by byte.

    Raises:
        TimeoutError: the whole answer has not arrived after SECONDS.
        httpx.HTTPError: another failure.
    """

    async def ask() -> httpx.Response:
        timeout = httpx.Timeout(None, connect=SECONDS / 2)
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=timeout) as client:
            return await client.request(method, url.get_secret_value(), **options)

    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop
        return thread.submit(asyncio.run, ask()).result()


def _unanswered(who: str, error: Exception) -> str:
    """Say that there is no answer, and what to do. The error's text is left out: it may contain the secret URL."""
    helps = remedy(str(error))
    return f"{who} does not answer ({type(error).__name__}).{helps and f' {helps}'}"
