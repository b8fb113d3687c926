"""All scenarios, in the order in which they are listed. Importing their modules adds them to the catalog."""

from commands.scenarios import airbyte, files, machine
from commands.scenarios.catalog import SCENARIOS

__all__ = ["SCENARIOS", "airbyte", "files", "machine"]
