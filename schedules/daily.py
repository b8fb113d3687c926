"""Serve the daily deployment without a worker. Its schedule is in prefect.yaml."""

from pathlib import Path

import yaml
from prefect.schedules import Cron

from flows.full_pipeline import full_pipeline

_YAML = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text(encoding="utf-8"))
(_DAILY,) = next(each["schedules"] for each in _YAML["deployments"] if each["name"] == "daily-full-pipeline")
DAILY_SCHEDULE = Cron(_DAILY["cron"], timezone=_DAILY["timezone"])

if __name__ == "__main__":
    full_pipeline.serve(name="daily-full-pipeline", schedule=DAILY_SCHEDULE)
