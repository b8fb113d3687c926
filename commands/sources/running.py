"""Runs the pipeline on the platform that is running here, that of `make dev` or that of `make up`."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
from rich.console import Console
from rich.markup import escape

from blocks import hand_out
from blocks.errors import PlatformError
from blocks.land import land
from blocks.landing import LandedFile
from blocks.settings import PrefectServer, Settings, replace_environment
from blocks.systems import S3Landing, landing_from
from commands.compose.command_line import PYTHON
from commands.compose.command_line import Compose as Engine
from commands.compose.prefect import prefect_of
from commands.compose.profile import load
from commands.compose.project import project_name
from commands.embedded.demo import published_of as demo_published
from commands.embedded.only_one import holder
from commands.embedded.report import first_rows
from commands.embedded.stack import CREDENTIALS
from commands.prefect_api import Prefect
from commands.sources.outcome import Outcome, tests_of
from commands.sources.own import OwnServices
from commands.verbs.drop import run_for
from services.content import PROJECT, short

RUN_SECONDS = 900.0
KNOWN_SECONDS = 20.0
SHOWN_LINES = 10
"""How many lines of a failed run's log to repeat."""


class NotRun(PlatformError):
    """The pipeline was not run, or it failed. The message says what to do."""


class PipelineRunner(Protocol):
    """A place to run the pipeline."""

    where: str

    def ask(self, target: Path, what: str, subject: str = "") -> None:
        """Write the answer of `blocks.hand_out` to a file.

        Raises:
            PlatformError: no platform is running, or it refuses the request.
        """

    def load(self, name: str, files: Sequence[LandedFile]) -> Outcome:
        """Run the pipeline on files that are in the bucket, and return the outcome of their source."""

    def build(self, names: Sequence[str], full_refresh: bool) -> list[Outcome]:
        """Build the tables of sources from raw's rows, from scratch if `full_refresh` is true."""

    def run(self, name: str, landed: Path, rebuilds: bool) -> Outcome:
        """Run the pipeline on a file of the landing folder, and return the outcome of its source.

        With `rebuilds`, its tables are built from scratch.
        """


def platform_of(console: Console, data: Path, profile: str = "") -> PipelineRunner:
    """Return the platform of a profile in Docker if one is named, else the running one, else one with its own services.

    Raises:
        NotRun: the file that `make dev` writes with its variables cannot be read.
    """
    if profile:
        return Compose(console, profile)
    if _in_shell_of_dev():
        return Dev(console)
    if holder(data / "dev"):
        replace_environment({**CREDENTIALS, **exported_variables(data / "dev" / "env")})
        return Dev(console)
    if _compose_runs():
        return Compose(console, "local")
    replace_environment(CREDENTIALS)
    return OwnServices(console, data)


def published_of(data: Path) -> Path:
    """Return the file with the tables that were last published on this machine."""
    if _in_shell_of_dev():
        return Settings().published_path
    return demo_published(data / "dev" if holder(data / "dev") else data)


def _in_shell_of_dev() -> bool:
    return Settings().s3_endpoint_url.startswith("http://127.0.0.1:")


def exported_variables(script: Path) -> dict[str, str]:
    """Return the variables that a shell script exports with fixed values.

    Raises:
        NotRun: the script does not exist yet.
    """
    try:
        text = script.read_text(encoding="utf-8")
    except OSError as error:
        raise NotRun(
            f"`make dev` is still starting: {script} does not exist yet. Try again when `make dev` is up."
        ) from error
    pairs = [line.removeprefix("export ").partition("=") for line in text.splitlines() if line.startswith("export ")]
    plain = {name: shlex.split(value) for name, _, value in pairs if "$" not in value}
    return {name: value[0] if value else "" for name, value in plain.items() if name != "PATH"}


class Dev:
    """The platform of `make dev`, whose environment this process has. Its sensor starts the run."""

    where = "on the platform of make dev"

    def __init__(self, console: Console) -> None:
        self._console, self._settings = console, Settings()
        self._api, self._prefect = self._settings.airbyte_server_url, PrefectServer().api_url

    def run(self, name: str, landed: Path, rebuilds: bool) -> Outcome:
        """Land the file, follow the run that the sensor starts, and return the outcome.

        Raises:
            NotRun: the run does not start, or fails.
        """
        self._wait_for(name)
        prefect = Prefect(self._prefect, ps="make ps")
        before = {run["id"] for run in prefect.pipelines()}
        key = f"{self._settings.s3_prefix}{name}/{landed.name}"
        with landed.open("rb") as body:
            put = land(key, body, self.landing, landed.stat().st_size)
        if put["new"]:
            run = run_for(prefect, key, str(put["etag"]), before, "make logs")
        else:
            run = prefect.start("full_pipeline", {"files": [{"key": key, "etag": put["etag"]}]})
        self._follow(prefect, run)
        if rebuilds:
            self._follow(prefect, prefect.start("dbt_transform", transform_parameters([name], True)))
        return self._outcome(prefect, name)

    def load(self, name: str, files: Sequence[LandedFile]) -> Outcome:
        """Run the pipeline on files that are in the bucket, and return the outcome of their source.

        Raises:
            NotRun: the run fails.
        """
        self._wait_for(name)
        prefect = Prefect(self._prefect, ps="make ps")
        given = {"files": [file.model_dump(mode="json") for file in files]}
        self._follow(prefect, prefect.start("full_pipeline", given))
        return self._outcome(prefect, name)

    @property
    def landing(self) -> S3Landing:
        """The bucket where files land."""
        return landing_from(self._settings)

    def ask(self, target: Path, what: str, subject: str = "") -> None:
        """See `PipelineRunner.ask`."""
        with target.open("wb") as out:
            hand_out.answer(what, subject, out)

    def build(self, names: Sequence[str], full_refresh: bool) -> list[Outcome]:
        """See `PipelineRunner.build`.

        Raises:
            NotRun: the run fails.
        """
        prefect = Prefect(self._prefect, ps="make ps")
        self._follow(prefect, prefect.start("dbt_transform", transform_parameters(names, full_refresh)))
        return [self._outcome(prefect, name) for name in names]

    def _outcome(self, prefect: Prefect, name: str) -> Outcome:
        published = self._settings.published_path
        return Outcome(name, first_rows(published, name), tests_of(dbt_results(prefect), name), short(published))

    def _follow(self, prefect: Prefect, run: dict[str, Any]) -> None:
        lines: list[str] = []
        with self._console.status(f"{run['name']} starts") as status:

            def say(line: str) -> None:
                lines.append(line)
                status.update(f"pipeline  [dim]{escape(line[:100])}[/dim]")

            if prefect.follow(run, say, RUN_SECONDS):
                raise NotRun("\n".join([*lines[-SHOWN_LINES:], f"The run {run['name']} failed."]))

    def _wait_for(self, name: str) -> None:
        unknown = f"The mock Airbyte does not know the stream {name}. Its log says why: data/dev/logs/stand-ins.log."
        wait_until(lambda: self._knows(name), KNOWN_SECONDS, unknown)

    def _knows(self, name: str) -> bool:
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{self._api}/sources", timeout=10, trust_env=False)
            found = answer.json()["data"] if answer.is_success else []
            return any(name == stream["name"] for source in found for stream in source["configuration"]["streams"])
        return False


class Compose:
    """The platform of `make up`, controlled by its own verbs."""

    def __init__(self, console: Console, profile: str) -> None:
        self._console, self._profile = console, load(profile)
        self.where = f"on the platform of {self._profile.make('up')}"

    def run(self, name: str, landed: Path, rebuilds: bool) -> Outcome:
        """Drop the file and follow its run.

        Raises:
            NotRun: a verb failed.
        """
        self._start()
        self._verb("drop", f"--stream={name}", "--", str(landed))
        if rebuilds:
            self._run("dbt_transform", transform_parameters([name], True))
        return self._outcome(name)

    def load(self, name: str, files: Sequence[LandedFile]) -> Outcome:
        """See `PipelineRunner.load`.

        Raises:
            NotRun: a verb failed.
        """
        self._start()
        self._run("full_pipeline", {"files": [file.model_dump(mode="json") for file in files]})
        return self._outcome(name)

    def build(self, names: Sequence[str], full_refresh: bool) -> list[Outcome]:
        """See `PipelineRunner.build`.

        Raises:
            NotRun: a verb failed.
        """
        self._start()
        self._run("dbt_transform", transform_parameters(names, full_refresh))
        return [self._outcome(name) for name in names]

    def ask(self, target: Path, what: str, subject: str = "") -> None:
        """Ask in the worker's container, which reaches S3, Airbyte and raw whatever the profile says about them.

        Raises:
            NotRun: the worker is not running, or a system refuses the request.
        """
        self._engine.need("worker")
        words = ["blocks.hand_out", f"--profile={self._profile.blocks}", "--", what, subject]
        command = self._engine.command("exec", "-T", "worker", *PYTHON, *words)
        with target.open("wb") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False)  # noqa: S603
        if done.returncode:
            raise NotRun(done.stderr.decode(errors="replace").strip() or "The worker's container does not answer.")

    @property
    def _engine(self) -> Engine:
        return Engine(self._profile, project=project_name(self._profile))

    def _start(self) -> None:
        """Start the platform with the new files, if it runs this clone's code."""
        if self._profile.image:
            raise NotRun(
                f"The profile {self._profile.name} runs the image {self._profile.image}, not this clone's code. Commit "
                f"the new files, then: make image TAG=…, {self._profile.make('promote')} APPLY=1."
            )
        self._verb("up", *(["--yes"] if self._profile.name == "local" else []))

    def _run(self, flow: str, parameters: Mapping[str, Any]) -> None:
        self._verb("run", f"--parameters={json.dumps(parameters)}", "--", flow)

    def _outcome(self, name: str) -> Outcome:
        self._verb("sql", "--", f"from {name} limit 5")
        where = f"the published tables: {self._profile.make('sql')} Q=…"
        return Outcome(name, [], tests_of(dbt_results(prefect_of(self._engine)), name), where)

    def _verb(self, *arguments: str) -> None:
        profile = f"--profile={self._profile.name}"
        command = [sys.executable, "-P", "-s", "-m", "commands", profile, *arguments]
        if subprocess.run(command, cwd=PROJECT, check=False).returncode:  # noqa: S603
            raise NotRun(f"`make {arguments[0]}` failed. See the lines above.")


def transform_parameters(names: Sequence[str], full_refresh: bool) -> dict[str, Any]:
    """Return the parameters of a `dbt_transform` of some sources: their tests in raw, and what is built from them."""
    return {"select": " ".join(f"source:raw.{name}+" for name in names), "full_refresh": full_refresh}


def _compose_runs() -> bool:
    """Return whether this clone's platform is running in Docker."""
    if not shutil.which("docker") or not (PROJECT / "data" / "compose.json").exists():
        return False
    command = [sys.executable, "-P", "-s", "-m", "commands", "ps"]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)  # noqa: S603
    return done.returncode == 0 and bool(re.search(r"\bsensor\b.*\bUp\b", done.stdout))


def wait_until(condition: Callable[[], bool], seconds: float, message: str) -> None:
    """Wait until a condition is true.

    Raises:
        NotRun: it is still false after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotRun(message)
        time.sleep(0.2)


def dbt_results(prefect: Prefect) -> list[Mapping[str, Any]]:
    """Return the newest results of dbt's nodes."""
    body = {"artifacts": {"key": {"any_": ["dbt-results"]}}, "sort": "CREATED_DESC", "limit": 1}
    newest = prefect.ask("artifacts/filter", body)
    return list(json.loads(newest[0]["data"])) if newest else []
