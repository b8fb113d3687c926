"""The environment of the shell that runs a verb: variables for Docker, and those that override a profile."""

import os
from collections.abc import Mapping


def variables() -> Mapping[str, str]:
    """Return the environment. The platform's settings come from the profile, not from here."""
    return os.environ
