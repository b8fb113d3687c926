"""The sample goes and comes back as a whole, beside content of the user's that stays."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from commands.sample.checkout import copy_with_sample, link_environment, own_content
from commands.sample.files import AWAY, LIST, SHARED, SOURCES_FILE, Sample, SampleError, files_in
from commands.sample.move import remove, restore
from commands.sources import render
from commands.sources.facts import facts_of
from commands.sources.project import apply, project_of
from commands.sources.reading import read
from commands.sources.spec import spec_of
from services.airbyte.catalog.config_file import load_config
from services.content import CONNECTIONS_FILE, PROJECT

CONSOLE = Console(quiet=True)
ORDERS = "order_id,ordered_on,amount\n1,2024-01-01,10.50\n2,2024-01-02,5.25\n"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A checkout with the places of content, the sample in them."""
    root = tmp_path / "checkout"
    for file in files_in(PROJECT):
        if file.parts[0] in ("dbt_project", "localstack") or file.is_relative_to("tests/sample"):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / file, root / file)
    who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return Sample(root)


@pytest.fixture
def with_orders(sample: Sample, tmp_path: Path) -> Sample:
    """The same, with a source of the user's."""
    (file := tmp_path / "orders.csv").write_text(ORDERS)
    project = project_of(sample.root)
    apply(project.changes_to_write(spec_of("orders", facts_of(read(file, tmp_path), [], tmp_path), "")))
    project.land(file, "orders")
    return sample


def contents(root: Path) -> dict[str, bytes]:
    return {str(file): (root / file).read_bytes() for file in files_in(root)}


def streams(root: Path) -> list[str]:
    (source,) = load_config(root / CONNECTIONS_FILE).sources
    return [stream.name for stream in source.configuration.streams]


def yes(_: str) -> bool:
    return True


def test_what_goes_comes_back_byte_for_byte(sample: Sample) -> None:
    before = contents(sample.root)
    assert remove(sample, CONSOLE, yes) == 0
    assert streams(sample.root) == []
    assert sample.others() == []
    assert [str(file) for file in files_in(sample.root) if "flight" in str(file) and AWAY not in file.parents] == []
    assert restore(sample, CONSOLE, yes) == 0
    assert contents(sample.root) == before
    assert not (sample.root / AWAY).exists()


def test_what_is_the_users_stays_in_its_place(with_orders: Sample) -> None:
    own = with_orders.others()
    assert {file.name for file in own} == {"orders.csv", "orders.sql", "orders.yml", "stg_orders.sql", "stg_orders.yml"}
    remove(with_orders, CONSOLE, yes)
    assert streams(with_orders.root) == ["orders"]
    assert with_orders.others() == own
    assert sorted(streams(with_orders.root / AWAY)) == with_orders.streams()
    restore(with_orders, CONSOLE, yes)
    assert streams(with_orders.root)[0] == "orders"
    assert sorted(streams(with_orders.root)) == sorted(["orders", *with_orders.streams()])
    apply(project_of(with_orders.root).changes_to_remove("orders"))
    assert render.ENTRY not in (with_orders.root / SOURCES_FILE).read_text()


def test_without_consent_nothing_moves(sample: Sample) -> None:
    before = contents(sample.root)
    assert remove(sample, CONSOLE, lambda _: False) == 1
    assert contents(sample.root) == before


def test_what_was_changed_is_named_before_it_moves(sample: Sample) -> None:
    (changed := sample.root / "dbt_project/models/marts/dim_planes.sql").write_text("select 1 as mine")
    console = Console(record=True, width=500)
    remove(sample, console, yes)
    assert "uncommitted changes: dbt_project/models/marts/dim_planes.sql" in console.export_text()
    assert (sample.root / AWAY / changed.relative_to(sample.root)).read_text() == "select 1 as mine"


@pytest.mark.parametrize(
    ("text", "read"),
    [("select * from {{ ref('dim_planes') }}", "dim_planes"), ("from {{ source('raw', \"planes\") }}", "planes")],
)
def test_a_model_of_the_users_that_reads_the_sample_is_named(sample: Sample, text: str, read: str) -> None:
    (sample.root / "dbt_project/models/marts/mine.sql").write_text(text)
    before = contents(sample.root)
    with pytest.raises(SampleError, match=rf"dbt_project/models/marts/mine\.sql reads {read} of the sample"):
        remove(sample, CONSOLE, yes)
    assert contents(sample.root) == before


def test_what_cannot_be_is_said(sample: Sample) -> None:
    with pytest.raises(SampleError, match="is in place already"):
        restore(sample, CONSOLE, yes)
    remove(sample, CONSOLE, yes)
    with pytest.raises(SampleError, match="was removed already"):
        remove(sample, CONSOLE, yes)
    (sample.root / "localstack/landing/planes").mkdir()
    (sample.root / "localstack/landing/planes/planes.csv.gz").touch()
    with pytest.raises(SampleError, match=r"in the way of the sample: localstack/landing/planes/planes\.csv\.gz"):
        restore(sample, CONSOLE, yes)
    shutil.rmtree(sample.root / AWAY)
    with pytest.raises(SampleError, match="There is no sample"):
        sample.files()


@pytest.fixture(params=["in place", "beside a source", "taken out"])
def changed(request: pytest.FixtureRequest, with_orders: Sample) -> Sample:
    if request.param == "in place":
        apply(project_of(with_orders.root).changes_to_remove("orders"))
        shutil.rmtree(with_orders.root / "localstack/landing/orders")
    elif request.param == "taken out":
        remove(with_orders, CONSOLE, yes)
    return with_orders


def test_a_copy_has_the_sample_and_nothing_of_the_users(changed: Sample, tmp_path: Path) -> None:
    assert bool(own_content(changed)) is ("orders" in streams(changed.root))
    (changed.root / ".venv" / "bin").mkdir(parents=True)
    (changed.root / ".venv" / "pyvenv.cfg").touch()
    (copy := tmp_path / "copy").mkdir()
    (copy / "of-an-earlier-one").touch()
    copy_with_sample(changed, copy)
    found = {name: content for name, content in contents(copy).items() if not name.startswith(".venv/")}
    assert "of-an-earlier-one" not in found
    assert [name for name, content in found.items() if content != (PROJECT / name).read_bytes()] == []
    assert {str(LIST), *map(str, SHARED), *map(str, Sample(PROJECT).files())} <= found.keys()


def test_the_copys_python_takes_packages_from_here_and_modules_from_there(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "__init__.py").write_text("HERE = 'the copy'")
    link_environment(Path(sys.prefix), tmp_path / ".venv")
    code = "import blocks, pytest, sys; print(blocks.HERE, sys.prefix, pytest.__name__)"
    for options in ([], ["-P", "-s"]):
        command = [tmp_path / ".venv" / "bin" / "python", *options, "-c", code]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["the", "copy", str(tmp_path / ".venv"), "pytest"]
    assert str(Path(sys.prefix) / "bin") not in (tmp_path / ".venv" / "bin" / "pytest").read_text()
