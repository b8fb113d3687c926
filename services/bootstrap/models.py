"""How the models' SQL differs between DuckDB, on which they are tried, and the warehouse of a profile."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

from blocks.dbt.project import Dbt
from blocks.settings import Settings
from blocks.systems import dbt_from, snowflake_from

LOCAL = "dev"
COMPILE = ("compile", "--full-refresh", "--target-path")
"""For a first build: what is built already is in one of the two warehouses alone, and is not a difference of theirs."""


def compiled(settings: Settings, target: str) -> dict[str, str]:
    """Each model's SQL for a target, by its name, without the database and schema of what it selects from.

    Raises:
        blocks.dbt.errors.DbtFailed: a model does not compile, or the warehouse does not answer.
        blocks.errors.ConfigurationError: values of Snowflake's connection are missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = dbt_from(settings)
        variables = config.variables()
        if target == LOCAL:
            # A database of its own: compiling asks it nothing, and the real one may be at work.
            variables["WAREHOUSE_PATH"] = str(Path(folder, "warehouse.duckdb"))
        else:
            snowflake = snowflake_from(settings)
            snowflake.check()
            variables |= snowflake.variables()
        Dbt(settings.dbt_project_dir, target, variables, lambda _: None, engine=config.engine()).run(*COMPILE, folder)
        models = Path(folder, "compiled").glob("*/models/**/*.sql")
        # A folder that is called as a yml holds that file's tests.
        return {file.stem: _plain(file.read_text(), settings) for file in models if file.parent.suffix != ".yml"}


def _plain(sql: str, settings: Settings) -> str:
    sql = re.sub(r"read_parquet\('(?:[^']|'')*/(\w+)/\*\.parquet'[^)]*\)", r"\1", sql)
    database = rf"(warehouse|{re.escape(settings.snowflake_database) or 'warehouse'})"
    return re.sub(rf'"?{database}"?\."?\w+"?\."?(\w+)"?', r"\2", sql, flags=re.IGNORECASE).strip()


def differences(local: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    """The lines that differ, by model, as a unified diff from the one to the other."""
    for name in sorted(local.keys() | other.keys()):
        before, after = local.get(name, "").splitlines(), other.get(name, "").splitlines()
        yield from unified_diff(before, after, f"{name} (DuckDB)", f"{name} (Snowflake)", lineterm="", n=1)
