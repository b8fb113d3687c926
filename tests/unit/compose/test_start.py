"""What a start of the platform begins anew, and what it leaves alone."""

import pytest

from commands.compose.command_line import services_to_recreate


@pytest.mark.parametrize(
    ("states", "services"),
    [
        ("", []),
        ("worker,running,healthy\nlocalstack,running,healthy", []),
        ("worker,running,starting\nbootstrap,exited,\nsensor,created,", []),
        ("worker,running,unhealthy\nlocalstack,running,healthy", ["worker"]),
        ("worker,restarting,unhealthy\nsensor,restarting,\npostgres,running,healthy", ["worker", "sensor"]),
        ("localstack,running,unhealthy", ["localstack"]),
        ("worker,exited,unhealthy", ["worker"]),
    ],
)
def test_a_container_that_would_end_the_wait_at_once_is_begun_anew(states: str, services: list[str]) -> None:
    assert services_to_recreate(states) == services
