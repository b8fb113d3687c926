"""Runs the platform without Docker, with its services as local processes."""
