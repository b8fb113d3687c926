"""Run any dbt command on the flows' project, target and data: `python -m blocks.dbt_command build`."""

import sys

from blocks.connections import Connections
from blocks.errors import PlatformError


def main(arguments: list[str]) -> None:
    """Run dbt's own command line with the flows' variables and lock. Exit with dbt's exit code.

    Args:
        arguments: dbt's. After `--blocks NAME`, the saved blocks of that name are used instead of the environment.
    """
    profile = None
    if arguments[:1] == ["--blocks"]:
        _, profile, *arguments = arguments
    try:
        dbt = Connections(profile).dbt()
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
