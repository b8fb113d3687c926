"""Run any dbt command on the flows' project, target and data: `python -m blocks.dbt_command build`."""

import sys

from blocks.connections import Connections
from blocks.errors import PlatformError


def main(arguments: list[str]) -> None:
    """Run dbt's own command line with the flows' variables and lock. Exit with dbt's exit code."""
    try:
        dbt = Connections(None).dbt()
    except PlatformError as error:
        sys.exit(str(error))
    folder = str(dbt.project_dir)
    own = {
        "DBT_PROJECT_DIR": folder,
        "DBT_PROFILES_DIR": folder,
        "DBT_TARGET": dbt.target,
        "DBT_USE_COLORS": str(sys.stdout.isatty()),
    }
    dbt.variables = {**dbt.variables, **own}
    try:
        sys.exit(dbt.by_hand(arguments or ["--help"]))
    except PlatformError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
