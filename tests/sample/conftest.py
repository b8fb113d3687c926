"""The states of a lake and its warehouse that the tests of the dbt project start from."""

from tests.integration.dbt.conftest import empty, january, platform, thirty_days

__all__ = ["empty", "january", "platform", "thirty_days"]
