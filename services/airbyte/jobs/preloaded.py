"""What the fork server imports before it makes the first worker."""

import gc

from services.airbyte.load import loader, objects

__all__ = ["loader"]
objects.warm_up()
gc.freeze()  # otherwise the garbage collector of each worker would write into the memory that it shares
