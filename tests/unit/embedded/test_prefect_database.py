"""New databases for Prefect's server are copies of a template in the Python environment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.embedded import prefect_database


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the template would be: in a folder that does not exist yet."""
    monkeypatch.setattr(prefect_database, "TEMPLATE", tmp_path / "environment" / "prefect.db")
    return prefect_database.TEMPLATE


def database(file: Path, table: str) -> Path:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"create table {table} (id)")
    return file


def tables(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [name for (name,) in connection.execute("select name from sqlite_master")]


def test_the_first_database_becomes_the_template_of_the_next(template: Path, tmp_path: Path) -> None:
    prefect_database.create(new := tmp_path / "new" / "prefect.db")
    assert not new.exists()
    prefect_database.keep_as_template(database(tmp_path / "first.db", "flow_run"))
    prefect_database.keep_as_template(database(tmp_path / "second.db", "other"))
    prefect_database.create(new)
    assert tables(new) == ["flow_run"]
    assert [file.name for file in template.parent.iterdir()] == [template.name]


def test_an_existing_database_is_kept(template: Path, tmp_path: Path) -> None:
    prefect_database.keep_as_template(database(tmp_path / "first.db", "flow_run"))
    prefect_database.create(existing := database(tmp_path / "existing.db", "mine"))
    assert tables(existing) == ["mine"]


def test_an_environment_that_cannot_be_written_gets_no_template(template: Path, tmp_path: Path) -> None:
    template.parent.write_text("a file where the folder would be")
    prefect_database.keep_as_template(database(tmp_path / "first.db", "flow_run"))
    assert not template.exists()
