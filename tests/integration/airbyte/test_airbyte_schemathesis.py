"""Schemathesis over Airbyte's own OpenAPI document: no 5xx and no answer outside the schema, whatever is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from services.airbyte import operations
from services.airbyte.operations import NOT_DONE, OPERATIONS
from services.airbyte.settings import Settings
from services.content import CONNECTIONS
from tests.integration.airbyte.running_mock import served

DOCUMENT = Path(operations.__file__).with_name("openapi") / "public-api.yaml"
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
IMPLEMENTED = [operation.name for operation in OPERATIONS if operation.state != NOT_DONE]
KNOWN = {
    "jobId": "1",
    "connectionId": "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10",
    "workspaceId": "2f9c1d3e-5a7b-4c8d-9e0f-1a2b3c4d5e6f",
    "sourceId": "3a1f0c52-8b6d-4e2a-b7c9-5d4e6f708192",
    "destinationId": "4b2e1d63-9c7e-4f3b-a8d0-6e5f70819203",
}
SCHEMA = schemathesis.openapi.from_path(DOCUMENT)
API = SCHEMA.include(operation_id=IMPLEMENTED)
TRIED = [result.ok() for result in API.get_all_operations()]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[str]:
    """A mock of the sample file, whose syncs find no bucket and fail."""
    home = tmp_path_factory.mktemp("schemathesis")
    access = {"s3_endpoint_url": s3_url, "s3_access_key_id": "test", "s3_secret_access_key": "test"}
    mock = Settings(config=CONNECTIONS, lake_dir=home / "lake", state_dir=home / "state", retry_delay=0, **access)
    with served(mock) as root:
        yield f"{root}/api/public/v1"


def with_known_ids(case: schemathesis.Case) -> None:
    """Let the call be about what exists, so that it gets past 404."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            part.update({name: KNOWN[name] for name in part if name in KNOWN})


# Schemathesis' own parametrize gives all operations one node id, of which pytest-xdist runs a single test.
@pytest.mark.parametrize("operation", TRIED, ids=lambda operation: operation.label)
def test_the_operation_keeps_to_its_schema(operation: schemathesis.schemas.APIOperation, base_url: str) -> None:
    @settings(suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def keeps_to_it(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=base_url, checks=CHECKS)
        if case.method != "DELETE":
            with_known_ids(case)
            case.call_and_validate(base_url=base_url, checks=CHECKS)

    keeps_to_it()


def test_every_operation_that_is_not_refused_is_tried() -> None:
    assert {operation.definition.raw["operationId"] for operation in TRIED} == set(IMPLEMENTED)
