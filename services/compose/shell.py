"""The variables of the shell that a verb is typed in: Docker's own, and those that the verb may be given."""

import os
from collections.abc import Mapping


def variables() -> Mapping[str, str]:
    """Return the environment as the person has it; the profile, not this, holds the platform's settings."""
    return os.environ
