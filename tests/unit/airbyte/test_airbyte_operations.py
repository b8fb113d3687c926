"""The table of operations, the routes and the page of the docs say the same."""

from pathlib import Path

from starlette.routing import Route

from services.airbyte.operations import NOT_DONE, OPERATIONS, page
from services.airbyte.routes import jobs, not_done, resources, tokens

IMPLEMENTED = [*jobs.ROUTES, *resources.ROUTES, *tokens.ROUTES]
PAGE = Path(__file__).parents[3] / "docs" / "airbyte-operations.md"


def _signatures(routes: list[Route]) -> set[tuple[str, str, str]]:
    return {(method, r.path, r.name) for r in routes for method in (r.methods or set()) - {"HEAD"}}


def test_what_the_table_calls_done_or_partial_is_what_has_a_route_of_its_own() -> None:
    declared = {(o.method, o.path, o.name) for o in OPERATIONS if o.state != NOT_DONE}
    assert _signatures(IMPLEMENTED) == declared


def test_every_other_operation_has_a_route_that_refuses_it() -> None:
    assert _signatures(not_done.ROUTES) == {(o.method, o.path, o.name) for o in OPERATIONS if o.state == NOT_DONE}
    assert len({o.name for o in OPERATIONS}) == len(OPERATIONS) == 92


def test_a_state_is_done_partial_and_how_or_not_done() -> None:
    assert all(o.state in ("done", NOT_DONE) or o.state.startswith("partial: ") for o in OPERATIONS)


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
