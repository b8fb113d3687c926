"""Start the mock on its own: `python -m services.airbyte`."""

import argparse
import sys
from typing import Any

from pydantic import ValidationError

from services.airbyte.catalog.config_file import ConfigError
from services.airbyte.server import Server
from services.airbyte.settings import Settings

EPILOG = """\
Every flag is also an environment variable (MOCK_AIRBYTE_LAKE_DIR for --lake-dir); the flag takes precedence. Secrets
are environment variables only. If MOCK_AIRBYTE_CLIENT_ID and MOCK_AIRBYTE_CLIENT_SECRET are set, every call needs a
token. S3 credentials come from MOCK_AIRBYTE_S3_ACCESS_KEY_ID and MOCK_AIRBYTE_S3_SECRET_ACCESS_KEY; by default, boto3
looks for them in its usual places.

example: python -m services.airbyte --s3-endpoint-url http://127.0.0.1:4566 --lake-dir ./lake
"""
FLAGS = {
    "host": "address to listen on",
    "port": "port to listen on",
    "config": "YAML file that declares workspaces, sources, destinations and connections",
    "lake_dir": "folder for the Parquet files that destinations write",
    "state_dir": "folder for jobs, tokens and the state of syncs; if you delete it, every file is synced again",
    "fault_set": "one of the config file's faultSets, active from the start",
    "s3_endpoint_url": "S3 endpoint that sources read from",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.airbyte",
        description="A mock of Airbyte's public API v1 whose syncs move rows from S3 into Parquet.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for name, help_ in FLAGS.items():
        default = Settings.model_fields[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", help=help_ + (f" (default: {default})" if default else ""))
    parser.add_argument("--faults", action="store_true", help="serve the endpoints below /_mock that inject faults")
    parser.add_argument(
        "--like-airbyte",
        action="store_true",
        help="do as Airbyte does: read CSV as text, choose files by date, load the rows before a bad one",
    )
    parser.add_argument("--strict", action="store_true", help="answer unknown ids as Airbyte's server does")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    try:
        settings = Settings(**given)
        server = Server(settings, log_level="info")
    except ConfigError as error:
        return _stop(str(error))
    except ValidationError as error:
        return _stop("\n".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()))
    server.run()
    return 0


def _stop(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
