"""Plays scenarios on a platform of their own, and says how each went."""

import sys
import time
from pathlib import Path

from blocks.errors import PlatformError
from services.embedded.only_one import only_one
from services.scenarios.catalog import Scenario
from services.scenarios.engines import remove, running
from services.scenarios.every import SCENARIOS
from services.scenarios.stage import Stage, Unexpected
from services.testing.running import PASSING, PlatformFailed

ALL = "all"


def show() -> int:
    """Print the scenarios, one a line."""
    width = max(map(len, SCENARIOS))
    for each in SCENARIOS.values():
        print(f"{each.name:<{width}}  {each.fails}")
    return 0


def play(names: list[str], engine: str, data: Path) -> int:
    """Play scenarios one after the other, on one platform; 1 where one of them fails."""
    if unknown := [name for name in names if name not in SCENARIOS and name != ALL]:
        print(f"There is no scenario {', '.join(unknown)}. `make scenario` lists them.", file=sys.stderr)
        return 1
    chosen = list(SCENARIOS.values()) if ALL in names else [SCENARIOS[name] for name in names]
    failed: list[str] = []
    try:
        with only_one(data, "make scenario", "Wait for its end."):
            print(f"A platform of its own starts ({engine}); its end removes what it holds.", flush=True)
            with running(engine, data) as platform:
                stage = Stage(platform, say=say)
                failed = [each.name for each in chosen if not act(stage, each)]
            if not failed:
                remove(data)
    except (PlatformError, PlatformFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(chosen) - len(failed)} of {len(chosen)} scenarios passed.{_left(failed, engine, data)}")
    return 1 if failed else 0


def act(stage: Stage, scenario: Scenario) -> bool:
    """Play one scenario, and reconcile every row; whether the outcome is as it should be."""
    begun = time.monotonic()
    stage.say(f"{scenario.name}: {scenario.fails}")
    stage.say(f"  modelled on {scenario.incident}: {scenario.report}")
    stage.say(f"  the platform {scenario.does}")
    try:
        stage.begin(scenario.name)
        scenario.play(stage)
        stage.account()
        stage.check_alerts(scenario.alert)
    except (Unexpected, PlatformFailed, *PASSING) as error:
        stage.say(f"FAILED {scenario.name}: {error}")
        stage.mend()
        return False
    stage.say(f"passed {scenario.name}, {time.monotonic() - begun:.0f} s")
    return True


def say(text: str) -> None:
    """Print a line at once, also where standard output is a file."""
    print(text, flush=True)


def _left(failed: list[str], engine: str, data: Path) -> str:
    if not failed:
        return ""
    logs = f" Logs: {data}/state/logs." if engine == "embedded" else ""
    return f" Failed: {', '.join(failed)}.{logs}"
