"""The watch: check the platform every LOOK_SECONDS, and send a message when an incident begins or is over."""

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
"""How long to send messages before the next check."""
TEST = "test-"
"""The prefix of the files that request a test message; the rest of the name is its id."""
TEST_TEXT = "This is a test of the whole chain. Nothing is wrong."


def prefect(facts: Facts) -> list[Finding]:
    """Return a finding if Prefect's server does not answer."""
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
    """Runs the probes, stores incidents, and sends messages about new and ended ones.

    Args:
        store: stores the incidents.
        server: client for Prefect's server.
        settings: the environment's.
        names: the names that the platform uses on the server.
        profile: name of its saved blocks; "" if connections come from the environment.
        clock: returns the time.
        probes: the checks to run, by name.
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
        """Since when the watch has been running and Prefect's server has been answering."""
        self.state = self.store.load(self.since)
        self._seen: dict[str, dict[str, datetime]] = {}
        """When each probe's current findings were first seen, without a gap."""
        self._webhook = self.settings.alert_webhook_url if self.settings.alert_webhook_url.get_secret_value() else None
        """The receiver's URL when it was last read; None if it is unknown."""

    @property
    def platform(self) -> str:
        """The platform's name in messages."""
        return self.profile or "local"

    def look(self) -> State:
        """Run all probes once, and record which incidents are new and which are over. Send nothing."""
        now = self.clock()
        facts = Facts(self.server, self.settings, self.names, self.profile, self.state, now)
        incidents, messages = dict(self.state.incidents), list[Message]()
        for name, probe in self.probes.items():
            found = self._run_probe(name, probe, facts)
            if name == PREFECT and found:
                self.since = now
            begun = self._new_incidents(name, found, now)
            ended = [each for each in facts.open(name) if each.key not in found]
            for incident in ended:
                del incidents[incident.key]
            messages += [Message.of(each, self.platform, until=now) for each in ended]
            messages += [Message.of(each, self.platform) for each in begun]
            incidents |= {each.key: each for each in begun}
            for each in facts.open(name):
                if finding := found.get(each.key):
                    command = self._fill_in(finding.command, finding) if finding.command else each.command
                    update = {"evidence": dict(finding.evidence), "command": command}
                    incidents[each.key] = each.model_copy(update=update)
        state = self.state.model_copy(update={"incidents": incidents})
        messages += silence.recovery_messages(facts, self.platform)
        state.queue([*messages, *self._test_messages(now)])
        state.looked = now
        self._keep(state)
        silence.send_heartbeat(facts)
        return state

    def deliver(self) -> None:
        """Send pending messages in order, until the receiver does not answer.

        A message that the receiver rejects is set aside and retried later, so the others do not wait for it.
        """
        until = time.monotonic() + DELIVERY_SECONDS
        # Read the URL even if nothing is pending: the next message may say that Prefect's server does not answer.
        if (url := self.receiver()) is None:
            return
        for message in self.state.due(self.clock()):
            if time.monotonic() > until or not self._send(message, url):
                return

    def _send(self, message: Message, url: SecretStr) -> bool:
        """Send a message and record the result. Return whether to send the next one."""
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
                logger.error("%s Gave up after a day of retries: %s (%s).", error, message.key, message.state)
            elif before is None or before.why != failure.why:
                logger.warning(
                    "%s Pending messages: %d, now %s (%s).", error, len(state.unsent), message.key, message.state
                )
        self._keep(state)
        return goes_on

    def receiver(self) -> SecretStr | None:
        """Return the receiver's URL; an empty one if there is no receiver, None if it cannot be read."""
        if not self.profile:
            return self.settings.alert_webhook_url
        try:
            block = self.server.block("webhook", alerts_block(self.profile))
            self._webhook = SecretStr(str((block or {}).get("url") or ""))
        except NoAnswer as error:
            if self.state.unsent:
                known = "Using the last known receiver." if self._webhook else "The receiver is unknown."
                logger.warning("%s %s", error, known)
        return self._webhook

    def _keep(self, state: State) -> None:
        self.store.save(state)
        self.state = state

    def _run_probe(self, name: str, probe: Probe, facts: Facts) -> dict[str, Finding]:
        """Return a probe's findings by key. If it fails, return its open incidents unchanged."""
        try:
            return {each.key: each for each in probe(facts)}
        except Exception as error:  # noqa: BLE001 - one failing probe must not stop the others
            _log(name, error)
            self._seen.pop(name, None)
            return {each.key: _unchanged(each) for each in facts.open(name)}

    def _new_incidents(self, name: str, found: Mapping[str, Finding], now: datetime) -> list[Incident]:
        """Return the new incidents that have lasted as long as their cause requires."""
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
            command=self._fill_in(finding.command or cause.command, finding),
            advice=self._fill_in(cause.advice, finding),
            probe=probe,
            evidence=dict(finding.evidence),
        )

    def _fill_in(self, template: str, finding: Finding) -> str:
        # Most commands use the profile `local` without being told. `make dbt` then uses this machine, without Docker.
        platform = f" PROFILE={self.profile}" if self.profile else ""
        profile = platform if self.profile != "local" else ""
        names = {"flow": "", **finding.names, "subject": finding.subject, "profile": profile, "platform": platform}
        text = template.format(**names)
        return text if self.profile else without_docker(text)

    def _test_messages(self, now: datetime) -> list[Message]:
        """Return the test messages that people requested."""
        return [
            Message(
                id=id_, state="test", platform=self.platform, key=f"test/{id_}", kind="test", what=TEST_TEXT, since=now
            )
            for id_ in self._requested_tests()
        ]

    def _requested_tests(self) -> list[str]:
        return sorted(each.name.removeprefix(TEST) for each in self.store.folder.glob(f"{TEST}*"))

    def run(self) -> None:
        """Check and send until the process ends. A request for a test message is seen within a second."""
        while True:
            begun = time.monotonic()
            asked = self._requested_tests()
            self.look()
            for id_ in asked:  # `look` has stored their messages
                (self.store.folder / f"{TEST}{id_}").unlink(missing_ok=True)
            self.deliver()
            while time.monotonic() < begun + LOOK_SECONDS and not self._requested_tests():
                time.sleep(1)


def ask_for_test(store: IncidentStore) -> str:
    """Request a test message from the watch, and return the message's id."""
    id_ = uuid4().hex[:16]
    (store.folder / f"{TEST}{id_}").touch()
    return id_


def _unchanged(incident: Incident) -> Finding:
    kind, _, subject = incident.key.partition("/")
    return Finding(kind, subject, incident.what, incident.where, incident.since, incident.evidence)


def _log(probe: str, error: Exception) -> None:
    known = isinstance(error, PlatformError)
    # The text of any other error may contain a value of a row, or a secret.
    logger.warning("The check %s failed: %s", probe, error if known else type(error).__name__)
