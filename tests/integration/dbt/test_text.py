"""Raw as Airbyte's source-s3 reads CSV, each column as text: staging casts it, and says what it cannot cast."""

import pytest

from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.dbt.project import PROJECT, Platform, broken

MARTS = sorted(model.stem for model in (PROJECT / "models" / "marts").glob("*.sql"))
EACH = "* exclude (_airbyte_raw_id, _airbyte_extracted_at)"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """All of January, each column as text; built once."""
    folder = tmp_path_factory.mktemp("text")
    platform = Platform(folder, Lake(folder / "lake"))
    for stream in STREAMS:
        platform.lake.load_landing(stream, text=True)
    assert broken(platform.build()) == []
    return platform


@pytest.mark.exhaustive
def test_columns_of_text_make_the_same_marts_as_typed_ones(text: Platform, january: Platform) -> None:
    for mart in MARTS:
        columns = (
            "*"
            if mart.startswith("agg_")
            else EACH
            if mart.startswith("fct_")
            else EACH.replace("_airbyte_raw_id, ", "")
        )
        query = f"select {columns} from {mart} order by all"
        assert text.rows(query) == january.rows(query), mart
        described = f"select column_name, column_type from (describe {mart})"
        assert text.rows(described) == january.rows(described)


def test_values_that_are_not_of_their_type_are_counted_and_named_until_the_file_is_mended(
    text: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    platform = text.copy(tmp_path_factory.mktemp("dbt"))
    wrong = {"04G": "NA", "06A": "1.5", "06C": "0x1F", "06N": "1_000", "09J": "99999999999999999999", "0A9": "nan"}
    cases = " ".join(f"when '{airport}' then '{value}'" for airport, value in wrong.items())
    change = f"* replace (case faa {cases} else alt || '.0' end as alt, if(faa = '0A9', 'NaN', lat) as lat)"
    once = "timestamptz '2099-01-01 00:00:00+00'"
    platform.lake.load_landing("airports", text=True, change=change, at=once)
    results = platform.build("+dim_airports")
    told = results["source_every_value_is_cast_raw_airports_"]
    assert (told.status, told.failures) == ("warn", 7)
    said = " ".join(platform.warnings)
    assert "airports: 6 values of alt in inbound/airports/airports.csv.gz are not bigint" in said
    assert "airports: 1 values of lat in inbound/airports/airports.csv.gz are not double" in said
    staged = "select count(*) - count(altitude_feet), count(*) - count(latitude) from dim_airports"
    assert platform.rows(staged) == [(6, 1)]
    platform.lake.load_landing("airports", text=True, at=once, generation=1)  # a refresh of the file, of the same date
    assert broken(platform.build("+stg_airports")) == []


def test_a_time_that_is_none_stops_the_build_before_the_marts_since_it_is_a_key(
    text: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    platform = text.copy(tmp_path_factory.mktemp("dbt"))
    platform.lake.load_landing("flights", "*-31.csv.gz", text=True, change="* replace ('1357034400' as time_hour)")
    results = platform.build("source:raw.flights", "stg_flights", "fct_flights")
    assert results["source_every_value_is_cast_raw_flights_"].failures == 928
    assert results["whole_key_stg_flights_time_hour__carrier__flight_number"].status == "fail"
    assert results["fct_flights"].status == "skipped"


def test_a_time_is_the_same_however_it_is_written(text: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    platform = text.copy(tmp_path_factory.mktemp("dbt"))
    forms = "replace(time_hour, 'T10:00:00Z', 'T05:00:00-05:00'), replace(time_hour[:19], 'T', ' '), ' ' || time_hour"
    change = f"* replace (coalesce([{forms}][1 + flight::int % 4], time_hour) as time_hour)"
    platform.lake.load_landing("flights", "*-01.csv.gz", text=True, change=change)
    assert platform.dbt("run", "--select", "stg_flights", "fct_flights").success
    assert platform.rows("select count(*) from fct_flights") == [(27_004,)]
