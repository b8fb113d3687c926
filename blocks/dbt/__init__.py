"""dbt: running the project's commands, their results, and their errors."""
