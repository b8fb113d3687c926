"""A Snowflake emulator: fakesnow's server, extended by what the real dbt-snowflake needs."""
