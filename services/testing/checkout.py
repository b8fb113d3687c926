"""A copy of this checkout with other content, for tests that must not depend on the user's content.

`checkout(folder)` has no source; `commands.sources.project.project_of(folder)` can write some into it.
`checkout(folder, content)` has the files of the folder `content`, which is laid out like a checkout:
`dbt_project/models/...`, `localstack/landing/STREAM/...` and the connections' YAML. To run a platform on the copy, use
`EmbeddedPlatform(state, folder)`, which runs this checkout's code on the copy's content, or `Platform(folder)`, whose
containers run the copy's code.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from services.content import CONNECTIONS_FILE, PROJECT

PLATFORM = (
    "blocks",
    "commands",
    "flows",
    "schedules",
    "services",
    "prefect.yaml",
    "localstack/init",
    "dbt_project/dbt_project.yml",
    "dbt_project/profiles.yml",
    "dbt_project/macros",
    "dbt_project/tests/generic",
    "profiles/local.env",
    "docker-compose.yml",
    "docker-compose.scale.yml",
    "Dockerfile",
    ".dockerignore",
    "requirements.lock",
    "requirements-platform.lock",
    "requirements-lineage.lock",
)
"""The files of the platform itself."""
SOURCES = Path("dbt_project", "models", "staging", "sources.yml")
IGNORED = shutil.ignore_patterns("__pycache__", "secrets")


def checkout(target: Path, content: Path | None = None, also: Iterable[str] = ()) -> None:
    """Copy this checkout, with its uncommitted changes, and with other content.

    Args:
        target: folder for the copy, which is emptied first.
        content: folder with the content's files, by their paths in a checkout. Without it, the copy has no source.
        also: more paths of this checkout to copy, e.g. `tests`.
    """
    shutil.rmtree(target, ignore_errors=True)
    for path in (*PLATFORM, *also):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / path).is_dir():
            shutil.copytree(PROJECT / path, copy, ignore=IGNORED, dirs_exist_ok=True)
        else:
            shutil.copy2(PROJECT / path, copy)
    for folder in ("localstack/landing", "dbt_project/models/marts"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    if content:
        shutil.copytree(content, target, dirs_exist_ok=True)
    else:
        _declare_no_source(target)


def _declare_no_source(target: Path) -> None:
    """Write this checkout's connections and sources.yml, without their streams and tables."""
    connections = _read(CONNECTIONS_FILE)
    for each in (*connections["sources"], *connections["connections"]):
        each.get("configuration", each.get("configurations", {}))["streams"] = []
    _write(target / CONNECTIONS_FILE, connections)
    raw = next(each for each in _read(SOURCES)["sources"] if each["name"] == "raw")
    _write(target / SOURCES, {"sources": [{**raw, "tables": []}]})


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))
    return found


def _write(file: Path, document: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(document, sort_keys=False, width=1000), encoding="utf-8")
