"""What the fork server imports before it makes the first worker."""

import gc

from services.airbyte.load import loader, source_s3

__all__ = ["loader"]
source_s3.warm_up()
gc.freeze()  # otherwise the garbage collector of each worker would write into the memory that it shares
