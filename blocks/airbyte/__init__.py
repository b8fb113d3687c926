"""Airbyte: its API as the platform uses it, its errors, and the client."""
