"""The order of work, nothing else: what a flow talks to lives in `blocks`."""
