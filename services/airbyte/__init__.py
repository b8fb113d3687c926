"""A mock of Airbyte's public API v1 whose syncs move real rows from S3 into Parquet or Snowflake."""
