"""Check that alerts reach somebody."""

from collections.abc import Iterable
from datetime import UTC, datetime

from blocks.errors import ConfigurationError
from blocks.incidents import IncidentStore, unsent
from blocks.settings import Settings, make
from blocks.webhook import format_of
from commands.doctor.finding import Finding
from services.watch.machine import declared_ends


def alerts(settings: Settings) -> Iterable[Finding]:
    """Check that alerts have a receiver, and that SECRETS_EXPIRE can be read. Send nothing."""
    fix = "Put the URL of a webhook into the secret ALERT_WEBHOOK_URL; see docs/alerts.md."
    if settings.alert_webhook_url.get_secret_value():
        format_ = format_of(settings.alert_webhook_url, settings.alert_format)
        yield Finding("alerts", "ok", f"sent to a webhook, in the format {format_}; `{make('alert-test')}` tests it")
    else:
        yield Finding("alerts", "warn", "ALERT_WEBHOOK_URL is empty, so nobody receives alerts", fix)
    for each in unsent(IncidentStore(settings.alerts_dir).read(), datetime.now(UTC)):
        yield Finding("alerts", "warn", each.what, f"Correct ALERT_WEBHOOK_URL or ALERT_FORMAT, then `{each.command}`.")
    try:
        declared_ends(settings.secrets_expire)
    except ConfigurationError as error:
        yield Finding("alerts", "fail", str(error), "Correct SECRETS_EXPIRE in the profile.")
