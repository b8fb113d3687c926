"""`make doctor`: check this machine, then the systems from inside the platform's network."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from commands.compose.command_line import Compose
from commands.compose.image import commit_of, need_image
from commands.compose.up import ports_in_use
from commands.compose.values import STAND_INS
from commands.errors import CommandError

VOLUMES = Path(__file__).with_suffix(".yml")
IMAGES = Path(__file__).with_name("images.yml")
Finding = dict[str, str]
MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}


def doctor(compose: Compose, as_json: bool) -> int:
    """Check everything that the profile points to. Return 1 if a check fails. Nothing is changed.

    The systems are checked from a container in the worker's network, so it sees what the worker will see.
    """
    name = compose.profile.name
    findings = [_finding("profile", f"{len(compose.profile.values)} values and {len(compose.profile.secrets)} secrets")]
    findings += [*_image(compose), *_ports(compose), *_services(compose)]
    if findings[1]["state"] != "fail":
        findings += _container_findings(compose)
    failed = any(each["state"] == "fail" for each in findings)
    if as_json:
        print(json.dumps({"profile": name, "ok": not failed, "findings": findings}, indent=2))
        return int(failed)
    for each in findings:
        print(f"{MARKS[each['state']]:<5} {each['check']:<22} {each['said']}")
        if each["fix"]:
            print(f"      {'':<22} -> {each['fix']}")
    print(f"{name}: some checks failed. Fix them from the top." if failed else f"{name}: no check failed.")
    return int(failed)


def report_unusable(name: str, error: CommandError) -> int:
    """Print as JSON that the profile cannot be used and nothing else was checked. Return 1."""
    finding = _finding("profile", str(error), "fail", "Correct the values named here, then run this again.")
    print(json.dumps({"profile": name, "ok": False, "findings": [finding]}, indent=2))
    return 1


def _image(compose: Compose) -> list[Finding]:
    """Check that the profile's image exists, and report its commit."""
    profile = compose.profile
    if not profile.image:
        return [_finding("image", "containers run this clone's code, because stand-ins run here")]
    try:
        need_image(profile)
    except CommandError as error:
        return [_finding("image", str(error), "fail", f"{profile.make('image')} TAG={profile.values['PLATFORM_TAG']}")]
    commit = commit_of(profile.image)
    return [_finding("image", f"{profile.image}, built from commit {commit[:12] if commit else 'unknown'}")]


def _ports(compose: Compose) -> list[Finding]:
    fix = "Stop that program, or set other ports in the profile."
    faults = [_finding("ports", each, "fail", fix) for each in ports_in_use(compose)]
    return faults or [_finding("ports", "free, or in use by the platform itself")]


def _services(compose: Compose) -> list[Finding]:
    """Check that the profile's local services run. If not, most other checks fail because of that."""
    here = ("prefect-server" if name == "prefect" else name for name in STAND_INS.keys() & compose.profile.services)
    if missing := compose.missing(*sorted(here)):
        return [_finding("services", f"Not running: {', '.join(missing)}", "fail", compose.how_to_start)]
    return [_finding("services", "all services of the profile are running")]


def _container_findings(compose: Compose) -> list[Finding]:
    """Run `python -m commands.doctor` in a container with the profile's values and secrets, and return its findings."""
    is_there = bool(compose.output("ps", "--all", "--quiet"))
    # If the platform has no containers, use a temporary project: Compose creates every volume of a project it runs.
    own = [] if compose.profile.image else [IMAGES]
    where = replace(compose, files=[str(VOLUMES)]) if is_there else compose.beside(f"doctor-{os.getpid()}", *own)
    command = where.command("run", "--rm", "--no-deps", "-T", "bootstrap", "python", "-m", "commands.doctor")
    done = subprocess.run(
        [*command, "--profile", compose.profile.name, "--json"], capture_output=True, text=True, check=False
    )
    if not is_there:
        where.succeeds("down", "--volumes")
    try:
        found: list[Finding] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr.strip() or done.stdout.strip() or "no answer").splitlines()[-1]
        fix = f"Build the image with `{compose.profile.make('up')}`. docs/platform.md has more help."
        if compose.profile.image:
            fix = "If the image is of an earlier commit than this clone, check that commit out and use its commands."
        return [_finding("container", said, "fail", fix)]
    return found


def _finding(check: str, said: str, state: str = "ok", fix: str = "") -> Finding:
    return {"check": check, "state": state, "said": said, "fix": fix}
