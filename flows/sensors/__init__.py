"""Flows that wait for events outside the platform."""
