"""The verbs of a running platform, one file each. They work with containers and with `make dev`."""
