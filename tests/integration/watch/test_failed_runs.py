"""Which failed runs and parked batches are incidents, and which later run or build ends them."""

import pytest
from prefect.states import AwaitingRetry, Completed, Crashed, Scheduled

from blocks.attempts import NO_SIGN
from blocks.parked import ParkedStore
from tests.integration.watch.causes import CURSOR, SYNC, parked_as, parked_batch
from tests.integration.watch.world import LASTING, World


@pytest.mark.parametrize(
    "state",
    [
        AwaitingRetry(message="Its process or worker died; it runs again."),
        Scheduled(),
        Crashed(message=f"{NO_SIGN} 90 s: the run's process has died."),
    ],
    ids=["a retry", "planned", "found dead a moment ago"],
)
def test_an_attempt_that_will_be_tried_again_is_no_incident(world: World, state: object) -> None:
    world.run(state)  # type: ignore[arg-type]
    world.look()
    assert world.told() == []


def test_a_run_that_was_found_dead_and_is_not_tried_again_is_told(world: World) -> None:
    world.run(Crashed(message=f"{NO_SIGN} 90 s: the run's process has died."))
    world.look()
    world.look(LASTING)
    assert world.told() == [("open", "run_failed")]


def test_a_batchs_failed_run_is_no_incident_until_the_batch_is_parked(world: World) -> None:
    files = [{"key": "inbound/flights/0.csv", "etag": "e", "size": 1, "last_modified": "2026-01-01T00:00:00Z"}]
    run = world.client.create_flow_run_from_deployment(
        world.deployment("full-pipeline").id, parameters={"files": files}, idempotency_key=f"k{world.port}"
    )
    from prefect.states import Failed as FailedState

    message = f"Flow run encountered an exception: {SYNC}"
    world.client.set_flow_run_state(run.id, FailedState(message=message), force=True)
    world.lasting()
    assert world.told() == []
    with parked_batch(world):
        world.lasting()
        assert "inbound/flights/a.csv, line 3" in world.texts()
        assert world.told() == [("open", "batch_parked")]


def test_a_sync_that_failed_on_other_files_than_its_batchs_is_told_as_such(world: World) -> None:
    world.failed(f"OthersFailed: {SYNC.partition(': ')[2]}")
    world.lasting()
    (incident,) = world.watch.state.incidents.values()
    assert "not on the files of its run, which are published: SyncFailed: it cannot load inbound/flights/a.csv" in (
        incident.what
    )


def test_parked_batches_are_reported_beside_a_run_that_failed_for_the_same_reason(world: World) -> None:
    with parked_batch(world):
        world.failed(SYNC)
        world.lasting()
        commands = {each["kind"]: each["command"] for each in world.messages.read()}
        ids = [parked_as(number, "").batch.id for number in range(2)]
        assert f"release {ids[0]} {ids[1]}" in commands["batch_parked"]
        assert "full_pipeline" in commands["run_failed"]
        world.told()
        world.completed()
        world.lasting()
        assert world.told() == [("over", "run_failed")]
    world.lasting()
    assert world.told() == [("over", "batch_parked")]


def test_a_batch_that_is_parked_for_its_tests_says_how_to_release_it(world: World) -> None:
    store, parked = (
        ParkedStore(world.s3, world.bucket, CURSOR),
        parked_as(8, "DbtFailed: `dbt build` failed on a (fail): x"),
    )
    store.park(parked)
    world.lasting()
    (message,) = world.messages.read()
    assert message["kind"] == "publication_refused"
    assert f"release {parked.batch.id}" in message["command"]
    store.park(other := parked_as(9, "DbtFailed: `dbt build` failed on a (fail): x"))
    world.lasting()
    (incident,) = world.watch.state.incidents.values()
    assert set(incident.command.partition("release ")[2].split('"')[0].split()) == {parked.batch.id, other.batch.id}
    store.forget(parked)
    store.forget(other)


def test_a_batch_that_is_parked_again_for_another_reason_is_no_longer_part_of_the_first(world: World) -> None:
    store = ParkedStore(world.s3, world.bucket, CURSOR)
    for error in (
        SYNC,
        "FilesMissing: 1 of 1 files brought no row to raw: inbound/flights/6.csv. Such a file is empty.",
    ):
        store.park(parked_as(6, error))
        world.lasting()
        assert len(world.watch.state.incidents) == 1
        store.forget(parked_as(6, error))
    assert sorted(world.told()) == [("open", "batch_parked"), ("open", "batch_parked"), ("over", "batch_parked")]


def test_a_run_of_the_whole_pipeline_ends_what_a_run_of_its_part_began(world: World) -> None:
    world.failed("DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results.", "dbt-transform")
    world.lasting()
    assert world.told() == [("open", "publication_refused")]
    world.completed()
    world.lasting()
    assert world.told() == [("over", "publication_refused")]


def test_a_run_of_a_selection_does_not_end_what_a_run_of_everything_began(world: World) -> None:
    world.failed("DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results.", "dbt-transform")
    world.lasting()
    assert world.told() == [("open", "publication_refused")]
    world.run(Completed(), "dbt-transform", select="dim_airlines")
    world.lasting()
    assert world.told() == []
    world.completed("dbt-transform")
    world.lasting()
    assert world.told() == [("over", "publication_refused")]


def test_a_build_of_a_selection_does_not_end_what_a_test_outside_it_warns_of(world: World) -> None:
    test = {"name": "warns", "resource_type": "test", "message": ""}
    world.artifact("dbt-results", [{**test, "status": "warn"}])
    world.lasting()
    assert world.told() == [("open", "drift")]
    world.artifact("dbt-results", [], "`dbt build --select dim_airlines`: 1 success.")
    world.lasting()
    world.artifact("dbt-results", [{**test, "status": "skipped"}])
    world.lasting()
    assert world.told() == []
    world.artifact("dbt-results", [], "`dbt build`: 1 success.")
    world.lasting()
    assert world.told() == [("over", "drift")], "the test is no longer in the project"


def test_a_released_batch_is_not_over_while_it_is_tried_once_more(world: World) -> None:
    store, parked = ParkedStore(world.s3, world.bucket, CURSOR), parked_as(7, SYNC)
    store.park(parked)
    world.lasting()
    assert world.told() == [("open", "batch_parked")]
    store.release(parked)
    store.forget(parked)
    world.lasting()
    assert world.told() == []
    store.take(store.next_released()[0])  # type: ignore[index]
    world.lasting()
    assert world.told() == [("over", "batch_parked")]


def test_a_run_that_a_person_deletes_is_no_incident_any_more(world: World) -> None:
    run = world.failed("ConfigurationError: S3_BUCKET is missing.")
    world.look()
    assert world.told() == [("open", "run_failed")]
    world.client.delete_flow_run(run.id)
    world.look()
    assert world.told() == [("over", "run_failed")]
