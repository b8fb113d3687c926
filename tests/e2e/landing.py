"""Flights that land: a few rows that look like the sample's, on days after it, told apart from all other rows."""

import gzip
from uuid import uuid4

import pytest

from services.testing import Platform

SAMPLE_FLIGHTS = 27_004
TRIAL = uuid4().hex[:8]
"""In the names of what lands: a real bucket may hold a file of any other name."""
FIRST = 10_000 + int(TRIAL, 16) % 1_000_000 * 100
"""The first of a hundred flight numbers that no airline and no earlier trial has."""
THREE = [FIRST, FIRST + 1, FIRST + 2]
COLUMNS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)


def flights(day: int, count: int = 3) -> bytes:
    """A CSV file of flights that left on a day of February 2013, each with a number of its own."""
    rows = (
        f"2013,2,{day},1000,1000,0,1200,1200,0,WN,{number},N550WN,LGA,MDW,127,725,10,0,2013-02-{day:02}T15:00:00Z"
        for number in range(FIRST, FIRST + count)
    )
    return "\n".join([COLUMNS, *rows, ""]).encode()


def land_flights(platform: Platform, day: int, content: bytes | None = None) -> str:
    """Land a day of February, gzipped as the sample is; its key."""
    key = f"{platform.profile.values['S3_PREFIX']}flights/{TRIAL}-2013-02-{day:02}.csv.gz"
    platform.land(key, gzip.compress(content or flights(day), mtime=0))
    return key


def numbers(platform: Platform, day: int) -> list[int]:
    """The numbers of that day's flights as readers see them, each as often as it is there."""
    found = platform.rows(f"select flight_number from fct_flights where {landed(day)} order by flight_number")
    return [number for (number,) in found]


def landed(day: int) -> str:
    """The condition in SQL that is true of that day's flights alone."""
    return f"flight_date = '2013-02-{day:02}' and flight_number between {FIRST} and {FIRST + 99}"


def services_of_the_sample(platform: Platform) -> set[str]:
    """The stand-ins with which the marts hold the sample and nothing else."""
    return {"localstack", "snowflake"} if platform.profile.values["DBT_TARGET"] == "snowflake" else {"localstack"}


def needs(platform: Platform, *services: str) -> None:
    """Skip the test that asks where the profile leads to the real system instead of a stand-in."""
    if missing := set(services) - platform.profile.services:
        pytest.skip(f"profile {platform.profile.name} does not run {', '.join(sorted(missing))}")
