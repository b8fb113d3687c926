"""What can go wrong between the platform and Airbyte."""

from collections.abc import Sequence

from blocks.airbyte.api import Job, SyncResult
from blocks.errors import PlatformError


class AirbyteError(PlatformError):
    """Something went wrong between the platform and Airbyte.

    `rows` were moved nevertheless, by all syncs of the run; `results` are those of the syncs that succeeded, `partial`
    those of the ones that did not.
    """

    rows = 0
    results: Sequence[SyncResult] = ()
    partial: Sequence[SyncResult] = ()


class AirbyteUnavailable(AirbyteError):
    """Airbyte does not answer, or answers with an error of its own: worth another try."""


class AirbyteUnauthorised(AirbyteError):
    """Airbyte does not accept the credentials."""


class AirbyteForbidden(AirbyteUnauthorised):
    """Airbyte accepts the credentials, but their user may not do what was asked for."""


class UnknownConnection(AirbyteError):
    """Airbyte has no connection with this id."""


class ConnectionInactive(AirbyteError):
    """The connection is switched off, so Airbyte will not sync it."""


class SyncFailed(AirbyteError):
    """The sync ended without success; `rows` were moved by then, of the streams and files that went well.

    `job` is the sync's job at its end.
    """

    job: Job | None = None


class SyncsFailed(SyncFailed):
    """Several syncs failed, or one for a reason that is not Airbyte's; the text has all reasons."""


class SyncCancelled(SyncFailed):
    """Someone cancelled the sync."""


class SyncTimedOut(SyncFailed):
    """The sync did not end in time; it was cancelled."""


class RemovalFailed(AirbyteError):
    """The rows of a file could not be taken out of raw."""


class CompactionFailed(AirbyteError):
    """The small files of raw could not be merged."""
