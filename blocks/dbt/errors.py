"""The errors of dbt commands, by the messages of dbt and of the warehouses."""

import re
from pathlib import Path

from blocks.dbt.results import DbtResult
from blocks.duckdb_file import broken
from blocks.errors import PlatformError
from blocks.snowflake_ledger import NO_ANSWER


class DbtFailed(PlatformError):
    """A node failed, or dbt could not run. The text has the first failed nodes; `result` has all of them."""

    result: "DbtResult | None" = None


class StaleSource(PlatformError):
    """A source is older than its threshold. The text has the source, its age and the threshold."""


class WarehouseLocked(DbtFailed):
    """Another process has the DuckDB file open. The text names the process."""


class WarehouseAway(DbtFailed):
    """Snowflake does not answer. A retry may help."""


class NothingSelected(DbtFailed):
    """A selection matches no node. The text has similar names."""


class DbtTimedOut(DbtFailed):
    """A command took longer than DBT_TIMEOUT_SECONDS and was stopped. The text names the nodes that were running."""


def failure(name: str, result: DbtResult, fault: str, errors: list[str], warehouse: Path | str) -> DbtFailed:
    """Create the error for a failed command, with what to do next. `result` has the results of its nodes."""
    failed = [node for node in result.nodes if node.failed]
    texts = [node.message for node in failed] + ([fault] if fault else []) + errors
    for text in texts:
        if damaged := broken(text, warehouse):
            return DbtFailed(f"`dbt {name}` could not read the warehouse: {_short(text)} {damaged}")
        if NO_ANSWER.search(text):
            return WarehouseAway(
                f"`dbt {name}` could not reach Snowflake: {_short(text)} Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_HOST "
                "and the network, then run again."
            )
        if lock := re.search(r"Could not set lock on file.*", text, re.DOTALL):
            return _locked(lock.group())
    if any("No space left on device" in text for text in texts):
        return DbtFailed(f"`dbt {name}` ran out of disk space. Free some space, then run it again. {_short(texts[0])}")
    if failed:
        shown = "; ".join(f"{node.name} ({node.status}): {_short(node.message)}" for node in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        skipped = result.counts().get("skipped", 0)
        after = f" {skipped} nodes that depend on them were skipped." if skipped else ""
        return DbtFailed(
            f"`dbt {name}` failed on {shown}{more}.{after} Fix the data or the model, then run it again. "
            "The published tables did not change."
        )
    return DbtFailed(f"`dbt {name}` could not run: {_short(texts[0] if texts else 'dbt gave no reason')}")


def _locked(text: str) -> WarehouseLocked:
    holder = re.search(r"held in (.*?) \(PID (\d+)\)", text)
    who = f"process {holder.group(2)} ({holder.group(1)})" if holder else "another process"
    file = re.search(r'file "([^"]+)"', text)
    return WarehouseLocked(
        f"The warehouse {file.group(1) if file else ''} is open in {who}, and only one process can open a DuckDB file "
        "for writing. Close it there (a DuckDB prompt, a notebook, another dbt), then run again. "
        "To query the tables while pipelines run, open the published file instead."
    )


def _short(text: str, limit: int = 600) -> str:
    line = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
