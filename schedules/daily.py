"""The schedule of the daily pipeline."""

from flows.full_pipeline import full_pipeline

DAILY_SCHEDULE = "0 6 * * *"
"""Every day at 06:00 UTC, in cron's syntax."""

if __name__ == "__main__":
    full_pipeline.serve(name="daily-full-pipeline", cron=DAILY_SCHEDULE)
