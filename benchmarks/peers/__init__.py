"""Other orchestrators on the same dbt project. Each has its own script, and `measure.py` runs them."""
