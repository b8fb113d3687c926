"""S3 (moto's server) and the mock Airbyte in one process: `python -m commands.embedded.stand_ins --help`."""

import argparse
import logging
from pathlib import Path

from pydantic import SecretStr

from commands.embedded.lifeline import follow_parent
from commands.embedded.s3_server import s3_server
from services.airbyte.server import Server
from services.airbyte.settings import Settings
from services.content import CONNECTIONS


def main() -> None:
    """Serve until the parent ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--s3-port", type=int, required=True)
    parser.add_argument("--airbyte-port", type=int, required=True)
    parser.add_argument("--config", type=Path, default=CONNECTIONS, help="YAML file with the connections")
    parser.add_argument("--lake-dir", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--s3-dir", type=Path, required=True, help="folder for S3's objects")
    options = parser.parse_args()
    follow_parent()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    settings = Settings(
        port=options.airbyte_port,
        config=options.config,
        lake_dir=options.lake_dir,
        state_dir=options.state_dir,
        s3_endpoint_url=f"http://127.0.0.1:{options.s3_port}",
        s3_region="us-east-1",
        s3_access_key_id=SecretStr("test"),
        s3_secret_access_key=SecretStr("test"),
        faults=True,
    )
    with s3_server(options.s3_port, options.s3_dir):
        Server(settings, log_level="warning").run()


if __name__ == "__main__":
    main()
