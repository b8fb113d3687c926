"""`python -m services.bootstrap --profile production --plan`: what bootstrap would change, and how models differ."""

from collections.abc import Iterable, Iterator

from prefect import get_client

from blocks.settings import Settings
from services.bootstrap import drift
from services.bootstrap.deployments import declared
from services.bootstrap.models import LOCAL, compiled, differences


def plan(profile: str) -> Iterator[str]:
    """The lines of the plan; nothing is changed.

    Raises:
        blocks.errors.PlatformError: a setting cannot be used, or the models do not compile.
    """
    settings, wanted = Settings(), declared()
    with get_client(sync_client=True) as client:
        yield from _section("Blocks", drift.blocks(profile, settings))
        changes = [*drift.surroundings(client, wanted), *drift.deployments(client, profile, wanted)]
        yield from _section("Deployments", changes)
    yield from _models(settings)


def _section(title: str, changes: Iterable[drift.Change]) -> Iterator[str]:
    yield f"{title}:"
    yield from [f"  {each}" for each in changes] or ["  nothing changes"]


def _models(settings: Settings) -> Iterator[str]:
    if settings.dbt_target == LOCAL:
        yield "Models: the target is DuckDB, on which they are tried; there is no other to compare with"
        return
    local, other = compiled(settings, LOCAL), compiled(settings, settings.dbt_target)
    same = sum(local.get(name) == sql for name, sql in other.items())
    yield f"Models: {len(other)} compile for both targets, {same} of them to the same SQL"
    yield from (f"  {line}" for line in differences(local, other))
