"""Registers the deployments of prefect.yaml: `python -m commands.embedded.deploy`.

Prefect reads the `.env` and the `prefect.toml` of the folder in which it is imported. In the project's folder, these
would be the user's own, so this program changes to that folder only after the import.
"""

import os

from prefect import get_client

from blocks.names import Names
from commands.embedded.lifeline import follow_parent
from services.bootstrap.drift import Platform
from services.content import PROJECT

if __name__ == "__main__":
    follow_parent()
    os.chdir(PROJECT)
    with get_client(sync_client=True) as client:
        Platform(client, Names(), profile=None, watched=False).apply()
