"""Compare the models' SQL on DuckDB, where they are developed, with their SQL on a profile's warehouse."""

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
"""Compile as for a first build. Otherwise a table that exists in only one of the warehouses would make a difference."""


def compiled(settings: Settings, target: str) -> dict[str, str]:
    """Return each model's SQL for a target, by model name, without the databases and schemas of its tables.

    Raises:
        blocks.dbt.errors.DbtFailed: a model does not compile, or the warehouse does not answer.
        blocks.errors.ConfigurationError: values of Snowflake's connection are missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = dbt_from(settings)
        variables = config.variables()
        if target == LOCAL:
            # Use an empty database: compiling does not query it, and the real one may be in use.
            variables["WAREHOUSE_PATH"] = str(Path(folder, "warehouse.duckdb"))
        else:
            snowflake = snowflake_from(settings)
            snowflake.check()
            variables |= snowflake.variables()
        Dbt(settings.dbt_project_dir, target, variables, lambda _: None, engine=config.engine()).run(*COMPILE, folder)
        models = Path(folder, "compiled").glob("*/models/**/*.sql")
        # A folder named like a yml file has that file's tests.
        return {file.stem: _plain(file.read_text(), settings) for file in models if file.parent.suffix != ".yml"}


def _plain(sql: str, settings: Settings) -> str:
    sql = re.sub(r"read_parquet\('(?:[^']|'')*/(\w+)/\*\.parquet'[^)]*\)", r"\1", sql)
    database = rf"(warehouse|{re.escape(settings.snowflake_database) or 'warehouse'})"
    return re.sub(rf'"?{database}"?\."?\w+"?\."?(\w+)"?', r"\2", sql, flags=re.IGNORECASE).strip()


def differences(local: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    """Yield the differing lines as a unified diff for each model."""
    for name in sorted(local.keys() | other.keys()):
        before, after = local.get(name, "").splitlines(), other.get(name, "").splitlines()
        yield from unified_diff(before, after, f"{name} (DuckDB)", f"{name} (Snowflake)", lineterm="", n=1)
