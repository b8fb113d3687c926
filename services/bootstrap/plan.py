"""Show what bootstrap would change, and how models differ: `python -m services.bootstrap --profile NAME --plan`."""

from collections.abc import Iterable, Iterator

from blocks.saved_blocks import exposure_warning
from blocks.settings import Settings
from services.bootstrap import drift
from services.bootstrap.models import LOCAL, compiled, differences


def registration(platform: drift.Platform, settings: Settings) -> tuple[list[drift.Change], list[drift.Change]]:
    """Return the changes to blocks, and all other changes, without making any.

    Raises:
        blocks.record.NotOurs: an object that would change belongs to another owner.
    """
    platform.check_owner()
    saved = drift.blocks(platform, settings)
    return saved, list(platform.changes())


def lines(blocks: Iterable[drift.Change], others: Iterable[drift.Change], settings: Settings) -> Iterator[str]:
    """Yield the lines of the plan."""
    if warning := exposure_warning(settings):
        yield warning
    yield from _section("Blocks", blocks)
    yield from _section("Deployments", others)


def _section(title: str, changes: Iterable[drift.Change]) -> Iterator[str]:
    yield f"{title}:"
    yield from [f"  {each.where}: {what}" for each in changes for what in each.what] or ["  nothing changes"]


def models(settings: Settings) -> Iterator[str]:
    """Yield lines that compare the models' SQL on DuckDB with the target's.

    Raises:
        blocks.errors.PlatformError: the models do not compile.
    """
    if settings.dbt_target == LOCAL:
        yield "Models: the target is DuckDB, so there is no other target to compare with"
        return
    local, other = compiled(settings, LOCAL), compiled(settings, settings.dbt_target)
    same = sum(local.get(name) == sql for name, sql in other.items())
    yield f"Models: {len(other)} compile for both targets, {same} of them to the same SQL"
    yield from (f"  {line}" for line in differences(local, other))
