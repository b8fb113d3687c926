"""The run names a file that it cannot load and loads the others; the corrected file completes the work."""

import pytest

from blocks.airbyte.errors import SyncFailed
from blocks.batches import OthersFailed
from blocks.landing import LandedFile, listing
from flows.full_pipeline import FilesMissing, full_pipeline
from tests.integration.flows.failures import fails, of_the_last_run
from tests.integration.flows.modes import Mode, every_mode
from tests.integration.flows.platform import Platform, flights

pytestmark = pytest.mark.usefixtures("no_pauses")


@every_mode
def test_a_broken_row_fails_its_stream_by_file_and_line_and_the_mended_file_completes_it(
    loaded: Platform, mode: Mode
) -> None:
    good = flights(2)
    lines = good.splitlines(keepends=True)
    lines[5] = "2013,1,2,one field too few\n"
    key = loaded.put("flights/2013-01-02.csv.gz", "".join(lines))
    loaded.put(
        "weather/late.csv.gz", "origin,year,month,day,hour,temp,time_hour\nEWR,2013,2,1,1,30.5,2013-02-01T06:00:00Z\n"
    )
    text = fails(full_pipeline, SyncFailed)
    assert key in text
    assert "line 6" in text
    assert loaded.count("fct_flights") == (24 if mode.like_airbyte else 20), "Airbyte has loaded the rows before it"
    query = f"select count(*) from {loaded.schema}_staging.stg_weather where temperature_f = 30.5"
    assert loaded.built(query) == [(1,)]
    loaded.put("flights/2013-01-02.csv.gz", good)
    full_pipeline(files=[LandedFile(key=key)])
    assert loaded.count("fct_flights") == 40


@every_mode
def test_a_batch_beside_a_broken_file_is_told_as_loaded_and_its_rows_are_counted(loaded: Platform) -> None:
    broken = loaded.put("flights/2013-01-02.csv.gz", flights(2) + "2013,1,2,one field too few\n")
    header = "origin,year,month,day,hour,temp,time_hour\n"
    key = loaded.put("weather/late.csv.gz", f"{header}EWR,2013,2,1,1,30.5,2013-02-01T06:00:00Z\n")
    text = fails(full_pipeline, OthersFailed, files=[LandedFile(key=key)])
    assert broken in text
    [weather] = [each for each in of_the_last_run("row-counts") if each["stream"] == "weather"]
    assert weather["written"] == weather["found in raw"] == 1
    assert of_the_last_run("freshness")


@every_mode
def test_a_missing_column_becomes_null_and_an_added_one_is_kept_in_raw(loaded: Platform) -> None:
    header, *lines = flights(2).splitlines()
    without_tailnum = header.replace("tailnum,", "")
    rows = [",".join(field for at, field in enumerate(line.split(",")) if at != 11) + ",gate 7" for line in lines]
    loaded.put("flights/2013-01-02.csv.gz", "\n".join([without_tailnum + ",gate", *rows]) + "\n")
    full_pipeline()
    assert loaded.query("select count(*), count(tailnum) from fct_flights where flight_date = '2013-01-02'") == [
        (20, 0)
    ]
    assert loaded.built(f"select count(*) from {loaded.raw('flights')} where gate = 'gate 7'") == [(20,)]


@every_mode
def test_a_retyped_value_becomes_null_and_dbt_warns_of_it(loaded: Platform, mode: Mode) -> None:
    header, first, *rest = flights(2).splitlines()
    fields = first.split(",")
    fields[15] = "far away"
    loaded.put("flights/2013-01-02.csv.gz", "\n".join([header, ",".join(fields), *rest]) + "\n")
    result = full_pipeline()
    assert loaded.query("select count(*) from fct_flights where distance_miles is null") == [(1,)]
    by_whom = "every_value_is_cast" if mode.like_airbyte else "no_airbyte_changes"
    assert [node.name for node in result.dbt.nodes if node.status == "warn"] == [f"source_{by_whom}_raw_flights_"]


@every_mode
@pytest.mark.parametrize(
    "content",
    [b"", pytest.param(flights(2).splitlines()[0] + "\n", marks=pytest.mark.exhaustive)],
    ids=["0 bytes", "only a header"],
)
def test_an_empty_file_is_named_and_harms_nothing(loaded: Platform, content: str | bytes) -> None:
    key = loaded.put("flights/empty.csv", content)
    text = fails(full_pipeline, FilesMissing, files=[LandedFile(key=key)])
    assert key in text
    assert "empty" in text
    assert loaded.count("fct_flights") == 20


@every_mode
def test_objects_that_are_no_files_are_named_and_hold_up_no_run(
    loaded: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.put("flights/2013-01-02.csv.gz", flights(2))
    for name in ("_SUCCESS", "_committed_7", ".2013-01-02.csv.gz.crc", "notes.json"):
        loaded.put(f"flights/{name}", "" if name == "_SUCCESS" else "x")
    loaded.put("flights/empty.csv", "")
    batch = [file for file in listing(loaded.s3, loaded.bucket, "inbound/flights/") if "01-01" not in file.key]
    assert len(batch) == 6
    full_pipeline(files=batch)
    assert loaded.count("fct_flights") == 40
    for file in batch[:-1]:
        assert f"{file.key} brought no row" in caplog.text or file.key.endswith(".gz")
    assert "it has the suffix .json" in caplog.text


@every_mode
def test_a_file_that_is_not_gzip_though_named_so_is_named(loaded: Platform) -> None:
    key = loaded.put("flights/2013-01-02.csv.gz", flights(2).encode())
    text = fails(full_pipeline, SyncFailed)
    assert key in text
    assert "gzip" in text
    assert loaded.count("fct_flights") == 20


@pytest.mark.exhaustive
@every_mode
def test_the_same_file_again_moves_nothing_and_a_changed_one_replaces_its_rows(loaded: Platform, mode: Mode) -> None:
    loaded.put("flights/2013-01-01.csv.gz", flights(1))
    assert full_pipeline().syncs[0].rows == (20 if mode.like_airbyte else 0), "Airbyte goes by the date"
    assert loaded.count("fct_flights") == 20
    loaded.put("flights/2013-01-01.csv.gz", flights(1).replace(",1400,5,15,", ",1401,5,15,"))
    assert full_pipeline().syncs[0].rows == 20
    assert loaded.count("fct_flights") == 20
    assert loaded.query("select count(*) from fct_flights where distance_miles = 1401") == [(1,)]
