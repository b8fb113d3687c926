"""On a Prefect server that several platforms share, no name of one is a name of another."""

import re

import pytest

from blocks.batches import Batch
from blocks.landing import LandedFile
from blocks.names import Names
from flows.sensors.runs import DeploymentRuns
from flows.tags import tagged
from services.bootstrap.prefect_yaml import PROJECT, declared

PLAIN = sorted({each.name for each in declared()})
FIRST_WORDS = sorted({each.partition("-")[0] for each in [*PLAIN, "dbt-warehouse"]})


@pytest.mark.parametrize("namespace", FIRST_WORDS)
def test_a_namespace_that_a_name_begins_with_is_put_before_it_all_the_same(namespace: str) -> None:
    names = Names(namespace)
    assert len({names.name(each) for each in PLAIN}) == len(PLAIN)
    assert names.slot != "dbt-warehouse"
    assert [names.plain(names.name(each)) for each in PLAIN] == PLAIN


def test_blocks_are_called_as_their_profile_behind_a_namespace_of_another_name() -> None:
    assert Names().blocks("local") == "local"
    assert Names("production").blocks("production") == "production"
    assert Names("ann").blocks("production") == "ann-production"


def test_names_of_blocks_and_artifacts_are_those_that_prefect_takes_and_differ_by_namespace() -> None:
    namespaces = ("Team_A", "team-a", "team_a", "teamA")
    for made in (
        [Names(each).blocks("production") for each in namespaces],
        [Names(each).artifact("freshness") for each in namespaces],
    ):
        assert len(set(made)) == len(namespaces)
        assert all(re.fullmatch("[a-z0-9-]+", each) for each in made)
    assert Names().artifact("freshness") == "freshness"


def test_limits_of_others_on_a_tag_do_not_apply_to_the_tasks_of_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tagged("dbt") == ["dbt"]
    monkeypatch.setenv("PREFECT_NAMESPACE", "ann")
    assert tagged("dbt") == ["ann-dbt"]
    assert not [file for file in (PROJECT / "flows").rglob("*.py") if re.search(r"\btags=\[", file.read_text())]


def test_two_platforms_that_load_the_same_files_have_a_run_each() -> None:
    batch = Batch(files=[LandedFile(key="inbound/flights/a.csv", etag="1")], place="s3://landing/cursor.json")
    one, two = (DeploymentRuns("full_pipeline/full-pipeline", "production", Names(each)) for each in ("ann", "bob"))
    assert one.deployment == "full_pipeline/ann-full-pipeline"
    assert one.key(batch) != two.key(batch)
    assert DeploymentRuns("full_pipeline/full-pipeline", None).key(batch) == batch.idempotency_key
