"""Start the emulator: `python -m services.snowflake`."""

import argparse
import logging
import sys
from typing import Any

import duckdb
import uvicorn
from pydantic import ValidationError

from services import ports
from services.snowflake.app import create_app
from services.snowflake.settings import Settings

EPILOG = f"""\
Every flag is also an environment variable (SNOWFLAKE_EMULATOR_PORT for --port); the flag takes precedence. Secrets are
environment variables only. By default, everybody can log in. If you set SNOWFLAKE_EMULATOR_USER and one of
SNOWFLAKE_EMULATOR_PASSWORD, SNOWFLAKE_EMULATOR_PUBLIC_KEY (PEM) and SNOWFLAKE_EMULATOR_OAUTH_TOKEN, only that user can.

example: python -m services.snowflake --data ./snowflake-data
         For dbt and the platform, set DBT_TARGET=snowflake SNOWFLAKE_HOST=127.0.0.1 SNOWFLAKE_PORT={ports.SNOWFLAKE}
         SNOWFLAKE_PROTOCOL=http and any SNOWFLAKE_ACCOUNT, _USER, _PASSWORD, _DATABASE, _SCHEMA, _WAREHOUSE, _ROLE.
"""
FLAGS = ("host", "port", "data", "account", "role", "database", "user")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.snowflake",
        description="A Snowflake emulator for dbt-snowflake and Snowflake's Python connector, on DuckDB.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for name in FLAGS:
        field = Settings.model_fields[name]
        default = f" (default: {field.default})" if field.default else ""
        parser.add_argument(f"--{name}", help=f"{field.description}{default}")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    try:
        settings = Settings(**given)
        app = create_app(settings)
    except ValidationError as error:
        return _stop("\n".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()))
    except (OSError, duckdb.IOException) as error:
        return _stop(f"Cannot use the data folder: {error}. Stop the process that uses it, or choose another --data.")
    # sqlglot warns about statements that it passes on unparsed. DuckDB reports those that fail.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False)
    return 0


def _stop(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
