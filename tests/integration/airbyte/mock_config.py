"""The config file of the tests' mock, and a mock with streams of a test's own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.airbyte.running_mock import Landing, Mock, Start

CONFIG = """
workspaces:
  - {{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}}
sources:
  - sourceId: 22222222-2222-4222-8222-222222222222
    name: Shop
    workspaceId: 44444444-4444-4444-8444-444444444444
    configuration:
      bucket: {bucket}
      prefix: inbound/
      streams:
        - name: orders
          primaryKey: [id]
          columns: {{id: integer, name: string, price: number, at: timestamp_with_timezone}}
        - name: shops
          primaryKey: [id]
          columns: {{id: integer, name: string}}
destinations:
  - destinationId: 33333333-3333-4333-8333-333333333333
    name: Lake
    workspaceId: 44444444-4444-4444-8444-444444444444
connections:
  - connectionId: 11111111-1111-4111-8111-111111111111
    name: Shop to lake
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
    configurations:
      streams:
        - {{name: orders, syncMode: {mode}}}
        - {{name: shops, syncMode: incremental_append}}
"""


@contextmanager
def mock_of(start: Start, landing: Landing, streams: list[dict[str, Any]], tmp_path: Path) -> Iterator[Mock]:
    """Start a mock whose only streams are these, each as its entry in the config file."""
    text = CONFIG.format(bucket=landing.bucket, mode="incremental_append")
    begin, end = text.index("        - name: orders"), text.index("destinations:")
    made = "".join(f"        - {json.dumps(stream)}\n" for stream in streams)
    text = f"{text[:begin]}{made}{text[end:]}"
    text = text[: text.index("    configurations:")] + "    configurations:\n      streams:\n"
    text += "".join(f"        - {{name: {stream['name']}, syncMode: incremental_append}}\n" for stream in streams)
    (config := tmp_path / "dialects.yaml").write_text(text)
    with start(config=config) as mock:
        yield mock
