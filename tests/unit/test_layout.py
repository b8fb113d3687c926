"""How long a file may be, and which files of the platform may read the environment."""

import ast
import subprocess
from collections.abc import Iterator

import pytest

from tests.readme import PROJECT

LONGEST = 350
READERS = {
    "blocks/settings.py": "every setting, its default and its meaning",
    "blocks/host.py": "removes what would break a program before it can import anything but the standard library",
    "commands/compose/shell.py": "Docker's variables and a verb's own; the profile holds the settings",
    "commands/packages.py": "runs before anything is installed",
    "services/airbyte/settings.py": "the stand-in for Airbyte imports nothing of the platform",
    "services/snowflake/settings.py": "the stand-in for Snowflake imports nothing of the platform",
    "services/guard/settings.py": "the guard runs in the stand-ins and in LocalStack, too",
    "services/forked.py": "hands the environment that the worker has made for a run to its process",
    "services/fork_server.py": "takes that environment over",
    "localstack/init/start.d/10-guard.py": "LocalStack's own Python runs it",
}
"""The files that read the environment, and why each of them must."""
ACCESS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "BaseSettings"}


def python_files() -> list[str]:
    """Every Python file of the platform and its tests, without the benchmarks."""
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and not name.startswith("bench")]


def uses(source: str) -> Iterator[str]:
    """The names of ACCESS that a module imports from anywhere, or looks up on `os` or `pydantic_settings`."""
    modules = {"os", "posix", "pydantic_settings"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            yield from (name.name for name in node.names if name.name in ACCESS)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from [node.attr] if node.attr in ACCESS else []


def test_no_file_is_longer_than_a_reader_can_keep_in_mind() -> None:
    lengths = {name: len((PROJECT / name).read_text().splitlines()) for name in python_files()}
    assert len([name for name in lengths if name.startswith("tests/")]) > 200
    assert len([name for name in lengths if not name.startswith("tests/")]) > 200
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_environment_is_read_in_these_files_and_in_no_other() -> None:
    code = [name for name in python_files() if not name.startswith("tests/")]
    assert {name for name in code if list(uses((PROJECT / name).read_text()))} == set(READERS)


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['A']",
        "import os; os.getenv('A')",
        "from os import environ as e",
        "from pydantic_settings import BaseSettings",
        "import pydantic_settings; x = pydantic_settings.BaseSettings",
    ],
)
def test_every_way_to_the_environment_is_seen(line: str) -> None:
    assert list(uses(line))
