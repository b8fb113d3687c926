"""From S3 objects to the destination: what a worker process does in an attempt of a sync, and the lock of the lake."""
