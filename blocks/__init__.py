"""The outside world, one file a system: the only places that know a vendor."""

from blocks import host

# Here, since every program of the platform comes by: before a client or a console reads them.
host.go_direct()
host.plain_output()
