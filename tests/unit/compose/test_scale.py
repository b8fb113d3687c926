"""The overlay of several Prefect servers and workers."""

from typing import Any

import prefect_redis.cleanup_queue
import prefect_redis.client
import yaml
from prefect.settings.base import PrefectBaseSettings

from commands.compose.command_line import Compose
from commands.compose.profile import PROJECT, SCALE_FILE, load


class Overlay(yaml.SafeLoader):
    """Reads nothing for a value with a tag of Compose's own."""


Overlay.add_multi_constructor("!", lambda *_: None)
SERVICES: dict[str, dict[str, Any]] = yaml.load((PROJECT / SCALE_FILE).read_text(), Overlay)["services"]
SERVERS = ("prefect-server", "prefect-replica", "prefect-services")


def urls() -> set[str]:
    """The variables that name the Redis of each part of prefect-redis."""
    settings = [
        value
        for module in (prefect_redis.client, prefect_redis.cleanup_queue)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, PrefectBaseSettings) and "url" in value.model_fields
    ]
    return {f"{each.model_config['env_prefix']}URL" for each in settings}


def test_every_part_of_a_server_is_told_where_redis_is() -> None:
    assert len(urls()) == 2
    for name in SERVERS:
        told = {variable for variable, value in SERVICES[name]["environment"].items() if "redis://" in value}
        assert told == {*urls(), "PREFECT_SERVER_DOCKET_URL"}


def test_one_server_alone_changes_the_database_and_one_process_alone_does_what_is_done_once() -> None:
    migrating = [
        name for name in SERVERS if "PREFECT_SERVER_DATABASE_MIGRATE_ON_START" not in SERVICES[name]["environment"]
    ]
    assert migrating == ["prefect-server"]
    once = [name for name in SERVERS if "PREFECT__SERVER_WEBSERVER_ONLY" not in SERVICES[name]["environment"]]
    assert once == ["prefect-services"]


def test_a_profile_that_names_scale_is_run_with_the_overlay_and_no_other(tmp_path: Any) -> None:
    text = (PROJECT / "profiles" / "local.env").read_text()
    (tmp_path / "local.env").write_text(text)
    (tmp_path / "scaled.env").write_text(
        text.replace("PROFILE=local", "PROFILE=scaled", 1).replace("=localstack,airbyte", "=localstack,airbyte,scale")
    )
    overlay = f"--file={PROJECT / SCALE_FILE}"
    assert overlay not in Compose(load("local", tmp_path)).command("ps")
    assert overlay in Compose(load("scaled", tmp_path)).command("ps")
