"""The watch: looks at the platform's state every few seconds, and tells what has begun and what is over."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pydantic import SecretStr

from blocks.errors import PlatformError, shown
from blocks.incidents import Incident, IncidentStore, Message, State
from blocks.names import Names, alerts_block
from blocks.settings import Settings
from blocks.webhook import NotTaken, Unreachable, send
from services.watch import silence
from services.watch.causes import CAUSES, LOOK_SECONDS, Cause, Finding
from services.watch.failures import PROBE, failures
from services.watch.machine import disk, secrets, sensor
from services.watch.prefect_api import NoAnswer, Prefect
from services.watch.probe import Facts, Probe
from services.watch.results import drift, freshness, volume
from services.watch.slow import slow
from services.watch.starts import starts
from services.watch.without_docker import without_docker

logger = logging.getLogger("watch")

PREFECT = "prefect"
DELIVERY_SECONDS = 15.0
"""How long messages are sent before the watch looks again."""
TEST = "test-"
"""How the files begin that ask for a test message; the rest is its id."""


TRIED = "This is a test of the whole chain. Nothing is wrong."


def prefect(facts: Facts) -> list[Finding]:
    """Prefect's server, where it does not answer."""
    try:
        facts.prefect.check()
    except NoAnswer:
        where = facts.prefect.page("/")
        return [Finding("prefect_silent", "server", "Prefect's server does not answer.", where)]
    return []


PROBES: dict[str, Probe] = {
    PREFECT: prefect,
    "sensor": sensor,
    "disk": disk,
    "secrets": secrets,
    "starts": starts,
    PROBE: failures,
    "slow": slow,
    "freshness": freshness,
    "drift": drift,
    "volume": volume,
}


@dataclass
class Watch:
    """Looks, keeps what is wrong, and sends what is new.

    Args:
        store: keeps the incidents.
        server: Prefect's.
        settings: the environment's.
        names: of the platform's things on the server.
        profile: name of its saved blocks; empty where the environment describes the connections.
        clock: the time.
        probes: what to look at.
    """

    store: IncidentStore
    server: Prefect
    settings: Settings
    names: Names
    profile: str = ""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    probes: Mapping[str, Probe] = field(default_factory=lambda: dict(PROBES))

    def __post_init__(self) -> None:
        self.since = self.clock()
        """Since when the watch has looked, and Prefect's server has answered it."""
        self.state = self.store.load(self.since)
        self._seen: dict[str, dict[str, datetime]] = {}
        """When each finding of a probe was first seen, without a look between that did not see it."""
        self._webhook = self.settings.alert_webhook_url if self.settings.alert_webhook_url.get_secret_value() else None
        """The receiver's URL as it was last read; None while it is not known."""

    @property
    def platform(self) -> str:
        """What messages call the platform."""
        return self.profile or "local"

    def look(self) -> State:
        """Look once, and note what has begun and what is over; nothing is sent."""
        now = self.clock()
        facts = Facts(self.server, self.settings, self.names, self.profile, self.state, now)
        incidents, messages = dict(self.state.incidents), list[Message]()
        for name, probe in self.probes.items():
            found = self._found(name, probe, facts)
            if name == PREFECT and found:
                self.since = now
            begun = self._begun(name, found, now)
            ended = [each for each in facts.open(name) if each.key not in found]
            for incident in ended:
                del incidents[incident.key]
            messages += [Message.of(each, self.platform, until=now) for each in ended]
            messages += [Message.of(each, self.platform) for each in begun]
            incidents |= {each.key: each for each in begun}
            for each in facts.open(name):
                if finding := found.get(each.key):
                    command = self._typed(finding.command, finding) if finding.command else each.command
                    update = {"evidence": dict(finding.evidence), "command": command}
                    incidents[each.key] = each.model_copy(update=update)
        state = self.state.model_copy(update={"incidents": incidents})
        messages += silence.over(facts, self.platform)
        state.queue([*messages, *self._tests(now)])
        state.looked = now
        self._keep(state)
        silence.alive(facts)
        return state

    def deliver(self) -> None:
        """Send what is not sent yet, in order, until the receiver cannot take one.

        A message that the receiver refuses is set aside and tried again later: the others do not wait for it.
        """
        until = time.monotonic() + DELIVERY_SECONDS
        # Asked for also while there is nothing to send: the next message may be that Prefect's server is away.
        if (url := self.receiver()) is None:
            return
        for message in self.state.due(self.clock()):
            if time.monotonic() > until or not self._send(message, url):
                return

    def _send(self, message: Message, url: SecretStr) -> bool:
        """Send a message, and note what came of it; whether the next one may be sent."""
        state, goes_on = self.state.model_copy(update={"has_receiver": bool(url.get_secret_value())}), True
        try:
            if url.get_secret_value():
                send(message, url, self.settings.alert_format)
            state.arrived(message, self.clock())
        except NotTaken as error:
            before = self.state.failures.get(message.id)
            failure = state.failed(message, str(error), error.tries, self.clock())
            goes_on = failure.is_aside and not isinstance(error, Unreachable)
            if state.gives_up(failure):
                state.drop(message)
                logger.error("%s It was tried for a day and is given up: %s (%s).", error, message.key, message.state)
            elif before is None or before.why != failure.why:
                logger.warning("%s %d messages wait; %s (%s).", error, len(state.unsent), message.key, message.state)
        self._keep(state)
        return goes_on

    def receiver(self) -> SecretStr | None:
        """Where messages go; empty for nowhere, None while that cannot be found out."""
        if not self.profile:
            return self.settings.alert_webhook_url
        try:
            block = self.server.block("webhook", alerts_block(self.profile))
            self._webhook = SecretStr(str((block or {}).get("url") or ""))
        except NoAnswer as error:
            if self.state.unsent:
                known = "the one that was known before" if self._webhook else "not known"
                logger.warning("%s The receiver is %s.", error, known)
        return self._webhook

    def _keep(self, state: State) -> None:
        self.store.save(state)
        self.state = state

    def _found(self, name: str, probe: Probe, facts: Facts) -> dict[str, Finding]:
        """What a probe sees, by key; what it saw before where it cannot look."""
        try:
            return {each.key: each for each in probe(facts)}
        except Exception as error:  # noqa: BLE001 - what cannot be seen stays as it was, and the others are looked at
            _log(name, error)
            self._seen.pop(name, None)
            return {each.key: _as_it_was(each) for each in facts.open(name)}

    def _begun(self, name: str, found: Mapping[str, Finding], now: datetime) -> list[Incident]:
        """The incidents that are new, and have lasted as long as their cause must."""
        before = self._seen.get(name, {})
        seen = self._seen[name] = {key: before.get(key, now) for key in found}
        return [
            self._incident(name, finding, seen[key])
            for key, finding in found.items()
            if key not in self.state.incidents and self._is_due(CAUSES[finding.kind], now, seen[key])
        ]

    def _is_due(self, cause: Cause, now: datetime, seen: datetime) -> bool:
        lasted = now - seen >= timedelta(seconds=cause.seconds)
        return lasted and now - self.since >= timedelta(seconds=cause.settling)

    def _incident(self, probe: str, finding: Finding, seen: datetime) -> Incident:
        cause = CAUSES[finding.kind]
        return Incident(
            key=finding.key,
            kind=finding.kind,
            what=shown(finding.what),
            since=finding.since or seen,
            opened=self.clock(),
            impact=cause.impact,
            where=shown(finding.where),
            command=self._typed(finding.command or cause.command, finding),
            advice=self._typed(cause.advice, finding),
            probe=probe,
            evidence=dict(finding.evidence),
        )

    def _typed(self, template: str, finding: Finding) -> str:
        profile = f" PROFILE={self.profile}" if self.profile not in ("", "local") else ""
        names = {"flow": "", **finding.names, "subject": finding.subject, "profile": profile}
        text = template.format(**names)
        return text if self.profile else without_docker(text)

    def _tests(self, now: datetime) -> list[Message]:
        """The test messages that people have asked for."""
        return [
            Message(id=id_, state="test", platform=self.platform, key=f"test/{id_}", kind="test", what=TRIED, since=now)
            for id_ in self._asked()
        ]

    def _asked(self) -> list[str]:
        return sorted(each.name.removeprefix(TEST) for each in self.store.folder.glob(f"{TEST}*"))

    def run(self) -> None:
        """Look and send until the process is ended; a request for a test is seen within a second."""
        while True:
            begun = time.monotonic()
            asked = self._asked()
            self.look()
            for id_ in asked:  # which the state has now
                (self.store.folder / f"{TEST}{id_}").unlink(missing_ok=True)
            self.deliver()
            while time.monotonic() < begun + LOOK_SECONDS and not self._asked():
                time.sleep(1)


def ask_for_test(store: IncidentStore) -> str:
    """Ask the watch to send a test message; return the message's id."""
    id_ = uuid4().hex[:16]
    (store.folder / f"{TEST}{id_}").touch()
    return id_


def _as_it_was(incident: Incident) -> Finding:
    kind, _, subject = incident.key.partition("/")
    return Finding(kind, subject, incident.what, incident.where, incident.since, incident.evidence)


def _log(probe: str, error: Exception) -> None:
    known = isinstance(error, PlatformError)
    # The text of another error may have a value of a row, or a secret.
    logger.warning("%s cannot be looked at: %s", probe, error if known else type(error).__name__)
