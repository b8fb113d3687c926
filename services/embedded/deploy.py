"""Registers the deployments of prefect.yaml: `python -m services.embedded.deploy`.

Prefect reads the `.env` and the `prefect.toml` of the folder in which it is imported. Those in the project's folder are
a person's own, so this enters it only then.
"""

import os
import sys

from prefect.cli import app

from services.embedded.lifeline import follow_parent
from services.embedded.stack import PROJECT

if __name__ == "__main__":
    follow_parent()
    os.chdir(PROJECT)
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    app()
