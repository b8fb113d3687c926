"""Serve the daily deployment without a worker. Its schedule is in prefect.yaml."""

from pathlib import Path

import yaml

from flows.full_pipeline import full_pipeline

_YAML = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text(encoding="utf-8"))
_DAILY = {each["name"]: each for each in _YAML["deployments"]}["daily-full-pipeline"]
DAILY_SCHEDULE: str = _DAILY["schedules"][0]["cron"]
"""In cron's syntax, in UTC."""

if __name__ == "__main__":
    full_pipeline.serve(name="daily-full-pipeline", cron=DAILY_SCHEDULE)
