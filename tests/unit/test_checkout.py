"""A copy of the checkout has the platform, and of content only what it was given."""

from pathlib import Path

import pytest
import yaml

from commands.compose.code import MOUNTED
from commands.scenarios import content
from commands.scenarios.orders import FIRST_FILE, STREAM
from services.content import CONNECTIONS_FILE
from services.testing.checkout import SOURCES, checkout


def streams(folder: Path) -> list[str]:
    """The streams that each source and each connection of a checkout names."""
    document = yaml.safe_load((folder / CONNECTIONS_FILE).read_text())
    named = [each["configuration"]["streams"] for each in document["sources"]]
    named += [each["configurations"]["streams"] for each in document["connections"]]
    return [stream["name"] for each in named for stream in each]


def tables(folder: Path) -> list[str]:
    """The tables of raw that a checkout's dbt project names."""
    (raw,) = yaml.safe_load((folder / SOURCES).read_text())["sources"]
    return [table["name"] for table in raw["tables"]]


def files(folder: Path) -> list[str]:
    """The files below a folder, by their names."""
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def test_a_copy_has_the_platform_and_nothing_of_a_persons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content.write(own := tmp_path / "own")
    for name in ("dbt_project/packages.yml", "dbt_project/tests/own.sql", "profiles/secrets/TOKEN", "profiles/own.env"):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).touch()
    monkeypatch.setattr("services.testing.checkout.PROJECT", own)
    checkout(tmp_path / "copy")
    assert [each for each in MOUNTED if not (tmp_path / "copy" / each).exists()] == []
    assert files(tmp_path / "copy" / "dbt_project" / "models") == ["sources.yml"]
    assert files(tmp_path / "copy" / "localstack" / "landing") == []
    assert (streams(tmp_path / "copy"), tables(tmp_path / "copy")) == ([], [])
    assert files(tmp_path / "copy" / "profiles") == ["local.env"]
    assert not [each for each in files(tmp_path / "copy" / "dbt_project") if each in ("packages.yml", "own.sql")]


def test_a_copy_has_the_content_that_it_was_given_and_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    (given := tmp_path / "content" / "dbt_project" / "models" / "marts").mkdir(parents=True)
    (given / "parcels.sql").write_text("select 1 as parcel")
    checkout(tmp_path / "copy")
    (tmp_path / "copy" / "dbt_project" / "models" / "marts" / "earlier.sql").touch()
    checkout(tmp_path / "copy", tmp_path / "content", also=["tests/unit"])
    assert files(tmp_path / "copy" / "dbt_project" / "models") == ["parcels.sql"]
    assert (tmp_path / "copy" / "tests" / "unit" / Path(__file__).name).is_file()


def test_the_content_of_scenarios_is_one_source_as_make_source_writes_it(tmp_path: Path) -> None:
    content.write(tmp_path / "copy")
    assert (streams(tmp_path / "copy"), tables(tmp_path / "copy")) == ([STREAM, STREAM], [STREAM])
    assert files(tmp_path / "copy" / "localstack" / "landing") == [FIRST_FILE.name]
    mart = yaml.safe_load((tmp_path / "copy" / "dbt_project" / "models" / "marts" / f"{STREAM}.yml").read_text())
    (region,) = [each for each in mart["models"][0]["columns"] if each["name"] == "region"]
    assert "severity" not in region["data_tests"][0]["accepted_values"]["config"]
