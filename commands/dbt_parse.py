"""Parse the dbt project for every target, without a connection: `python -m commands.dbt_parse`, for `make lint`."""

import sys

from blocks.dbt.project import Dbt
from blocks.errors import PlatformError
from blocks.settings import Settings
from blocks.systems import SnowflakeConnection, dbt_from

NOWHERE = SnowflakeConnection(account="none", user="none", database="none", schema="none", warehouse="none")


def main() -> int:
    """Return 0 if the project parses for every target. Otherwise, print the reason to standard error and return 1."""
    config = dbt_from(Settings())
    for target in ("dev", "snowflake"):
        variables = config.variables() | NOWHERE.variables()
        try:
            Dbt(config.project_dir, target, variables, lambda _: None, engine=config.engine()).run("parse")
        except PlatformError as error:
            print(f"Target {target}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
