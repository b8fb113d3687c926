"""Reload the config file when it changes while the mock runs."""

import asyncio
import logging
from collections.abc import Callable

from services.airbyte.catalog.catalog import Catalog
from services.airbyte.catalog.config import Config
from services.airbyte.catalog.config_file import ConfigError
from services.airbyte.jobs.engine import Engine
from services.airbyte.jobs.store import Store
from services.airbyte.names import printable
from services.airbyte.resources import Resources
from services.airbyte.settings import Settings

log = logging.getLogger("airbyte")
SECONDS = 1.0


class ConfigChanges:
    """Checks the file every second. If the new file is invalid, its error is logged and the old one stays in effect."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Settings], Config],
        catalog: Catalog,
        store: Store,
        engine: Engine,
    ) -> None:
        self._settings, self._load = settings, load
        self._catalog, self._store, self._engine = catalog, store, engine
        self._version = self._file_version()

    async def follow(self) -> None:
        """Apply each change until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            if (now := self._file_version()) != self._version:
                self._version = now
                await self._reload()

    async def _reload(self) -> None:
        try:
            new_catalog = Catalog(self._load(self._settings), self._settings.lake_dir, self._settings.like_airbyte)
            Resources(new_catalog, self._store, self._engine.cancel)  # changes made through the API take precedence
            self._catalog.replace_all(new_catalog)
        except ConfigError as error:
            log.error("The config file has changed but cannot be used. The old one stays in effect. %s", error)
        else:
            log.warning("%s has changed and was reloaded", printable(str(self._settings.config)))
            await self._engine.prepare()

    def _file_version(self) -> tuple[int, int, int]:
        try:
            stat = self._settings.config.stat()
        except OSError:
            return (0, 0, 0)
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
