"""Airbyte: the API's objects that the platform uses, the errors, and the client."""
