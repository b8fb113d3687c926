"""What every error of the platform has in common: it says what happened, where, and what to do."""


class PlatformError(Exception):
    """An error whose text a newcomer can act on; a flow run's state carries it as it is."""


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""
