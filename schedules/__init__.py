"""Serves a deployment without a worker. All schedules are in prefect.yaml."""
