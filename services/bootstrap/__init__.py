"""Tells a Prefect server all that the platform needs of it; one-shot, and harmless to repeat."""
