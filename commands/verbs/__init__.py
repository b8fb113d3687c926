"""The make commands for a running platform, one file each. They work in Docker and with `make dev`."""
