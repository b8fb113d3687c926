"""What the images hold."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest

from commands.compose.profile import PROJECT

SERVICES = PROJECT / "services"


def imported(service: str) -> Iterator[str]:
    """The top-level modules that a service imports when it runs."""
    for file in (SERVICES / service).rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("service", ["airbyte", "snowflake"])
def test_a_stand_ins_image_holds_every_package_that_it_imports(service: str) -> None:
    lock = (SERVICES / service / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", lock, re.MULTILINE))
    ours = {"services", "compression"}  # the latter is in the standard library from 3.14 on
    foreign = {name for name in imported(service) if name not in sys.stdlib_module_names} - ours
    stubs = {name for name in foreign if name.startswith("mypy_boto3_")}
    packages = packages_distributions()
    needed = [{re.sub("[._]", "-", each.lower()) for each in packages[name]} for name in foreign - stubs]
    assert needed
    assert [names for names in needed if not names & locked] == []


def test_every_action_of_ci_is_pinned_by_commit() -> None:
    workflows = (PROJECT / ".github" / "workflows").glob("*.yml")
    used = [use for file in workflows for use in re.findall(r"uses: (\S+)", file.read_text())]
    assert used
    assert [use for use in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use)] == []
