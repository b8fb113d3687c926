"""Encrypt the saved blocks with a new key: `python -m services.rekey` in the container of Prefect's server.

The new key comes from standard input. The old key is the one that a process here was started with, or that Prefect
keeps in its database. The server cannot read the blocks until it restarts with the new key.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from prefect.server.database import provide_database_interface

NAME = b"PREFECT_SERVER_ENCRYPTION_KEY="


def old_keys() -> Iterator[Fernet]:
    """Yield the keys in this container's process environments. The mounted secret may be the new key already."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            for variable in file.read_bytes().split(b"\0"):
                if variable.startswith(NAME) and (key := variable.removeprefix(NAME)):
                    yield Fernet(key)


async def rekey(new: Fernet) -> int:
    """Encrypt all blocks with the new key in one transaction, and return their number.

    Raises:
        InvalidToken: a block cannot be read with any known key. Nothing was changed.
    """
    database = provide_database_interface()
    async with database.session_context(begin_transaction=True) as session:
        configured = sa.select(database.Configuration).where(database.Configuration.key == "ENCRYPTION_KEY")
        kept = [Fernet(each.value["fernet_key"]) for each in (await session.execute(configured)).scalars()]
        keys = MultiFernet([new, *old_keys(), *kept])
        documents = (await session.execute(sa.select(database.BlockDocument).with_for_update())).scalars().all()
        for each in documents:
            each.data = keys.rotate(each.data.encode()).decode()
    return len(documents)


def main() -> int:
    """Encrypt the blocks. Return 1 if one cannot be read."""
    try:
        count = asyncio.run(rekey(Fernet(sys.stdin.read().strip())))
    except InvalidToken:
        print("A saved block cannot be read with the server's current key.", file=sys.stderr)
        return 1
    print(f"{count} blocks are encrypted with the new key.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
