"""Encrypt the saved blocks anew: `python -m services.rekey` beside Prefect's server, the new key on standard input.

The former key is the one that a process here was started with, or that Prefect keeps in the database. The server reads
the blocks again once it has the new key; until then it cannot.
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


def former_keys() -> Iterator[Fernet]:
    """The keys in the environments of this container's processes; its file may hold the new one already."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # of a process that has ended, or is another user's
            for variable in file.read_bytes().split(b"\0"):
                if variable.startswith(NAME) and (key := variable.removeprefix(NAME)):
                    yield Fernet(key)


async def rekey(new: Fernet) -> int:
    """Encrypt every block with the new key, or none; return how many there are.

    Raises:
        InvalidToken: one cannot be read with any key that is known here.
    """
    database = provide_database_interface()
    async with database.session_context(begin_transaction=True) as session:
        configured = sa.select(database.Configuration).where(database.Configuration.key == "ENCRYPTION_KEY")
        kept = [Fernet(each.value["fernet_key"]) for each in (await session.execute(configured)).scalars()]
        keys = MultiFernet([new, *former_keys(), *kept])
        documents = (await session.execute(sa.select(database.BlockDocument).with_for_update())).scalars().all()
        for each in documents:
            each.data = keys.rotate(each.data.encode()).decode()
    return len(documents)


def main() -> int:
    """Encrypt the blocks; 1 where one cannot be read."""
    try:
        count = asyncio.run(rekey(Fernet(sys.stdin.read().strip())))
    except InvalidToken:
        print("A saved block cannot be read with the key that the server has.", file=sys.stderr)
        return 1
    print(f"{count} blocks are encrypted with the new key.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
