"""Causes one failure after another while files arrive. At the end, every row is accounted for."""

import secrets
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread

from blocks.errors import PlatformError
from commands.embedded.only_one import only_one
from commands.scenarios.engines import remove, running
from commands.scenarios.every import SCENARIOS
from commands.scenarios.orders import FIRST, Account, reconcile
from commands.scenarios.play import say
from commands.scenarios.stage import ORDERS_A_FILE, PIPELINE, Stage
from services.testing.running import PASSING, PlatformFailed, Running

DISTURBERS_FIRST = 1_000_000
"""The first order number of the files that the disturbances land."""
DROP_SECONDS = (2.0, 10.0)
REST_SECONDS = (5.0, 20.0)
"""Pause between two disturbances."""
MOST_RELEASES = 8
LAND_SECONDS = 240.0


def soak(minutes: float, seed: int | None, engine: str, data: Path) -> int:
    """Disturb a separate platform for some minutes while files arrive. Return 1 if a row is lost, doubled or wrong.

    The seed decides which files and disturbances come, in which order, and how long each lasts.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    again = f"make soak MINUTES={minutes:g} SEED={seed}{'' if engine == 'embedded' else f' ENGINE={engine}'}"
    print(f"Seed {seed}. Repeat it with: {again}", flush=True)
    try:
        with only_one(data, "make soak", "Wait until it ends."), running(engine, data) as platform:
            dropper, drawn = Dropper(platform, Random(f"files {seed}")), Counter[str]()
            dropper.start()
            try:
                drawn = disturb(
                    Stage(platform, numbers=count(DISTURBERS_FIRST, ORDERS_A_FILE), name="soak"), minutes, seed
                )
            finally:
                dropper.end()
            account = settle(Stage(platform))
        if account.is_correct:
            remove(data)
    except (PlatformError, PlatformFailed, OSError) as error:
        print(f"{error}\nThe soak with seed {seed} did not finish. Repeat it with: {again}", file=sys.stderr)
        return 1
    print(f"{dropper.files} files dropped in {minutes:g} minutes, {drawn.total()} disturbances:")
    for name, times in sorted(drawn.items()):
        print(f"  {times:>3} {name}")
    print(f"{account}\nSeed {seed}. Repeat it with: {again}")
    return 0 if account.is_correct else 1


class Dropper(Thread):
    """Lands a file every few seconds until it is stopped."""

    def __init__(self, platform: Running, draw: Random) -> None:
        super().__init__(name="dropper", daemon=True)
        self.stage, self.draw = (
            Stage(platform, say=lambda _: None, numbers=count(FIRST, ORDERS_A_FILE), name="soak"),
            draw,
        )
        self.files, self._ended = 0, Event()

    def run(self) -> None:
        """Land files. If S3 does not accept one, try again until it does."""
        while not self._ended.wait(self.draw.uniform(*DROP_SECONDS)):
            orders = self.stage.orders(self.draw.randint(1, ORDERS_A_FILE), day=self.draw.randint(1, 28))
            while True:
                with suppress(*PASSING):
                    self.stage.land(orders)
                    break
                time.sleep(1)
            self.files += 1

    def end(self) -> None:
        """Finish the current file, and stop."""
        self._ended.set()
        self.join(LAND_SECONDS)


def disturb(stage: Stage, minutes: float, seed: int) -> Counter[str]:
    """Pick one disturbance after another for some minutes. Return how often each was picked."""
    draw, drawn = Random(f"disturbances {seed}"), Counter[str]()
    chosen = {each.name: each.soak for each in SCENARIOS.values() if each.soak}
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline:
        time.sleep(draw.uniform(*REST_SECONDS))
        name = draw.choice(list(chosen))
        say(f"{name}, {max(deadline - time.monotonic(), 0):.0f} s left")
        drawn[name] += 1
        try:
            chosen[name](stage, draw)
        except PASSING as error:
            stage.step(f"interrupted: {error}")
    return drawn


def settle(stage: Stage) -> Account:
    """Release the parked batches until the platform is idle, and reconcile every row."""
    say("No more files or disturbances.")
    stage.clean_up()
    for _ in range(MOST_RELEASES):
        stage.settle()
        if not stage.parked():
            break
        stage.release()
    stage.platform.run(PIPELINE)
    stage.settle()
    return reconcile(stage.platform)
