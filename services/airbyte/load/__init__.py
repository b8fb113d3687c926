"""One attempt of a sync, in a worker process: from S3 objects to the destination."""
