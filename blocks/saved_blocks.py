"""Blocks as they are saved on a Prefect server: how they differ from the environment, whose they are, and saving them.

`python -m blocks.connections --name production` registers the block types and saves a document of each from the
environment; doing it again brings the documents up to date.
"""

import argparse
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from prefect import get_client
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate, BlockSchemaCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL
from pydantic import SecretStr

from blocks.connections import described, profiles, webhooks
from blocks.errors import PlatformError
from blocks.names import is_own
from blocks.names import owner as default_owner
from blocks.record import Record
from blocks.settings import Settings, make
from blocks.systems import S3Landing

WEBHOOK = Webhook.get_block_type_slug()
PUBLIC = "test"
"""The secret key that LocalStack takes from everybody: no secret."""
RECEIVER = "alerts"
"""The host of the local receiver of alerts, within Compose's network."""

PROJECT = Path(__file__).parents[1]


ABSENT, LEFT = "is not there", "is no longer wanted"


def wanted(settings: Settings, profile: str) -> dict[str, Block | None]:
    """The blocks that the environment describes, by `KIND/NAME`; None for one that is not wanted."""
    blocks: dict[str, Block | None] = {f"{each.get_block_type_slug()}/{profile}": each for each in described(settings)}
    return blocks | {f"{WEBHOOK}/{name}": each for name, each in webhooks(settings, profile).items()}


def differing(settings: Settings, profile: str) -> dict[str, tuple[Block | None, list[str]]]:
    """How the blocks saved for a profile differ from what is wanted, by `KIND/NAME`."""
    found = {}
    for where, block in wanted(settings, profile).items():
        name = where.partition("/")[2]
        found[where] = (block, differences(block, name) if block else [LEFT] if _is_saved(name) else [])
    return found


def _is_saved(name: str) -> bool:
    try:
        Webhook.load(name)
    except (ValueError, ObjectNotFound):
        return False
    except RuntimeError:
        return True
    return True


def differences(wanted: Block, name: str) -> list[str]:
    """How the block saved under a name differs from another, a line each; a secret's value is in none.

    The line of one that has not been saved is `is not there`.
    """
    try:
        saved = type(wanted).load(name)
    except (ValueError, ObjectNotFound):
        return [ABSENT]
    except RuntimeError:
        return ["does not fit its type any more"]
    lines = []
    for part in type(wanted).model_fields.keys() - Block.model_fields.keys():
        old, new = getattr(saved, part), getattr(wanted, part)
        if old != new:
            hidden = hasattr(new, "get_secret_value")
            shown = f"{part.rstrip('_')} differs" if hidden else f"{part.rstrip('_')}: {str(old)!r} -> {str(new)!r}"
            lines.append(shown)
    return lines


def save(client: SyncPrefectClient, block: Block | None, name: str) -> None:
    """Save a block under a name; one that is there already gets the new values. None removes a webhook.

    Other than `Block.save`, it leaves a block type of the same name as it is: that may be other people's.
    """
    if block is None:
        client.delete_block_document(client.read_block_document_by_name(name, WEBHOOK).id)
        return
    kind, slug = type(block), block.get_block_type_slug()
    try:
        type_id = client.read_block_type_by_slug(slug).id
    except ObjectNotFound:
        kind.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
        type_id = client.read_block_type_by_slug(slug).id
    # Prefect's public methods would also bring the type's description up to date.
    checksum = kind._calculate_schema_checksum()  # noqa: SLF001
    try:
        schema = client.read_block_schema_by_checksum(checksum, version=kind.get_block_schema_version())
    except ObjectNotFound:
        made = kind._to_block_schema(block_type_id=type_id)  # noqa: SLF001
        fields = {"fields", "block_type_id", "capabilities", "version"}
        schema = client.create_block_schema(BlockSchemaCreate(**made.model_dump(include=fields)))
    document = block._to_block_document(  # noqa: SLF001
        name=name, block_schema_id=schema.id, block_type_id=type_id, include_secrets=True
    ).model_dump()
    try:
        saved = client.read_block_document_by_name(name, slug)
    except ObjectNotFound:
        parts = ("name", "block_schema_id", "block_type_id", "data", "is_anonymous")
        client.create_block_document(BlockDocumentCreate(**{part: document[part] for part in parts}))
    else:
        changed = BlockDocumentUpdate(block_schema_id=schema.id, data=document["data"])
        client.update_block_document(saved.id, changed)


def register(profile: str, takeover: bool = False) -> list[str]:
    """Save the blocks that the environment describes under a profile's name; return what was saved.

    Nothing is written where nothing differs.

    Args:
        profile: the name.
        takeover: whether blocks that were saved from elsewhere are overwritten.

    Raises:
        blocks.record.NotOurs: blocks of the name were saved from another clone, or by a person.
    """
    settings = Settings()
    owner = settings.prefect_owner or default_owner(PROJECT)
    with get_client(sync_client=True) as client:
        found = differing(settings, profile)
        record = Record(client, f"blocks of {profile}")
        if not takeover and not is_own(str(client.api_url)):
            refuse_others(record, profile, owner, found, str(client.api_url))
        changed = {where: block for where, (block, what) in found.items() if what}
        if changed or (record.owner, record.profile) != (owner, profile):
            record.claim([_thing(where, profile) for where in found], profile, owner)
        for where, block in changed.items():
            save(client, block, where.partition("/")[2])
    return [_saved(where, block) for where, block in changed.items()]


def _saved(where: str, block: Block | None) -> str:
    name = where.partition("/")[2]
    return f"saved {type(block).__name__}.load({name!r})" if block else f"removed {where}"


def refuse_others(
    record: Record, profile: str, owner: str, found: Mapping[str, tuple[Block | None, list[str]]], url: str
) -> None:
    """Make sure that the blocks of a profile's name that there are were saved from this clone.

    Raises:
        blocks.record.NotOurs: they were not.
    """
    there = [_thing(where, profile) for where, (block, what) in found.items() if what != [ABSENT] and (block or what)]
    remedy = (
        "Save yours under another name, or in another PREFECT_NAMESPACE. If those are yours to overwrite, add "
        f"--takeover to `python -m blocks.connections --name {profile}`, or TAKEOVER=1 to `{make('up')}`."
    )
    record.check(profile, owner, there, f"The name {profile} for blocks on {url}", remedy)


def _thing(where: str, profile: str) -> str:
    """What the record calls a block: the kind alone where it has the profile's name."""
    kind, _, name = where.partition("/")
    return f"block {kind}" if name == profile else f"block {where}"


def exposed(settings: Settings) -> str:
    """A warning where secrets would be readable by anybody who reaches the Prefect server; nothing otherwise."""
    if PREFECT_API_AUTH_STRING.value() or PREFECT_API_KEY.value():
        return ""
    secrets = [
        f"{name.upper()}"
        for name in Settings.model_fields
        if isinstance(value := getattr(settings, name), SecretStr) and not _is_public(value.get_secret_value())
    ]
    if not secrets:
        return ""
    server = PREFECT_API_URL.value() or "The Prefect server of this process"
    return (
        f"Warning: {server} asks for no password, so anybody who reaches it can read {', '.join(secrets)} from its "
        "blocks. Start the server with PREFECT_SERVER_API_AUTH_STRING, then set PREFECT_API_AUTH_STRING here."
    )


def _is_public(value: str) -> bool:
    """Whether a value may be shown: it is empty, LocalStack's, or the address of the local receiver."""
    return value in ("", PUBLIC) or urlsplit(value).hostname == RECEIVER


def main(arguments: list[str] | None = None) -> int:
    """Register the block types and save a document of each from the environment."""
    parser = argparse.ArgumentParser(prog="python -m blocks.connections", description=main.__doc__)
    parser.add_argument("--name", help="name of the documents: the profile, e.g. production")
    parser.add_argument("--takeover", action="store_true", help="overwrite blocks that were saved from elsewhere")
    options = parser.parse_args(arguments)
    server = PREFECT_API_URL.value() or "a Prefect server of this process's own"
    if not options.name:
        parser.error(_nameless(server))
    try:
        if warning := exposed(Settings()):
            print(warning, file=sys.stderr)
        saved = register(options.name, options.takeover)
        for line in saved:
            print(line)
        if not saved:
            print(f"The blocks called {options.name} are as the environment says; nothing was changed.")
    except (PlatformError, ValueError, httpx.HTTPError) as error:
        print(f"The blocks were not saved on {server}: {error}{_hint(error)}", file=sys.stderr)
        return 1
    return 0


def _nameless(server: str) -> str:
    there: list[str] = []
    with suppress(httpx.HTTPError, RuntimeError):
        there = profiles(S3Landing)
    return (
        "no profile is named, and blocks that are saved under its name are overwritten. Name it, for example: "
        f"python -m blocks.connections --name production. Saved on {server}: {', '.join(there) or 'none yet'}."
    )


def _hint(error: Exception) -> str:
    if isinstance(error, httpx.TransportError):
        return ". Start `make dev`, then `. data/dev/env`; for another server set PREFECT_API_URL."
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 500:
        return (
            "\nA server whose PREFECT_SERVER_ENCRYPTION_KEY has changed cannot read the blocks that it has: give it "
            f"the former one, or begin anew with `{make('reset')}`."
        )
    return ""


if __name__ == "__main__":
    sys.exit(main())
