"""Run a flow that must fail, and read what it leaves on the Prefect server."""

import json
from typing import Any

import pytest
from prefect.artifacts import Artifact

from blocks.errors import PlatformError
from tests.integration.flows.platform import newest_run


def fails(flow, kind: type[PlatformError], **parameters) -> str:
    """Run a flow that must fail; the error's text, which the flow run's state carries."""
    with pytest.raises(kind) as caught:
        flow(**parameters)
    text = str(caught.value)
    state = newest_run(flow.name).state
    assert state is not None
    assert state.type == "FAILED"
    assert text[:200] in (state.message or "")
    return text


def of_the_last_run(key: str) -> list[dict[str, Any]]:
    """The rows of an artifact of the newest run of the pipeline."""
    found = Artifact.get(key)
    assert found is not None
    assert found.flow_run_id == newest_run("full_pipeline").id
    return json.loads(str(found.data))
