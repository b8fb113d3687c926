"""What a soak draws from the scenarios: each disturbs a platform at work for some seconds, and then ends."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

from services.scenarios.orders import Orders
from services.scenarios.stage import Stage

Disturbance = Callable[[Stage, Random], None]
SHORTEST, LONGEST = 1.0, 15.0
"""Seconds that a disturbance lasts."""


def fault(kind: str, **details: Any) -> Disturbance:
    """A fault at the mock Airbyte."""

    def disturb(stage: Stage, draw: Random) -> None:
        number = stage.fault(kind, **details)
        _last(draw)
        stage.end_fault(number)

    return disturb


def kill(*services: str) -> Disturbance:
    """Services that are killed, and started again."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.kill(*services)
        _last(draw)
        stage.start()

    return disturb


def pause(*services: str) -> Disturbance:
    """Services that hang."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"{', '.join(services)} hangs")
        stage.platform.pause(*services)
        _last(draw)
        stage.platform.resume(*services)

    return disturb


def spoil(spoiled: Callable[[Orders], bytes]) -> Disturbance:
    """A broken file, which is mended later."""

    def disturb(stage: Stage, draw: Random) -> None:
        orders = stage.orders(draw.randint(1, 50))
        stage.land(orders, spoiled(orders))
        _last(draw)
        stage.land(orders)

    return disturb


def replace(again: Callable[[Orders], Orders]) -> Disturbance:
    """A file that is landed, and soon after it another version."""

    def disturb(stage: Stage, draw: Random) -> None:
        orders = stage.orders(draw.randint(1, 50), amount=1)
        stage.land(orders)
        _last(draw)
        stage.land(again(orders))

    return disturb


def runs(deployment: str, count: int) -> Disturbance:
    """Runs that a person starts at once."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"start {count} runs by hand")
        for _ in range(count):
            stage.platform.start_run(deployment)
        _last(draw)

    return disturb


def switch(path: str, off: object, on: object) -> Disturbance:
    """Something in Prefect that a person switches off, and on again."""

    def disturb(stage: Stage, draw: Random) -> None:
        stage.step(f"{path} is switched off")
        stage.platform.prefect("PATCH", path, off)
        _last(draw)
        stage.step(f"{path} is switched on")
        stage.platform.prefect("PATCH", path, on)

    return disturb


def _last(draw: Random) -> None:
    time.sleep(draw.uniform(SHORTEST, LONGEST))
