"""A small dbt project with its warehouse, and the two ways in which dbt runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from blocks.dbt.engine import Engine
from blocks.dbt.project import Dbt

FILES = {
    "dbt_project.yml": "{name: shop, profile: shop, flags: {send_anonymous_usage_stats: false}}",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('WAREHOUSE_PATH') }}", threads: 1}
""",
    "models/sources.yml": """
sources:
  - name: raw
    schema: main
    config:
      loaded_at_field: loaded_at
      freshness: {error_after: {count: 24, period: hour}}
    tables: [{name: fresh}, {name: stale}, {name: empty}]
""",
    "models/orders.sql": "select 1 as id union all select 2",
    "models/totals.sql": "select count(*) as total from {{ ref('orders') }}",
    "models/orders.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]",
}


class Project:
    """A small dbt project in a folder, with its warehouse."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.warehouse, self.lines = folder, folder / "w.duckdb", list[str]()
        for name, text in FILES.items():
            self.write(name, text)
        self.dbt = Dbt(folder, "dev", {"WAREHOUSE_PATH": str(self.warehouse)}, self.lines.append, engine=engine)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Asked from another process, as a person would: the file must be free."""
        script = (
            "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())"
        )
        command = [sys.executable, "-c", script, str(self.warehouse), query]
        return eval(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


ENDLESS = (
    "{{ config(materialized='table') }} select count(*) as n from range(100000000000) a(x), range(1000) b(y) "
    "where hash(x + y) % 7 = 1"
)
DBT = str(Path(sys.executable).with_name("dbt"))
both = pytest.mark.parametrize("project", ["in process", "child"], indirect=True)
each = pytest.mark.parametrize(
    "project", ["in process", pytest.param("child", marks=pytest.mark.exhaustive)], indirect=True
)
"""As `both`, with the slower one in `make test-all` alone."""
