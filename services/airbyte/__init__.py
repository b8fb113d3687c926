"""A mock of Airbyte's public API v1 whose syncs really move rows from S3 into Parquet."""
