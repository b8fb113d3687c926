"""The chart that the sample declares for the demo."""

from pathlib import Path

import duckdb

from commands.embedded.report import charts
from services.content import PROJECT


def test_the_demo_draws_the_share_of_flights_on_time_by_day(tmp_path: Path) -> None:
    with duckdb.connect(str(published := tmp_path / "published.duckdb")) as connection:
        connection.execute(
            "create table agg_daily_performance as from (values (date '2013-01-01', 'UA', 30, 15), "
            "(date '2013-01-01', 'AA', 10, 5), (date '2013-01-02', 'UA', 4, 3)) "
            "as t (flight_date, carrier, flights, on_time)"
        )
    _, title, first, second = charts(PROJECT / "dbt_project" / "models", published)
    assert title == "[bold]Flights on time, by day (arrived less than 15 minutes late)[/bold]"
    assert first == f"2013-01-01  {'█' * 20}{' ' * 20}  50%"
    assert second == f"2013-01-02  {'█' * 30}{' ' * 10}  75%"
