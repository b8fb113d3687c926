"""Runs scenarios on a platform that is started for them, and reports each outcome."""

import sys
import time
from pathlib import Path

from blocks.errors import PlatformError
from commands.embedded.only_one import only_one
from commands.scenarios.catalog import Scenario
from commands.scenarios.engines import remove, running
from commands.scenarios.every import SCENARIOS
from commands.scenarios.stage import Stage, Unexpected
from services.testing.running import PASSING, PlatformFailed

ALL = "all"


def show() -> int:
    """Print the scenarios, one per line."""
    width = max(map(len, SCENARIOS))
    for each in SCENARIOS.values():
        print(f"{each.name:<{width}}  {each.fails}")
    return 0


def play(names: list[str], engine: str, data: Path) -> int:
    """Run scenarios one after the other on one platform. Return 1 if one of them fails."""
    if unknown := [name for name in names if name not in SCENARIOS and name != ALL]:
        print(f"There is no scenario {', '.join(unknown)}. `make scenario` lists them.", file=sys.stderr)
        return 1
    chosen = list(SCENARIOS.values()) if ALL in names else [SCENARIOS[name] for name in names]
    failed: list[str] = []
    try:
        with only_one(data, "make scenario", "Wait until it ends."):
            print(f"Starting a separate platform ({engine}). It is removed at the end.", flush=True)
            with running(engine, data) as platform:
                stage = Stage(platform, say=say)
                failed = [each.name for each in chosen if not run_one(stage, each)]
            if not failed:
                remove(data)
    except (PlatformError, PlatformFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(chosen) - len(failed)} of {len(chosen)} scenarios passed.{_failures(failed, engine, data)}")
    return 1 if failed else 0


def run_one(stage: Stage, scenario: Scenario) -> bool:
    """Run one scenario, reconcile every row, and return whether the outcome is correct."""
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
        stage.clean_up()
        return False
    stage.say(f"passed {scenario.name}, {time.monotonic() - begun:.0f} s")
    return True


def say(text: str) -> None:
    """Print a line and flush it, since standard output may be a file."""
    print(text, flush=True)


def _failures(failed: list[str], engine: str, data: Path) -> str:
    if not failed:
        return ""
    logs = f" Logs: {data}/state/logs." if engine == "embedded" else ""
    return f" Failed: {', '.join(failed)}.{logs}"
