"""Alerts: whether anybody hears of it when something goes wrong."""

from collections.abc import Iterable
from datetime import UTC, datetime

from blocks.errors import ConfigurationError
from blocks.incidents import IncidentStore, unsent
from blocks.settings import Settings, make
from blocks.webhook import format_of
from services.doctor.finding import Finding
from services.watch.machine import declared_ends


def alerts(settings: Settings) -> Iterable[Finding]:
    """Whether there is a receiver of alerts, and whether the end dates of secrets can be read; nothing is sent."""
    fix = "Put the URL of a webhook into the secret ALERT_WEBHOOK_URL: docs/alerts.md."
    if settings.alert_webhook_url.get_secret_value():
        format_ = format_of(settings.alert_webhook_url, settings.alert_format)
        yield Finding("alerts", "ok", f"they go to a webhook, in the format {format_}; `{make('alert-test')}` tries it")
    else:
        yield Finding("alerts", "warn", "ALERT_WEBHOOK_URL is empty, so nobody is told when something goes wrong", fix)
    for each in unsent(IncidentStore(settings.alerts_dir).read(), datetime.now(UTC)):
        yield Finding("alerts", "warn", each.what, f"Correct ALERT_WEBHOOK_URL or ALERT_FORMAT, then `{each.command}`.")
    try:
        declared_ends(settings.secrets_expire)
    except ConfigurationError as error:
        yield Finding("alerts", "fail", str(error), "Correct SECRETS_EXPIRE in the profile.")
