"""dbt: the project as the platform runs it, its results, and its errors."""
