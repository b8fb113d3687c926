"""The JSON schema of the config file, for editors.

Write it with `python -m services.airbyte.catalog.config_schema > docs/airbyte-config.schema.json`.
"""

import json

from services.airbyte.catalog.config import Config


def text() -> str:
    """Return the content of docs/airbyte-config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
