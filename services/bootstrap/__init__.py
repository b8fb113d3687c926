"""Register everything that the platform needs on a Prefect server. It runs once per start, and is safe to repeat."""
