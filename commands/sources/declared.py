"""Reads the spec of a source back from its declarations."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from commands.sources import entries, render
from commands.sources.project import Project
from commands.sources.spec import ColumnSpec, Spec, TestSpec


def read_declared(project: Project, name: str) -> Spec | None:
    """Return the spec of a source as it is declared, or None if sources.yml has no such table."""
    table = project.raw_tables().get(name)
    if table is None:
        return None
    stream = project.declared().get(name, {})
    columns = [_column(each, stream.get("columns", {})) for each in table.get("columns", [])]
    raw = {column.raw.lower(): column.name for column in columns}
    key = [raw.get(each.lower(), each) for each in stream.get("primaryKey", _tested_key(table))]
    by_day, day = _by_day(project, name)
    model = _model(project.models / "marts" / f"{name}.yml", name)
    paths = {
        each["name"]: render.paths_of(render.plain(each.get("description", ""))) for each in model.get("columns", [])
    }
    columns = [replace(column, paths=paths.get(column.name, ())) for column in columns]
    tests = list(_tests(model))
    late = (((table.get("config") or {}).get("freshness") or {}).get("warn_after") or {}).get("count", 0)
    form, globs = dict(stream.get("format") or {}), list(stream.get("globs") or [])
    return Spec(name, key, columns, tests, form, by_day, day, late, globs)


def _tested_key(table: Mapping[str, Any]) -> list[str]:
    """Return the key from the test on raw, for a stream that only Airbyte knows."""
    tests = [each for each in table.get("data_tests", []) if isinstance(each, Mapping)]
    named = (each["unique_in_each_file"] for each in tests if "unique_in_each_file" in each)
    test = next(named, None) or {}
    return list(test.get("arguments", {}).get("columns", []))


def is_generated(project: Project, name: str) -> bool:
    """Return whether `make source` generated the entry in sources.yml, so that it may change the source's files."""
    text = project.sources_yml.read_text(encoding="utf-8")
    return bool(entries.is_own(text, project.tables, name, render.ENTRY))


def _column(column: Mapping[str, Any], types: Mapping[str, str]) -> ColumnSpec:
    meta = render.plain((column.get("config") or {}).get("meta") or {})
    raw = str(meta.get("column", column["name"]))
    known = {name.lower(): (name, type_) for name, type_ in types.items()}
    raw, mock_type = known.get(raw.lower(), (raw, "string"))
    return ColumnSpec(
        str(column["name"]),
        raw,
        column.get("data_type", "varchar"),
        mock_type,
        meta.get("format", ""),
        tuple(meta.get("null_values", ())),
        optional=bool(meta.get("optional")),
    )


def _model(file: Path, name: str) -> dict[str, Any]:
    if not file.exists():
        return {}
    models = yaml.safe_load(file.read_text(encoding="utf-8")).get("models", [])
    model: dict[str, Any] = next((each for each in models if each["name"] == name), {})
    return model


def _tests(model: Mapping[str, Any]) -> Iterator[TestSpec]:
    for test in model.get("data_tests", []):
        yield _test(test, "")
    for column in model.get("columns", []):
        for test in column.get("data_tests", []):
            yield _test(test, column["name"])


def _test(test: str | Mapping[str, Any], column: str) -> TestSpec:
    kind, settings = (test, {}) if isinstance(test, str) else next(iter(test.items()))
    config = settings.get("config", {})
    reason = render.plain(config.get("meta", {}).get("reason", ""))
    return TestSpec(kind, dict(settings.get("arguments", {})), reason, column, config.get("severity") == "warn")


def _by_day(project: Project, name: str) -> tuple[str, str]:
    """Return the generated aggregate by day and its time column, or two empty strings."""
    for each in project.aggregates(name):
        text = (project.models / "marts" / f"{each}.sql").read_text(encoding="utf-8")
        if found := re.search(r"(?:cast\((\w+) as date\)|utc_day\('(\w+)'\) \}\}) as day", text):
            return each, found[1] or found[2]
    return "", ""
