"""The make verbs that run the platform in Docker Compose. They need Python 3.11 or newer and no packages."""
