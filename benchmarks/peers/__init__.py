"""Other orchestrators, on the same dbt project: measured by `measure.py`, each by a script of its own."""
