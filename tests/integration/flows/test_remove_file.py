"""A file that should not have been loaded is taken out, with everything that was built from it."""

from io import BytesIO
from pathlib import Path

import pytest

from blocks import hand_out
from blocks.dbt.errors import DbtFailed
from blocks.landing import LandedFile
from flows import remove_file as removal
from flows.full_pipeline import full_pipeline
from flows.remove_file import NothingToRemove, remove_file
from tests.integration.flows.modes import every_mode
from tests.integration.flows.platform import Platform, flights

POISON = "flights/poison.csv.gz"
KEY = f"inbound/{POISON}"
FIRST = "inbound/flights/2013-01-01.csv.gz"
SEATS = "select seats from {}_snapshots.planes_snapshot where tailnum = 'N10156' order by dbt_valid_from"


@pytest.fixture
def poisoned(loaded: Platform) -> Platform:
    """A file says otherwise of the flights of one day, and has those of another day."""
    wrong = flights(1).replace(",1400,5,15,", ",1401,5,15,") + "".join(flights(2).splitlines(keepends=True)[1:])
    loaded.put(POISON, wrong)
    planes = (
        "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\nN10156,2004,x,EMBRAER,E,2,5555,,Turbo-fan\n"
    )
    loaded.put("planes/poison.csv", planes)
    full_pipeline()
    assert loaded.count("fct_flights") == 40
    assert loaded.query("select count(*) from fct_flights where distance_miles = 1401") == [(1,)]
    return loaded


def interrupted(*_: object) -> None:
    raise RuntimeError("interrupted")


@every_mode
def test_a_removed_file_leaves_raw_and_the_tables_and_a_mended_one_takes_its_place(poisoned: Platform) -> None:
    result = remove_file(KEY)
    assert result.rows == {"flights": 40}
    assert poisoned.raw_rows("flights") == 20
    assert poisoned.count("fct_flights") == 20
    assert poisoned.query("select count(*) from fct_flights where distance_miles = 1401") == [(0,)]
    aside = poisoned.s3.list_objects_v2(Bucket=poisoned.bucket, Prefix="_removed/")
    assert [each["Key"] for each in aside["Contents"]] == [f"_removed/{KEY}"]
    assert full_pipeline().syncs[0].rows == 0
    poisoned.put(POISON, flights(2))
    full_pipeline(files=[LandedFile(key=KEY)])
    assert poisoned.count("fct_flights") == 40


@every_mode
@pytest.mark.exhaustive
def test_a_removed_file_leaves_the_snapshots_too(poisoned: Platform) -> None:
    seats = SEATS.format(poisoned.schema)
    assert poisoned.built(seats) == [(55,), (5555,)]
    remove_file("inbound/planes/poison.csv")
    assert poisoned.built(seats) == [(55,)]
    assert poisoned.query("select seats from dim_planes where tailnum = 'N10156'") == [(55,)]


@every_mode
@pytest.mark.exhaustive
def test_a_removal_that_was_interrupted_is_completed_by_another(
    poisoned: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(removal, "rebuild", interrupted)
        with pytest.raises(RuntimeError, match="interrupted"):
            remove_file(KEY)
    assert poisoned.raw_rows("flights") == 20
    remove_file(KEY)
    assert poisoned.count("fct_flights") == 20


@pytest.mark.exhaustive
def test_another_removal_rebuilds_also_what_an_interrupted_one_had_emptied(poisoned: Platform) -> None:
    """A first attempt that took the rows of one table out and failed at another is no longer known to the second."""
    removal.set_aside(poisoned.s3, poisoned.bucket, KEY)
    (file,) = [
        row[0]
        for row in poisoned.query(
            f"select distinct filename from read_parquet('{poisoned.lake}/flights/*.parquet', filename = true, "
            f"union_by_name = true) where _ab_source_file_url = '{KEY}'"
        )
    ]
    Path(str(file)).unlink()
    assert remove_file(KEY).rows == {}
    assert poisoned.query("select count(*) from fct_flights where distance_miles = 1401") == [(0,)]


@every_mode
def test_a_file_that_nobody_knows_is_not_removed(loaded: Platform) -> None:
    with pytest.raises(NothingToRemove, match=r"has flights/none\.csv\. Give the object's whole key"):
        remove_file("flights/none.csv")


@every_mode
def test_a_removal_says_what_it_means_before_anything_is_removed(
    loaded: Platform,
) -> None:
    for key in (FIRST, f"s3://{loaded.bucket}/{FIRST}"):
        hand_out.answer("removal", key, out := BytesIO())
        assert "20 rows of flights" in out.getvalue().decode()
    assert loaded.raw_rows("flights") == 20


@pytest.mark.exhaustive
def test_a_removal_that_another_files_rows_keep_from_its_end_says_what_is_done(
    loaded: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.put("flights/wrong.csv", flights(2).replace(",EWR,", ",XXX,"))
    with pytest.raises(DbtFailed):
        full_pipeline()
    with pytest.raises(DbtFailed):
        remove_file(FIRST)
    assert "rows are no longer in raw, but the tables could not be built" in caplog.text
    assert loaded.count("fct_flights") == 20
