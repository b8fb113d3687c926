"""Flights that land: a few rows that look like the sample's, on days after it."""

import gzip

import pytest

from services.testing import Platform

SAMPLE_FLIGHTS = 27_004
COLUMNS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)


def flights(day: int, count: int = 3) -> bytes:
    """A CSV file of flights that left on a day of February 2013, each with a number of its own."""
    rows = (
        f"2013,2,{day},1000,1000,0,1200,1200,0,WN,{number},N550WN,LGA,MDW,127,725,10,0,2013-02-{day:02}T15:00:00Z"
        for number in range(9000, 9000 + count)
    )
    return "\n".join([COLUMNS, *rows, ""]).encode()


def land_flights(platform: Platform, day: int, content: bytes | None = None) -> str:
    """Land a day of February, gzipped as the sample is; its key."""
    key = f"inbound/flights/flights-2013-02-{day:02}.csv.gz"
    platform.land(key, gzip.compress(content or flights(day), mtime=0))
    return key


def numbers(platform: Platform, day: int) -> list[int]:
    """The numbers of that day's flights as readers see them, each as often as it is there."""
    day_of_february = f"flight_date = '2013-02-{day:02}'"
    found = platform.rows(f"select flight_number from fct_flights where {day_of_february} order by flight_number")
    return [number for (number,) in found]


def needs(platform: Platform, *services: str) -> None:
    """Skip the test that asks where the profile leads to the real system instead of a stand-in."""
    if missing := set(services) - platform.profile.services:
        pytest.skip(f"profile {platform.profile.name} does not run {', '.join(sorted(missing))}")
