"""A Snowflake emulator: fakesnow's server with what the real dbt-snowflake needs beyond it."""
