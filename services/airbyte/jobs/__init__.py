"""Jobs: their states, their store, and the worker process of each attempt."""
