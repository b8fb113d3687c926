"""The emulator answers a statement as Snowflake's documentation does, or refuses it with an error that says so."""

from collections.abc import Iterator

import pytest
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import ProgrammingError

from tests.integration.snowflake.documented import Case
from tests.integration.snowflake.emulator import PASSWORD, USER, running_emulator
from tests.integration.snowflake.statements import CASES, SETUP, table
from tests.readme import PROJECT


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeCursor]:
    with (
        running_emulator(tmp_path_factory.mktemp("statements"), user=USER, password=PASSWORD) as emulator,
        emulator.connect() as session,
        session.cursor() as cursor,
    ):
        for statement in SETUP:
            cursor.execute(statement)
        yield cursor


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql[:60])
def test_a_statement_returns_what_snowflake_documents_or_an_error(cursor: SnowflakeCursor, case: Case) -> None:
    *before, last = case.sql.split("; ")
    for statement in before:
        cursor.execute(statement)
    if isinstance(case.result, str):
        with pytest.raises(ProgrammingError) as refused:
            cursor.execute(last)
        assert case.result in str(refused.value)
    else:
        rows = [tuple(row) for row in cursor.execute(last).fetchall()]  # type: ignore[union-attr, arg-type]
        assert [(value, type(value)) for row in rows for value in row] == [
            (value, type(value)) for row in case.result for value in row
        ]


def test_the_page_of_the_emulator_has_the_table_of_these_statements() -> None:
    page = (PROJECT / "docs" / "snowflake.md").read_text()
    assert table() in page, "Replace it by the output of: python -m tests.integration.snowflake.statements"


def test_what_fails_leaves_the_tables_as_they_were(cursor: SnowflakeCursor) -> None:
    assert cursor.execute("select count(*) from t").fetchall() == [(1,)]  # type: ignore[union-attr]
