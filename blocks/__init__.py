"""The outside world, one file a system: the only places that know a vendor."""
