"""The sensor: a flow that finds new files in the landing bucket and starts a run for them."""
