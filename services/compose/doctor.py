"""`make doctor`: what this machine shows here, what the systems show from inside the platform's network."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from services.compose.engine import Compose
from services.compose.image import commit_of, need_image
from services.compose.profile import ComposeError
from services.compose.up import taken_ports
from services.compose.values import STAND_INS

VOLUMES = Path(__file__).with_suffix(".yml")
IMAGES = Path(__file__).with_name("images.yml")
Finding = dict[str, str]
MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}


def doctor(compose: Compose, as_json: bool) -> int:
    """Report on everything that the profile leads to; 1 where something fails. Nothing is changed.

    The systems are asked from a container that is where the worker is: what it sees, the worker will see.
    """
    name = compose.profile.name
    findings = [_found("profile", f"{len(compose.profile.values)} values and {len(compose.profile.secrets)} secrets")]
    findings += [*_image(compose), *_ports(compose), *_services(compose)]
    if findings[1]["state"] != "fail":
        findings += _inside(compose)
    failed = any(each["state"] == "fail" for each in findings)
    if as_json:
        print(json.dumps({"profile": name, "ok": not failed, "findings": findings}, indent=2))
        return int(failed)
    for each in findings:
        print(f"{MARKS[each['state']]:<5} {each['check']:<22} {each['said']}")
        if each["fix"]:
            print(f"      {'':<22} -> {each['fix']}")
    print(f"{name}: something fails; mend it from the top." if failed else f"{name}: nothing fails.")
    return int(failed)


def refused(name: str, error: ComposeError) -> int:
    """Report, for programs, that the profile cannot be used, so that nothing more was looked at; 1."""
    finding = _found("profile", str(error), "fail", "Correct what is named, then run this again.")
    print(json.dumps({"profile": name, "ok": False, "findings": [finding]}, indent=2))
    return 1


def _image(compose: Compose) -> list[Finding]:
    """Whether the image that the profile names is there, and which commit it is of."""
    profile = compose.profile
    if not profile.image:
        return [_found("image", "this clone's code runs, since stand-ins do")]
    try:
        need_image(profile)
    except ComposeError as error:
        return [_found("image", str(error), "fail", f"{profile.make('image')} TAG={profile.values['PLATFORM_TAG']}")]
    commit = commit_of(profile.image)
    return [_found("image", f"{profile.image}, of commit {commit[:12] if commit else 'unknown'}")]


def _ports(compose: Compose) -> list[Finding]:
    taken = taken_ports(compose)
    fix = "End that, or take other ports in the profile."
    return [_found("ports", each, "fail", fix) for each in taken] or [_found("ports", "free, or the platform's own")]


def _services(compose: Compose) -> list[Finding]:
    """Whether the stand-ins and the server that the profile runs here are up: most of what fails else is for that."""
    here = ("prefect-server" if name == "prefect" else name for name in STAND_INS.keys() & compose.profile.services)
    if missing := compose.missing(*sorted(here)):
        return [_found("services", f"Not running: {', '.join(missing)}", "fail", compose.how_to_start)]
    return [_found("services", "those of the profile are running")]


def _inside(compose: Compose) -> list[Finding]:
    """What `python -m services.doctor` finds in a container with the profile's values and all of its secrets."""
    is_there = bool(compose.output("ps", "--all", "--quiet"))
    # A project of its own where the platform has none: Compose makes every volume, whichever a container uses.
    own = [] if compose.profile.image else [IMAGES]
    where = replace(compose, files=[str(VOLUMES)]) if is_there else compose.beside(f"doctor-{os.getpid()}", *own)
    command = where.command("run", "--rm", "--no-deps", "-T", "bootstrap", "python", "-m", "services.doctor")
    done = subprocess.run(
        [*command, "--profile", compose.profile.name, "--json"], capture_output=True, text=True, check=False
    )
    if not is_there:
        where.succeeds("down", "--volumes")
    try:
        found: list[Finding] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr.strip() or done.stdout.strip() or "no answer").splitlines()[-1]
        return [
            _found(
                "container",
                said,
                "fail",
                f"`{compose.profile.make('up')}` builds the image; docs/platform.md says what helps.",
            )
        ]
    return found


def _found(check: str, said: str, state: str = "ok", fix: str = "") -> Finding:
    return {"check": check, "state": state, "said": said, "fix": fix}
