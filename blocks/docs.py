"""Write dbt's docs and dbt-colibri's column lineage as one page each: `python -m blocks.docs --folder docs`.

A flow starts this after a publication and does not wait for it. It does not block the warehouse: dbt reads a separate
file with empty copies of the warehouse's tables. That file also has the sources as tables, since dbt cannot read the
columns of a source in Parquet files.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from blocks.dbt.project import Dbt
from blocks.duckdb_file import identifier, quoted
from blocks.errors import PlatformError
from blocks.lake import reading
from blocks.turns import turn

SECONDS = 600
"""Timeout for everything."""
LINEAGE_SECONDS = 120
"""Timeout for the column lineage."""
NICE = 15
PRINT, NEW, LOCK = ".print", ".new", ".lock"
"""The file that records what docs are made from, the folder for new docs, and the lock of the process that writes."""
COLIBRI = Path(sys.prefix) / "lineage"
"""The folder in which dbt-colibri and its dependencies are installed, apart from the platform's packages."""
TRACED, UNTRACED = "traced.json", "colibri-parsing-errors.json"
_TRACE = """
import sys
sys.path.insert(0, sys.argv[1])
from dbt_colibri.lineage_extractor.extractor import DbtColumnLineageExtractor
from dbt_colibri.report.generator import DbtColibriReportGenerator
extractor = DbtColumnLineageExtractor(sys.argv[2] + "/traced.json", sys.argv[2] + "/catalog.json")
DbtColibriReportGenerator(extractor, disable_telemetry=True).generate_report(output_dir=sys.argv[2] + "/lineage")
"""
HEAD = """<link rel="icon" href="data:,"><script>
for (const name of ["localStorage", "sessionStorage"]) {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, String(value)) };
  Object.defineProperty(window, name, { value: { ...storage, removeItem: (key) => kept.delete(key) } });
}
</script>"""
"""Both pages are shown in a sandbox, which has no storage. Their scripts fail without it, so this replaces it."""
FORMAT = "2"
"""Format of the docs. Docs with another format are out of date."""
logger = logging.getLogger("docs")


def made_of(project: Path, tables: Mapping[str, Iterable[str]]) -> str:
    """Return a hash of what the docs depend on: the project's files and the columns of its tables."""
    files = [each for each in project.rglob("*") if each.suffix in (".sql", ".yml", ".yaml", ".csv", ".md")]
    parts = [FORMAT]
    parts += [f"{each.relative_to(project)} {sha256(each.read_bytes()).hexdigest()}" for each in sorted(files)]
    parts += [f"{table} {', '.join(columns)}" for table, columns in sorted(tables.items())]
    return sha256("\n".join(parts).encode()).hexdigest()


def start(folder: Path, profile: str | None, print_: str) -> bool:
    """Start a process that writes the docs; return False if they are up to date or being written.

    The process ends when the parent of this process, the worker, ends.
    """
    if _print_of(folder) == print_ or (_print_of(folder / NEW) == print_ and _is_locked(folder)):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    named = ["--profile", profile] if profile else []
    with (folder / "docs.log").open("wb") as log:
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "blocks.docs", "--folder", str(folder.absolute()), *named, "--print", print_,
             "--with", str(os.getppid())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    return True


def write(dbt: Dbt, folder: Path, print_: str) -> None:
    """Write and replace `index.html` (dbt's docs), `manifest.json`, `catalog.json` and `lineage/`.

    If another process is writing docs, wait for it, and then write only if it has written others.

    Raises:
        PlatformError: dbt failed. The old docs stay.
        filelock.Timeout: the other process does not end.
    """
    with FileLock(folder / LOCK, timeout=SECONDS):
        if not print_ or _print_of(folder) != print_:
            _write(dbt, folder, print_)


def _write(dbt: Dbt, folder: Path, print_: str) -> None:
    new = folder / NEW
    shutil.rmtree(new, ignore_errors=True)  # a killed process may have left it
    new.mkdir(parents=True)
    (new / PRINT).write_text(print_, encoding="utf-8")
    try:
        _generate(dbt, new)
        traced = trace(new, dict(_in_files(new)))
        for page in (new / "index.html", *([new / "lineage" / "index.html"] if traced else [])):
            page.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{HEAD}", 1), encoding="utf-8")
        for part in ("index.html", "manifest.json", "catalog.json", *(["lineage"] if traced else []), PRINT):
            _replace(new / part, folder / part)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _print_of(folder: Path) -> str | None:
    with suppress(OSError):
        return (folder / PRINT).read_text(encoding="utf-8")
    return None


def _is_locked(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def _generate(dbt: Dbt, new: Path) -> None:
    """Make dbt write its artifacts and `index.html` to a folder, from empty copies of the tables in a DuckDB file."""
    variables = {**dbt.variables, "DBT_TARGET_PATH": str(new), "DBT_LOG_PATH": str(new)}
    own = Dbt(dbt.project_dir, dbt.target, variables, dbt.log, timeout_seconds=SECONDS, engine=dbt.engine)
    if dbt.target == "dev" and dbt.warehouse:
        own.run("parse")
        sources = json.loads((new / "manifest.json").read_bytes())["sources"].values()
        shape = new / dbt.warehouse.name
        copy_shape(dbt.warehouse, shape, sources, Path(variables["LAKE_DIR"]))
        own.variables = {**variables, "WAREHOUSE_PATH": str(shape)}
    own.run("docs", "generate", "--static")
    page = (new / "static_index.html").read_text(encoding="utf-8")
    for artifact in ("manifest.json", "catalog.json"):
        text = (new / artifact).read_text(encoding="utf-8").strip()
        page = page.replace(text, text.replace("<", r"\u003c"))  # a column's name could end the page's script
    # Without this, the browser requests images whose names are templates that the script has not filled in yet.
    page = page.replace('xlink:href="{{', 'ng-attr-xlink:href="{{').replace('href="${', 'data-href="${')
    (new / "index.html").write_text(page, encoding="utf-8")


def copy_shape(warehouse: Path, shape: Path, sources: Iterable[Mapping[str, Any]], lake: Path) -> None:
    """Create a file with an empty table for each table and view in the warehouse, and for each source in files.

    Raises:
        PlatformError: another command uses the warehouse for too long.
    """
    with turn(warehouse, SECONDS, print), duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name, list(column_name order by column_index), "
            "list(data_type order by column_index) from duckdb_columns() "
            "where database_name = current_database() and not internal group by 1"
        ).fetchall()
    with reading(lake), duckdb.connect(str(shape)) as connection:
        for source in sources:
            with suppress(duckdb.Error):  # a source without files has no columns
                rows = connection.execute(f"describe from {place(source)}").fetchall() if place(source) else []
                name = f"{source['schema']}.{source['identifier']}"
                tables.append((name, [row[0] for row in rows], [row[1] for row in rows]))
        for table, columns, types in tables:
            listed = ", ".join(f"{identifier(column)} {type_}" for column, type_ in zip(columns, types, strict=True))
            if listed:
                connection.execute(f"create schema if not exists {identifier(table.partition('.')[0])}")
                connection.execute(f"create table if not exists {quoted(table)} ({listed})")


def place(source: Mapping[str, Any]) -> str:
    """Return the SQL for the files of a source in dbt's manifest; "" if the source is a table."""
    meta = source["config"].get("meta") or source["meta"]
    try:
        return str(meta.get("external_location") or "").format(**source)
    except (KeyError, IndexError, ValueError):
        return ""


def _in_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the SQL and the table's name of each source in files."""
    for source in json.loads((folder / "manifest.json").read_bytes())["sources"].values():
        if where := place(source):
            yield where, ".".join(identifier(source[part]) for part in ("database", "schema", "identifier"))


def trace(folder: Path, in_files: Mapping[str, str]) -> bool:
    """Make dbt-colibri write `lineage/` from the manifest and the catalogue in a folder; return whether it did.

    Args:
        folder: folder with dbt's artifacts.
        in_files: the SQL for sources in files, and the names of their tables in the catalogue. dbt-colibri can only
            follow columns to tables.
    """
    if not COLIBRI.is_dir():
        logger.warning("The column lineage was not written, because %s is missing. Run `make install`.", COLIBRI)
        return False
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for where, table in in_files.items():
        for node in manifest["nodes"].values():
            node["compiled_code"] = (node.get("compiled_code") or "").replace(where, table)
        for source in manifest["sources"].values():
            source["relation_name"] = table if place(source) == where else source["relation_name"]
    for id_, node in manifest["nodes"].items():
        if node["config"].get("materialized") == "incremental":  # it reads its own table, so that must be a parent
            node["depends_on"]["nodes"].append(id_)
    (folder / TRACED).write_text(json.dumps(manifest), encoding="utf-8")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", "-c", _TRACE, str(COLIBRI), str(folder)],
        capture_output=True, text=True, timeout=LINEAGE_SECONDS, check=False, env={"DO_NOT_TRACK": "1"},
    )  # fmt: skip
    if (untraced := folder / "lineage" / UNTRACED).exists():
        logger.warning("The columns of some models were not traced: %s", untraced.read_text(encoding="utf-8")[:2000])
    if done.returncode:
        logger.warning("The column lineage was not written: %s", done.stderr.strip()[-500:])
    return not done.returncode


def _replace(new: Path, old: Path) -> None:
    """Replace a file or folder with a new one. A reader may see no folder for a moment, but never half of one."""
    if new.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    new.replace(old)


def _end_with(pid: int) -> None:
    """End this process when another one has ended."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            os._exit(1)
        except PermissionError:
            return
        time.sleep(0.5)


def main() -> int:
    """Write the docs once. If that fails, log the reason and return 1."""
    from blocks.connections import Connections

    parser = argparse.ArgumentParser(prog="python -m blocks.docs", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the docs")
    parser.add_argument("--profile", help="name of the saved blocks (default: use the environment)")
    parser.add_argument("--print", default="", help="hash of what the docs depend on, to tell whether they are old")
    parser.add_argument("--with", type=int, dest="pid", help="end this process when the process with this id ends")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    os.nice(NICE)
    signal.alarm(SECONDS)
    if options.pid:
        threading.Thread(target=_end_with, args=[options.pid], daemon=True).start()
    try:
        write(Connections(options.profile).dbt(logger.info), options.folder, options.print)
    except (PlatformError, Timeout, OSError, duckdb.Error, subprocess.TimeoutExpired) as error:
        logger.error("The docs were not written. The old ones stay. %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
