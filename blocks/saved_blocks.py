"""Saves blocks on a Prefect server, compares them with the environment, and checks who owns them.

`python -m blocks.connections --name production` registers the block types and saves a document of each from the
environment. Running it again updates the documents.
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

from blocks.connections import blocks_from, profiles, webhooks
from blocks.errors import PlatformError
from blocks.names import is_own
from blocks.names import owner as default_owner
from blocks.record import Record
from blocks.settings import Settings, make
from blocks.systems import S3Landing

WEBHOOK = Webhook.get_block_type_slug()
PUBLIC = "test"
"""The secret key for LocalStack. It is not a secret: LocalStack accepts it from everybody."""
RECEIVER = "alerts"
"""The host name of the local receiver of alerts in Compose's network."""

PROJECT = Path(__file__).parents[1]


ABSENT, UNWANTED = "is missing", "is no longer configured"


def wanted(settings: Settings, profile: str) -> dict[str, Block | None]:
    """Create the blocks from the settings, by `KIND/NAME`; None for a webhook without a URL."""
    blocks: dict[str, Block | None] = {
        f"{each.get_block_type_slug()}/{profile}": each for each in blocks_from(settings)
    }
    return blocks | {f"{WEBHOOK}/{name}": each for name, each in webhooks(settings, profile).items()}


def differing(settings: Settings, profile: str) -> dict[str, tuple[Block | None, list[str]]]:
    """Return each wanted block of a profile and its differences from the saved one, by `KIND/NAME`."""
    found = {}
    for where, block in wanted(settings, profile).items():
        name = where.partition("/")[2]
        found[where] = (block, differences(block, name) if block else [UNWANTED] if _is_saved(name) else [])
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
    """Return the differences between the wanted block and the one saved under a name, without any secret's value.

    If there is no saved block, the only difference is `is missing`.
    """
    try:
        saved = type(wanted).load(name)
    except (ValueError, ObjectNotFound):
        return [ABSENT]
    except RuntimeError:
        return ["is no longer valid for its type"]
    lines = []
    for part in type(wanted).model_fields.keys() - Block.model_fields.keys():
        old, new = getattr(saved, part), getattr(wanted, part)
        if old != new:
            hidden = hasattr(new, "get_secret_value")
            shown = f"{part.rstrip('_')} differs" if hidden else f"{part.rstrip('_')}: {str(old)!r} -> {str(new)!r}"
            lines.append(shown)
    return lines


def save(client: SyncPrefectClient, block: Block | None, name: str) -> None:
    """Save a block under a name; an existing one gets the new values. None removes a webhook.

    Unlike `Block.save`, this does not change an existing block type, which may belong to other people.
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
    # Prefect's public methods would also update the type's description.
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
    """Save the blocks from the environment under a profile's name, and return a line for each saved block.

    If nothing differs, nothing is written.

    Args:
        profile: the profile's name.
        takeover: whether to overwrite blocks that were saved from elsewhere.

    Raises:
        blocks.record.NotOurs: blocks with this name were saved from another clone, or by a person.
    """
    settings = Settings()
    owner = settings.prefect_owner or default_owner(PROJECT)
    with get_client(sync_client=True) as client:
        found = differing(settings, profile)
        record = Record(client, f"blocks of {profile}")
        if not takeover and not is_own(str(client.api_url)):
            check_owner(record, profile, owner, found, str(client.api_url))
        changed = {where: block for where, (block, what) in found.items() if what}
        if changed or (record.owner, record.profile) != (owner, profile):
            record.claim([_thing(where, profile) for where in found], profile, owner)
        for where, block in changed.items():
            save(client, block, where.partition("/")[2])
    return [_saved(where, block) for where, block in changed.items()]


def _saved(where: str, block: Block | None) -> str:
    name = where.partition("/")[2]
    return f"saved {type(block).__name__}.load({name!r})" if block else f"removed {where}"


def check_owner(
    record: Record, profile: str, owner: str, found: Mapping[str, tuple[Block | None, list[str]]], url: str
) -> None:
    """Check that the existing blocks with a profile's name were saved from this clone.

    Raises:
        blocks.record.NotOurs: they were saved from elsewhere.
    """
    there = [_thing(where, profile) for where, (block, what) in found.items() if what != [ABSENT] and (block or what)]
    remedy = (
        "Save yours under another name, or in another PREFECT_NAMESPACE. If you may overwrite these blocks, add "
        f"--takeover to `python -m blocks.connections --name {profile}`, or TAKEOVER=1 to `{make('up')}`."
    )
    record.check(profile, owner, there, f"The name {profile} for blocks on {url}", remedy)


def _thing(where: str, profile: str) -> str:
    """Return a block's name in the record: only its kind if it has the profile's name."""
    kind, _, name = where.partition("/")
    return f"block {kind}" if name == profile else f"block {where}"


def exposure_warning(settings: Settings) -> str:
    """Return a warning if anybody who can reach the Prefect server could read secrets; otherwise ""."""
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
        f"Warning: {server} requires no password, so anybody who can reach it can read {', '.join(secrets)} from its "
        "blocks. Start the server with PREFECT_SERVER_API_AUTH_STRING, then set PREFECT_API_AUTH_STRING here."
    )


def _is_public(value: str) -> bool:
    """Return whether a value is not a secret: it is empty, LocalStack's key, or the local receiver's address."""
    return value in ("", PUBLIC) or urlsplit(value).hostname == RECEIVER


def main(arguments: list[str] | None = None) -> int:
    """Register the block types and save a document of each from the environment."""
    parser = argparse.ArgumentParser(prog="python -m blocks.connections", description=main.__doc__)
    parser.add_argument("--name", help="name of the documents: the profile, e.g. production")
    parser.add_argument("--takeover", action="store_true", help="overwrite blocks that were saved from another clone")
    options = parser.parse_args(arguments)
    server = PREFECT_API_URL.value() or "a Prefect server of this process's own"
    if not options.name:
        parser.error(_missing_name(server))
    try:
        if warning := exposure_warning(Settings()):
            print(warning, file=sys.stderr)
        saved = register(options.name, options.takeover)
        for line in saved:
            print(line)
        if not saved:
            print(f"The blocks called {options.name} match the environment. Nothing was changed.")
    except (PlatformError, ValueError, httpx.HTTPError) as error:
        print(f"The blocks were not saved on {server}: {error}{_hint(error)}", file=sys.stderr)
        return 1
    return 0


def _missing_name(server: str) -> str:
    there: list[str] = []
    with suppress(httpx.HTTPError, RuntimeError):
        there = profiles(S3Landing)
    return (
        "name a profile, since blocks saved under its name are overwritten. For example: "
        f"python -m blocks.connections --name production. Profiles saved on {server}: {', '.join(there) or 'none yet'}."
    )


def _hint(error: Exception) -> str:
    if isinstance(error, httpx.TransportError):
        return ". Start `make dev`, then run `. data/dev/env`. For another server, set PREFECT_API_URL."
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 500:
        return (
            "\nIf PREFECT_SERVER_ENCRYPTION_KEY has changed, the server cannot read its saved blocks. Restore the "
            f"previous key, or delete everything with `{make('reset')}`."
        )
    return ""


if __name__ == "__main__":
    sys.exit(main())
