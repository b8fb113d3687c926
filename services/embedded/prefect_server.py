"""Prefect's own server and UI: `python -m services.embedded.prefect_server PORT`."""

import sys

import uvicorn
from prefect.server.api.server import create_app

from services.embedded.lifeline import follow_parent

if __name__ == "__main__":
    follow_parent()
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=3)
