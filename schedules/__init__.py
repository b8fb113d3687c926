"""The schedules of the flows."""
