"""Turns a file into a source: what the file is, its stream and its dbt models, and the run that makes its table."""
