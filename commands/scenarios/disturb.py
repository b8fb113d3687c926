"""The disturbances of a soak, one for each scenario. Each lasts for some seconds, and then ends."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

from commands.scenarios.orders import Orders
from commands.scenarios.stage import Stage

Disturbance = Callable[[Stage, Random], None]
SHORTEST, LONGEST = 1.0, 15.0
"""How many seconds a disturbance lasts."""


def fault(kind: str, **details: Any) -> Disturbance:
    """Cause a fault at the mock Airbyte."""

    def disturb(stage: Stage, draw: Random) -> None:
        number = stage.fault(kind, **details)
        _wait(draw)
        stage.end_fault(number)

    return disturb


def kill(*services: str) -> Disturbance:
    """Kill services, and start them again."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.kill(*services)
        _wait(draw)
        stage.start()

    return disturb


def pause(*services: str) -> Disturbance:
    """Freeze services, and resume them."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"{', '.join(services)} hangs")
        stage.platform.pause(*services)
        _wait(draw)
        stage.platform.resume(*services)

    return disturb


def spoil(spoiled: Callable[[Orders], bytes]) -> Disturbance:
    """Land a broken file, and later the correct one."""

    def disturb(stage: Stage, draw: Random) -> None:
        orders = stage.orders(draw.randint(1, 50))
        stage.land(orders, spoiled(orders))
        _wait(draw)
        stage.land(orders)

    return disturb


def replace(again: Callable[[Orders], Orders]) -> Disturbance:
    """Land a file, and soon afterwards another version."""

    def disturb(stage: Stage, draw: Random) -> None:
        orders = stage.orders(draw.randint(1, 50), amount=1)
        stage.land(orders)
        _wait(draw)
        stage.land(again(orders))

    return disturb


def runs(deployment: str, count: int) -> Disturbance:
    """Start several runs at once, as a person might."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"start {count} runs by hand")
        for _ in range(count):
            stage.platform.start_run(deployment)
        _wait(draw)

    return disturb


def switch(path: str, off: object, on: object) -> Disturbance:
    """Switch something off in Prefect, as a person might, and on again."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"switch off {path}")
        stage.platform.prefect("PATCH", path, off)
        _wait(draw)
        stage.step(f"switch on {path}")
        stage.platform.prefect("PATCH", path, on)

    return disturb


def _wait(draw: Random) -> None:
    time.sleep(draw.uniform(SHORTEST, LONGEST))
