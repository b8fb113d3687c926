"""The errors between the platform and Airbyte."""

from collections.abc import Sequence

from blocks.airbyte.api import Job, SyncResult
from blocks.errors import PlatformError


class AirbyteError(PlatformError):
    """An error between the platform and Airbyte.

    Attributes:
        rows: number of rows that all syncs of the run have moved nevertheless.
        results: results of the syncs that succeeded.
        partial: results of the syncs that failed.
    """

    rows = 0
    results: Sequence[SyncResult] = ()
    partial: Sequence[SyncResult] = ()


class AirbyteUnavailable(AirbyteError):
    """Airbyte does not answer, or has an internal error. A retry may help."""


class AirbyteUnauthorised(AirbyteError):
    """Airbyte does not accept the credentials."""


class AirbyteForbidden(AirbyteUnauthorised):
    """Airbyte accepts the credentials, but does not permit the request."""


class UnknownConnection(AirbyteError):
    """Airbyte has no connection with this id."""


class ConnectionInactive(AirbyteError):
    """The connection is inactive, so Airbyte does not sync it."""


class SyncFailed(AirbyteError):
    """The sync failed. `rows` were moved, from the streams and files without errors. `job` is the sync's ended job."""

    job: Job | None = None


class SyncsFailed(SyncFailed):
    """Several syncs failed, or one for a reason outside Airbyte. The text has all reasons."""


class SyncCancelled(SyncFailed):
    """Someone cancelled the sync."""


class SyncTimedOut(SyncFailed):
    """The sync timed out and was cancelled."""


class RemovalFailed(AirbyteError):
    """A file's rows could not be deleted from raw."""


class CompactionFailed(AirbyteError):
    """Raw's small files could not be merged."""
