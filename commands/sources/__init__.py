"""Turns a file into a source: finds out what the file is, writes its stream and dbt models, and builds its table."""
