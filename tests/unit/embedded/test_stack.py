"""The variables of the embedded platform's processes."""

from pathlib import Path

import pytest

from commands.embedded.stack import CONNECTION_ID, Stack
from services.content import CONNECTIONS, CONNECTIONS_FILE

OTHER, INACTIVE = CONNECTION_ID.replace("7", "8"), CONNECTION_ID.replace("7", "9")
MORE = """
  - {{connectionId: {id}, name: more, sourceId: 3a1f0c52-8b6d-4e2a-b7c9-5d4e6f708192, status: {status},
     destinationId: 4b2e1d63-9c7e-4f3b-a8d0-6e5f70819203}}
"""


@pytest.mark.parametrize(
    ("content", "first", "others"),
    [
        (CONNECTIONS.read_text(), CONNECTION_ID, ""),
        (CONNECTIONS.read_text() + MORE.format(id=OTHER, status="active"), CONNECTION_ID, OTHER),
        (CONNECTIONS.read_text() + MORE.format(id=INACTIVE, status="inactive"), CONNECTION_ID, ""),
        (CONNECTIONS.read_text().replace(CONNECTION_ID, OTHER), OTHER, ""),
        ("connections: 7", CONNECTION_ID, ""),
        ("{", CONNECTION_ID, ""),
    ],
    ids=["one", "two", "inactive", "another", "invalid", "not YAML"],
)
def test_every_active_connection_is_synced(content: str, first: str, others: str, tmp_path: Path) -> None:
    (file := tmp_path / CONNECTIONS_FILE).parent.mkdir()
    file.write_text(content)
    stack = Stack(tmp_path / "dev", tmp_path / "published.duckdb", 1, 2, 3, project=tmp_path)
    assert stack.variables["AIRBYTE_CONNECTION_ID"] == first
    assert stack.variables["AIRBYTE_CONNECTION_IDS"] == others
