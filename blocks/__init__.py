"""Code for external systems: one file or folder each. Only these files import a vendor's client."""

from blocks import host

# Every program of the platform imports this package before it creates a client or prints anything.
host.bypass_proxy_locally()
host.reliable_output()
host.plain_output()
