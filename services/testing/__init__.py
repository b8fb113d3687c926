"""The platform as containers for tests. Import these names in your tests; `docs/testing.md` has an example."""

from services.testing.airbyte import AirbyteContainer
from services.testing.engine import engine_problem
from services.testing.platform import Platform
from services.testing.running import PlatformFailed

__all__ = ["AirbyteContainer", "Platform", "PlatformFailed", "engine_problem"]
