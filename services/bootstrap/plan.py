"""`python -m services.bootstrap --profile production --plan`: what bootstrap would change, and how models differ."""

from collections.abc import Iterable, Iterator

from blocks.saved_blocks import exposed
from blocks.settings import Settings
from services.bootstrap import drift
from services.bootstrap.models import LOCAL, compiled, differences


def registration(platform: drift.Platform, settings: Settings) -> tuple[list[drift.Change], list[drift.Change]]:
    """What would change of the blocks, and of all else; nothing is changed.

    Raises:
        blocks.record.NotOurs: something that would change is another's.
    """
    platform.refuse_others()
    saved = drift.blocks(platform, settings)
    return saved, list(platform.changes())


def lines(blocks: Iterable[drift.Change], others: Iterable[drift.Change], settings: Settings) -> Iterator[str]:
    """The plan's lines."""
    if warning := exposed(settings):
        yield warning
    yield from _section("Blocks", blocks)
    yield from _section("Deployments", others)


def _section(title: str, changes: Iterable[drift.Change]) -> Iterator[str]:
    yield f"{title}:"
    yield from [f"  {each.where}: {what}" for each in changes for what in each.what] or ["  nothing changes"]


def models(settings: Settings) -> Iterator[str]:
    """How the models' SQL differs between DuckDB and the target.

    Raises:
        blocks.errors.PlatformError: the models do not compile.
    """
    if settings.dbt_target == LOCAL:
        yield "Models: the target is DuckDB, on which they are tried; there is no other to compare with"
        return
    local, other = compiled(settings, LOCAL), compiled(settings, settings.dbt_target)
    same = sum(local.get(name) == sql for name, sql in other.items())
    yield f"Models: {len(other)} compile for both targets, {same} of them to the same SQL"
    yield from (f"  {line}" for line in differences(local, other))
