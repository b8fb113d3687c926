"""Tests look at what changed since they last passed, and lose nothing by it."""

from typing import Any

import pytest

from tests.integration.dbt.project import Platform

OF_AIRLINES = "relationships_fct_flights_carrier__carrier__ref_dim_airlines_"
KEY = "primary_key_fct_flights_time_hour__carrier__flight_number"
UNKNOWN = "* replace (if(carrier = 'UA', 'ZZ', carrier) as carrier)"


def build(platform: Platform, *options: str) -> dict[str, Any]:
    """Build the facts and all that they need, with their tests."""
    return platform.results("build", "--exclude-resource-type", "unit_test", "--select", "+fct_flights", *options)


def test_a_test_that_failed_fails_again_until_the_file_is_mended(platform: Platform) -> None:
    platform.lake.load_landing("flights", "*-15.csv.gz", change=UNKNOWN)
    first = build(platform)[OF_AIRLINES]
    platform.lake.load_landing("flights", "*-16.csv.gz")
    second = build(platform)[OF_AIRLINES]
    assert (first.status, first.failures) == (second.status, second.failures) == ("fail", 155)
    platform.lake.load_landing("flights", "*-15.csv.gz")
    assert build(platform)[OF_AIRLINES].status == "pass"


def test_all_rows_are_looked_at_once_a_dimension_has_changed(platform: Platform) -> None:
    platform.lake.load_landing("airlines", where="carrier <> 'HA'")
    results = build(platform, "+dim_airlines")
    assert (results[OF_AIRLINES].status, results[OF_AIRLINES].failures) == ("fail", 31)
    files = platform.sql(f"select distinct _ab_source_file_url from ({results[OF_AIRLINES].node.compiled_code})")
    assert len(files) > 1
    assert all("flights-2013-01-" in file for (file,) in files), "each row that fails names its file"


@pytest.mark.exhaustive
def test_a_row_that_no_load_brought_is_found_by_a_full_run_alone(platform: Platform) -> None:
    build(platform)
    platform.sql("insert into fct_flights from fct_flights where flight_date = '2013-01-10' limit 1")
    platform.lake.load_landing("flights", "*-31.csv.gz")
    assert build(platform)[KEY].status == "pass"
    found = build(platform, "--vars", "{test_all: true}")[KEY]
    assert (found.status, found.failures) == ("fail", 1)
    [(*_, first_file, last_file)] = platform.sql(found.node.compiled_code)
    assert first_file == last_file
    assert "flights-2013-01-10" in first_file
