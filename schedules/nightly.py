"""The schedule of the nightly compaction."""

from flows.compact import compact

NIGHTLY_SCHEDULE = "0 3 * * *"
"""Every day at 03:00 UTC, in cron's syntax."""

if __name__ == "__main__":
    compact.serve(name="compact", cron=NIGHTLY_SCHEDULE)
