"""New databases for Prefect's server are copies of a template in the Python environment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.embedded import prefect_database


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


def create_first(file: Path, table: str) -> Path:
    """Create a database the way the platform and Prefect do when there is no template."""
    prefect_database.create(file)
    return database(file, table)


def test_the_first_database_becomes_the_template_of_the_next(template: Path, tmp_path: Path) -> None:
    first, second = create_first(tmp_path / "first.db", "flow_run"), tmp_path / "second.db"
    prefect_database.keep_as_template(first)
    prefect_database.create(second)
    assert tables(second) == ["flow_run"]
    prefect_database.keep_as_template(database(second, "more"))
    assert tables(template) == ["flow_run"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["environment", "first.db", "second.db"]
    assert [file.name for file in template.parent.iterdir()] == [template.name]


def test_a_database_that_has_been_used_stays_as_it_is_and_becomes_no_template(template: Path, tmp_path: Path) -> None:
    used = database(tmp_path / "used.db", "mine")
    prefect_database.create(used)
    prefect_database.keep_as_template(used)
    assert tables(used) == ["mine"]
    assert not template.exists()


def test_a_server_that_failed_at_its_first_start_leaves_no_template(template: Path, tmp_path: Path) -> None:
    failed = create_first(tmp_path / "failed.db", "half")
    prefect_database.create(failed)
    prefect_database.keep_as_template(failed)
    assert not template.exists()


def test_an_environment_that_cannot_be_written_gets_no_template(template: Path, tmp_path: Path) -> None:
    template.parent.write_text("a file where the folder would be")
    prefect_database.keep_as_template(create_first(tmp_path / "first.db", "flow_run"))
    assert not template.exists()
