"""The platform knows nothing of its sample: no name of the sample's stands in its code or its configuration."""

import re
import subprocess
from functools import cache
from pathlib import Path

import yaml

from commands.sample.files import Sample
from services.content import CONNECTIONS, PROJECT

CODE = ("blocks", "commands", "flows", "schedules", "services", "localstack/init", ".github", ".ci", ".devcontainer")
FILES = ("profiles", "Makefile", "Dockerfile", ".dockerignore", "pyproject.toml", "prefect.yaml", "docker-compose*.yml")
AIRBYTES_OWN = "services/airbyte/openapi/"


def names() -> set[str]:
    """Streams, singular and plural, their columns of more than one word, models, tests and landed files."""
    sample = Sample(PROJECT)
    streams = set(sample.streams())
    config = yaml.safe_load(CONNECTIONS.read_text())
    declared = [stream for source in config["sources"] for stream in source["configuration"]["streams"]]
    columns = {column for stream in declared for column in stream["columns"] if "_" in column}
    files = {file.name.partition(".")[0] for file in sample.files() if file.suffix in (".sql", ".gz")}
    return streams | {each.removesuffix("s") for each in streams} | columns | files


@cache
def pattern() -> re.Pattern[str]:
    """The sample's names, as whole words or as parts of an identifier."""
    longest_first = sorted(map(re.escape, names()), key=len, reverse=True)
    return re.compile(rf"(?<![a-z])(?:{'|'.join(longest_first)})(?![a-z])")


def named_in(text: str) -> list[str]:
    """The sample's names in a text."""
    return pattern().findall(text.lower())


def test_no_name_of_the_sample_is_in_the_platform() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *CODE, *FILES], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    files = [Path(each) for each in listed.stdout.split("\0") if each and not each.startswith(AIRBYTES_OWN)]
    assert len(files) > 250
    texts = {file: (PROJECT / file).read_text(encoding="utf-8") for file in files if (PROJECT / file).is_file()}
    assert {str(file): found for file, text in texts.items() if (found := named_in(text))} == {}


def test_a_name_of_the_sample_would_be_seen() -> None:
    text = 'FEW = "flights-2013-01-01.csv.gz"; ref("stg_planes"); dep_delay; a Flight; AIRLINES; dataplanes; explanes'
    assert named_in(text) == ["flights-2013-01-01", "stg_planes", "dep_delay", "flight", "airlines"]
