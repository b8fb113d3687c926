"""One Prefect server for the whole suite, of its own: no person's Prefect profile is read or written."""

import importlib
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import certifi
import hypothesis
import pytest

from commands.embedded import prefect_database
from commands.embedded.processes import Processes, free_ports
from tests.once import Once

HOME = Path(tempfile.mkdtemp(prefix="platform-tests-"))
(PORT,) = free_ports(1)
SERVER = f"http://127.0.0.1:{PORT}"
PREFECT = {
    "PREFECT_HOME": str(HOME),
    "PREFECT_API_URL": f"{SERVER}/api",
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Each client reads it, also for http://, and certifi's 140 certificates take 25 ms.
    "PREFECT_API_SSL_CERT_FILE": str(HOME / "one-authority.pem"),
}
END = "-----END CERTIFICATE-----\n"
(HOME / "one-authority.pem").write_text(certifi.contents().partition(END)[0] + END)
# Before Prefect is imported: threads of its own read the settings of the process, not those of a `with` block.
# What `make test` itself exports goes too: a `make` that a test runs is not part of that one.
NOT_OURS = ("PREFECT_", "AWS_", "SNOWFLAKE_", "AIRBYTE_", "DBT_", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TYPED_")
for name in [name for name in os.environ if name.startswith(NOT_OURS)]:
    del os.environ[name]
os.environ.update(PREFECT)
if Path(".env").exists() or Path("prefect.toml").exists():
    # A person's own, which Prefect would read here.
    with chdir(HOME):
        importlib.import_module("prefect")
# A shell starts its background jobs with SIGINT ignored, and all that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Its reaper is one more image to pull; fixtures and `remove_left_behind` clean up here.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

# `make test` tries few examples of a property; `make test-all` names the other profile.
hypothesis.settings.register_profile("few", max_examples=10, deadline=None)
hypothesis.settings.register_profile("exhaustive", max_examples=100, deadline=None)
hypothesis.settings.load_profile("few")

collect_ignore = ["sample_content"]
pytest_plugins = ["services.testing.fixtures"]


SHARED_PLATFORM = ("tests/e2e/test_commands.py", "tests/e2e/test_platform.py", "tests/e2e/test_reset.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files; one of them gets all files whose tests share the platform in Docker."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPlatform(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "the shared platform" if file in SHARED_PLATFORM else file

    return ByPlatform(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are processors: the tests wait for servers and containers much of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--profile rehearsal` runs the tests of the platform in Docker against what that profile leads to."""
    parser.addoption("--profile", default="local", help="file in profiles/ for tests/e2e, without .env")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes folders that are expensive to fill, each once for all of pytest's workers."""
    return Once(tmp_path_factory)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The embedded Prefect server, to which every flow run of the suite goes; its URL."""
    database = HOME / "prefect.db"
    prefect_database.create(database)
    with Processes(HOME / "logs") as processes:
        variables = {**PREFECT, "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}"}
        variables["PREFECT_SERVER_METRICS_ENABLED"] = "true"
        processes.start("prefect", ["-m", "commands.embedded.prefect_server", str(PORT)], variables)
        processes.wait_until_ready("prefect", f"{SERVER}/api/health")
        prefect_database.keep_as_template(database)
        yield SERVER
        # What Prefect's threads still hold would otherwise be sent to a server that is gone, again and again.
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=10)
        EventsWorker.drain_all(timeout=10)
