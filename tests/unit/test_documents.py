"""README, the pages of docs/, CONTRIBUTING, the Makefile and the CI's files say what the code does."""

import importlib
import inspect
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

from blocks.settings import Settings
from schedules.daily import DAILY_SCHEDULE
from tests.readme import MANUAL, PROJECT, blocks, kinds, rows

MAKEFILE = (PROJECT / "Makefile").read_text()
VERBS = re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE)
PAGES = sorted(page.relative_to(PROJECT).as_posix() for page in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])
WITH_FILES = {"CONTRIBUTING.md", "README.md"} | {
    f"docs/{page}.md" for page in ("dbt", "flows", "platform", "production", "troubleshooting")
}
"""Pages whose paths are all files; the others name images and an API's paths as well, which look like them."""
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())


def flows() -> dict[str, Flow[..., Any]]:
    """Every flow of the platform, by the file that defines it."""
    found = {}
    for file in sorted((PROJECT / "flows").rglob("*.py")):
        name = file.relative_to(PROJECT).as_posix()
        module = importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        for value in vars(module).values():
            if isinstance(value, Flow) and value.fn.__module__ == module.__name__:
                found[name] = value
    return found


def test_every_block_of_the_manual_is_one_that_the_tests_know_how_to_run() -> None:
    assert kinds() == {"mermaid", "text", "sh", "sh dev", "sh serve", "python dev"}


def test_a_plain_command_of_readme_is_a_verb_of_the_makefile() -> None:
    commands = "".join(blocks("sh")).splitlines()
    assert {"make demo", "make test"} <= set(commands)
    assert {command.removeprefix("make ") for command in commands} <= set(VERBS)


def test_the_page_of_commands_has_every_verb_of_the_makefile_once() -> None:
    page = (PROJECT / "docs" / "commands.md").read_text()
    assert sorted(re.findall(r"^\| `make ([a-z0-9-]+)`", page, re.MULTILINE)) == sorted(set(VERBS) - {"help"})


@pytest.mark.parametrize("document", [page for page in PAGES if page != "CHANGELOG.md"])
def test_a_document_names_no_verb_that_the_makefile_lacks(document: str) -> None:
    named = re.findall(r"(?:`|^| {4})make ([a-z0-9-]+)", (PROJECT / document).read_text(), re.MULTILINE)
    assert set(named) <= set(VERBS)


@pytest.mark.parametrize("document", PAGES)
def test_every_link_of_a_document_leads_to_a_file_and_a_heading_of_it(document: str) -> None:
    here = PROJECT / document
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", here.read_text()):
        path, _, anchor = link.partition("#")
        target = here.parent / path if path else here
        assert target.is_file(), link
        assert not anchor or anchor in headings(target), link


def test_readme_leads_to_every_page() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert [page for page in PAGES if page != "README.md" and f"]({page})" not in readme] == []


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_make_knows_every_verb() -> None:
    command = ["make", "--dry-run", "--keep-going", *VERBS]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_of_settings_has_every_one_with_its_default_and_its_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    table = rows("docs/settings.md")
    assert [(name, meaning) for name, _, meaning in table] == [
        (name.upper(), field.description or "") for name, field in Settings.model_fields.items()
    ]
    assert Settings(**{name.lower(): default for name, default, _ in table if default}) == Settings()
    assert {name for name, default, _ in table if not default} == {
        name.upper() for name, field in Settings.model_fields.items() if not _shown(field.default)
    }


def test_the_page_of_flows_has_each_with_its_deployments_and_parameters() -> None:
    documented = {
        file: (flow, set(deployments.split(", ")), parameters.split(", "))
        for file, flow, deployments, parameters in rows("docs/flows.md")
    }
    assert documented == {
        file: (
            flow.name,
            {each["name"] for each in DEPLOYMENTS if each["entrypoint"] == f"{file}:{flow.fn.__name__}"},
            list(inspect.signature(flow.fn).parameters),
        )
        for file, flow in flows().items()
    }


def test_a_flow_has_the_name_of_its_function() -> None:
    assert [flow.name for flow in flows().values()] == [flow.fn.__name__ for flow in flows().values()]


def test_every_deployment_runs_a_flow_of_the_project() -> None:
    entrypoints = {f"{file}:{flow.fn.__name__}" for file, flow in flows().items()}
    assert {each["entrypoint"] for each in DEPLOYMENTS} == entrypoints


def test_the_daily_schedule_is_the_same_wherever_it_stands() -> None:
    daily = next(each for each in DEPLOYMENTS if each["name"] == "daily-full-pipeline")
    assert daily["schedules"] == [{"cron": DAILY_SCHEDULE.cron, "timezone": DAILY_SCHEDULE.timezone}]
    assert f'--name "daily-full-pipeline" --cron "{DAILY_SCHEDULE.cron}"' in MANUAL
    served = 'full_pipeline.serve(name="daily-full-pipeline", schedule=DAILY_SCHEDULE)'
    assert served in " ".join(MANUAL.split())
    assert served in (PROJECT / "schedules" / "daily.py").read_text()


@pytest.mark.parametrize("document", sorted(WITH_FILES))
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (PROJECT / document).read_text()
    named = re.findall(
        r"`((?:\w[\w.-]*/|\.\w[\w.-]*/)+[\w.-]*|\w[\w-]*\.(?:md|toml|yaml|lock)|LICENSE|Makefile)`", text
    )
    paths = [path for path in named if not path.startswith(("data/", ".venv/")) and path != "inbound/"]
    assert paths
    assert [path for path in paths if not (PROJECT / path).exists()] == []


def test_the_page_of_the_dbt_project_names_every_mart_and_every_layer() -> None:
    models = PROJECT / "dbt_project" / "models"
    described = {word for row in rows("docs/dbt.md") for word in re.findall(r"\w+", " ".join(row))}
    assert {model.stem for model in (models / "marts").glob("*.sql")} <= described
    assert {layer.name for layer in models.iterdir()} <= described


@pytest.mark.parametrize("pattern", rows("docs/dagster.md"), ids=lambda row: row[0])
def test_the_code_has_what_the_docs_set_beside_dagster(pattern: list[str]) -> None:
    page = (PROJECT / "docs" / "dagster.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith(f"| {pattern[0]} |"))
    quoted = re.findall(r"`([^`]+)`", line)
    files = [PROJECT / each for each in quoted if (PROJECT / each).is_file()]
    text = "".join(file.read_text() for file in files or (PROJECT / "flows").rglob("*.py"))
    assert quoted
    assert [name for name in quoted if PROJECT / name not in files and name not in text] == []


def test_pre_commit_runs_the_tools_of_make_lint_and_no_other() -> None:
    recipe = MAKEFILE.split("\nlint:", 1)[1].split("\n\n", 1)[0]
    tools = re.findall(r"\$\(BIN\)/(.+)", recipe)
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == tools
    assert {hook["language"] for hook in hooks} == {"system"}


def test_ci_runs_the_same_command_on_every_python_that_the_project_supports() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert workflow["permissions"] == {"contents": "read"}
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert f">={min(job['strategy']['matrix']['python'])}" == PYPROJECT["project"]["requires-python"]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_dev_container_brings_the_platform_up_on_its_ports() -> None:
    container = json.loads((PROJECT / ".devcontainer" / "devcontainer.json").read_text())
    ports = re.findall(r"^\w+_PORT=(\d+)$", (PROJECT / "profiles" / "local.env").read_text(), re.MULTILINE)
    assert container["postCreateCommand"] == "make up"
    assert sorted(map(str, container["forwardPorts"])) == sorted(ports)


def test_the_changelog_has_the_version_of_the_project() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)[:2] == ["Unreleased", PYPROJECT["project"]["version"]]


def test_the_licence_is_the_one_that_the_project_declares() -> None:
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (PROJECT / "LICENSE").read_text()


def _shown(default: Any) -> str:
    value = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    return "" if value is None else str(value)
