"""Runs the platform without Docker, with its services as local processes. Only this part imports both sides."""
